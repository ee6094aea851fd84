"""The scores of rated images, computed once for all visitors, in the background, and kept in memory."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.common.errors import ModelError
from model.scoring.assessment import Failure

if TYPE_CHECKING:
    from model.scoring.scorer import Scorer

KEPT = 8  # models whose scores are kept, some 100 bytes an image


@dataclass(frozen=True)
class SoFar:
    """Scores on 1..5 by sha256; how many images could not be scored, and how many are still to be."""

    scores: dict[str, float]
    failed: int
    to_come: int


class RatedScores:
    """Scores by a scorer's revision and an image's sha256."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scores: OrderedDict[str, dict[str, float | None]] = OrderedDict()  # None: it could not be scored
        self._at_work: set[str] = set()
        self._faults: dict[str, ModelError] = {}

    def of(self, scorer: "Scorer", images: Mapping[str, Path]) -> SoFar:
        """What there is of these images' scores; the others are computed from now on. Raises ModelError when that came to an end
        since the last call, and begins anew at the next."""
        revision = scorer.revision
        with self._lock:
            if revision in self._faults:
                raise self._faults.pop(revision)
            known = self._scores.setdefault(revision, {})
            self._scores.move_to_end(revision)
            while len(self._scores) > KEPT:
                self._scores.popitem(last=False)
            missing = {sha256: path for sha256, path in images.items() if sha256 not in known}
            if missing and revision not in self._at_work:
                self._at_work.add(revision)
                # In the visitor's context: on ZeroGPU it is the visitor's quota that counts.
                work = (self._compute, scorer, missing, known)
                threading.Thread(target=copy_context().run, args=work, daemon=True).start()
            mine = {sha256: known[sha256] for sha256 in images if sha256 in known}
        scores = {sha256: score for sha256, score in mine.items() if score is not None}
        return SoFar(scores, len(mine) - len(scores), len(missing))

    def _compute(self, scorer: "Scorer", images: Mapping[str, Path], known: dict[str, float | None]) -> None:
        try:
            for sha256, outcome in zip(images, scorer.assess_files(images.values()), strict=True):
                with self._lock:
                    known[sha256] = None if isinstance(outcome, Failure) else on_rating_scale(outcome)
        except ModelError as error:
            self._faults[scorer.revision] = error
        except RuntimeError:
            if threading.main_thread().is_alive():
                raise
            # The page is ending, and Python begins nothing new.
        finally:
            with self._lock:
                self._at_work.discard(scorer.revision)


def on_rating_scale(assessment) -> float:
    """A score on 1..5."""
    low, high = assessment.scale
    return 1 + 4 * (assessment.score - low) / (high - low)
