"""The gate: whether what was learned from ratings is better than the scorer before it, on ratings that it did not learn from."""

import numpy as np

from model.evaluation.bootstrap import pearson, ranks, resample

CONFIDENCE = 0.95
FEWEST = 3  # images; fewer say nothing
TOLERATED = (
    0.01  # SRCC that may be lost: maps that differ a little between the folds of a cross-validation cost a little order
)


def judge(mos: np.ndarray, before: np.ndarray, after: np.ndarray, name: str) -> tuple[bool, str]:
    """Whether the scores `after` [N] are better than those `before` [N] of the scorer `name` against the MOS [N], all on one scale, and
    the reason in one sentence.

    Better: RMSE or SRCC is better in at least 95 % of paired bootstrap samples of the images, and the other is not worse in as many (the
    SRCC by more than TOLERATED).
    """
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
