"""The MOS of a study as plain records, for programs that learn from them."""

from collections import defaultdict
from pathlib import Path

from annotations.collect import MosRecord, writable
from annotations.store import open_annotations
from annotations.studies.report import report_and_ratings
from annotations.studies.study import Study


def study_records(data_dir: str | Path, study: str) -> tuple[tuple[float, float], list[MosRecord]]:
    """The study's scale, and its rated images with the MOS of the ratings that are used, in the definition's order.

    Images that were taken back are left out. Raises AnnotationError for an unknown study and a database that cannot be read.
    """
    folder = Path(data_dir).absolute()
    with writable(folder) as opened:
        open_annotations(opened)
        report, ratings = report_and_ratings(opened, study)
        files = {sha256: path.relative_to(opened) for sha256, path in Study(opened, study).image_paths().items()}
    given: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for rater, image, value in zip(ratings.rater.tolist(), ratings.image.tolist(), ratings.value.tolist(), strict=True):
        given[image].append((rater, value))
    records = [
        MosRecord(folder / files[one.sha256], one.sha256, one.mos, one.std, one.n, one.name, tuple(given[number]))
        for number, one in enumerate(report.images)
        if one.mos is not None and one.sha256 in files
    ]
    return report.scale, records
