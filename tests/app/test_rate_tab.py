"""The Rate tab's work without a browser: a rating is kept whatever becomes of the score that is revealed after it."""

import pytest
import torch

from annotations import image_sha256, open_annotations
from app.loaded_scorers import Scorers
from app.pending_images import Waiting
from app.rate_tab import RateTab
from app.session import Session
from tests.bad_images import sample_image


@pytest.fixture
def tab(tmp_path):
    sample_image(64, 64).save(tmp_path / "a.png")
    tab = RateTab(Scorers(tmp_path), open_annotations(tmp_path / "data"), Waiting(tmp_path / "data" / "pending"))
    tab.add([str(tmp_path / "a.png")], "browser")
    return tab


def test_a_model_that_fails_at_the_reveal_loses_no_rating(tab):
    visitor = Session("nano")
    model = tab.scorers.get("nano").backbone.model
    first = next(parameter for parameter in model.parameters() if parameter.dim() == 4)
    first.data = torch.zeros(1, 1, 1, 1)  # of a shape that no image fits: PyTorch raises RuntimeError
    tab.present("Ada", visitor, "browser")
    shown = tab.submit(4, 4.0, visitor.presented, visitor, "browser")
    assert any("Kept. There is no score to show: nano could not score it" in str(part) for part in shown)
    [kept] = tab.annotations.ratings_of("Ada")
    assert (kept.value, kept.seen, kept.shown) == (4.0, "nothing", None)
    # Nothing was shown: the rater is as blind as before.
    assert tab.annotations.present("Ada", kept.sha256, browser="browser").seen == "nothing"


def test_a_rating_sent_twice_is_kept_once_and_revealed_twice(tab, tmp_path):
    visitor = Session("nano")
    tab.present("Ada", visitor, "browser")
    key = visitor.presented
    for value in (4.0, 1.0):
        shown = tab.submit(4, value, key, visitor, "browser")
        assert any(
            "Kept as a rating given blind" in str(part) and "<strong>4.0</strong>" in str(part) for part in shown
        )
    [kept] = tab.annotations.ratings_of("Ada")
    assert kept.sha256 == image_sha256((tmp_path / "a.png").read_bytes())
    assert tab.annotations.counts().ratings == 1 and tab.waiting.images("browser") == {}
