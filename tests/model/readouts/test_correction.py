"""A correction of scores against what numpy and scipy make of the same numbers."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from model.common.errors import ModelLoadError
from model.readouts.correction import Correction, fit_affine, fit_correction, kernel_ridges, load_correction

COUNT = 40


@pytest.fixture
def known():
    """Scores, features and reliability of 40 images, and MOS that follow the score and one feature."""
    draw = np.random.default_rng(1)
    scores, features = draw.uniform(1, 5, COUNT), draw.normal(size=(COUNT, 6))
    mos = 0.5 * scores + 1.2 + 0.6 * np.tanh(features[:, 0]) + draw.normal(0, 0.05, COUNT)
    weights = draw.uniform(0.5, 1.5, COUNT)
    return tuple(torch.from_numpy(part) for part in (scores, features, mos, weights / weights.mean()))


def test_the_affine_map_is_weighted_least_squares_and_its_errors_are_of_images_left_out(known):
    scores, _, mos, weights = known
    affine, missed = fit_affine(scores, mos, weights, [True, True])
    assert affine.tolist() == pytest.approx(np.polyfit(scores, mos, 1, w=weights.sqrt()).tolist())
    without = np.polyfit(scores[1:], mos[1:], 1, w=weights[1:].sqrt())
    assert missed[0].item() == pytest.approx(float(mos[0] - np.polyval(without, scores[0])))


def test_kernel_ridge_solves_its_equations_and_its_errors_are_of_images_left_out(known):
    _, features, mos, weights = known
    rest = (mos - mos.mean()).numpy()
    width, found, missed = next(kernel_ridges(features, torch.from_numpy(rest), weights))
    kernel = np.exp(-(cdist(features, features) ** 2) / (2 * width.item() ** 2))
    matrix = kernel + np.diag(0.01 / weights.numpy())
    assert found.tolist() == pytest.approx(np.linalg.solve(matrix, rest).tolist(), rel=1e-6)
    without = np.linalg.solve(matrix[1:, 1:], rest[1:])
    assert missed[0].item() == pytest.approx(float(rest[0]) - float(kernel[0, 1:] @ without))


def test_a_kernel_is_learned_where_features_say_what_the_score_does_not(known):
    scores, features, mos, weights = known
    affine = fit_correction(*known, with_kernel=False)
    both = fit_correction(*known, with_kernel=True)
    assert len(affine.weights) == 0 and len(both.weights) == COUNT
    assert (both(scores, features) - mos).std() < 0.5 * (affine(scores, features) - mos).std()
    noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(0)).double()
    assert len(fit_correction(scores, noise, 0.5 * scores + 1, weights, with_kernel=True).weights) == 0


def test_far_from_every_rated_image_the_order_of_scores_stays(known):
    correction = fit_correction(*known, with_kernel=True)
    scores = torch.tensor([1.0, 2.0, 3.0])
    far = torch.full((3, 6), 1e3)
    given = correction(scores, far)
    assert given.tolist() == pytest.approx((correction.affine[0] * scores + correction.affine[1]).tolist())


def test_scores_are_never_turned_over(known):
    scores, features, _, weights = known
    assert fit_correction(scores, features, 6 - scores, weights, with_kernel=False).affine[0] > 0


def test_what_is_saved_corrects_as_before_and_a_damaged_file_is_named(known, tmp_path):
    scores, features, *_ = known
    correction = fit_correction(*known, with_kernel=True)
    correction.save(tmp_path / "c.safetensors")
    again = load_correction(tmp_path / "c.safetensors")
    assert torch.equal(again(scores, features), correction(scores, features))
    Correction(correction.affine, features, features[0].clone(), correction.width).save(tmp_path / "c.safetensors")
    with pytest.raises(ModelLoadError, match="c.safetensors cannot be read as a correction: its tensors do not fit"):
        load_correction(tmp_path / "c.safetensors")
