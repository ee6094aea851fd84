"""The Adapt tab's scores of rated images: once for all visitors, in the background; and models that change under their names."""

import os
import shutil
import threading
import time

import pytest

from annotations import open_annotations
from app.adapt_tab import AdaptTab, choices
from app.loaded_scorers import Scorers
from app.rated_scores import RatedScores
from app.session import Session
from app.settings import EXAMPLES, parse_settings
from model.common.errors import ModelError
from tests.model.owl_fixtures import QSCORER

IMAGES = sorted(EXAMPLES.glob("*.jpg"))[:5]
PATIENCE = 60


@pytest.fixture
def bench(tmp_path):
    annotations = open_annotations(tmp_path)
    for n, image in enumerate(IMAGES):
        annotations.record_rating("Ada", image.read_bytes(), 1 + n % 5, suffix="jpg")
    settings = parse_settings(["--data-dir", str(tmp_path)])
    return AdaptTab(settings, Scorers(settings.adapters, "cpu"), annotations)


def shown(bench: AdaptTab) -> tuple[str, bool]:
    """What the tab says beside its chart, and whether it looks again."""
    _, _, said, timer, *_ = bench.show(False, Session("nano"))
    return said, timer.active


def shown_in_the_end(bench: AdaptTab) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        said, goes_on = shown(bench)
        if not goes_on:
            return said
        time.sleep(0.01)
    raise AssertionError("the images were not scored")


def test_the_tab_opens_before_anything_is_scored_and_each_image_is_scored_once_for_all(bench):
    scorer, scored, gate = bench.scorers.get("nano"), [], threading.Event()

    def hold(_, arguments) -> None:
        assert gate.wait(PATIENCE)
        scored.extend(arguments[0])

    scorer.backbone.model.connector.register_forward_pre_hook(hold)
    for _ in range(6):  # visitors, while the first batch is held
        said, goes_on = shown(bench)
        assert goes_on and f"0 of {len(IMAGES)} done" in said
    gate.set()
    assert f"{len(IMAGES)} rated images" in shown_in_the_end(bench)
    assert f"{len(IMAGES)} rated images" in shown(bench)[0]
    assert len(scored) == len(IMAGES)


def test_a_rated_image_whose_file_is_gone_is_left_out_and_that_is_said(bench):
    summaries = bench.annotations.summaries()
    summaries[0].path.unlink()
    said = shown_in_the_end(bench)
    assert f"{len(IMAGES) - 1} rated images" in said and "1 rated image is left out" in said


def test_a_model_that_fails_is_said_and_tried_anew_at_the_next_look(bench):
    scorer, scores = bench.scorers.get("nano"), RatedScores()

    def fail(*_) -> None:
        raise ModelError("no scores today.")

    broken = scorer.backbone.model.connector.register_forward_pre_hook(fail)
    images = {s.sha256: s.path for s in bench.annotations.summaries()}
    with pytest.raises(ModelError, match="no scores today"):
        while scores.of(scorer, images).to_come:
            time.sleep(0.01)
    broken.remove()
    while scores.of(scorer, images).to_come:
        time.sleep(0.01)
    assert len(scores.of(scorer, images).scores) == len(IMAGES)


def test_only_what_ships_is_labelled_so():
    labels = [label for label, _ in choices([], ["nano", "owner/model", "/models/mine"], {})]
    assert labels == ["nano, as shipped", "owner/model", "…/models/mine"]


@pytest.mark.parametrize("by_name", [True, False])
def test_an_adapter_trained_again_is_loaded_anew_wherever_it_lies(tmp_path, by_name):
    adapter = tmp_path / "adapters" / "mine"
    shutil.copytree(QSCORER / "adapter", adapter)
    scorers = Scorers(tmp_path / "adapters", "cpu")
    spec = f"{QSCORER / 'base_mplug_owl2'}+{'mine' if by_name else adapter}"
    first = scorers.get(spec)
    assert scorers.get(spec) is first
    weights = next(path for path in adapter.iterdir() if path.suffix in (".safetensors", ".bin"))
    os.utime(weights, ns=(1, 1))
    assert scorers.get(spec) is not first and len(scorers._loaded) == 1
