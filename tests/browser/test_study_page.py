"""A rater of a study, in a real browser: keys, what is kept when, and what is sent before a rating."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from annotations import open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.study import Study
from tests.browser.conftest import visit
from tests.browser.steps import LAKE

pytestmark = pytest.mark.browser
READY = "#session:not([aria-busy])"


@pytest.fixture
def make_study(server, tmp_path: Path):
    """An open study on the server, of images of these widths."""

    def make(name: str, more: str, widths: list[int]) -> Study:
        with Image.open(LAKE) as lake:
            for width in widths:
                lake.resize((width, 120)).save(tmp_path / f"{width}.jpg", quality=95)
        text = f"study: {name}\nquestion: How good is it?\nimages: .\n{more}"
        (tmp_path / "study.yaml").write_text(text)
        open_annotations(server.data)
        keep_study(server.data, tmp_path / "study.yaml")
        study = Study(server.data, name)
        study.set_state("open")
        return study

    return make


def address(server, study: Study) -> str:
    return f"{server.url}study/{study.name}/"


def begin(page: Page, name: str) -> None:
    page.locator("#name").fill(name)
    page.locator("#go").click()
    expect(page.locator(READY)).to_be_visible()


def answer(page: Page, *keys: str) -> None:
    """Press keys once the page takes them."""
    expect(page.locator(READY)).to_be_visible()
    for key in keys:
        page.keyboard.press(key)


def values(study: Study) -> list[float]:
    """All ratings of a study in the order in which they were kept."""
    with closing(sqlite3.connect(study.data_dir / "annotations.db")) as db:
        sql = (
            "SELECT value FROM ratings JOIN presentations ON presentations.id = presentation JOIN studies ON studies.id = study "
            "WHERE studies.name = ? ORDER BY ratings.id"
        )
        return [row[0] for row in db.execute(sql, [study.name])]


def test_a_session_by_keys_with_practice_undo_break_and_reload(server, browser, make_study):
    training = "training: [{image: 201.jpg, explanation: Sharp indeed.}]\nsession_length: 2\nrepeats: 0\n"
    study = make_study("session", training, [201, 202, 203, 204])
    with visit(browser, address(server, study), locale="de-AT") as page:
        expect(page.locator("html")).to_have_attribute("lang", "de")
        begin(page, "Ann")
        expect(page.locator("#progress-words")).to_have_text("Übung")
        answer(page, "Enter")
        expect(page.locator("#answer-said")).to_have_text("Wählen Sie zuerst eine Antwort.")
        answer(page, "5", "Enter")
        expect(page.locator("#feedback-words")).to_have_text("Ihre Antwort: Excellent. Sharp indeed.")
        answer(page, "Enter")
        expect(page.locator("#progress-words")).to_have_text("Bild 1 von 2")
        answer(page, "ArrowRight", "ArrowRight")
        expect(page.get_by_label("Poor")).to_be_checked()
        answer(page, "Enter")
        expect(page.locator("#progress-words")).to_have_text("Bild 2 von 2")
        expect(page.locator("#saved")).to_contain_text("gespeichert ")
        expect(page.get_by_role("status")).to_contain_text("Bild 2 von 2")  # what a screen reader says
        expect(page.get_by_role("group", name="How good is it?").get_by_role("radio")).to_have_count(5)
        answer(page, "u")
        expect(page.locator("#progress-words")).to_have_text("Bild 1 von 2")
        expect(page.locator("#choices :checked")).to_have_count(0)
        page.locator("#at-once").check()
        answer(page, "4")
        expect(page.locator("#progress-words")).to_have_text("Bild 2 von 2")
        page.reload()
        expect(page.locator("#name")).to_have_value("Ann")
        page.locator("#go").click()
        expect(page.locator("#progress-words")).to_have_text("Bild 2 von 2")
        expect(page.locator(READY)).to_be_visible()
        page.locator("#choices label", has_text="Bad").dblclick()
        expect(page.locator("#rest-title")).to_have_text("Zeit für eine Pause")
        expect(page.locator("#rest-words")).to_contain_text("2 Bilder hintereinander")
        link = page.locator("#link").get_attribute("href")
        page.locator("#continue").click()
        expect(page.locator("#progress-words")).to_have_text("Bild 1 von 1")
        with visit(browser, link) as other:
            begin(other, "ann")
            answer(other, "3", "Enter")
            expect(other.locator("#rest-title")).to_have_text("Thank you")
    assert values(study) == [5, 2, 4, 1, 3]


def test_a_lost_connection_is_told_and_nothing_is_lost_or_kept_twice(server, browser, make_study):
    study = make_study("lost", "repeats: 0\n", [211, 212, 213])
    with visit(browser, address(server, study)) as page:
        begin(page, "Bob")
        page.context.set_offline(True)
        answer(page, "2", "Enter")
        expect(page.locator("#connection")).to_contain_text("is sent again until it arrives")
        assert values(study) == []
        page.context.set_offline(False)
        expect(page.locator("#saved")).to_contain_text("saved ")
        expect(page.locator("#connection")).to_be_hidden()
        lost = []

        def lose_first_answer(route) -> None:
            if lost:
                route.continue_()
            else:
                lost.append(route.fetch().json())  # the server has kept it, and the page does not hear of it
                route.abort()

        page.route("**/rate", lose_first_answer)
        answer(page, "4", "Enter")
        expect(page.locator("#progress-words")).to_have_text("Image 3 of 3")
        assert lost[0]["saved"]["value"] == 4 and values(study) == [2, 4]
        page.unroute("**/rate")
        page.context.set_offline(True)
        answer(page, "5", "Enter")
        expect(page.locator("#connection")).to_be_visible()
        page.context.set_offline(False)
        page.reload()  # may come before it is sent again: then it is sent now
        page.locator("#go").click()
        expect(page.locator("#rest-title")).to_have_text("Thank you")
    assert values(study) == [2, 4, 5]


def test_the_score_is_in_nothing_that_is_sent_before_the_rating(server, browser, make_study):
    study = make_study("blind", "repeats: 0\nreveal: true\n", [221, 222])
    sent: list[tuple[str, bytes]] = []

    def read(request) -> None:
        if request.url.startswith(server.url):  # not what the page shows of it, under blob: URLs
            sent.append((request.url, request.response().body()))

    with visit(browser, "about:blank") as page:
        page.context.on("requestfinished", read)
        page.goto(address(server, study))
        begin(page, "Cid")
        page.reload()
        begin(page, "Cid")
        with page.context.expect_page() as opened:
            page.evaluate("url => window.open(url)", address(server, study))
        begin(opened.value, "Cid")
        opened.value.wait_for_load_state("networkidle")
        opened.value.close()
        answer(page, "3", "Enter")
        expect(page.locator("#score")).to_contain_text("The model’s score: ")
        expect(page.locator(READY)).to_be_visible()
    number = next(n for n, (url, _) in enumerate(sent) if url.endswith("/reveal"))
    score = json.loads(sent[number][1])["score"]
    assert len(str(score)) > 6  # digits that no page has by chance
    rated = next(n for n, (url, _) in enumerate(sent) if url.endswith("/rate"))
    before = [(url, body) for n, (url, body) in enumerate(sent) if n <= rated]
    assert len(before) >= 9 and {url.split("/")[5] for url, _ in before if "/study/" in url} == {
        "",
        "enter",
        "image",
        "rate",
    }
    for url, body in before:
        assert f"{score:.2f}".encode() not in body or "/image/" in url, url
        assert str(score).encode() not in body, url
        if url.endswith(("/enter", "/rate")):
            told = json.loads(body)
            assert set(told) <= {"rater", "current", "ahead", "saved", "explanation"}
            for one in (told["current"], told["ahead"]):
                assert one is None or set(one) == {"key", "session", "place", "length"}


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_whole_pixels_on_the_same_grey_and_a_line_without_a_mark(server, browser, make_study, dark):
    name = f"phone-{dark}".lower()
    study = make_study(name, "repeats: 0\nscale: continuous\n", [231, 1999])
    phone = {"viewport": {"width": 390, "height": 700}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
    scheme = "dark" if dark else "light"
    with visit(browser, address(server, study), locale="zh-CN", color_scheme=scheme, **phone) as page:
        expect(page.locator("#go")).to_have_text("开始")
        begin(page, "Dan")
        said = []
        for _ in range(2):
            expect(page.locator("#line")).to_have_attribute("aria-valuetext", "未选择")
            natural, shown, grey, width = page.evaluate(
                "() => { const i = document.querySelector('#image'); return [i.naturalWidth, i.getBoundingClientRect().width,"
                " getComputedStyle(document.querySelector('#stage')).backgroundColor, document.documentElement.scrollWidth] }"
            )
            assert grey == "rgb(119, 119, 119)" and width == 390
            assert round(3 * shown, 1) == (natural if natural == 231 else 1170)
            said.append(page.locator("#size").inner_text())
            answer(page, "7", "3")
            expect(page.locator("#line-value")).to_have_text("73")
            answer(page, "ArrowLeft", "Enter")
            expect(page.locator("#saved")).to_contain_text("已保存")
            expect(page.locator(f"{READY}, #rest:not([hidden])").first).to_be_visible()
            page.wait_for_function("n => document.querySelector('#rest').hidden === (n < 2)", arg=len(said))
        assert sorted(said) == ["1999 × 120 像素，已缩小到 59 % 以适应屏幕", "231 × 120 像素，按原始像素显示"]
    assert values(study) == [72, 72]
