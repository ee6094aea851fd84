"""What several systems say of each image, labelled or not: a CSV file, and scatter plots."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.common.csv_cells import row_writer
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.evaluation.scatter import Axis, scatter_svg

MOS = "Mean opinion score"


def check_writable(file: Path) -> None:
    """Raises DataError when the file cannot be written, before anything is scored."""
    if file.is_dir():
        raise DataError(f"{file} is a folder: name a file in it")
    if not file.absolute().parent.is_dir():
        raise DataError(f"{file} cannot be written (there is no folder {file.parent}): name another file")
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise DataError(f"{file} cannot be written (permission denied): name another file")


def write_per_image(
    file: Path,
    names: Sequence[str],
    labels: Sequence[RatedImage | None],
    systems: Mapping[str, Mapping[int, float]],
) -> None:
    """A row for each image. names: of the images. labels: None for an image without. systems: each system's raw scores by position.

    Columns: image, mos, std and n (empty if unknown), and each system's score under its name; empty for an image that it could not read."""
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as opened:
        write = row_writer(opened, ["image", "mos", "std", "n", *systems])
        for n, (name, label) in enumerate(zip(names, labels, strict=True)):
            known = (label.mos, label.std, label.n) if label else (None, None, None)
            scores = [scores.get(n) for scores in systems.values()]
            write([name, *("" if value is None else value for value in (*known, *scores))])


def figure_of(
    labels: Sequence[RatedImage | None],
    systems: Mapping[str, Mapping[int, float]],
    scales: Mapping[str, Scale | None],
) -> str:
    """Scatter plots as SVG: each system against the MOS of the images with labels, and the others against the first. Of the images that
    all systems could read. Raises DataError when there are none, and for one system without labels."""
    read = [n for n in range(len(labels)) if all(n in scores for scores in systems.values())]
    plots = [(name, MOS) for name in systems] if any(labels[n] for n in read) else []
    plots += [(next(iter(systems)), name) for name in list(systems)[1:]]
    if not read or not plots:
        raise DataError("no image could be read by all models: there is nothing to draw")

    def axis(name: str, chosen: Sequence[int]) -> Axis:
        if name != MOS:
            return Axis(f"Score by {name}", [systems[name][n] for n in chosen], scales[name])
        rated = [label for n in chosen if (label := labels[n])]
        known = {label.scale for label in rated}
        return Axis(MOS, [label.mos for label in rated], known.pop() if len(known) == 1 else None)

    labelled = [n for n in read if labels[n]]
    return scatter_svg([tuple(axis(name, labelled if MOS in plot else read) for name in plot) for plot in plots])
