"""Reports of studies for the page: computed in the background when something has changed, and kept."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from annotations import AnnotationError
from annotations.statistics.ratings import Ratings
from annotations.studies.progress import last_change
from annotations.studies.report import Report, report_and_ratings

REST = 4  # times as long as a report took, until the next one of that study is begun


@dataclass
class Computed:
    """What is known of a study: its latest report with the ratings that it uses, as of `change`; `ready` is set while none is being
    computed."""

    report: Report | None = None
    ratings: Ratings | None = None
    change: tuple | None = None
    fault: AnnotationError | None = None
    not_before: float = 0.0
    ready: threading.Event = field(default_factory=threading.Event)


class Reports:
    """Of the studies in a data folder. Safe for threads."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._lock = data_dir, threading.Lock()
        self._known: dict[str, Computed] = {}

    def of(self, study: str, patience: float) -> Computed:
        """The latest report that there is; a newer one is computed where ratings or decisions have come since, and waited for a little.
        Its `report` is None while the first one is computed. Raises AnnotationError."""
        change = last_change(self._data_dir)
        with self._lock:
            known = self._known.get(study)
            idle = known is None or known.ready.is_set()
            if idle and (known is None or known.change != change and time.monotonic() >= known.not_before):
                known = self._known.setdefault(study, Computed())
                known.ready.clear()
                threading.Thread(target=self._compute, args=(study, known, change), daemon=True).start()
        known.ready.wait(patience)
        if known.fault:
            raise known.fault
        return known

    def _compute(self, study: str, known: Computed, change: tuple) -> None:
        began = time.monotonic()
        try:
            known.report, known.ratings = report_and_ratings(self._data_dir, study)
            known.fault = None
        except AnnotationError as error:
            known.fault = error
        finally:
            known.change = change
            known.not_before = time.monotonic() + REST * (time.monotonic() - began)
            known.ready.set()
