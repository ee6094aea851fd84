"""The page on ZeroGPU: the package `spaces` is real, the platform's service and the GPU are played (tests/zero_gpu/platform.py)."""

import itertools
import os
import shutil

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from model import load_scorer
from tests.browser.conftest import serve, visit
from tests.browser.steps import IMAGES, LAKE, chart, open_tab, upload
from tests.model.owl_fixtures import QSCORER
from tests.zero_gpu.platform import platform

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADAPTED = f"{QSCORER / 'base_mplug_owl2'}+mine"
MODELS = ["nano", "nano-qalign", ADAPTED]


@pytest.fixture(scope="module")
def lends():
    with platform() as lends:
        yield lends


@pytest.fixture(scope="module")
def space(lends, tmp_path_factory):
    """The page with two models and an adapter."""
    folder = tmp_path_factory.mktemp("space")
    shutil.copytree(QSCORER / "adapter", folder / "data" / "adapters" / "mine")
    shutil.copytree(QSCORER / "adapter", folder / "data" / "adapters" / "other")
    zero = {"SPACES_ZERO_GPU": "1", "SPACES_ZERO_DEVICE_API_URL": lends.url, "ZEROGPU_OFFLOAD_DIR": str(folder / "gpu")}
    listed = {"QSCORER_MODELS": ",".join(MODELS), "SPACE_ID": "owner/name"}
    with serve(folder, program="tests/zero_gpu/page.py", **zero, **listed) as served:
        yield served


@pytest.fixture(autouse=True)
def generous(lends):
    """Whatever the test before set."""
    lends.left, lends.ends_calls = None, False


@pytest.fixture
def client(space):
    client = Client(space.url, verbose=False)
    yield client
    client.close()


def test_a_visitor_scores_and_compares_with_two_models_and_an_adapter(browser, space, lends):
    assert len(lends.asked("/startup-report")) == 1
    refused = len(lends.asked("/schedule")) - len(lends.asked("/release"))  # or ended, in the tests before
    with visit(browser, space.url) as page:
        before = len(lends.asked("/schedule"))
        upload(page, "score-files", *sorted(IMAGES.glob("*.jpg")))
        expect(page.locator("table.sortable tbody tr")).to_have_count(len(list(IMAGES.glob("*.jpg"))))
        assert len(lends.asked("/schedule")) == before + 1, "an upload is one call"
        open_tab(page, "Compare")
        upload(page, "compare-file", LAKE)
        chart(page, "compare-chart")
        expect(page.locator("#compare-rows tbody tr")).to_have_count(2)
        page.locator("#model input").click()
        page.get_by_role("option", name=ADAPTED).click()
        expect(page.locator("#in-use")).to_contain_text("+mine")
        open_tab(page, "Score")
        page.locator("#score-again").click()
        expect(page.locator("#score-card .facts")).to_contain_text("+mine")
    assert len(lends.asked("/schedule")) - len(lends.asked("/release")) == refused


@pytest.mark.parametrize("spec", MODELS)
def test_each_model_scores_as_it_does_without_zero_gpu(client, space, spec):
    dtype = "bfloat16" if spec == ADAPTED else "auto"  # what a large model is loaded in on a GPU
    alone = load_scorer(spec, "cpu", dtype, space.data / "adapters")(LAKE)
    assert client.predict(handle_file(LAKE), spec, api_name="/score")["score"] == pytest.approx(alone.score, abs=1e-2)


@pytest.fixture
def others(tmp_path):
    """Gives any number of images that nobody has scored: what was scored is known, and needs no GPU."""
    numbers = itertools.count()

    def make(count):
        paths = [tmp_path / f"{next(numbers)}.png" for _ in range(count)]
        for path in paths:
            Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(path)
        return [handle_file(path) for path in paths]

    return make


def test_what_is_asked_for_grows_with_the_images_and_a_used_up_quota_is_a_sentence(client, lends, others):
    client.predict(others(1), "nano", api_name="/score_batch")
    client.predict(others(32), "nano", api_name="/score_batch")
    one, many = (int(call["durationSeconds"]) for call in lends.asked("/schedule")[-2:])
    assert one < many < 60
    lends.left = many - 1
    client.predict(*others(1), "nano", api_name="/score")
    with pytest.raises(AppError, match="There is no GPU for this now.*GPU limit"):
        client.predict(others(32), "nano", api_name="/score_batch")


def test_a_call_that_the_platform_ends_is_a_sentence_and_the_next_one_works(client, lends, others):
    (image,) = others(1)
    lends.ends_calls = True
    with pytest.raises(AppError, match="The GPU was taken back before the scores were there"):
        client.predict(image, "nano", api_name="/score")
    lends.ends_calls = False
    assert client.predict(image, "nano", api_name="/score")["model"] == "nano"


@pytest.mark.parametrize("spec", ["q-realign-mini", "owner/model", str(QSCORER / "merged"), "nano+other"])
def test_nothing_is_loaded_that_the_owner_did_not_list(client, lends, spec):
    before = len(lends.calls)
    with pytest.raises(AppError, match="is not offered on this page"):
        client.predict(handle_file(LAKE), spec, api_name="/score")
    assert len(lends.calls) == before
