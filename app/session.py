"""What the page remembers of one visitor while the page is open."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from annotations import Annotations, ShownScore
from app.shown_names import file_name
from model.backbones.promotion import in_use
from model.backbones.spec import QUALITY
from model.scoring.assessment import Assessment


@dataclass(frozen=True)
class Scored:
    """A file on the Score tab. sha256: of its bytes. task: what was asked of it. looked_at: of a video, which frames, in words."""

    path: Path
    assessment: Assessment
    sha256: str
    task: str = QUALITY
    looked_at: str = ""

    @property
    def name(self) -> str:
        return file_name(self.path)

    @property
    def key(self) -> str:
        """What events call this result: the same for the same file, task and model, and for no other."""
        a = self.assessment
        which = "\n".join([self.sha256, self.name, self.task, a.model, a.revision])
        return hashlib.sha256(which.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass
class Session:
    """`start`: the page's own scorer. `chosen`: the scorer that this visitor chose; "" for what everyone uses. `used`: those before it.
    `scored`: what is on the Score tab, by its key; `history`: the scores of all that was there, by (model, revision, task) and sha256.
    `drawn`: the scorer by which a tab shows its result, by the tab's word. `presented`: the key of what the Rate tab shows.
    `stop_loading`: they have asked for the model that is being loaded to be let go. `many`: what the comparison on many images shows
    (app/many_images.py); `stop_comparing`: they have asked for it to end. `adapters`: where promotions are kept; None: there are none.

    Gradio forgets it when many others come: nothing here decides what is kept of a rating."""

    start: str
    used: list[str] = field(default_factory=list)
    scored: dict[str, Scored] = field(default_factory=dict)
    history: dict[tuple[str, str, str], dict[str, float]] = field(default_factory=dict)
    drawn: dict[str, str] = field(default_factory=dict)
    presented: str = ""
    stop_loading: bool = False
    chosen: str = ""
    adapters: Path | None = None
    many: object = None
    stop_comparing: bool = False

    @property
    def spec(self) -> str:
        """The scorer that this visitor uses."""
        return self.chosen or (in_use(self.adapters) if self.adapters else "") or self.start

    @spec.setter
    def spec(self, spec: str) -> None:
        self.chosen = spec

    def remember(self, results: Iterable[Scored]) -> None:
        """Put results on the Score tab."""
        self.scored = {scored.key: scored for scored in results}
        for scored in self.scored.values():
            self.history.setdefault(_asked(scored), {})[scored.sha256] = scored.assessment.score

    def own(self, scored: Scored) -> list[float]:
        """The scores of all that the same model was asked the same of, this one included."""
        return list(self.history.get(_asked(scored), {}).values())


def _asked(scored: Scored) -> tuple[str, str, str]:
    return scored.assessment.model, scored.assessment.revision, scored.task


def note_shown(annotations: Annotations, place: str, browser: str, shown: Iterable[tuple[str, Assessment]]) -> None:
    """Keep that a browser is being shown these scores of images (by sha256), before they leave the server, so that no later rating
    passes for blind. Raises AnnotationError, and then they must not leave it."""
    scores = [(sha256, shown_score(assessment)) for sha256, assessment in shown]
    if scores:
        annotations.note_exposures(scores, place=place, browser=browser)


def shown_score(assessment: Assessment) -> ShownScore:
    return ShownScore(assessment.model, assessment.revision, assessment.score, assessment.scale)
