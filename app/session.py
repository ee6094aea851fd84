"""What the page remembers of one visitor while the page is open."""

from dataclasses import dataclass, field
from pathlib import Path

from annotations import ShownScore, image_sha256
from app.naming import file_name
from model.assessment import Assessment
from model.registry import QUALITY


@dataclass(frozen=True)
class Scored:
    """A file on the Score tab. task: what was asked of it. looked_at: of a video, which frames, in words."""

    path: Path
    assessment: Assessment
    task: str = QUALITY
    looked_at: str = ""

    @property
    def name(self) -> str:
        return file_name(self.path)


@dataclass
class Session:
    """`spec`: the scorer this visitor uses; `used`: those before it.
    `shown`: by the image's sha256, the score that this visitor has seen last.
    `scored`: what is on the Score tab. `drawn`: the scorer by which a tab shows its result, by the tab's word. `rater` and `rating`:
    on the Rate tab, who rates and the sha256 of the image they see now. `turns`: how often that tab has gone on, by which the browser
    knows that focus moves. `stop_loading`: they have asked for the model that is being loaded to be let go."""

    spec: str
    used: list[str] = field(default_factory=list)
    shown: dict[str, ShownScore] = field(default_factory=dict)
    scored: list[Scored] = field(default_factory=list)
    drawn: dict[str, str] = field(default_factory=dict)
    rater: str = ""
    rating: str | None = None
    turns: int = 0
    stop_loading: bool = False

    def note_shown(self, path: Path, assessment: Assessment) -> None:
        """Remember that the visitor saw this score, so that a later rating of the image does not pass for blind."""
        self.shown[image_sha256(path.read_bytes())] = shown_score(assessment)


def shown_score(assessment: Assessment) -> ShownScore:
    return ShownScore(assessment.model, assessment.revision, assessment.score, assessment.scale)
