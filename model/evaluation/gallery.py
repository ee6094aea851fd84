"""What an evaluation looks like: a page with the worst misses as images, and a scatter plot with the logistic curve.

The page is a folder that opens without a network: index.html, thumbnails, and plotly's script beside it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from model.common.errors import DataError
from model.evaluation.metrics import fit_logistic, logistic
from model.images.decoding import open_image

MISSES = 12  # on each side
SIDE = 320  # pixels of a thumbnail's longer side
BLUE, ORANGE, GREY = "#4a86c5", "#e0762e", "#8a8f98"
CLEAR, GRID = "rgba(0,0,0,0)", "rgba(138,143,152,0.25)"  # for light and dark pages

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
ul {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.5rem; list-style: none; padding: 0; }}
img {{ width: 100%; height: 11rem; object-fit: contain; background: #8882; }}
.name {{ overflow-wrap: anywhere; font-size: .85rem; opacity: .8; }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
{against}{plot}
<h2>Rated too high by the model</h2>
<ul>
{high}
</ul>
<h2>Rated too low by the model</h2>
<ul>
{low}
</ul>
</html>
"""
PAGE_NAME = "index.html"
NONE = "<li>none</li>"


@dataclass(frozen=True)
class RatedScore:
    """An image with its score as the model gave it, and its MOS (and the raters' std, where it is known)."""

    name: str
    path: Path
    score: float
    mos: float
    std: float | None = None


def fitted_scores(scored: Sequence[RatedScore]) -> tuple[np.ndarray, np.ndarray | None]:
    """The scores put on the labels' scale by the 4-parameter logistic, and its parameters; as they are, and None, where the fit
    fails."""
    scores = np.array([image.score for image in scored])
    parameters = fit_logistic(scores, np.array([image.mos for image in scored]))
    return (scores if parameters is None else logistic(scores, *parameters)), parameters


def worst_misses(scored: Sequence[RatedScore]) -> tuple[list[int], list[int]]:
    """Positions of the images that the model rates furthest too high, and too low, after the fit; the furthest first, at most
    MISSES each, and only of the half that is furthest off: of few images not all are misses."""
    errors = fitted_scores(scored)[0] - np.array([image.mos for image in scored])
    order = np.argsort(-errors, kind="stable")
    usual = float(np.median(np.abs(errors)))
    high = [int(n) for n in order[:MISSES] if errors[n] > 0 and errors[n] >= usual]
    low = [int(n) for n in order[::-1][:MISSES] if errors[n] < 0 and -errors[n] >= usual]
    return high, low


def scatter(scored: Sequence[RatedScore], report: dict):
    """A plotly figure: each image's score and MOS, and the fitted logistic where there is one; with the report's scales."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scattergl(
        x=[image.score for image in scored],
        y=[image.mos for image in scored],
        mode="markers",
        marker={"color": BLUE, "size": 5, "opacity": 0.5},
        name="images",
        text=[escape(image.name) for image in scored],
        hovertemplate="%{text}<br>score %{x:.2f}, MOS %{y:.2f}<extra></extra>",
    )
    _, parameters = fitted_scores(scored)
    if parameters is not None:
        scores = [image.score for image in scored]
        line = np.linspace(min(scores), max(scores), 200)
        figure.add_scatter(
            x=line, y=logistic(line, *parameters), mode="lines", line={"color": ORANGE}, name="4-parameter logistic"
        )
    figure.update_layout(
        title="Score and opinion, one dot an image",
        font={"color": GREY},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        height=480,
    )
    figure.update_xaxes(
        title=f"Score by {escape(report['model'])}{on(report['scale'])}", gridcolor=GRID, zeroline=False
    )
    figure.update_yaxes(title=f"Mean opinion score{on(report['label_scale'])}", gridcolor=GRID, zeroline=False)
    return figure


def on(scale: Sequence[float] | None) -> str:
    return f" ({scale[0]:g} to {scale[1]:g})" if scale else ""


def check_folder(folder: Path) -> None:
    """Raises DataError where a gallery cannot be written into the folder: it holds other things, or cannot be one."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise DataError(f"{folder} cannot be written ({there} is not a folder): name another folder")
    if not os.access(there, os.W_OK):
        raise DataError(f"{folder} cannot be written (permission denied): name another folder")
    if there == folder and any(folder.iterdir()) and not (folder / PAGE_NAME).exists():
        raise DataError(f"{folder} holds other things already: name a new folder for the gallery")


def write_gallery(folder: Path, scored: Sequence[RatedScore], report: dict) -> Path:
    """Write the page of an evaluation's `report` into `folder` and return its index.html.

    Raises DataError when there are no images, or the folder cannot be written or holds other things already.
    """
    if not scored:
        raise DataError("no image could be scored: there is nothing to show in a gallery")
    check_folder(folder)
    page = folder / PAGE_NAME
    try:
        thumbnails = folder / "images"
        thumbnails.mkdir(parents=True, exist_ok=True)
        fitted, parameters = fitted_scores(scored)
        high, low = (
            "\n".join(_card(scored[n], float(fitted[n]), parameters is not None, thumbnails, n) for n in side)
            for side in worst_misses(scored)
        )
        (folder / "plotly.min.js").write_text(_plotly_script(), encoding="utf-8")
        title = f"Worst misses of {escape(str(report['model']))}"
        plot = scatter(scored, report).to_html(full_html=False, include_plotlyjs="directory")
        page.write_text(
            PAGE.format(
                title=title,
                summary=escape(_summary(report, parameters is not None)),
                against=_against(report["against"]) if "against" in report else "",
                plot=plot,
                high=high or NONE,
                low=low or NONE,
            ),
            encoding="utf-8",
            errors="backslashreplace",  # a file's name may be no Unicode
        )
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}): name another folder") from error
    return page


def _plotly_script() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _summary(report: dict, with_fit: bool) -> str:
    def shown(key: str) -> str:
        return "not defined" if report[key] is None else f"{report[key]:.3f}"

    return (
        f"{report['n']} images. SRCC {shown('srcc')}, PLCC {shown('plcc')}, KRCC {shown('krcc')}, "
        f"RMSE {shown('rmse_raw')}; after the 4-parameter logistic fit "
        f"SRCC {shown('srcc_fitted')}, PLCC {shown('plcc_fitted')}, KRCC {shown('krcc_fitted')}, RMSE {shown('rmse')}. "
        + (
            "Misses are counted after the fit, on the scale of the labels."
            if with_fit
            else "There is no fit, so that misses are counted from the scores as they are."
        )
        + f" At most {MISSES} on each side are shown, of the half of the images that is furthest off."
        + "".join(f" Note: {note}." for note in report["notes"])
    )


def _against(against: dict) -> str:
    """What the comparison with another system says, as a paragraph; the misses are the first system's."""
    if "error" in against:
        return f"<p>Not compared with {escape(against['model'])}: {escape(against['error'])}</p>\n"
    lines = []
    for name in ("srcc", "plcc"):
        found = against["paired"][name]
        if found["difference"] is not None:
            luck = "" if not found["interval"] else " (95 % interval {:+.3f} to {:+.3f})".format(*found["interval"])
            lines.append(
                f"{name.upper()} {found['first']:.3f} against {found['second']:.3f}, a difference of {found['difference']:+.3f}{luck}"
            )
    said = "; ".join(lines) or "no correlation is defined"
    return f"<p>Against {escape(against['model'])}, on the {against['paired']['n']} images that both could read: {said}.</p>\n"


def _card(image: RatedScore, fitted: float, with_fit: bool, thumbnails: Path, number: int) -> str:
    thumbnail = open_image(image.path)
    thumbnail.thumbnail((SIDE, SIDE))
    thumbnail.save(thumbnails / f"{number}.jpg", quality=88)
    spread = "" if image.std is None else f" (raters' std {image.std:.2f})"
    miss = fitted - image.mos
    by = f"too {'high' if miss > 0 else 'low'} by {abs(miss):.2f}"
    after = f", fitted {fitted:.2f}" if with_fit else ""
    return (
        f'<li><img src="images/{number}.jpg" alt="{escape(image.name)}" loading="lazy">'
        f"<div><strong>{by}</strong><br>score {image.score:.2f}{after}<br>MOS {image.mos:.2f}{spread}</div>"
        f'<div class="name">{escape(image.name)}</div></li>'
    )
