"""Scores and expectations recorded once, so that a change of structure that alters a number is noticed."""

from pathlib import Path

import pytest

from model.scoring.scorer import load_scorer

OWL2 = Path(__file__).parents[2] / "fixtures" / "mplug_owl2"
IMAGES = ("lake_pristine.jpg", "oranges_shaken.jpg", "dunes_noisy.jpg")
TOLERANCE = 1e-4  # other processors round differently

RECORDED = {
    "nano": [4.323955, 4.425699, 1.57442, 1.692393, 1.286485, 1.727333],
    "nano-qalign": [4.811112, 4.811112, 1.342854, 1.342854, 1.515758, 1.515758],
    "{0}/qscorer_tiny/merged": [3.757852, 4.120934, 3.931885, 4.377257, 3.454021, 4.311399],
    "{0}/qscorer_tiny/base_mplug_owl2+{0}/qscorer_tiny/adapter": [
        *(3.757818, 4.120930, 3.931672, 4.377261, 3.453800, 4.311419),
    ],
    "{0}/qalign_tiny/checkpoint_safetensors": [3.724341, 3.724341, 3.381310, 3.381310, 3.681628, 3.681628],
}


@pytest.mark.parametrize("spec", RECORDED)
def test_scores_are_those_recorded(spec):
    scorer = load_scorer(spec.format(OWL2), device="cpu", dtype="float32")
    results = scorer.assess_files([Path(__file__).parents[2] / "images" / name for name in IMAGES])
    numbers = [number for result in results for number in (result.score, result.expectation)]
    assert numbers == pytest.approx(RECORDED[spec], abs=TOLERANCE)
