"""What each method's labels keep of a MOS (paper section 3.1, appendix B). Pure functions.

Two errors for each method, in units of the scale. Label approximation: the mean that its label stands for, minus the MOS. Restoration:
the score that a model gives which has learned the label exactly, minus the MOS. Q-Align's two are one and the same; DeQA-Score's label
is raw before its correction; regression is taught the MOS itself and has neither. DeQA-Score's labels are those by density, as for KonIQ.

What this is not: a model that is unsure between two levels gives both some probability, and Q-Align's weighted sum then falls between
them. The errors are those of a model that repeats its labels without a doubt, as the paper assumes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.common.scale import Scale
from model.evaluation.metrics import plcc, srcc
from model.readouts.levels import (
    DECIMALS,
    MIN_STD,
    digits,
    interval_index,
    intervals,
    level_values,
    middles,
    normal_cdf,
    raw_soft_label,
    soft_label,
)

LEVELS = 5
GRID = 201  # places within an interval where a derivative's maximum is looked for


@dataclass(frozen=True)
class Converted:
    """What a method makes of one image, on the scale: the mean that its label stands for, and the score of a model that has learned the
    label exactly; and the standard deviation that this model would predict (nan where the method predicts none)."""

    label: float
    score: float
    std: float = math.nan


def q_align(mos: float, std: float, scale: Scale) -> Converted:
    """One level for certain: its value (eq. 1). The std plays no part."""
    value = level_values(scale, LEVELS)[interval_index(mos, scale, LEVELS)]
    return Converted(value, value, 0.0)


def q_align_middles(mos: float, std: float, scale: Scale) -> Converted:
    """Q-Align with the middle of each interval in place of the level's value: the best that one level for certain can do."""
    value = middles(scale, LEVELS)[interval_index(mos, scale, LEVELS)]
    return Converted(value, value, 0.0)


def deqa_raw(mos: float, std: float, scale: Scale) -> Converted:
    """DeQA-Score's label before its correction (eqs. 2, 13). Its sum is not 1: the mean it stands for is the plain sum of value times
    probability, and a model, whose probabilities sum to 1, learns the label divided by its sum. Where the std is so small that the method
    never uses this label (least_std), the plain sum is nan: the density grows beyond all bounds there."""
    values = level_values(scale, LEVELS)
    label = raw_soft_label(mos, max(std, 1e-6 * (scale[1] - scale[0])), False, values)
    plain = sum(p * v for p, v in zip(label, values, strict=True))
    return Converted(plain if std >= least_std(scale) else math.nan, *_learned(label, values))


def least_std(scale: Scale) -> float:
    """The std below which DeQA-Score falls back on the two levels around the MOS: a fifth of a step between levels."""
    return MIN_STD * (scale[1] - scale[0]) / (LEVELS - 1)


def deqa(mos: float, std: float, scale: Scale) -> Converted:
    """DeQA-Score's corrected label, with its fallback (eqs. 3, 4). Where the correction was cut off at zero the sum is not 1, and the
    model's score differs from the label's mean."""
    values = level_values(scale, LEVELS)
    label = soft_label(mos, std, scale=scale)
    plain = sum(p * v for p, v in zip(label, values, strict=True))
    return Converted(plain, *_learned(label, values))


def _learned(label: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the probabilities that minimise the divergence from a label of any sum: label / sum. Where the label
    is 0 everywhere there is nothing to learn: nan."""
    total = sum(label)
    if total <= 0:
        return math.nan, math.nan
    mean = sum(p * v for p, v in zip(label, values, strict=True)) / total
    variance = sum(p * (v - mean) ** 2 for p, v in zip(label, values, strict=True)) / total
    return mean, math.sqrt(max(variance, 0.0))


def realqa(mos: float, std: float, scale: Scale) -> Converted:
    """The number written out with two decimals."""
    value = round(mos, DECIMALS)
    return Converted(value, value)


def regression(mos: float, std: float, scale: Scale) -> Converted:
    """The MOS itself (eqs. 6 to 9: a network that is large enough comes as near to it as one likes)."""
    return Converted(mos, mos)


def regression_bfloat16(mos: float, std: float, scale: Scale) -> Converted:
    """The MOS as the released Q-Scorer is taught it: its trainer rounds labels to bfloat16, 1/64 between 2 and 4 (8 bits, ties to even)."""
    if mos == 0:
        return Converted(0.0, 0.0)
    step = 2.0 ** (math.floor(math.log2(abs(mos))) - 7)
    value = round(mos / step) * step
    return Converted(value, value)


# Theory


def q_align_theory(scale: Scale, at_middles: bool = False) -> float:
    """Root of Q-Align's expected squared error for MOS that are spread evenly over the scale (eq. 12): within interval [a, b] with value v
    the error runs evenly from a - v to b - v. sqrt(2/15) = .365 on the scale 1 to 5, and the width over sqrt(12) = .231 with middles."""
    values = middles(scale, LEVELS) if at_middles else level_values(scale, LEVELS)
    squares = [
        ((b - v) ** 3 - (a - v) ** 3) / (3 * (b - a))
        for (a, b), v in zip(intervals(scale, LEVELS), values, strict=True)
    ]
    return math.sqrt(sum(squares) / LEVELS)


def deqa_cut_off(mos: float, std: float, scale: Scale) -> float:
    """What the raw label loses beyond the outermost levels' intervals (eq. 18): the MOS minus the normal distribution's first moment within
    half a step around the levels."""
    half = (scale[1] - scale[0]) / (LEVELS - 1) / 2
    first, last = ((edge - mos) / std for edge in (scale[0] - half, scale[1] + half))
    mass = normal_cdf(last) - normal_cdf(first)
    pull = (math.exp(-0.5 * last**2) - math.exp(-0.5 * first**2)) / math.sqrt(2 * math.pi)
    return mos - (mos * mass - std * pull)


def deqa_bound(mos: float, std: float, scale: Scale) -> float:
    """An upper bound of the raw label's error (eqs. 15 to 18), for the label by density: the midpoint rule errs by at most step^3 / 24
    times the largest second derivative of x * N(x) in each level's interval; to which comes what is cut off."""
    values = level_values(scale, LEVELS)
    step = values[1] - values[0]
    x = np.array(values)[:, None] + step * np.linspace(-0.5, 0.5, GRID)
    z = (x - mos) / std
    density = np.exp(-0.5 * z**2) / (std * math.sqrt(2 * math.pi))
    second = density * (x * (z**2 - 1) / std**2 - 2 * z / std)
    return float(step**3 / 24 * np.abs(second).max(axis=1).sum() + abs(deqa_cut_off(mos, std, scale)))


def raw_label_theory(mos: Sequence[float], stds: Sequence[float], scale: Scale) -> float:
    """Root mean square of the bound, over the images for which the method uses its raw label."""
    used = [(m, s) for m, s in zip(mos, stds, strict=True) if s >= least_std(scale)]
    return _rms(np.array([deqa_bound(m, s, scale) for m, s in used]))


def _rms(errors: np.ndarray) -> float:
    """Of the errors that are defined."""
    errors = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else math.nan


# The methods


@dataclass(frozen=True)
class Method:
    """convert: a MOS, its std and the scale. theory: what `conversion_errors` gives as such, of all MOS, all stds and the scale; nan for
    none."""

    convert: Callable[[float, float, tuple[float, float]], Converted]
    theory: Callable[[Sequence[float], Sequence[float], tuple[float, float]], float] = lambda mos, stds, scale: math.nan


RAW, REALQA = "DeQA-Score, raw label", "RealQA"
NEEDS_STD = (RAW, "DeQA-Score")
METHODS = {
    "Q-Align": Method(q_align, lambda mos, stds, scale: q_align_theory(scale)),
    "Q-Align, interval middles": Method(
        q_align_middles, lambda mos, stds, scale: q_align_theory(scale, at_middles=True)
    ),
    RAW: Method(deqa_raw, raw_label_theory),
    "DeQA-Score": Method(deqa),
    REALQA: Method(realqa, lambda mos, stds, scale: 0.01 / math.sqrt(12)),
    "Regression, bfloat16 labels": Method(regression_bfloat16),
    "Regression": Method(regression, lambda mos, stds, scale: 0.0),
}


# A set of MOS


@dataclass(frozen=True)
class Opinions:
    """A set of MOS and, where there are any, their standard deviations, nan where one is not known."""

    mos: list[float]
    stds: list[float] | None


def covered(name: str, mos: Sequence[float], stds: Sequence[float] | None) -> np.ndarray:
    """Which images a method has a label for: [N], bool. DeQA-Score needs a std (nan: none); RealQA's form has one figure before the
    point, and a set with a MOS that it cannot write is no set for it at all."""
    if name in NEEDS_STD:
        return np.isfinite(stds) if stds is not None else np.zeros(len(mos), bool)
    return np.full(len(mos), name != REALQA or all(_writable(m) for m in mos))


def _writable(mos: float) -> bool:
    try:
        digits(mos)
    except ValueError:
        return False
    return True


def left_out(mos: Sequence[float], stds: Sequence[float] | None, scale: Scale) -> list[str]:
    """Sentences that say which methods and images `conversion_errors` leaves out, and why; empty where it leaves out none."""
    notes, n = [], len(mos)
    if not covered(REALQA, mos, stds).all():
        notes.append("RealQA is left out: it writes one figure before the point, and not every MOS has one")
    chosen = covered(RAW, mos, stds)
    if not chosen.any():
        return [*notes, "DeQA-Score is left out: there is no std (--std gives all images one)"]
    if not chosen.all():
        notes.append(f"DeQA-Score: {n - chosen.sum()} of {n} have no std and are left out")
    known = [(m, s) for m, s, there in zip(mos, stds, chosen, strict=True) if there]
    small = sum(s < least_std(scale) for _, s in known)
    if small:
        notes.append(
            f"{RAW}: {small} of {len(known)} have a std below {least_std(scale):g}, where the method falls back on two levels; "
            "they are left out of label RMSE and theory"
        )
    empty = sum(math.isnan(deqa_raw(m, s, scale).score) for m, s in known)
    if empty:
        notes.append(
            f"{RAW}: {empty} of {len(known)} have a label that is 0 everywhere, from which nothing is learned; they are left out"
        )
    return notes


def conversion_errors(mos: Sequence[float], stds: Sequence[float] | None, scale: Scale) -> list[dict]:
    """One row for each method: label_rmse, restored_rmse, restored_mean (absolute), restored_worst (absolute), std_rmse (of the predicted
    standard deviation), all in units of the scale; plcc and srcc of the restored scores with the MOS, which no model that has learned
    these labels exactly can exceed; and theory: the root of the expected squared error for MOS spread evenly over the scale or, for
    DeQA-Score's raw label, the root mean square of the bound. What is not defined is None. stds: nan where one is not known. Methods are
    left out, and images out of a method's row, as `left_out` says.
    """
    rows = []
    for name, method in METHODS.items():
        chosen = covered(name, mos, stds)
        if not chosen.any():
            continue
        means = np.array(mos, float)[chosen]
        known = np.array(stds, float)[chosen] if stds is not None else np.full(len(means), math.nan)
        found = [method.convert(m, s, scale) for m, s in zip(means.tolist(), known.tolist(), strict=True)]
        scores = np.array([c.score for c in found])
        scored = np.isfinite(scores)
        restored = np.abs(scores - means)[scored]
        row = {
            "method": name,
            "label_rmse": _rms(np.array([c.label for c in found]) - means),
            "restored_rmse": _rms(restored),
            "restored_mean": float(restored.mean()) if len(restored) else math.nan,
            "restored_worst": float(restored.max()) if len(restored) else math.nan,
            "std_rmse": _rms(np.array([c.std for c in found]) - known),
            "plcc": plcc(scores[scored], means[scored]),
            "srcc": srcc(scores[scored], means[scored]),
            "theory": method.theory(means, known, scale),
        }
        rows.append({key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()})
    return rows
