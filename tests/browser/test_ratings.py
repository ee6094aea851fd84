"""Ratings go to the image and the rater that were on screen, and whoever has seen a score stays known for it."""

import os
import time

import pytest
from playwright.sync_api import Page, expect

from annotations import image_sha256, open_annotations
from tests.browser.conftest import PATIENCE, serve, visit
from tests.browser.steps import (
    CARD_SCORE,
    IMAGES,
    LAKE,
    new_image,
    open_disagreement,
    open_tab,
    score_of,
    start_rating,
    upload,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=1000 * PATIENCE)
BLURRED = IMAGES / "lake_blurred.jpg"


def choose_and_submit(page: Page, word: int) -> None:
    page.locator("#rate-word input").nth(word - 1).check()
    page.locator("#rate-submit").click()


class SlowNetwork:
    """Holds the page's events back on their way to the server until they are let go, in any order."""

    def __init__(self, page: Page) -> None:
        self.page, self.held = page, []
        page.route("**/queue/join*", lambda route: self.held.append(route))

    def wait_for(self, events: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.held) < events and time.monotonic() < deadline:
            self.page.wait_for_timeout(20)
        assert len(self.held) == events

    def let_go(self, event: int) -> None:
        self.held[event].continue_()


@pytest.mark.parametrize("removed", [0, 1])
def test_a_rating_pressed_while_the_list_changes_is_of_the_image_on_screen_or_of_none(page, server, tmp_path, removed):
    images = [new_image(tmp_path, width) for width in (410 + removed, 420 + removed, 430 + removed)]
    upload(page, "score-files", *images)
    page.locator("table.sortable tbody tr", has_text=images[1].name).get_by_role("button").click()
    expect(page.locator("#score-card figcaption")).to_have_text(images[1].name)
    score = float(page.locator(CARD_SCORE).inner_text())
    open_disagreement(page)
    page.locator("#disagree-name").get_by_role("textbox").fill(f"Quick {removed}")
    page.locator("#disagree-word input").nth(1).check()

    network = SlowNetwork(page)
    page.locator("#score-files .file-preview tr").nth(removed).get_by_role("button").click()
    network.wait_for(1)
    page.locator("#disagree-keep").click()
    network.wait_for(2)
    network.let_go(0)
    expect(page.locator("table.sortable tbody tr")).to_have_count(2)
    network.let_go(1)

    if removed == 1:  # what was on screen is not among the results any more
        expect(page.locator("#disagree .refusal")).to_contain_text("not among your scored images any more")
        assert open_annotations(server.data).ratings_of("Quick 1") == []
        return
    expect(page.locator("#disagree .notice")).to_contain_text(f"where the model says {score:.2f}")
    [kept] = open_annotations(server.data).ratings_of("Quick 0")
    assert kept.sha256 == image_sha256(images[1].read_bytes()) and round(kept.shown.score, 2) == score


def test_a_rating_on_its_way_when_somebody_else_starts_stays_with_who_gave_it(page, server, tmp_path):
    image = new_image(tmp_path, 440)
    open_tab(page, "Rate")
    upload(page, "rate-files", image)
    expect(page.locator("#rate-unrated")).to_contain_text("1 image that you added")
    start_rating(page, "Early")
    turn = page.locator("#rate-image [data-turn]").get_attribute("data-turn")
    with page.expect_response("**/queue/join*"):  # a name goes to the Score tab, too, by an event of its own
        page.locator("#rate-name").get_by_role("textbox").fill("Late")
    network = SlowNetwork(page)
    choose_and_submit(page, 2)
    network.wait_for(1)
    page.locator("#rate-start").click()
    network.wait_for(2)
    network.let_go(1)
    expect(page.locator("#rate-image [data-turn]")).not_to_have_attribute("data-turn", turn)
    network.let_go(0)
    expect(page.locator(".toast-wrap")).to_contain_text("The rating that Early gave before is kept")
    expect(page.locator(".reveal")).to_have_count(0)
    store = open_annotations(server.data)
    [kept] = store.ratings_of("Early")
    assert (kept.sha256, kept.value, store.ratings_of("Late")) == (image_sha256(image.read_bytes()), 2.0, [])


def test_scores_seen_and_images_added_are_remembered_over_reload_tab_and_restart(browser, tmp_path):
    seen, compared, added = LAKE, BLURRED, new_image(tmp_path, 450)
    with serve(tmp_path) as first, visit(browser, first.url) as page:
        score_of(page, seen)
        open_tab(page, "Compare")
        upload(page, "compare-file", compared)
        expect(page.locator("#compare-rows tbody tr")).to_have_count(2)
        open_tab(page, "Rate")
        upload(page, "rate-files", seen, compared, added)
        expect(page.locator("#rate-unrated")).to_contain_text("3 images that you added")
        page.reload()
        start_rating(page, "Ada")
        expect(page.locator("#rate-image .notice")).to_contain_text("kept as given after it")
        choose_and_submit(page, 3)
        expect(page.locator(".reveal")).to_contain_text("given after seeing the score")
        state = page.context.storage_state()
    with serve(tmp_path) as second, visit(browser, second.url, storage_state=state) as page:
        start_rating(page, "Eve")  # in the same browser: what was seen in it counts for everybody
        expect(page.locator("#rate-image .notice")).to_contain_text("kept as given after it")
        choose_and_submit(page, 3)
        expect(page.locator(".reveal")).to_contain_text("given after seeing the score")
        page.locator("#rate-next").click()
        expect(page.locator(".reveal")).to_have_count(0)
        expect(page.locator("#rate-image .notice")).to_have_count(0)
        choose_and_submit(page, 4)
        expect(page.locator(".reveal")).to_contain_text("given blind")
        store = open_annotations(second.data)
        votes = {rating.sha256: rating.seen for rating in [*store.ratings_of("Ada"), *store.ratings_of("Eve")]}
        assert sorted(votes.values()) == ["nothing", "score", "score"]
        assert votes[image_sha256(added.read_bytes())] == "nothing"


def test_what_cannot_be_shown_stops_nobody_and_the_owner_is_told(browser, tmp_path):
    lost, kept = (new_image(tmp_path, width) for width in (460, 461))
    misnamed = tmp_path / "photo.heic"  # a JPEG by its bytes
    misnamed.write_bytes(new_image(tmp_path, 462).read_bytes())
    with serve(tmp_path) as server, visit(browser, server.url) as page:
        store = open_annotations(server.data)
        for path in (lost, kept):
            store.record_rating("Ada", path.read_bytes(), 3, suffix="jpg", name=path.name)
        os.unlink(store.image_path(image_sha256(lost.read_bytes())))
        open_tab(page, "Rate")
        upload(page, "rate-files", misnamed)
        expect(page.locator("#rate-unrated")).to_contain_text("1 image that you added")
        start_rating(page, "Bob")
        choose_and_submit(page, 4)
        expect(page.locator(".reveal")).to_contain_text("given blind")
        page.locator("#rate-next").click()
        expect(page.locator("#rate-image .notice")).to_contain_text("Images that cannot be shown are skipped, here 1")
        expect(page.locator(".progress p")).to_have_text("1 of 2 rated")
        choose_and_submit(page, 2)
        expect(page.locator(".reveal")).to_be_visible()
        page.locator("#rate-next").click()
        expect(page.locator("#rate-image")).to_contain_text("You have rated every image that is here")
        rated = {rating.sha256 for rating in store.ratings_of("Bob")}
        assert rated == {image_sha256(path.read_bytes()) for path in (misnamed, kept)}
        assert store.image_path(image_sha256(misnamed.read_bytes())).suffix == ".jpg"
        open_tab(page, "Adapt")
        expect(page.locator(".problems")).to_contain_text(f"{lost.name}: cannot be read: no such file")
        assert (tmp_path / "server.log").read_text().count(
            "cannot be shown to raters: cannot be read: no such file"
        ) == 1
