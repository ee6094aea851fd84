"""What a scorer says of one image, and the one scale on which two scorers can be compared. Plain Python, no torch."""

from dataclasses import asdict, dataclass

from model.common.scale import Scale
from model.readouts.levels import intervals


@dataclass(frozen=True)
class Assessment:
    """The result for one image.

    score: on `scale` (low, high); higher is better. tokens: score tokens or level words, worst first. probabilities: of each
    token, softmax over these tokens alone. token_mass: probability of all of them together among the whole vocabulary.
    expectation: what the probabilities alone say, on `scale`. uncertainty: the standard deviation of what they say, in units of the scale.
    interval: where the most probable token says the score lies.
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
        """Each token's interval on the scale, worst first, all of equal width."""
        return intervals(self.scale, len(self.tokens))

    def to_dict(self) -> dict:
        """The JSON object that `python -m model.score --format json` prints for it."""
        return asdict(self)


@dataclass(frozen=True)
class Failure:
    """An image that could not be scored, and why, in one sentence."""

    image: str
    error: str

    def to_dict(self) -> dict:
        return asdict(self)


def common_score(score: float, scale: Scale) -> float:
    """A score on 0 to 100, the scale's low end at 0 and its high end at 100: a straight line, so no scorer's order or spacing is
    changed. It makes numbers comparable in unit, not in meaning: two scorers were taught by different people."""
    return 100 * scale.share(score)
