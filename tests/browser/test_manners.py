"""How the page behaves toward people: where focus is, what is said when something is missing, what is said when things have changed."""

import pytest
from playwright.sync_api import expect

from annotations import open_annotations
from tests.bad_images import write_zoo
from tests.browser.steps import IMAGES, LAKE, new_image, open_disagreement, open_tab, score_of, start_rating, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def expect_calm(page) -> None:
    """No passing message, and no component that Gradio has marked as broken."""
    page.wait_for_timeout(300)
    expect(page.locator(".toast-body")).to_have_count(0)
    expect(page.get_by_text("Error", exact=True)).to_have_count(0)


def test_rating_needs_no_mouse(page, tmp_path):
    """From the name on, keys alone lead from image to image."""
    open_tab(page, "Rate")
    upload(page, "rate-files", new_image(tmp_path, 400), new_image(tmp_path, 401))
    expect(page.locator("#rate-unrated")).to_contain_text("2 images that you added are not rated")
    name = page.locator("#rate-name").get_by_role("textbox")
    name.fill("Keys")
    name.press("Enter")
    words = page.locator("#rate-word input")
    expect(words.first).to_be_focused()
    page.keyboard.press("4")
    expect(words.nth(3)).to_be_checked()
    expect(name).to_have_value("Keys")
    page.keyboard.press("Enter")
    expect(page.locator("[data-turn]:has(.reveal)")).to_be_focused()
    expect(page.locator("#rate-unrated")).to_contain_text("1 image that you added is not rated")
    page.keyboard.press("Enter")
    expect(page.locator(".reveal")).to_have_count(0)
    expect(words.first).to_be_focused()


def test_what_is_missing_is_said_once_beside_the_control(page, tmp_path):
    open_tab(page, "Rate")
    page.locator("#rate-start").click()
    expect(page.locator("#rate-refused")).to_contain_text("Please give a name")
    expect_calm(page)
    upload(page, "rate-files", new_image(tmp_path, 402))
    start_rating(page, "Hasty")
    expect(page.locator("#rate-refused .refusal")).to_have_count(0)
    page.locator("#rate-submit").click()
    expect(page.locator("#rate-said")).to_contain_text("Choose one of the five words")
    expect_calm(page)


def test_disagreement_needs_a_choice_and_is_kept_once(page, server):
    score_of(page, LAKE)
    keep, before = page.locator("#disagree-keep"), open_annotations(server.data).counts().ratings
    open_disagreement(page)
    page.locator("#disagree-name").get_by_role("textbox").fill("Grace")
    keep.click()
    expect(page.locator("#disagree .refusal")).to_contain_text("Choose one of the five words")
    page.locator("#disagree-word input").nth(1).check()
    keep.click()
    expect(page.locator("#disagree .notice")).to_contain_text("Grace says 2.0 (poor)")
    expect(keep).to_be_disabled()
    assert open_annotations(server.data).counts().ratings == before + 1
    page.locator("#disagree-word input").nth(2).check()
    expect(keep).to_be_enabled()


def test_broken_files_are_told_once(page, tmp_path):
    zoo = write_zoo(tmp_path)
    upload(page, "score-files", LAKE, zoo["text.jpg"][0], zoo["bomb.png"][0])
    expect(page.locator(".problems li")).to_have_count(2)
    expect_calm(page)


def test_scores_of_another_model_than_the_one_in_use_say_so(page):
    score_of(page, LAKE)
    picker = page.locator("#model input")
    picker.fill("nano-qalign")
    picker.press("Enter")
    expect(page.locator("#score-stale")).to_contain_text("Scored by nano; nano-qalign is in use now.")
    page.locator("#score-again").click()
    expect(page.locator("#score-card .facts")).to_contain_text("nano-qalign")
    expect(page.locator("#score-stale")).to_be_hidden()


def test_a_row_opens_its_image_by_mouse_and_keyboard(page):
    upload(page, "score-files", LAKE, IMAGES / "lake_blurred.jpg", IMAGES / "lake_compressed.jpg")
    rows, shown = page.locator("table.sortable tbody tr"), page.locator("#score-card figcaption")
    expect(shown).to_have_text("lake_pristine.jpg")
    rows.filter(has_text="lake_blurred.jpg").locator("strong").click()
    expect(shown).to_have_text("lake_blurred.jpg")
    rows.filter(has_text="lake_compressed.jpg").get_by_role("button").press("Enter")
    expect(shown).to_have_text("lake_compressed.jpg")


def test_the_table_of_scores_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    upload(page, "score-files", LAKE, IMAGES / "lake_blurred.jpg")
    row = page.locator("table.sortable tbody tr").first
    assert row.locator("img").bounding_box()["width"] > 40
    level = row.locator(".word").bounding_box()
    assert level["x"] + level["width"] < 390
    caption = page.locator(".table-box figcaption").bounding_box()
    assert caption["x"] + caption["width"] < 390
