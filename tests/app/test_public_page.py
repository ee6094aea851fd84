"""A visitor of a public page who tries what is not theirs: other models, others' images, rating as another. Each time they are refused.

The page is that of a Space with sign-in; the visitor sends what a browser can send, and more."""

import base64
import json
import uuid

import httpx
import pytest
from itsdangerous import TimestampSigner

from annotations import image_sha256, open_annotations
from app.limits import IMAGES
from app.settings import EXAMPLES
from tests.app.served_page import served_page
from tests.app.sign_in import as_a_space, provider, sign_in
from tests.browser.conftest import Server
from tests.browser.test_direct_calls import Caller
from tests.patience import PATIENCE

LAKE, OTHER = sorted(EXAMPLES.glob("*.jpg"))[:2]
BROWSERS = {name: f"q-scorer-studio={name[0] * 32}" for name in ("ada", "eve", "bob")}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, provider() as address:
        as_a_space(patch, address)
        with served_page(tmp_path_factory.mktemp("page")) as (address, settings):
            yield Server(f"{address}/", settings.data_dir)


@pytest.fixture(scope="module")
def ada(page):
    return Visitor(page, "ada", sign_in(page.url.rstrip("/"), "ada"))


@pytest.fixture(scope="module")
def eve(page):
    return Visitor(page, "eve", sign_in(page.url.rstrip("/"), "eve"))


@pytest.fixture
def stranger(page):
    return Visitor(page, "bob", "")


class Visitor(Caller):
    """A browser, with or without a session."""

    def __init__(self, page: Server, name: str, session: str) -> None:
        super().__init__(page, "; ".join(filter(None, [BROWSERS[name], session])), uuid.uuid4().hex)

    def add(self, path, shared: bool) -> None:
        with path.open("rb") as file:
            (where,) = httpx.post(f"{self.url}gradio_api/upload", files={"files": file}, timeout=PATIENCE).json()
        upload = [{"path": where, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}]
        assert "cannot be" not in self.event("rate-files", "upload", rate_files=upload, rate_shared=shared)

    def rate(self, name: str = "") -> str:
        """Rate the next image."""
        said = self.event("rate-start", "click", rate_name=name)
        return (
            said
            if "refusal" in said
            else said + self.event("rate-submit", "click", key=self.key(), rate_word=4, rate_value=4)
        )

    def tuning(self) -> str:
        """What the Adapt tab says on how to fine-tune."""
        command = next(number for number, element in self.components.items() if element == "adapt-command")
        event = next(d for d in self.config["dependencies"] if command in d["outputs"])
        return self.send(event, [None])

    def call(self, endpoint: str, *data) -> str:
        answer = httpx.post(
            f"{self.url}gradio_api/run/{endpoint}",
            json={"data": list(data)},
            headers={"Cookie": self.cookie},
            timeout=PATIENCE,
        )
        return answer.json().get("error") or json.dumps(answer.json())


def data_url(path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def test_who_has_not_signed_in_rates_nothing(page, stranger):
    before = open_annotations(page.data).counts()
    stranger.event("rate-examples", "click")
    assert "Sign in with Hugging Face" in stranger.rate("Ada") and "Sign in with Hugging Face" in stranger.rate("@ada")
    assert open_annotations(page.data).counts() == before


def forged(secret: str) -> str:
    """A session that says it is ada's, signed by somebody else."""
    claims = {"oauth_info": {"userinfo": {"preferred_username": "ada"}, "expires_at": 9e9}}
    content = base64.b64encode(json.dumps(claims).encode())
    return f"session={TimestampSigner(secret).sign(content).decode()}"


@pytest.mark.parametrize("session", [forged(""), forged("a secret"), "session=e30=", "session=x.y.z"])
def test_a_session_that_the_server_did_not_sign_is_none(page, session):
    visitor = Visitor(page, "ada", session)
    assert "Sign in with Hugging Face" in visitor.rate("ada")


def test_a_signed_in_visitor_rates_under_that_name_whatever_is_typed(page, ada):
    store = open_annotations(page.data)
    eves = store.ratings_of("@eve")  # of other tests
    ada.add(LAKE, shared=False)
    assert "Kept as a rating given blind" in ada.rate("eve")
    assert image_sha256(LAKE.read_bytes()) in {rating.sha256 for rating in store.ratings_of("@ada")}
    assert store.ratings_of("eve") == [] and store.ratings_of("@eve") == eves


def test_nobody_rates_what_was_shown_to_another(page, ada, eve):
    ada.add(OTHER, shared=False)
    ada.event("rate-start", "click", rate_name="")
    before = open_annotations(page.data).counts().ratings
    thief = Visitor(page, "ada", eve.cookie.partition("; ")[2])  # ada's browser and key, eve's session
    for visitor, said in (
        (thief, "was shown to @ada"),
        (eve, "not presented in this browser"),
        (Visitor(page, "ada", ""), "Sign in"),
    ):
        assert said in visitor.event("rate-submit", "click", key=ada.key(), rate_word=4, rate_value=4)
        assert said in visitor.event("rate-next", "click", key=ada.key())
    assert open_annotations(page.data).counts().ratings == before
    assert "Kept as" in ada.event("rate-submit", "click", key=ada.key(), rate_word=4, rate_value=4)


def test_an_image_is_shown_to_others_only_where_its_owner_allowed_it_and_until_it_is_taken_back(
    page, ada, eve, tmp_path
):
    private, shared = tmp_path / "private.jpg", tmp_path / "shared.jpg"
    for number, path in enumerate((private, shared)):
        path.write_bytes(sorted(EXAMPLES.glob("*.jpg"))[2 + number].read_bytes())
        ada.add(path, shared=path is shared)
        assert "Kept as" in ada.rate()
    store = open_annotations(page.data)
    kept = {
        name: store.image_path(image_sha256(path.read_bytes()))
        for name, path in (("private", private), ("shared", shared))
    }
    assert "to-rate" in eve.event("rate-start", "click", rate_name="")
    assert store.presentation(eve.key(), browser=browser_hash("eve")).sha256 == kept["shared"].stem
    assert "Kept as" in eve.event("rate-submit", "click", key=eve.key(), rate_word=2, rate_value=2)
    assert "You have rated every image" in eve.event("rate-start", "click", rate_name="")
    for path in (*kept.values(), page.data / "annotations.db"):
        assert httpx.get(f"{page.url}gradio_api/file={path}", headers={"Cookie": eve.cookie}).status_code in (403, 404)

    ratings = store.counts().ratings
    for visitor in (eve, Visitor(page, "bob", "")):
        said = visitor.event("rate-added-list", "click", told={"picked": kept["shared"].stem})
        assert kept["shared"].is_file() and kept["shared"].stem not in said
    assert "Take private.jpg back" not in eve.event("rate-added", "expand")
    assert kept["private"].stem in ada.event("rate-added", "expand")
    ada.event("rate-added-list", "click", told={"picked": kept["shared"].stem})
    assert not kept["shared"].exists() and kept["private"].is_file()
    assert store.counts().ratings == ratings and store.image_path(kept["shared"].stem) is None
    assert kept["shared"].stem not in [summary.sha256 for summary in store.summaries()]


def browser_hash(name: str) -> str:
    from app.browser import browser_of

    class Request:
        headers = {"cookie": BROWSERS[name]}
        session_hash = None

    return browser_of(Request())


def test_no_model_is_loaded_that_the_owner_did_not_list(eve):
    image = data_url(LAKE)
    for spec in ("owner/model", "/etc", "nano+/etc", "qscorer"):
        assert "is not offered on this page" in eve.call("score", image, spec)
        assert "is not offered on this page" in eve.call("score_batch", [image], spec)
        assert "is not offered on this page" in eve.call("compare", image, ["nano", spec])


def test_how_to_fine_tune_is_shown_to_owners_alone(page, eve):
    owner = Visitor(page, "bob", sign_in(page.url.rstrip("/"), "somebody"))
    for visitor, said in ((owner, "python -m model.finetune"), (eve, "Whoever owns this page")):
        assert said in visitor.tuning()
    assert "model.finetune" not in json.dumps(eve.config)


def test_a_visitor_has_a_bounded_number_of_images_scored_in_a_minute(page, stranger):
    many = ["data:image/jpeg;base64,AAAA"] * (IMAGES + 1)
    assert f"A visitor may have {IMAGES} images scored within a minute" in stranger.call("score_batch", many)
    assert "score" in stranger.call("score", data_url(LAKE))


def test_only_members_of_an_organisation_rate_where_that_is_the_rule(tmp_path, monkeypatch):
    monkeypatch.setenv("QSCORER_RATERS", "org:Lab")
    with provider() as address:
        as_a_space(monkeypatch, address)
        with served_page(tmp_path) as (address, settings):
            page = Server(f"{address}/", settings.data_dir)
            member = sign_in(address, "ada", orgs=[{"name": "x", "preferred_username": "lab"}])
            liar = sign_in(address, "eve", orgs=[{"name": "lab", "preferred_username": "eves-own"}])
            for name, session, said in (("ada", member, "Kept as"), ("eve", liar, "Only members of Lab rate here")):
                visitor = Visitor(page, name, session)
                visitor.add(LAKE, shared=False)
                assert said in visitor.rate()
