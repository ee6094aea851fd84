"""An owner promotes an adapter in the browser: everyone's next score is by it, until the owner goes back."""

import pytest
from playwright.sync_api import expect

from model.finetuning.correcting import correct
from tests.browser.conftest import serve, visit
from tests.browser.steps import LAKE, open_tab, score_of
from tests.model.tiny import gallery


@pytest.fixture(scope="module")
def promoting(tmp_path_factory):
    """A page with an adapter that the gate found better."""
    folder = tmp_path_factory.mktemp("promoting")
    card = correct(
        gallery(folder / "images", 16), "nano", folder / "data" / "adapters" / "mine", "recalibrate", device="cpu"
    )
    assert card.better, card.verdict
    with serve(folder) as served:
        yield served


def test_a_promoted_adapter_scores_for_everyone_until_the_owner_goes_back(browser, promoting):
    with visit(browser, promoting.url) as owner, visit(browser, promoting.url) as other:
        before = score_of(other, LAKE)
        open_tab(owner, "Adapt")
        expect(owner.locator("#adapt-everyone")).to_contain_text("Everyone uses nano, unless they choose another.")
        owner.locator("#adapt-choice").get_by_label("nano+mine").check()
        expect(owner.locator("#in-use")).to_contain_text("nano+mine")
        owner.get_by_role("button", name="Use for everyone").click()
        expect(owner.locator("#adapt-everyone")).to_contain_text("Everyone uses nano+mine, learned from 16 images")
        other.reload()
        by_adapter = score_of(other, LAKE)
        assert by_adapter != before
        expect(other.locator("#score-card")).to_contain_text("nano+mine")
        owner.get_by_role("button", name="Go back").click()
        expect(owner.locator("#adapt-everyone")).to_contain_text("Everyone uses nano, unless they choose another.")
        expect(owner.locator("#adapt-everyone li").first).to_contain_text(
            "back to the page's own scorer from nano+mine"
        )
        other.reload()
        assert score_of(other, LAKE) == before
