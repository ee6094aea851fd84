"""Where rated images come from: one function for each source, and `gather`, which joins them for the fine-tune command.

A source returns RatedImages with their own scale, split and, where known, single ratings. Imports no torch.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from annotations import RATING_SCALE, AnnotationError
from annotations.collect import MosRecord, collect_mos
from annotations.studies.labels import study_records
from model.common.command_line import add_scale_option, data_dir
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.datasets.reading import read_dataset
from model.evaluation.evaluating import check_found
from model.finetuning.material import MIN_IMAGES, check_enough
from model.images.search import find_all_images


def add_source_options(options: argparse.ArgumentParser) -> None:
    """The options that `gather` reads."""
    group = options.add_argument_group("rated images (several sources may be given at once)")
    group.add_argument(
        "--data-dir",
        type=Path,
        help="the ratings in the app's data folder; adapters are written there, too (default: QSCORER_DATA, else data)",
    )
    group.add_argument(
        "--include-revealed",
        action="store_true",
        help="of the ratings: include those given after seeing the model's score",
    )
    group.add_argument(
        "--study",
        action="append",
        default=[],
        metavar="NAME",
        help="a rating study in the data folder, instead of the ratings of the Rate tab; may be repeated",
    )
    group.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="SET",
        help="published data sets' folders, CSV files or meta JSONs, as model.evaluate --data reads them; SET=LOW:HIGH gives the scale "
        "of one that has none of its own",
    )
    group.add_argument("--labels", type=Path, metavar="CSV", help="CSV file: image, mos and, if any, std and n")
    group.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images named in --labels (default: its own)"
    )
    add_scale_option(group, "scale of the MOS in --labels")
    group.add_argument(
        "--anchors",
        nargs="+",
        default=[],
        metavar="SET",
        help="images on which nothing should be lost: sets as for --data, or folders of images, which keep the model's own scores",
    )


def gather(options: argparse.Namespace) -> list[RatedImage]:
    """The rated images of every source in the options. Raises DataError when one cannot be read, labels have no scale, an image comes from
    two sources, or there are too few."""
    if options.images and not options.labels:
        raise DataError("--images is the folder of the images in --labels: give --labels, too.")
    found: list[list[RatedImage]] = []
    others = options.data or options.labels or options.study
    if not options.study and (options.data_dir or not others):
        found.append(ratings(options.data_dir or data_dir(), options.include_revealed))
        if not others and not options.include_revealed:
            check_blind(options.data_dir or data_dir(), len(found[0]))
    found += [study(options.data_dir or data_dir(), name) for name in options.study]
    found += [data_set(text) for text in options.data]
    if options.labels:
        found.append(labels(options.labels, options.images, options.scale))
    rated = [record for source in named_apart(found) for record in source]
    check_once(rated)
    check_enough(len(rated))
    return rated


def gather_anchors(texts: Sequence[str]) -> list[RatedImage]:
    """Anchor images: of data sets, as --data reads them; a folder that holds no data set is a folder of unlabelled images, which get no
    scale. Raises DataError for what cannot be read."""
    return [record for text in texts for record in (unlabelled(Path(text)) or data_set(text))]


def unlabelled(folder: Path) -> list[RatedImage]:
    """The images in a folder without labels of any kind; none if it is something else."""
    tables = (".csv", ".xlsx", ".json", ".mat")
    if not folder.is_dir() or any(path.is_dir() or path.suffix in tables for path in folder.iterdir()):
        return []
    return [RatedImage(path, 0.0, None, None, None, folder.name) for path in find_all_images([folder])]


def ratings(folder: Path, include_revealed: bool) -> list[RatedImage]:
    """The ratings of the page's ready-made study, in order of SHA-256. Raises DataError when they cannot be read."""
    try:
        records = collect_mos(folder, include_revealed)
    except AnnotationError as error:
        raise DataError(str(error)) from error
    return [rated_image(record) for record in records]


def study(folder: Path, name: str) -> list[RatedImage]:
    """The ratings of a study that its rules and its owner use. Raises DataError when there are none or they cannot be read."""
    try:
        scale, records = study_records(folder, name)
    except AnnotationError as error:
        raise DataError(str(error)) from error
    if not records:
        raise DataError(
            f"the study {name} has no ratings that are used: python -m annotations.study report {name} says why."
        )
    return [replace(rated_image(record), scale=Scale(*scale), dataset=name) for record in records]


def check_blind(folder: Path, blind: int) -> None:
    """Raises DataError when `blind` rated images are too few only because the others were rated after seeing the score."""
    if blind < MIN_IMAGES <= len(ratings(folder, include_revealed=True)):
        raise DataError(
            f"{blind} images rated blind are too few to learn from: rate at least {MIN_IMAGES} on the Rate tab, "
            "or add --include-revealed to include the ratings given after seeing the score."
        )


def rated_image(record: MosRecord) -> RatedImage:
    ratings = tuple((str(rater), value) for rater, value in record.ratings)
    return RatedImage(record.image, record.mos, record.std, record.n, Scale(*RATING_SCALE), "ratings", ratings=ratings)


def data_set(text: str) -> list[RatedImage]:
    """SET or SET=LOW:HIGH: a published set's folder, a CSV file or a meta JSON."""
    place, scale = text, None
    path, equals, ends = text.rpartition("=")
    if equals and not os.path.exists(text):
        place, scale = path, scale_in(ends, text)
    return with_scale(Path(place), read_dataset(place, scale=scale), "give it as {place}=LOW:HIGH")


def labels(csv: Path, images: Path | None, scale: Scale | None) -> list[RatedImage]:
    """A CSV file and the folder of its images."""
    return with_scale(csv, read_dataset(csv, images, scale), "give it as --scale LOW HIGH")


def with_scale(place: Path, rated: list[RatedImage], remedy: str) -> list[RatedImage]:
    """`rated`, which was read from `place`. Raises DataError when it has no scale, or none of its images exists."""
    if any(record.scale is None for record in rated):
        raise DataError(f"the labels in {place} do not say which scale they are on: {remedy.format(place=place)}.")
    check_found(rated, place)
    return rated


def scale_in(text: str, whole: str) -> Scale:
    """LOW:HIGH as a scale. Raises DataError for anything else."""
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise DataError(
            f"'{whole}' is not a data set: give a path, or a path with its scale such as labels.csv=0:100."
        ) from None
    if not -float("inf") < low < high < float("inf"):
        raise DataError(f"'{whole}': the low end of the scale must be less than the high end, both finite.")
    return Scale(low, high)


def named_apart(sources: Sequence[list[RatedImage]]) -> Iterator[list[RatedImage]]:
    """The sources with data sets of different names: MOS of two sets are comparable only by their scales."""
    taken: Counter[str] = Counter()
    for source in sources:
        names = {record.dataset for record in source}
        new = {name: f"{name} ({taken[name] + 1})" if taken[name] else name for name in names}
        taken.update(names)
        yield [replace(record, dataset=new[record.dataset]) for record in source]


def check_once(rated: Sequence[RatedImage]) -> None:
    """Raises DataError when two sources contain the same file: a split could part them."""
    seen: set[str] = set()
    for record in rated:
        path = os.path.realpath(record.image)
        if path in seen:
            raise DataError(f"{record.image} comes from two of the given sources: leave one of them out.")
        seen.add(path)
