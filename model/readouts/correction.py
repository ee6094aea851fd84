"""A correction of scores, learned from rated images while the backbone stays frozen: an affine map of the score, and, where it helps, a
kernel ridge regression of what that map leaves over on the backbone's features.

    corrected = slope * score + offset + sum_i weight_i * exp(-|f - f_i|^2 / (2 width^2))

f are the features of the image, f_i those of the rated images. Far from every rated image the sum is 0 and the order of scores is the
backbone's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.common.errors import ModelLoadError, first_line

PARTS = ("affine", "features", "weights", "width")
RIDGES = tuple(10.0**power for power in range(-2, 4))  # of the kernel, whose diagonal is 1
WIDTHS = torch.tensor([0.5, 1.0, 2.0]).double()  # of the median distance between the rated images
LEAST_GAIN = 0.02  # of the error: a map with more freedom has to be better by this share


@dataclass(frozen=True)
class Correction:
    """affine [2]: slope and offset. features [N, F], weights [N], width []: of the kernel; N = 0 without it. In float64."""

    affine: torch.Tensor
    features: torch.Tensor
    weights: torch.Tensor
    width: torch.Tensor

    def __call__(self, scores: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Scores [B] on the backbone's scale and features [B, F] to corrected scores [B], not clamped."""
        given = self.affine[0] * scores.double().cpu() + self.affine[1]
        if len(self.weights):
            given = given + kernel(features, self.features, self.width) @ self.weights
        return given.to(scores)

    def save(self, path: Path) -> None:
        save_file({name: getattr(self, name).contiguous() for name in PARTS}, path)


def load_correction(path: Path) -> Correction:
    """The correction in a safetensors file. Raises ModelLoadError for one that is damaged."""
    try:
        parts = load_file(path)
        found = Correction(**parts)
        if found.affine.shape != (2,) or found.features.shape[:1] != found.weights.shape or found.width.dim():
            raise ValueError("its tensors do not fit together")
        if not all(part.isfinite().all() for part in parts.values()):
            raise ValueError("it holds NaN or infinity")
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ModelLoadError(
            f"{path} cannot be read as a correction: {first_line(error)}. Copy the adapter's whole folder again."
        ) from error
    return found


def fit_correction(
    scores: torch.Tensor, features: torch.Tensor, mos: torch.Tensor, reliability: torch.Tensor, with_kernel: bool
) -> Correction:
    """The correction that does best on images left out one at a time, of: none, an offset, an affine map, and with_kernel the kernel
    ridge regressions of RIDGES and WIDTHS on top of it. A map with more freedom has to be better by LEAST_GAIN.

    scores, mos [N] on one scale; features [N, F]; reliability [N]: how much each MOS counts, 1 on the average.
    """
    scores, features, mos, reliability = (part.double().cpu() for part in (scores, features, mos, reliability))
    none = features[:0], torch.zeros(0).double(), torch.tensor(1.0).double()
    best = Correction(torch.tensor([1.0, 0.0]).double(), *none)
    error = weighted_mean((mos - scores) ** 2, reliability)
    for columns in ([False, True], [True, True]):  # slope, offset
        affine, missed = fit_affine(scores, mos, reliability, columns)
        if affine[0] <= 0:  # that would turn the order of the scores over
            continue
        if (found := weighted_mean(missed**2, reliability)) < less_than(error):
            best, error = Correction(affine, *none), found
    if not with_kernel:
        return best
    missed_by = {}
    for width, weights, missed in kernel_ridges(features, mos - best(scores, features), reliability):
        missed_by[weighted_mean(missed**2, reliability)] = Correction(best.affine, features, weights, width)
    least = min(missed_by)
    return missed_by[least] if least < less_than(error) else best


def less_than(error: torch.Tensor) -> torch.Tensor:
    """The squared error that a map with more freedom has to stay below."""
    return (1 - LEAST_GAIN) * error - 1e-9  # for rounding, where the error is 0


def fit_affine(
    scores: torch.Tensor, mos: torch.Tensor, reliability: torch.Tensor, columns: list[bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope and offset [2] by weighted least squares, where `columns` lets them differ from 1 and 0; and what each MOS [N] is missed by
    when it is left out."""
    design = torch.stack([scores, torch.ones_like(scores)], 1)[:, columns]
    target = mos if columns[0] else mos - scores
    root = reliability.sqrt()[:, None]
    solve = torch.linalg.pinv(design * root) * root.T  # [K, N]
    found = solve @ target
    leverage = (design * solve.T).sum(1).clamp(max=1 - 1e-9)
    slope = found[0] if columns[0] else torch.ones(()).double()
    return torch.stack([slope, found[-1]]), (target - design @ found) / (1 - leverage)


def kernel_ridges(
    features: torch.Tensor, rest: torch.Tensor, reliability: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """For each of WIDTHS and RIDGES: the width [], the weights [N] that explain `rest` [N], and what each image is missed by when it is
    left out [N], in closed form."""
    distances = torch.cdist(features, features)
    typical = distances[distances > 0].median() if (distances > 0).any() else torch.tensor(1.0).double()
    root = reliability.sqrt()
    for width in WIDTHS * typical:
        # (K + ridge / reliability)^-1 for every ridge, by the eigenvectors of root K root
        values, vectors = torch.linalg.eigh(root[:, None] * kernel(features, features, width) * root)
        turned = vectors.T @ (root * rest)
        for ridge in RIDGES:
            shrunk = 1 / (values.clamp(min=0) + ridge)
            weights = root * (vectors @ (shrunk * turned))
            diagonal = reliability * (vectors**2 @ shrunk)
            yield width, weights, weights / diagonal


def kernel(of: torch.Tensor, to: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Features [B, F] and [N, F] to their likeness [B, N], from 0 to 1."""
    distances = torch.cdist(of.double().cpu(), to, compute_mode="donot_use_mm_for_euclid_dist")
    return (-(distances**2) / (2 * width**2)).exp()


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (values * weights).sum() / weights.sum()
