"""An HTML page for an evaluation: the images with the largest errors, and a scatter plot with the logistic curve.

The page is a folder that works offline: index.html, thumbnails and plotly's script.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import jinja2
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
<title>Worst misses of {{ report.model }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.5rem; list-style: none; padding: 0; }
img { width: 100%; height: 11rem; object-fit: contain; background: #8882; }
.name { overflow-wrap: anywhere; font-size: .85rem; opacity: .8; }
</style>
<h1>Worst misses of {{ report.model }}</h1>
<p>{{ summary }}</p>
{% if against %}<p>{{ against }}</p>
{% endif %}{{ plot | safe }}
{% for side in sides %}
<h2>Rated too {{ side.word }} by the model</h2>
<ul>
{% for miss in side.misses %}
<li><img src="images/{{ miss.number }}.jpg" alt="{{ miss.image.name }}" loading="lazy">
<div><strong>too {{ side.word }} by {{ "%.2f" % miss.by }}</strong><br>
score {{ "%.2f" % miss.image.score }}{% if fit %}, fitted {{ "%.2f" % miss.fitted }}{% endif %}<br>
MOS {{ "%.2f" % miss.image.mos }}{% if miss.image.std is not none %} (raters' std {{ "%.2f" % miss.image.std }}){% endif %}</div>
<div class="name">{{ miss.image.name }}</div></li>
{% else %}
<li>none</li>
{% endfor %}
</ul>
{% endfor %}
</html>
"""
PAGE_NAME = "index.html"


@dataclass(frozen=True)
class RatedScore:
    """An image with its raw score, its MOS and, if known, the raters' std."""

    name: str
    path: Path
    score: float
    mos: float
    std: float | None = None


def fitted_scores(scored: Sequence[RatedScore]) -> tuple[np.ndarray, np.ndarray | None]:
    """(scores mapped to the labels' scale by the 4-parameter logistic, its parameters); (raw scores, None) if the fit fails."""
    scores = np.array([image.score for image in scored])
    parameters = fit_logistic(scores, np.array([image.mos for image in scored]))
    return (scores if parameters is None else logistic(scores, *parameters)), parameters


def worst_misses(scored: Sequence[RatedScore]) -> tuple[list[int], list[int]]:
    """Positions of the images with the largest positive and the largest negative errors after the fit, largest first; at most
    MISSES each, and only errors of at least the median size."""
    errors = fitted_scores(scored)[0] - np.array([image.mos for image in scored])
    order = np.argsort(-errors, kind="stable")
    usual = float(np.median(np.abs(errors)))
    high = [int(n) for n in order[:MISSES] if errors[n] > 0 and errors[n] >= usual]
    low = [int(n) for n in order[::-1][:MISSES] if errors[n] < 0 and -errors[n] >= usual]
    return high, low


def scatter(scored: Sequence[RatedScore], report: dict):
    """A plotly figure: each image's score and MOS, and the fitted logistic if there is one."""
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
    """Raises DataError when a gallery cannot be written to the folder: it has other contents, or cannot be created."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise DataError(f"{folder} cannot be written ({there} is not a folder): name another folder")
    if not os.access(there, os.W_OK):
        raise DataError(f"{folder} cannot be written (permission denied): name another folder")
    if there == folder and any(folder.iterdir()) and not (folder / PAGE_NAME).exists():
        raise DataError(f"{folder} is not empty and not a gallery: name a new folder for the gallery")


def write_gallery(folder: Path, scored: Sequence[RatedScore], report: dict) -> Path:
    """Write the page of an evaluation's `report` to `folder` and return its index.html.

    Raises DataError when there are no images, or the folder cannot be written or has other contents.
    """
    if not scored:
        raise DataError("no image could be scored: there is nothing to show in a gallery")
    check_folder(folder)
    page = folder / PAGE_NAME
    fitted, parameters = fitted_scores(scored)
    sides: list[dict] = [
        {"word": word, "misses": [_miss(scored[n], float(fitted[n]), n) for n in misses]}
        for word, misses in zip(("high", "low"), worst_misses(scored), strict=True)
    ]
    text = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined).from_string(PAGE)
    try:
        thumbnails = folder / "images"
        thumbnails.mkdir(parents=True, exist_ok=True)
        for miss in (miss for side in sides for miss in side["misses"]):
            thumbnail = open_image(miss["image"].path)
            thumbnail.thumbnail((SIDE, SIDE))
            thumbnail.save(thumbnails / f"{miss['number']}.jpg", quality=88)
        (folder / "plotly.min.js").write_text(_plotly_script(), encoding="utf-8")
        page.write_text(
            text.render(
                report=report,
                summary=_summary(report, parameters is not None),
                against=_against(report["against"]) if "against" in report else "",
                plot=scatter(scored, report).to_html(full_html=False, include_plotlyjs="directory"),
                sides=sides,
                fit=parameters is not None,
            ),
            encoding="utf-8",
            errors="backslashreplace",  # file names may be invalid Unicode
        )
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}): name another folder") from error
    return page


def _miss(image: RatedScore, fitted: float, number: int) -> dict:
    return {"image": image, "fitted": fitted, "by": abs(fitted - image.mos), "number": number}


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
            "Errors are computed after the fit, on the scale of the labels."
            if with_fit
            else "The fit failed, so errors are computed from the raw scores."
        )
        + f" At most {MISSES} on each side are shown, of the half of the images with the largest errors."
        + "".join(f" Note: {note}." for note in report["notes"])
    )


def _against(against: dict) -> str:
    """The comparison with another system in one sentence; the misses are the first system's."""
    if "error" in against:
        return f"Not compared with {against['model']}: {against['error']}"
    lines = []
    for name in ("srcc", "plcc"):
        found = against["paired"][name]
        if found["difference"] is not None:
            interval = "" if not found["interval"] else " (95 % interval {:+.3f} to {:+.3f})".format(*found["interval"])
            lines.append(
                f"{name.upper()} {found['first']:.3f} against {found['second']:.3f}, a difference of {found['difference']:+.3f}{interval}"
            )
    result = "; ".join(lines) or "no correlation is defined"
    return f"Against {against['model']}, on the {against['paired']['n']} images that both could read: {result}."
