"""The gate: whether what was learned from ratings is better than the scorer before it, on ratings that it did not learn from."""

from dataclasses import dataclass

import numpy as np

from model.evaluation.bootstrap import pearson, ranks, resample
from model.evaluation.metrics import srcc

CONFIDENCE = 0.95
FEWEST = 3  # images; fewer say nothing
MOST_FORGOTTEN = 0.02  # SRCC that may be lost on anchors
TOLERATED = (
    0.01  # SRCC that may be lost: maps that differ a little between the folds of a cross-validation cost a little order
)


@dataclass(frozen=True)
class Forgotten:
    """The SRCC on anchor images before and after learning."""

    images: int
    before: float
    after: float


def forgotten_of(mos: np.ndarray, before: np.ndarray, after: np.ndarray) -> Forgotten:
    """From the MOS [N] of anchors and their scores [N] before and after. Where either has no SRCC, such as with equal scores, it is 0."""
    return Forgotten(len(mos), *(float(np.nan_to_num(srcc(scores, mos))) for scores in (before, after)))


def judge(
    mos: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    name: str,
    anchors: Forgotten | None = None,
    most_forgotten: float = MOST_FORGOTTEN,
) -> tuple[bool, str]:
    """Whether the scores `after` [N] are better than those `before` [N] of the scorer `name` against the MOS [N], all on one scale, and
    the reason in one sentence.

    Better: RMSE or SRCC is better in at least 95 % of paired bootstrap samples of the images, and the other is not worse in as many (the
    SRCC by more than TOLERATED). What loses more than `most_forgotten` of SRCC on the anchors is never better.
    """
    if anchors and anchors.before - anchors.after > most_forgotten:
        return False, (
            f"Worse than {name} on the anchors: on {anchors.images} of them its SRCC fell from {anchors.before:.3f} to "
            f"{anchors.after:.3f}, and at most {most_forgotten:g} may be lost."
        )
    if len(mos) < FEWEST:
        return False, f"Not shown to be better than {name}: it could be measured on {len(mos)} images only."
    gains = resample(lambda picks: _gains(mos, before, after, picks), len(mos))
    better = {figure: float(np.mean(gain > 0)) for figure, gain in gains.items()}
    worse = {"rmse": float(np.mean(gains["rmse"] < 0)), "srcc": float(np.mean(gains["srcc"] < -TOLERATED))}
    lost, won = max(worse, key=worse.__getitem__), max(better, key=better.__getitem__)
    of = f"of the bootstrap samples of {len(mos)} images"
    if worse[lost] >= CONFIDENCE:
        return False, f"Worse than {name}: its {lost.upper()} is worse in {worse[lost]:.0%} {of}."
    if better[won] >= CONFIDENCE:
        return True, f"Better than {name}: its {won.upper()} is better in {better[won]:.0%} {of}."
    return (
        False,
        f"Not shown to be better than {name}: its {won.upper()} is better in {better[won]:.0%} {of}, 95 % are required.",
    )


def _gains(mos: np.ndarray, before: np.ndarray, after: np.ndarray, picks: np.ndarray) -> dict[str, np.ndarray]:
    """By how much RMSE and SRCC are better after than before, on samples [B, N] of the images."""

    def figures(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missed = np.sqrt(((scores - mos)[picks] ** 2).mean(1))
        return -missed, pearson(ranks(scores, picks), ranks(mos, picks))

    (low, order), (low_before, order_before) = figures(after), figures(before)
    return {"rmse": low - low_before, "srcc": np.nan_to_num(order - order_before)}
