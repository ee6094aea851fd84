"""What was scored while the page runs, so that the same file is not scored again."""

import threading
from collections import OrderedDict
from dataclasses import replace

from model.scoring.assessment import Assessment

KEPT = 20_000  # assessments, a kilobyte each


class KnownScores:
    """Assessments by the weights' revision, the task and the file's sha256, the last used ones of all visitors. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, str], Assessment] = OrderedDict()

    def get(self, model: str, revision: str, task: str, sha256: str, image: str) -> Assessment | None:
        """The assessment of these bytes, as one of the file `image` by `model`; None for what is new."""
        with self._lock:
            found = self._known.get((revision, task, sha256))
            if found is None:
                return None
            self._known.move_to_end((revision, task, sha256))
        return replace(found, image=image, model=model)

    def keep(self, assessment: Assessment, task: str, sha256: str) -> None:
        with self._lock:
            self._known[assessment.revision, task, sha256] = assessment
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
