"""What the numbers say, in words: for people who never heard of a token, and for those who cannot see a chart."""

import math
from collections.abc import Sequence

from model.backbones.spec import QUALITY
from model.readouts.levels import LEVEL_WORDS, interval_index
from model.scoring.assessment import Assessment

OPINIONS = {
    "bad": "Most people would call this {} bad: its flaws are all they see.",
    "poor": "Most people would call this {} poor: its flaws disturb.",
    "fair": "Most people would call this {} fair: good enough, but its flaws show.",
    "good": "Most people would call this {} good: few would find a flaw.",
    "excellent": "Most people would call this {} excellent.",
}
SURE, TORN = 0.65, 0.7  # of one token alone, and of two neighbours together
LITTLE_MASS = 0.5
JUST = 0.25  # of an interval
CENTRAL = 0.9  # of the token probabilities; the score of none of the reference photographs lies outside of it


def level_word(score: float, scale: tuple[float, float]) -> str:
    """The ACR word of the fifth of the scale in which a score lies; an edge belongs to the word below."""
    return LEVEL_WORDS[interval_index(score, scale, len(LEVEL_WORDS))]


def names_of(tokens: Sequence[str]) -> list[str]:
    """A word that people know for each token, worst first: the ACR words where there are five, else the tokens themselves."""
    return list(LEVEL_WORDS) if len(tokens) == len(LEVEL_WORDS) else list(tokens)


def opinion(word: str, task: str) -> str:
    """What a level says of an image or a video, as a sentence."""
    if task == "aesthetics":
        return f"For its looks, whatever its technical flaws, most people would call this image {word}."
    return OPINIONS[word].format("video" if task == "video" else "image")


def opinion_of(assessment: Assessment, task: str = QUALITY) -> str:
    """One sentence for a layman: what the score means."""
    return opinion(level_word(assessment.score, assessment.scale), task)


def warnings(assessment: Assessment) -> list[str]:
    """Why this answer may mean little, as sentences: few of the model's answers are levels, or score and distribution contradict."""
    found = []
    if assessment.token_mass < LITTLE_MASS:
        found.append(
            f"Take it with care: only {percent(assessment.token_mass)} of the model's answer was a rating at all. It may not have "
            "understood the question, or was not trained for it."
        )
    low, high = central(assessment)
    if not low <= assessment.score <= high and not _is_expectation(assessment):
        found.append(
            f"Score and distribution contradict each other: the regressed score is {assessment.score:.1f}, but {CENTRAL:.0%} of the "
            f"tokens' probability lies between {low:.1f} and {high:.1f}. Trust neither without a look at the image."
        )
    return found


def central(assessment: Assessment) -> tuple[float, float]:
    """The ends between which the central CENTRAL of the token probabilities lies, each spread evenly over its interval."""

    def at(share: float) -> float:
        below = 0.0
        for (low, high), chance in zip(assessment.intervals, assessment.probabilities, strict=True):
            if chance > 0 and below + chance >= share:
                return low + (high - low) * max(0.0, share - below) / chance
            below += chance
        return assessment.scale[1]

    return at((1 - CENTRAL) / 2), at((1 + CENTRAL) / 2)


def _is_expectation(assessment: Assessment) -> bool:
    """Whether the score is read off the distribution itself, as for level words."""
    return math.isclose(assessment.score, assessment.expectation, abs_tol=1e-6)


def disagreement(assessment: Assessment) -> str:
    """Where the word of the score is not the one that the model finds likeliest: why not, else ""."""
    word = level_word(assessment.score, assessment.scale)
    (low, high), best = assessment.interval, max(assessment.probabilities)
    likeliest = names_of(assessment.tokens)[assessment.probabilities.index(best)]
    if likeliest == word or likeliest not in LEVEL_WORDS:
        return ""
    below = assessment.score < low
    distance = low - assessment.score if below else assessment.score - high
    if distance < JUST * (high - low):
        side = "below" if below else "above"
        return f"The score lies just {side} the border to “{likeliest}”, which the model finds likelier."
    if _is_expectation(assessment):
        return f"The model finds “{likeliest}” likeliest, but the score weighs the other levels too."
    return f"The model finds “{likeliest}” likeliest, but its regressor gives a {'lower' if below else 'higher'} score."


def certainty(assessment: Assessment) -> str:
    """How the probability is spread over the tokens, as a sentence."""
    names, chances = names_of(assessment.tokens), assessment.probabilities
    best = max(range(len(chances)), key=chances.__getitem__)
    if chances[best] >= SURE:
        return f"The model is fairly sure: {percent(chances[best])} for “{names[best]}”."
    low = max(range(len(chances) - 1), key=lambda n: chances[n] + chances[n + 1])
    pair = chances[low] + chances[low + 1]
    if pair >= TORN:
        return f"The model wavers between “{names[low]}” and “{names[low + 1]}”: {percent(pair)} for the two together."
    return f"The model is unsure: no answer has more than {percent(chances[best])}."


def distribution_in_words(assessment: Assessment) -> str:
    """The text alternative of the chart of token probabilities."""
    bars = "; ".join(
        f"{name} ({low:.1f} to {high:.1f}) {percent(chance)}"
        for name, (low, high), chance in zip(
            names_of(assessment.tokens), assessment.intervals, assessment.probabilities, strict=True
        )
    )
    low, high = assessment.scale
    return (
        f"Probabilities from worst to best: {bars}. Score {assessment.score:.2f} and expectation {assessment.expectation:.2f} "
        f"on the scale from {low:g} to {high:g}."
    )


def difference_in_words(first: float, second: float, names: tuple[str, str]) -> str:
    """Which of two scores on the common scale (0 to 100) is higher and by how much."""
    gap = round(first, 1) - round(second, 1)  # as they are shown
    if abs(gap) < 0.5:
        return f"{names[0]} and {names[1]} agree to within half a point of 100."
    higher, lower = names if gap > 0 else names[::-1]
    return f"{higher} is {abs(gap):.1f} points of 100 above {lower}."


def percent(share: float) -> str:
    """A share as people write it: 41 %, and never a rounded 0 % or 100 % for what is neither."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")
