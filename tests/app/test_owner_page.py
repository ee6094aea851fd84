"""The Studies tab of a page that others reach: everything for its owner, nothing for anybody else, whatever a program sends."""

import json
import time
import uuid
import zipfile

import httpx
import pytest

from annotations import open_annotations
from annotations.studies.archive import restore_archive
from annotations.studies.lifecycle import keep_study
from annotations.studies.report import make_report
from annotations.studies.study import Study, list_studies
from app.settings import EXAMPLES
from model.backbones import promotion
from model.finetuning.correcting import correct
from tests.app.served_page import served_page
from tests.browser.conftest import Server
from tests.browser.test_direct_calls import Caller
from tests.model.tiny import gallery
from tests.patience import PATIENCE

TOKEN = "the token of the owner"
QUESTION = "How good is this secret image?"
IMAGES = sorted(EXAMPLES.glob("*.jpg"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSCORER_OWNER_TOKEN", TOKEN)
        with served_page(folder, "--host", "0.0.0.0") as (address, settings):
            (folder / "secret.yaml").write_text(f"study: secret\nquestion: {QUESTION}\nimages: {EXAMPLES}\n")
            keep_study(settings.data_dir, folder / "secret.yaml")
            yield Server(f"{address}/", settings.data_dir)


class Visitor(Caller):
    def __init__(self, page: Server, letter: str) -> None:
        super().__init__(page, f"q-scorer-studio={letter * 32}", uuid.uuid4().hex)

    def upload(self, *paths) -> list[dict]:
        """Sends files as the page does; returns what its events then carry."""
        found = []
        for path in paths:
            with path.open("rb") as file:
                (where,) = httpx.post(
                    f"{self.url}gradio_api/upload", files={"files": (path.name, file)}, timeout=PATIENCE
                ).json()
            found.append({"path": where, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}})
        return found

    def _input(self, number: int, given: dict) -> object:
        """As a browser, it takes the value out of an update, and keeps its own where there is none."""
        value = super()._input(number, given)
        if isinstance(value, dict) and value.get("__type__") == "update":
            part = next(part for part in self.config["components"] if part["id"] == number)
            return value.get("value", part["props"].get("value"))
        return value

    def results(self, study: str) -> str:
        """What the dashboard shows of a study."""
        facts = next(number for number, element in self.components.items() if element == "owner-facts")
        chosen = next(number for number, element in self.components.items() if element == "owner-chosen")
        drawn = [
            one
            for one in self.config["dependencies"]
            if facts in one["outputs"] and [chosen, "change"] in one["targets"]
        ]
        return self.send(drawn[0], [self._input(number, {"owner_chosen": study}) for number in drawn[0]["inputs"]])

    def owners_events(self) -> list[dict]:
        """All events that begin at, or fill, anything of the tab."""
        owned = {number for number, element in self.components.items() if str(element).startswith("owner-")}
        events = [
            event
            for event in self.config["dependencies"]
            if event["backend_fn"] and {*event["outputs"], *(target[0] for target in event["targets"])} & owned
        ]
        assert len(events) > 35
        return events


@pytest.fixture(scope="module")
def owner(page):
    visitor = Visitor(page, "o")
    assert "refusal" in visitor.event("owner-enter", "click", owner_token="the token of somebody else")
    assert "refusal" not in visitor.event("owner-enter", "click", owner_token=TOKEN)
    return visitor


def test_nobody_else_reaches_anything_by_the_events_of_the_page_or_by_their_names(page, owner, tmp_path):
    table = tmp_path / "votes.csv"
    table.write_text(f"image,rater,rating\n{IMAGES[0].name},Ann,3\n")
    assert QUESTION in owner.event("owner-list", "click", told={"picked": "secret"})
    stranger, names = Visitor(page, "s"), list_studies(page.data)
    for event in stranger.owners_events():
        given = {
            "owner_chosen": "secret",
            "owner_kept": "secret",
            "owner_yaml": f"study: x\nquestion: y\nimages: {EXAMPLES}",
        }
        given |= {
            "owner_rater": "Ann",
            "owner_rater_reason": "why",
            "owner_rating": "1 Ann",
            "owner_rating_reason": "why",
        }
        given |= {"owner_import": stranger.upload(table)[0], "owner_specs": ["nano"], "owner_format": "zip"}
        given |= {"owner_token": "a guess", "owner_folder": str(EXAMPLES), "owner_files": stranger.upload(IMAGES[0])}
        data = [stranger._input(number, given) for number in event["inputs"]]
        said = stranger.send(event, data, {"picked": "secret"})
        named = httpx.post(
            f"{page.url}gradio_api/run/{event['api_name']}",
            json={"data": data},
            headers={"Cookie": stranger.cookie},
            timeout=PATIENCE,
        )
        for answer in (said, named.text):
            assert QUESTION not in answer and "secret" not in answer and IMAGES[0].name not in answer, event["api_name"]
    assert list_studies(page.data) == names and Study(page.data, "secret").state() == "draft"
    assert make_report(page.data, "secret").ratings == 0
    assert QUESTION not in json.dumps(stranger.config)


def test_a_study_is_made_of_uploads_a_zip_and_a_table_and_changed(page, owner, tmp_path):
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(IMAGES[2], "../night/a.jpg")
        archive.writestr("broken.txt", "no image")
    (tmp_path / "table.csv").write_text(f"image\n{IMAGES[3]}\n")
    (tmp_path / "bad.csv").write_text("image\nnowhere.jpg\n")
    (tmp_path / "text.jpg").write_text("no image")
    paths = [*IMAGES[:2], *(tmp_path / name for name in ("more.zip", "table.csv", "bad.csv", "text.jpg"))]
    owner.event("owner-new", "click")
    said = owner.event("owner-files", "upload", owner_files=owner.upload(*paths))
    assert "4 images are here" in said and "bad.csv, line 2" in said and "the file holds text" in said
    picked = owner.event("owner-grid", "click", told={"picked": f"images/{IMAGES[0].name}"})
    assert IMAGES[0].name in picked
    owner.event("owner-add-special", "click", owner_kind="gold", owner_low=4, owner_high=5)
    form = {"owner_study": "made", "owner_title": "Made here", "owner_ratings_per_image": 2}
    assert "title: Made here" in owner.event("owner-title", "input", **form)
    said = owner.event("owner-keep", "click", **form | {"owner_ratings_per_image": 0})
    assert "refusal" in said and "study.yaml, line" in said and "ratings_per_image must be" in said
    owner.event("owner-keep", "click", **form)
    made = Study(page.data, "made")
    assert [(one.kind, one.name, one.accept) for one in made.images()][:1] == [("gold", IMAGES[0].name, (4.0, 5.0))]
    assert {one.name for one in made.images()} == {one.name for one in IMAGES[:2]} | {"night/a.jpg", IMAGES[3].name}
    assert made.definition().ratings_per_image == 2 and made.definition().title == "Made here"

    owner.event("owner-open", "click", owner_chosen="made")
    assert made.state() == "open"
    said = owner.event("owner-change", "click", owner_chosen="made")
    assert "images/night/a.jpg" in said
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / IMAGES[4].name).write_bytes(IMAGES[4].read_bytes())
    owner.event("owner-folder", "submit", owner_folder=str(tmp_path / "more"))
    owner.event("owner-keep", "click", owner_study="made", owner_title="Made again")
    assert len(made.images()) == 5 and made.definition().title == "Made again"
    assert [one.kind for one in made.images()].count("gold") == 1


def test_edited_yaml_fills_the_form_or_says_its_line(page, owner):
    owner.event("owner-new", "click")
    said = owner.event("owner-yaml", "input", owner_yaml="study: by-hand\nquestion: Good?\nimages: [1, {a: b}]\n")
    assert "study.yaml, line 3: images must be text" in said
    text = f"# mine\nstudy: by-hand\nquestion: Good?\nimages: {EXAMPLES}\nlabels: [a, b, c, d, e]\n"
    assert "a\\nb\\nc" in owner.event("owner-yaml", "input", owner_yaml=text)
    owner.event("owner-keep", "click", owner_yaml=text)
    assert Study(page.data, "by-hand").definition().scale.labels == ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def rated(page, owner, tmp_path_factory):
    """A study that four raters have rated, one of them missing the gold image, and the owner looks at it."""
    folder = tmp_path_factory.mktemp("rated")
    gold = f"gold: [{{image: {IMAGES[0]}, accept: 5}}]"
    (folder / "rated.yaml").write_text(
        f"study: rated\nquestion: Good?\nimages: {EXAMPLES}\n{gold}\nratings_per_image: 4\nrepeats: 0\n"
    )
    keep_study(page.data, folder / "rated.yaml")
    study = Study(page.data, "rated")
    study.set_state("open")
    for number, rater in enumerate(("Ann", "Bob", "Cleo", "<b>Eve")):
        while showing := study.show_next(rater, browser=rater):
            value = (
                (1 + (len(showing.sha256) + int(showing.sha256[:2], 16) + number) % 4) if showing.kind == "test" else 5
            )
            study.rate(showing.key, 1 if rater == "<b>Eve" and showing.kind == "gold" else value, browser=rater)
    study.set_state("closed")
    wait_for(lambda: "Krippendorff" in owner.results("rated"))
    return study


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_dashboard_shows_what_became_of_the_ratings_and_the_owner_decides(page, owner, rated):
    tests = len(IMAGES) - 1
    said = owner.results("rated")
    assert f"{4 * tests}, used {3 * tests}" in said and "missed a gold image" in said and "<b>Eve" not in said
    assert f"{tests} images" in said  # short, since Eve's ratings are not used
    found = owner.event("owner-find-raters", "submit", owner_chosen="rated", owner_find_raters="ann")
    assert "1 of 4 raters" in found
    assert "4 of 4 raters" in owner.event("owner-find-raters", "submit", owner_chosen="rated", owner_find_raters="")
    assert "1 of 4 raters" in owner.event(
        "owner-which-raters", "input", owner_chosen="rated", owner_which_raters="not accepted"
    )
    decision = {"owner_chosen": "rated", "owner_rater": "<b>Eve", "owner_which_raters": "all"}
    owner.event("owner-rater-use", "click", **decision, owner_rater_reason=" ")
    assert make_report(page.data, "rated").accepted == 3
    owner.event("owner-rater-use", "click", **decision, owner_rater_reason="the gold image was wrong")
    assert make_report(page.data, "rated").accepted == 4
    owner.event("owner-rater-leave", "click", **decision, owner_rater_reason="she asked for it")
    owner.event("owner-reopen", "click", owner_chosen="rated")
    assert rated.state() == "open" and rated.show_next("Dan", browser="dan")
    rated.set_state("closed")


def test_files_are_made_and_the_zip_is_restored(page, owner, rated, tmp_path):
    for kind in ("ratings", "raters", "qscorer-json", "datasets", "zip"):
        said = owner.event("owner-make", "click", owner_chosen="rated", owner_format=kind)
        (address,) = {value["value"]["url"] for value in json.loads(said)}
        answer = httpx.get(address, headers={"Cookie": owner.cookie}, timeout=PATIENCE)
        (tmp_path / kind).write_bytes(answer.raise_for_status().content)
    assert (tmp_path / "ratings").read_text().count("\n") == 1 + 4 * len(IMAGES)
    assert "Eve" in (tmp_path / "raters").read_text()
    assert len(json.loads((tmp_path / "qscorer-json").read_text())) == len(IMAGES) - 1
    with zipfile.ZipFile(tmp_path / "datasets") as archive:
        assert len(archive.namelist()) == len(IMAGES) and "metadata.csv" in archive.namelist()
    open_annotations(tmp_path / "data")
    assert restore_archive(tmp_path / "data", tmp_path / "zip") == "rated"
    before, after = (make_report(place, "rated") for place in (page.data, tmp_path / "data"))
    assert before == after and before.used


@pytest.mark.slow
def test_models_are_compared_with_people(page, owner, rated):
    wait_for(lambda: "PLCC" in owner.event("owner-compare", "click", owner_chosen="rated", owner_specs=["nano"]))
    said = json.dumps(list(owner.outputs.values()), ensure_ascii=False)
    assert "where nano and people disagree most" in said.lower() and IMAGES[1].name in said


def test_only_owners_choose_the_scorer_of_everyone(page, owner):
    adapters = page.data / "adapters"
    correct(gallery(page.data.parent / "gallery", 8), "nano", adapters / "mine", "recalibrate", device="cpu")
    promotion.promote(adapters, "nano+mine", "Ada", "to try it")
    stranger = Visitor(page, "s")
    for button in ("adapt-promote", "adapt-back"):
        stranger.event(button, "click", adapt_reason="because")
    assert [change.who for change in promotion.history(adapters)] == ["Ada"]
    owner.event("adapt-back", "click", adapt_reason="")
    assert promotion.in_use(adapters) == "" and promotion.history(adapters)[-1].action == "rollback"
