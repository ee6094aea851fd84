"""The contract of a backbone: a new kind is one folder (here a file) and one line in a table, and everything stands on it at once."""

from pathlib import Path

import pytest
from PIL import Image

from examples import toy_backbone as toy
from model.backbones.spec import revision
from model.common.errors import ModelError
from model.finetuning.procedure import fine_tune
from model.loading import opening
from model.loading.known import resolve
from model.scoring.scorer import load_scorer
from tests.model.tiny import gallery


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setitem(opening.KINDS, "toy", "examples.toy_backbone")  # the one line
    return toy.write_toy(tmp_path / "toy")


def test_a_fourth_kind_takes_less_than_a_hundred_lines():
    source = Path(toy.__file__).read_text(encoding="utf-8")
    backbone, found, _ = source.partition("def write_toy")
    assert found and len(backbone.splitlines()) <= 100


def test_a_fourth_kind_scores_as_every_other(base, tmp_path):
    scorer = load_scorer(str(base), device="cpu")
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "teal.png")
    (found,) = scorer.assess_files([tmp_path / "teal.png"])
    (same,) = scorer.assess([Image.new("RGB", (40, 30), "teal")])
    assert found.score == same.score and 1 <= found.score <= 5 and found.tokens == toy.TOKENS
    assert found.uncertainty > 0 and found.revision == revision(resolve(str(base)))


def test_a_fourth_kind_is_fine_tuned_by_the_one_procedure(base, tmp_path):
    rated = gallery(tmp_path / "gallery")
    card = fine_tune(rated, str(base), tmp_path / "adapters" / "mine", device="cpu")
    assert card.after_trained["rmse"] < card.before_trained["rmse"]
    scores = load_scorer(f"{base}+mine", device="cpu", adapters=tmp_path / "adapters").assess_files([rated[0].image])
    assert next(scores).revision != load_scorer(str(base), device="cpu").revision


def test_an_unsupported_task_is_refused_in_one_sentence(base):
    scorer = load_scorer(str(base), device="cpu")
    with pytest.raises(ModelError, match="does not support the task 'video': choose one of quality"):
        scorer.asking("video")
    with pytest.raises(ModelError, match="takes one step"):
        scorer.backbone.check_steps([])
    assert scorer.backbone.most_frames == 0
