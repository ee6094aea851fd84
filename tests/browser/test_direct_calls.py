"""Events as a program sends them: in any order, and with identities that are not its own."""

import json
import urllib.request

import pytest

from annotations import open_annotations
from tests.browser.conftest import Server
from tests.patience import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TOKENS = {name: f"q-scorer-studio={name * 32}" for name in "ab"}


class Caller:
    """Sends the page's events without a browser. `outputs` are the values that came last, by component."""

    def __init__(self, server: Server, cookie: str, session: str) -> None:
        self.url, self.cookie, self.session = server.url, cookie, session
        self.config = json.loads(self._open("config").read())
        self.components = {part["id"]: part["props"].get("elem_id") for part in self.config["components"]}
        self.outputs: dict[int, object] = {}

    def event(self, element: str, event: str, told: dict | None = None, **given) -> str:
        """Sends an event of the element with this id; inputs are those of the last outputs but for what is `given` by element or,
        as `key`, for the hidden text box; `told` is the event's own data. Returns all that came back, as text."""
        found = [d for d in self.config["dependencies"] if any(self._is(t, element, event) for t in d["targets"])]
        (dependency,) = [d for d in found if d["backend_fn"]]
        return self.send(dependency, [self._input(number, given) for number in dependency["inputs"]], told)

    def send(self, dependency: dict, data: list, told: dict | None = None) -> str:
        """Sends one of the page's events with these values."""
        body = {"data": data, "fn_index": dependency["id"], "session_hash": self.session, "trigger_id": None}
        body |= {"event_data": told}
        self._open("gradio_api/queue/join", body).read()
        for line in self._open(f"gradio_api/queue/data?session_hash={self.session}"):
            said = json.loads(line.decode().removeprefix("data: ")) if line.startswith(b"data: ") else {}
            if said.get("msg") == "process_completed":
                assert said["success"], said
                values = said["output"]["data"]
                self.outputs |= dict(zip(dependency["outputs"], values, strict=True))
                return json.dumps(values, ensure_ascii=False)
        raise AssertionError("no answer came")

    def key(self) -> str:
        """What the Rate tab's hidden text box holds."""
        (found,) = [v for v in self.outputs.values() if isinstance(v, str) and len(v) == 32 and v.isalnum()]
        return found

    def _is(self, target: list, element: str, event: str) -> bool:
        return self.components.get(target[0]) == element and target[1] == event

    def _input(self, number: int, given: dict) -> object:
        part = next(part for part in self.config["components"] if part["id"] == number)
        element = (part["props"].get("elem_id") or "").replace("-", "_")
        if element in given:
            return given[element]
        if part["type"] == "textbox" and not element:
            return given.get("key", "")
        return None if part["type"] == "state" else self.outputs.get(number, part["props"].get("value"))

    def _open(self, path: str, body: dict | None = None):
        headers = {"Cookie": self.cookie, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=PATIENCE)


def test_an_event_before_the_page_has_loaded_counts_for_its_browser(server):
    early = Caller(server, TOKENS["a"], "early")
    assert "images that you added are not rated" in early.event("rate-examples", "click")
    other = Caller(server, TOKENS["b"], "other")
    assert "to-rate" in Caller(server, TOKENS["a"], "later").event("rate-start", "click", rate_name="Ann")
    other.event("rate-start", "click", rate_name="Bob")
    assert "images that you added" not in json.dumps(list(other.outputs.values()))


@pytest.mark.parametrize("forged", ["another", "none", "invented", "odd"])
def test_a_rating_under_an_identity_that_is_not_the_callers_is_refused_without_a_trace(server, forged):
    mine, other = Caller(server, TOKENS["a"], f"mine-{forged}"), Caller(server, TOKENS["b"], f"other-{forged}")
    mine.event("rate-examples", "click")
    mine.event("rate-start", "click", rate_name="Ann")
    key = {"another": mine.key(), "none": "", "invented": "0" * 32, "odd": {"a": [1]}}[forged]
    before = open_annotations(server.data).counts()
    said = other.event("rate-submit", "click", key=key, rate_word=4, rate_value=4)
    assert "refusal" in said and ("not presented in this browser" in said or "press Start rating" in said)
    said = other.event("rate-next", "click", key=key)
    assert "refusal" in said and "not presented in this browser" in said
    said = other.event("disagree-keep", "click", key=key, disagree_word=4, disagree_value=4, disagree_name="Eve")
    assert "not among your scored images any more" in said
    assert open_annotations(server.data).counts() == before
