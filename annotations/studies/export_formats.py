"""A study's ratings as the files that other programs read."""

import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath

from annotations.csv_cells import as_csv
from annotations.errors import AnnotationError
from annotations.studies.answers import Answer, Answers
from annotations.studies.definition import ACR
from annotations.studies.report import ImageFigures, RaterFigures, Report

MOS_COLUMNS = ("image", "mos", "std", "n", "name", "low", "high", "recovered", "recovered_low", "recovered_high")
RATING_COLUMNS = ("rating", "image", "name", "rater", "kind", "value", "seconds", "screen", "created_at", "left_out")
RATING_COLUMNS += ("source",)  # the file that a rating was imported from


def mos_csv(report: Report, paths: dict[str, str]) -> str:
    """A line for each rated image. `paths`: where images lie below the images folder, by their sha256."""
    rows = [vars(image) | {"image": paths[image.sha256]} for image in report.images if image.n]
    return as_csv(MOS_COLUMNS, rows)


def ratings_csv(answers: Answers, names: dict[str, str], paths: dict[str, str]) -> str:
    """A line for each showing that was rated, with why its rating is left out (empty: it is used)."""
    rows = [
        vars(one) | {"image": paths[one.image], "name": names.get(one.image) or one.image} for one in answers.answers
    ]
    return as_csv(RATING_COLUMNS, rows)


def koniq_csv(report: Report, answers: Answers) -> str:
    """The columns of KonIQ-10k's koniq10k_scores_and_distributions.csv; MOS_zscore is the recovered MOS, on the study's scale. Raises
    AnnotationError for a study that is not on the five-point scale."""
    if answers.definition.scale.kind != ACR:
        raise AnnotationError(f"The format koniq counts ratings of 1 to 5: {report.study} is on another scale.")
    counts: dict[str, Counter] = defaultdict(Counter)
    for one in answers.used():
        counts[one.image][int(one.value)] += 1
    columns = ("image_name", "c1", "c2", "c3", "c4", "c5", "c_total", "MOS", "SD", "MOS_zscore")
    rows = [
        {f"c{value}": counts[image.sha256][value] for value in range(1, 6)}
        | {"image_name": image.name, "c_total": image.n, "MOS": image.mos, "SD": image.std}
        | {"MOS_zscore": image.recovered}
        for image in report.images
        if image.n > 1
    ]
    return as_csv(columns, rows)


def sureal_json(report: Report, answers: Answers) -> str:
    """A data set of Netflix's sureal: each image a content of its own, its ratings by rater."""
    given: dict[str, dict[str, float]] = defaultdict(dict)
    for one in answers.used():
        given[one.image][one.rater] = one.value
    rated = [image for image in report.images if image.n]
    contents = [
        {"content_id": n, "content_name": PurePosixPath(image.name).stem, "path": image.name}
        for n, image in enumerate(rated)
    ]
    distorted = [
        {"content_id": n, "asset_id": n, "path": image.name, "os": given[image.sha256]} for n, image in enumerate(rated)
    ]
    data = {"dataset_name": report.study, "ref_score": report.scale[1], "ref_videos": contents, "dis_videos": distorted}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def report_csv(report: Report, table: str) -> str:
    """One of the report's tables: images, raters or left-out."""
    rows = {"images": report.images, "raters": report.by_rater, "left-out": report.left_out}[table]
    kind = {"images": ImageFigures, "raters": RaterFigures, "left-out": Answer}[table]
    return as_csv([field.name for field in fields(kind)], [asdict(row) for row in rows])


def write_image_folder(report: Report, files: Mapping[str, Path], out: Path) -> None:
    """A zip of the rated images with a metadata.csv, as `load_dataset("imagefolder")` of Hugging Face's datasets reads it. `files`: where
    images lie, by their sha256. Raises AnnotationError where one is lacking or the file cannot be written."""
    rated = [image for image in report.images if image.n]
    columns = ("file_name", "mos", "std", "n", "low", "high", "recovered", "name")
    rows = [vars(image) | {"file_name": f"{image.sha256}{files[image.sha256].suffix}"} for image in rated]
    try:
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("metadata.csv", as_csv(columns, rows), zipfile.ZIP_DEFLATED)
            for image, row in zip(rated, rows, strict=True):
                archive.write(files[image.sha256], row["file_name"])  # stored: images are compressed
    except OSError as error:
        raise AnnotationError(
            f"{error.filename or out} cannot be read or written ({error.strerror or error})."
        ) from error
