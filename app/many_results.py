"""What the comparison on many images shows: figures in a table, verdicts, galleries, a scatter plot, and files to download."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app import cards
from app.many_images import Many, agreements
from app.shown_images import file_uri
from app.shown_names import short
from model.evaluation.gallery import RatedScore, fitted_scores, worst_misses
from model.evaluation.per_image import MOS, figure_of, write_per_image
from model.evaluation.report import COLUMNS, as_latex, with_interval
from model.evaluation.verdict import verdict

SHOWN = 8  # images of a gallery
SIDE = 220  # pixels of an image in a gallery
FEWEST_WITH_LABELS = 3


def summary(many: Many, found: Sequence[dict]) -> str:
    """How many images there are, the figures of each model, the verdicts, and what could not be used. found: `reports`."""
    said = [
        f"{len(many.scored):,} of {len(many.paths):,} images scored by {_listed([short(a.model) for a in many.answers])}."
    ]
    if many.stopped:
        said.append("It was stopped: press Compare to go on; what is scored is kept.")
    if many.unused:
        said.append(f"Labels without an image here: {many.unused:,}.")
    if without := sum(label is None for label in many.labels) if found else 0:
        said.append(f"Images without a label, which are in the CSV and not in the figures: {without:,}.")
    words = [verdict(short(found[0]["model"]), short(one["model"]), one["paired"]) for one in found[1:]]
    if not found and len(many.answers) > 1:
        words.append("Give labels.csv (image,mos) with the images to learn which model is nearer to people.")
    notes = [f"{short(one['model'])}: {note}" for one in found for note in one["notes"]]
    failures = {n: failure for answer in many.answers for n, failure in answer.failures.items()}
    return (
        f'<div class="compare"><p class="small">{cards.escape(" ".join(said))}</p>{_table(many, found)}'
        + "".join(f'<p class="difference" role="status">{cards.escape(word)}</p>' for word in dict.fromkeys(words))
        + "".join(f'<p class="small">{cards.escape(note)}.</p>' for note in dict.fromkeys(notes))
        + cards.problems(list(failures.values()))
        + "</div>"
    )


def _table(many: Many, found: Sequence[dict]) -> str:
    """A row for each model: its figures against the MOS, or without labels against the first model's scores."""
    if found:
        rows = [(one["model"], one) for one in found]
        caption = f"Agreement with the MOS of {found[0]['n']:,} images, with 95 % intervals."
    else:
        rows = agreements(many)
        caption = f"Agreement with {short(many.answers[0].model)} on {len(many.scored):,} images, with 95 % intervals."
    if not rows:
        return ""
    shown = [name for name in COLUMNS if found or name != "rmse"]
    head = '<th scope="col">Model</th>' + "".join(f'<th scope="col">{COLUMNS[name]}</th>' for name in shown)
    body = "".join(
        f"<tr><td>{cards.breakable(model)}</td>"
        + "".join(f'<td data-label="{COLUMNS[name]}">{with_interval(one, name)}</td>' for name in shown)
        + "</tr>"
        for model, one in rows
    )
    return cards.table(cards.escape(caption), head, body, "models")


def galleries(many: Many, first: str, second: str) -> str:
    """The images on which two models disagree most, and with labels those on which each errs most."""
    parts = []
    if first in many.systems and second in many.systems and first != second:
        parts.append(
            _gallery(
                f"Where {short(first)} and {short(second)} disagree most",
                "By the image’s place in each model’s order of these images.",
                [
                    (n, f"{_place(share, short(first), short(second))}")
                    for n, share in disagreements(many, first, second)
                ],
                many,
            )
        )
    if len(many.labelled) >= FEWEST_WITH_LABELS:
        parts += [_misses(many, model) for model in many.systems]
    return "".join(parts)


def _misses(many: Many, model: str) -> str:
    worst = [(n, f"too {'high' if by > 0 else 'low'} by {abs(by):.2f}") for n, by in errors(many, model)]
    return _gallery(
        f"Where {short(model)} errs most", "After the fit of its scores to the MOS, if there is one.", worst, many
    )


def disagreements(many: Many, first: str, second: str) -> list[tuple[int, float]]:
    """The images with the largest difference of their ranks by two models, largest first: position, and the difference (first minus second)
    as a share of all images."""
    read = many.scored
    if len(read) < 2:
        return []
    places = [np.argsort(np.argsort([many.systems[name][n] for n in read])) for name in (first, second)]
    gaps = (places[0] - places[1]) / (len(read) - 1)
    return [(read[k], float(gaps[k])) for k in np.argsort(-np.abs(gaps), kind="stable")[:SHOWN] if gaps[k] != 0]


def errors(many: Many, model: str) -> list[tuple[int, float]]:
    """The images with the largest errors of a model, largest first: position and error, in units of the MOS."""
    scored = [
        RatedScore(many.names[n], many.paths[n], many.systems[model][n], label.mos, label.std)
        for n in many.labelled
        if (label := many.labels[n])
    ]
    by = fitted_scores(scored)[0] - np.array([one.mos for one in scored])
    worst = sorted((k for side in worst_misses(scored) for k in side), key=lambda k: -abs(by[k]))
    return [(many.labelled[k], float(by[k])) for k in worst[:SHOWN]]


def _place(share: float, first: str, second: str) -> str:
    higher, lower = (first, second) if share > 0 else (second, first)
    return f"{higher} places it {abs(share):.0%} of the images higher than {lower}".replace("%", " %")


def _gallery(title: str, how: str, images: Sequence[tuple[int, str]], many: Many) -> str:
    if not images:
        return ""
    return (
        f'<section class="gallery"><h3>{cards.escape(title)}</h3><p class="small">{how}</p><ul>'
        + "".join(_picture(n, said, many) for n, said in images)
        + "</ul></section>"
    )


def _picture(n: int, said: str, many: Many) -> str:
    scores = "".join(
        f"<div>{cards.escape(short(name))}: {scores[n]:.2f}</div>" for name, scores in many.systems.items()
    )
    label = many.labels[n]
    mos = f"<div>MOS: {label.mos:.2f}</div>" if label else ""
    name = cards.escape(many.names[n])
    return (
        f'<li><img src="{file_uri(many.paths[n], SIDE)}" alt="{name}" loading="lazy"><strong>{cards.escape(said)}</strong>'
        f'{scores}{mos}<div class="name">{name}</div></li>'
    )


def files(many: Many, found: Sequence[dict]) -> list[str]:
    """The files to download: each image's scores as CSV, scatter plots as SVG, and rows for a LaTeX table if there are labels."""
    folder = Path(tempfile.mkdtemp(prefix="compared-"))
    write_per_image(folder / "per-image.csv", many.names, many.labels, many.systems)
    written = [folder / "per-image.csv"]
    if many.scored and (found or len(many.answers) > 1):
        plots = figure_of(many.labels, many.systems, {answer.model: answer.scale for answer in many.answers})
        (folder / "scatter.svg").write_text(plots, encoding="utf-8")
        written.append(folder / "scatter.svg")
    if found:
        (folder / "table.tex").write_text(as_latex(found), encoding="utf-8")
        written.append(folder / "table.tex")
    return [str(path) for path in written]


def axes(many: Many) -> list[str]:
    """What the scatter plot can have on an axis."""
    return [*([MOS] if many.labelled else []), *many.systems]


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
