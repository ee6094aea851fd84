"""The page with a published model: videos, aesthetics, downloads and what the picker takes; on a tiny checkpoint and a small hub."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import serve, visit
from tests.browser.steps import CARD_SCORE, LAKE, chart, open_tab, pick_model, upload
from tests.model.images.test_video import clip
from tests.model.owl_fixtures import QALIGN
from tests.model.small_hub import small_hub
from tests.patience import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ALIGN = str(QALIGN / "checkpoint_safetensors")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The page with the tiny OneAlign in use, and a hub with a model that takes its time to come."""
    folder, repository = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("repository")
    (repository / "config.json").write_text("{}")
    (repository / "model.safetensors").write_bytes(b"weights" * 2**20)
    (repository / "model-2.safetensors").write_bytes(b"seconds" * 2**21)
    with small_hub({"owner/large": repository}, slow="model-2.safetensors", seconds=PATIENCE) as (endpoint, _):
        hub = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "0"}
        with serve(folder, "--model", ALIGN, **hub) as served:
            yield served


@pytest.fixture
def page(browser, published):
    with visit(browser, published.url) as opened:
        yield opened


def painted(path, frames, rate=5):
    """A clip of a photograph that grows darker."""
    with Image.open(LAKE) as lake:
        image = lake.resize((96, 64)).convert("RGB")
    return clip(path, frames, rate, size=(96, 64), paint=lambda n: image.point(lambda value: value * 3 // (3 + n % 3)))


def test_videos_and_images_are_scored_side_by_side_and_broken_ones_are_told(page, tmp_path):
    whole, (broken, empty) = painted(tmp_path / "clip.mp4", 18), (tmp_path / "broken.mp4", tmp_path / "empty.mkv")
    broken.write_bytes(whole.read_bytes()[:500])
    empty.write_bytes(b"")
    expect(page.locator("#score-files")).to_contain_text("Images or videos")
    expect(page.locator("#in-use")).to_contain_text(re.compile(r"Q-Align, \d\.\d MB of weights, scores 1 to 5\."))
    upload(page, "score-files", whole, broken, LAKE, empty)
    problems = page.locator(".problems li")
    expect(problems).to_have_count(2)
    expect(page.locator(".problems p")).to_have_text("These 2 videos cannot be scored.")
    expect(problems.nth(0)).to_contain_text("broken.mp4: damaged video: it cannot be opened")
    rows = page.locator("table.sortable tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator("#score-card figcaption")).to_have_text("clip.mp4")
    expect(page.locator("#score-card .looked-at")).to_have_text("Looked at: 3 frames, one a second.")
    expect(page.locator("#score-card .reading")).to_contain_text("Most people would call this video")
    expect(chart(page, "score-chart").locator(".legend")).to_contain_text("score")
    expect(page.locator("#disagree")).to_be_hidden()  # only images are kept
    expect(page.locator("#score-card .facts")).to_contain_text("video quality")
    rows.filter(has_text=LAKE.name).get_by_role("button").click()
    expect(page.locator("#score-card figcaption")).to_have_text(LAKE.name)
    expect(page.locator("#disagree")).to_be_visible()


def test_of_a_long_video_the_beginning_is_looked_at(page, tmp_path):
    upload(page, "score-files", painted(tmp_path / "long.mp4", 140, rate=2))
    expect(page.locator("#score-card .looked-at")).to_contain_text(re.compile(r"its first \d+ seconds, one frame each"))


def test_a_model_that_takes_no_videos_invites_to_one_that_does(page, tmp_path):
    pick_model(page, "nano")
    expect(page.locator("#in-use p").first).to_have_text("In use: nano")
    expect(page.locator("#score-files")).to_contain_text("Images to score")
    expect(page.locator("#score-task")).to_be_hidden()
    upload(page, "score-files", painted(tmp_path / "clip.mp4", 10), LAKE)
    invitation = "nano looks at images only. To score clip.mp4, pick one-align as the model: it takes videos too."
    expect(page.locator("#score-alert .notice")).to_have_text(invitation)
    expect(page.locator("#score-card figcaption")).to_have_text(LAKE.name)
    expect(page.locator(".problems")).to_have_count(0)
    pick_model(page, ALIGN)
    expect(page.locator("#score-stale")).to_contain_text("Scored by nano;")
    page.locator("#score-again").click()
    expect(page.locator("table.sortable tbody tr")).to_have_count(2)


def test_images_are_asked_for_their_aesthetics_where_the_model_knows_them(page):
    upload(page, "score-files", LAKE)
    expect(page.locator("#score-card .reading")).to_contain_text("Most people would call this image")
    quality = page.locator(CARD_SCORE).inner_text()
    page.get_by_role("radio", name="Aesthetics").check()
    expect(page.locator("#score-card .reading")).to_contain_text("For its looks")
    expect(page.locator(CARD_SCORE)).not_to_have_text(quality)
    expect(page.locator("#score-card .facts")).to_contain_text("Asked for")
    expect(chart(page, "score-chart")).to_contain_text("Aesthetics score, 1 (worst) to 5 (best)")
    expect(page.locator("#disagree")).to_be_hidden()


def test_a_download_shows_how_far_it_is_and_can_be_stopped(page):
    pick_model(page, "owner/large")
    expect(page.locator(".picker")).to_contain_text(re.compile(r"owner/large: Downloading: ([89]|1\d)\.\d of 22\.0 MB"))
    page.locator("#model-stop").click()
    told = page.locator(".toast-wrap")
    expect(told).to_contain_text("Downloading owner/large was stopped")
    expect(told).to_contain_text("What has arrived whole is kept for the next time.")
    expect(page.locator("#in-use p").first).to_have_text("In use: …/qalign_tiny/checkpoint_safetensors")
    expect(page.locator("#model input")).to_have_value(ALIGN)
    expect(page.locator("#model-stop")).to_be_hidden()


def test_what_is_typed_is_what_is_picked(page):
    for spec in ("nano-qalign", "nano"):
        pick_model(page, spec)
        expect(page.locator("#in-use p").first).to_have_text(f"In use: {spec}")
    picker = page.locator("#model input")
    picker.fill("qalign")
    picker.press("Enter")
    expect(page.locator(".toast-wrap")).to_contain_text("there is no model 'qalign'")
    expect(picker).to_have_value("nano")
    picker.click()
    picker.press("ArrowDown")
    picker.press("Enter")  # marked by hand, the entry of the list counts
    expect(page.locator("#in-use p").first).to_have_text("In use: nano-qalign")


def test_what_another_model_drew_says_so(page):
    pick_model(page, "nano-qalign")
    expect(page.locator("#in-use p").first).to_have_text("In use: nano-qalign")
    open_tab(page, "Compare")
    upload(page, "compare-file", LAKE)
    chart(page, "compare-chart")
    expect(page.locator("#compare-rows tbody tr").first).to_contain_text("Q-Align (nano-qalign)")
    expect(page.locator("#compare-stale")).to_be_hidden()
    pick_model(page, "nano")
    expect(page.locator("#compare-stale")).to_contain_text("Scored by nano-qalign; nano is in use now.")
    page.locator("#compare-again").click()
    expect(page.locator("#compare-rows tbody tr").first).to_contain_text("Q-Scorer (nano)")
    expect(page.locator("#compare-stale")).to_be_hidden()
