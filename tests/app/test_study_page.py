"""The rater's page of a study, by direct calls: what its endpoints give, and what they refuse to whoever asks for more."""

import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageCms

from annotations import image_sha256, open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.report import make_report
from annotations.studies.study import Study
from app.settings import EXAMPLES
from app.study_images import SentImages, without_metadata
from app.study_page import language, words
from model.images.decoding import open_image
from tests.app.served_page import served_page
from tests.app.sign_in import as_a_space, provider, sign_in
from tests.patience import PATIENCE

VIEW = {"screen": [1920, 1080], "window": [1280, 900], "shown": [64, 48], "ratio": 1.5}


def make_study(data: Path, folder: Path, name: str, more: str = "", images: int = 8) -> Study:
    """An open study of small photographs, the first of them for training."""
    folder.mkdir(exist_ok=True)
    with Image.open(EXAMPLES / "lake_pristine.jpg") as lake:
        for number in range(images):
            lake.resize((64 + number, 48)).save(folder / f"{number}.jpg")
    text = f"study: {name}\nquestion: How good is it?\nimages: .\ntraining: [{{image: 0.jpg, explanation: Sharp.}}]\n{more}"
    (folder / f"{name}.yaml").write_text(text)
    open_annotations(data)
    keep_study(data, folder / f"{name}.yaml")
    study = Study(data, name)
    study.set_state("open")
    return study


class Rater:
    """A browser with a cookie of its own on the page of one study."""

    def __init__(self, address: str, study: str, name: str, session: str = "") -> None:
        token = name.lower().ljust(32, "x")
        self.name, self.browser = name, image_sha256(token.encode())
        cookies = f"q-scorer-studio={token}" + (f"; {session}" if session else "")
        headers = {"Cookie": cookies, "Connection": "close"}
        self.http = httpx.Client(base_url=f"{address}/study/{study}/", headers=headers, timeout=PATIENCE)

    def post(self, what: str, **body) -> httpx.Response:
        return self.http.post(what, json=body)

    def enter(self, **more) -> dict:
        answer = self.post("enter", rater=self.name, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rate(self, key: str, value: object = 3, **more) -> httpx.Response:
        return self.post("rate", **({"key": key, "value": value, "seconds": 2.5, "view": VIEW} | more))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    study = make_study(folder / "data", folder / "files", "photos", "session_length: 4\n")
    make_study(folder / "data", folder / "files", "other")
    with served_page(folder) as (address, _):
        yield address, study


def ratings(study: Study) -> int:
    return open_annotations(study.data_dir).counts().ratings


def test_a_rater_gets_images_one_after_the_other_and_each_rating_with_its_time_and_screen(page):
    address, study = page
    ann = Rater(address, "photos", "Ann")
    state, seen = ann.enter(), []
    while now := state["current"]:
        assert set(now) == {"key", "session", "place", "length"}
        image = ann.http.get(f"image/{now['key']}")
        assert (image.status_code, image.headers["content-type"]) == (200, "image/jpeg")
        seen.append(image.content)
        answer = ann.rate(now["key"])
        assert answer.status_code == 200 and answer.json()["saved"]["value"] == 3
        assert answer.json()["explanation"] == ("Sharp." if len(seen) == 1 else None)
        assert state["ahead"] in (None, answer.json()["current"])
        state = answer.json()
    assert len(set(seen)) == 8
    seconds = {one.rater: one.seconds for one in make_report(study.data_dir, "photos").by_rater}
    assert seconds["Ann"] == 2.5


def test_a_rating_that_is_sent_again_is_one_rating_with_the_first_value(page):
    address, study = page
    bob = Rater(address, "photos", "Bob")
    key, before = bob.enter()["current"]["key"], ratings(study)
    first, *again = [bob.rate(key, value).json() for value in (2, 2, 5)]
    assert all(answer["saved"] == first["saved"] for answer in again) and ratings(study) == before + 1
    assert all(answer["current"] == first["current"] for answer in again)


def test_nobody_rates_sees_or_undoes_what_was_shown_to_another(page):
    address, study = page
    cid, eve = Rater(address, "photos", "Cid"), Rater(address, "photos", "Eve")
    key, own = cid.enter()["current"]["key"], eve.enter()["current"]["key"]
    before = ratings(study)
    elsewhere = Rater(address, "other", "Cid")
    for key_, thief in ((key, eve), ("0" * 32, eve), (key, elsewhere)):
        refused = [thief.rate(key_), thief.http.get(f"image/{key_}")]
        refused += [thief.post(what, key=key_) for what in ("undo", "reveal")]
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (403, "not_presented")
    taken = eve.post("enter", rater="Cid", link=own)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert eve.post("enter", rater="@cid").status_code == 403
    nobody = httpx.post(f"{address}/study/photos/enter", json={"rater": "Fay"}, timeout=PATIENCE)
    assert nobody.status_code == 403 and "cookies" in nobody.json()["sentence"]
    assert ratings(study) == before


@pytest.mark.parametrize(
    "wrong",
    [{"value": value} for value in (0, 6, 2.5, "3", True, None, [3])]
    + [
        {"seconds": -1},
        {"seconds": None},
        {"view": {}},
        {"view": VIEW | {"screen": [1]}},
        {"rater": "Cid"},
        {"key": "x" * 65},
    ],
)
def test_what_is_no_rating_on_the_scale_is_refused(page, wrong):
    address, study = page
    dan = Rater(address, "photos", "Dan")
    key, before = dan.enter()["current"]["key"], ratings(study)
    assert dan.rate(**({"key": key} | wrong)).status_code in (400, 422)
    assert dan.http.post("rate", content=b'{"key": NaN').status_code in (400, 422)
    assert ratings(study) == before


def test_another_device_goes_on_by_the_link_and_a_study_that_is_paused_keeps_what_was_rated(page):
    address, study = page
    gus = Rater(address, "photos", "Gus")
    key = gus.enter()["current"]["key"]
    phone = Rater(address, "photos", "phone")
    phone.name = "gus"
    assert phone.post("enter", rater="Gus").status_code == 409
    state = phone.enter(link=key)
    assert state["rater"] == "gus"
    assert phone.http.get(f"image/{state['current']['key']}").content == gus.http.get(f"image/{key}").content
    study.set_state("paused")
    refused = phone.rate(state["current"]["key"])
    assert (refused.status_code, refused.json()["code"]) == (409, "not_open")
    assert '"state": "paused"' in phone.http.get("").text and "How good is it?" not in phone.http.get("").text
    study.set_state("open")
    assert phone.rate(state["current"]["key"]).status_code == 200
    assert phone.post("undo", key=phone.enter()["current"]["key"]).json()["current"] is None  # training is not undone


def test_an_image_that_cannot_be_shown_is_left_out_and_the_owner_is_told(tmp_path):
    study = make_study(tmp_path / "data", tmp_path / "files", "photos", "repeats: 0\n", images=3)
    with served_page(tmp_path) as (address, _):
        ann = Rater(address, "photos", "Ann")
        state = ann.rate(ann.enter()["current"]["key"]).json()
        sha256 = study.presented(state["current"]["key"], browser=ann.browser).sha256
        study.image_path(sha256).unlink()
        lost = ann.http.get(f"image/{state['current']['key']}")
        assert (lost.status_code, lost.json()["code"]) == (410, "image")
        assert ann.enter()["current"]["key"] != state["current"]["key"]
        assert [problem.sha256 for problem in open_annotations(study.data_dir).problems()] == [sha256]


@pytest.mark.slow
def test_the_score_is_revealed_after_the_rating_where_the_study_says_so_and_only_then(tmp_path):
    blind = "repeats: 0\nreveal: true\n"
    study = make_study(tmp_path / "data", tmp_path / "files", "shown", blind, images=3)
    make_study(tmp_path / "data", tmp_path / "files", "hidden", "repeats: 0\n", images=3)
    with served_page(tmp_path) as (address, _):
        ann, bob = Rater(address, "shown", "Ann"), Rater(address, "hidden", "Bob")
        key, hidden = ann.enter()["current"]["key"], bob.enter()["current"]["key"]
        assert ann.post("reveal", key=key).status_code == 403
        assert "score" not in ann.rate(key).text and bob.rate(hidden).status_code == 200
        shown = ann.post("reveal", key=key).json()
        assert shown["scale"] == [1.0, 5.0] and 1 <= shown["score"] <= 5
        assert bob.post("reveal", key=hidden).status_code == 403
        again = ann.post("undo", key=ann.rate(ann.enter()["current"]["key"]).json()["current"]["key"]).json()["current"]
        assert ann.post("reveal", key=again["key"]).status_code == 403
        assert study.rate(again["key"], 1, browser=ann.browser).seen == "nothing"


def test_signed_in_raters_are_who_they_are(tmp_path, monkeypatch):
    study = make_study(tmp_path / "data", tmp_path / "files", "photos")
    with provider() as where:
        as_a_space(monkeypatch, where)
        with served_page(tmp_path) as (address, _):
            ada = Rater(address, "photos", "Ada", sign_in(address, "ada"))
            key = ada.enter()["current"]["key"]
            assert study.presented(key, browser=ada.browser).rater == "@ada"
            assert '"signed_in": "@ada"' in ada.http.get("").text
            other = Rater(address, "photos", "Ada", sign_in(address, "eve"))  # the same browser, somebody else
            assert other.rate(key).status_code == other.http.get(f"image/{key}").status_code == 403
            nobody = Rater(address, "photos", "Ada")
            assert nobody.rate(key).status_code == nobody.post("enter", rater="@ada").status_code == 403
            assert "_target_url=/study/photos/" in nobody.http.get("").text
            assert ratings(study) == 0 and ada.rate(key).status_code == 200


@pytest.mark.parametrize("kind", ["plain", "turned", "profile", "grey", "cmyk", "png"])
def test_what_is_sent_has_the_pixels_that_the_model_sees_and_no_metadata(kind):
    with Image.open(EXAMPLES / "lake_pristine.jpg") as lake:
        image, exif = lake.resize((80, 60)).convert({"grey": "L", "cmyk": "CMYK"}.get(kind, "RGB")), Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6 if kind == "turned" else 1
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if kind == "profile" else b""
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if kind == "png" else "JPEG", exif=exif, icc_profile=profile or None)
    sent = without_metadata(buffer.getvalue())
    assert b"camera" in buffer.getvalue() and b"camera" not in sent.content
    assert sent.media_type == ("image/jpeg" if kind in ("plain", "grey") else "image/png")
    assert open_image(sent.content).tobytes() == open_image(buffer.getvalue()).tobytes()


def test_images_are_kept_in_memory_up_to_a_limit(tmp_path):
    images = SentImages(most_bytes=1)
    path = EXAMPLES / "lake_pristine.jpg"
    assert images.get("a", path) == images.get("a", path) == without_metadata(path.read_bytes())


def test_every_language_has_every_word_with_the_same_values():
    values = {
        lang: {key: sorted(re.findall(r"{\w+}", text)) for key, text in table.items()}
        for lang, table in words().items()
    }
    assert set(values) >= {"en", "de", "zh"} and all(table == values["en"] for table in values.values())


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("zh-TW", "zh"),
        ("fr-FR, en-GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("DE", "de"),
    ],
)
def test_the_language_is_the_first_that_there_are_words_for(accepted, lang):
    assert language(accepted) == lang
