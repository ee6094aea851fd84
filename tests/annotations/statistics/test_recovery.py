"""P.910 Annex E and BT.500 against sureal, the reference implementation of their authors."""

from types import SimpleNamespace

import numpy as np
import pytest
from sureal.dataset_reader import RawDatasetReader
from sureal.subjective_model import SubjectMLEModelProjectionSolver, SubjrejMosModel

from annotations.statistics.opinions import opinions
from annotations.statistics.ratings import from_table
from annotations.statistics.recovery import recover
from annotations.statistics.screening import screen_bt500

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning:sureal")


def simulated(seed: int, missing: float, careless: int = 0) -> np.ndarray:
    """Ratings of 18 raters of 60 images, raters × images; the last `careless` raters answer at random."""
    rng = np.random.default_rng(seed)
    quality, bias, noise = rng.uniform(1.5, 4.5, 60), rng.normal(0, 0.4, (18, 1)), rng.uniform(0.2, 0.9, (18, 1))
    table = np.clip(np.round(quality + bias + noise * rng.normal(size=(18, 60))), 1, 5)
    if careless:
        table[-careless:] = rng.integers(1, 6, (careless, 60))
    table[rng.random(table.shape) < missing] = np.nan
    return table


def sureal(model, table: np.ndarray) -> dict:
    videos = [{"content_id": n, "asset_id": n, "os": list(column), "path": f"{n}"} for n, column in enumerate(table.T)]
    references = [{"content_id": n, "path": f"{n}"} for n in range(table.shape[1])]
    dataset = SimpleNamespace(ref_score=5, ref_videos=references, dis_videos=videos)
    return model(RawDatasetReader(dataset)).run_modeling()


@pytest.mark.parametrize(("seed", "missing"), [(1, 0.0), (2, 0.0), (3, 0.3)])
def test_recovered_mos_bias_and_inconsistency_are_sureals(seed, missing):
    table = simulated(seed, missing)
    mine, theirs = recover(from_table(table)), sureal(SubjectMLEModelProjectionSolver, table)
    np.testing.assert_allclose(mine.mos, theirs["quality_scores"], atol=1e-5)
    np.testing.assert_allclose(mine.half, 1.96 * np.array(theirs["quality_scores_std"]), rtol=1e-3)
    np.testing.assert_allclose(mine.bias, theirs["observer_bias"], atol=1e-5)
    np.testing.assert_allclose(mine.inconsistency, theirs["observer_inconsistency"], atol=1e-5)


def test_recovery_is_nearer_to_the_truth_than_the_mean_where_raters_are_careless():
    rng = np.random.default_rng(0)
    quality, noise = rng.uniform(1, 5, 200), np.repeat([0.3, 2.5], 6)[:, None]
    ratings = from_table(quality + noise * rng.normal(size=(12, 200)))
    errors = [np.sqrt(np.mean((mos - quality) ** 2)) for mos in (recover(ratings).mos, opinions(ratings).mos)]
    assert errors[0] < 0.5 * errors[1]


def test_an_image_without_ratings_and_a_rater_who_is_never_wrong_are_no_failure():
    table = np.array([[1, 2, 3, np.nan], [1, 2, 3, np.nan], [2, 3, 4, np.nan]])
    found = recover(from_table(table))
    assert np.isnan(found.mos[3]) and np.isnan(found.half[3])
    np.testing.assert_allclose(found.mos[:3], [4 / 3, 7 / 3, 10 / 3], atol=1e-6)
    np.testing.assert_allclose(found.bias, [-1 / 3, -1 / 3, 2 / 3], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_bt500_rejects_whom_sureal_rejects(seed):
    # Two hundred raters: sureal divides by n where BT.500's S divides by n - 1, which moves limits among few raters.
    table = np.vstack([simulated(seed * 20 + part, 0.0, careless=1) for part in range(11)])
    rejected = screen_bt500(from_table(table))
    assert rejected.tolist() == sureal(SubjrejMosModel, table)["observer_rejected"]
    assert rejected.any() and not rejected.all()


def test_bt500_takes_no_rater_who_is_merely_biased():
    table = np.vstack([simulated(1, 0.0), np.clip(simulated(1, 0.0)[:1] - 2, 1, 5)])
    assert not screen_bt500(from_table(table))[-1]
