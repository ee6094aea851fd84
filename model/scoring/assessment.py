"""The result of scoring one image, and a common scale for comparing scorers. Plain Python, no torch."""

from dataclasses import asdict, dataclass

from model.common.scale import Scale
from model.readouts.levels import intervals


@dataclass(frozen=True)
class Assessment:
    """The result for one image.

    score: on `scale` (low, high); higher is better. tokens: score tokens or level words, worst first. probabilities: of the tokens,
    by a softmax over these alone. token_mass: the tokens' total probability in the whole vocabulary. expectation: of the score by the
    probabilities, on `scale`. uncertainty: the standard deviation of that distribution, in units of the scale. interval: the most
    probable token's.
    """

    image: str
    score: float
    scale: Scale
    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    token_mass: float
    expectation: float
    uncertainty: float
    interval: Scale
    model: str
    revision: str

    @property
    def intervals(self) -> list[Scale]:
        """Each token's interval, worst first; all have equal width."""
        return intervals(self.scale, len(self.tokens))

    def to_dict(self) -> dict:
        """The JSON object that `python -m model.score --format json` prints for it."""
        return asdict(self)


@dataclass(frozen=True)
class Failure:
    """An image that could not be scored, and the reason in one sentence."""

    image: str
    error: str

    def to_dict(self) -> dict:
        return asdict(self)


def common_score(score: float, scale: Scale) -> float:
    """A score mapped linearly to 0 to 100, which keeps order and spacing. Two scorers' scores then have the same unit, but not the same
    meaning: they were trained on different raters."""
    return 100 * scale.share(score)
