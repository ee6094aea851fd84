"""Visitors take turns at the page, whatever one of them has queued. Real servers, spoken to as a browser and as a program do."""

import threading
import time
import uuid
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest
import uvicorn

from app.fair_queue import RUNNING, TOO_MANY, WAITING, page_is_gone, use_fair_queue

PATIENCE = 60


class Served:
    """A page with one function behind a gate: it notes who called, and waits until the gate opens."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.gone: list[bool] = []
        self.gate = threading.Event()
        self.http: httpx.Client
        with gr.Blocks() as self.page:
            text = gr.Textbox()
            gr.Button().click(self.work, text, None, api_name="program")
            gr.Button().click(self.work, text, None, api_visibility="private")
        use_fair_queue(self.page)

    def work(self, name: str) -> None:
        self.started.append(name)
        assert self.gate.wait(PATIENCE)
        self.gone.append(page_is_gone())

    def call(self, name: str, session: str | None = None) -> httpx.Response:
        """Queue a call: of an open page, or of a program where there is no session."""
        if session is None:
            return self.http.post("/call/program", json={"data": [name]})
        return self.http.post("/queue/join", json={"data": [name], "fn_index": 1, "session_hash": session})


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    server = uvicorn.Server(
        uvicorn.Config(gr.mount_gradio_app(gr.routes.FastAPI(), served.page, "/"), port=0, log_level="error", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/gradio_api", timeout=PATIENCE) as served.http:
        yield served
    served.gate.set()
    server.should_exit = True
    thread.join(PATIENCE)


def wait_until(holds) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("session", [None, uuid.uuid4().hex], ids=["program", "page"])
def test_a_visitor_is_served_before_what_another_has_queued(served, session):
    """While all that one visitor may have running is stuck, and more of theirs waits."""
    for _ in range(RUNNING + 5):
        assert served.call("greedy", session).status_code == 200
    assert served.call("polite", uuid.uuid4().hex).status_code == 200
    wait_until(lambda: "polite" in served.started and len(served.started) == RUNNING + 1)
    served.gate.set()
    wait_until(lambda: len(served.started) == RUNNING + 6)


def test_one_visitor_may_not_have_more_than_so_many_calls_waiting(served):
    answers = [served.call("greedy") for _ in range(RUNNING)]
    wait_until(lambda: len(served.started) == RUNNING)
    answers += [served.call("greedy") for _ in range(WAITING + 1)]
    assert [answer.status_code for answer in answers] == [200] * (RUNNING + WAITING) + [400]
    assert answers[-1].json()["detail"] == TOO_MANY.format(WAITING)
    assert served.call("polite", uuid.uuid4().hex).status_code == 200


def test_what_a_closed_page_has_queued_is_dropped_and_what_runs_can_know(served):
    session = uuid.uuid4().hex
    for _ in range(RUNNING + 5):
        assert served.call("left", session).status_code == 200
    wait_until(lambda: len(served.started) == RUNNING)
    queue = served.page._queue
    with served.http.stream("GET", "/queue/data", params={"session_hash": session}):
        assert len(queue) == 5
    wait_until(lambda: len(queue) == 0)
    served.gate.set()
    wait_until(lambda: len(served.gone) == RUNNING)
    assert all(served.gone) and served.started == ["left"] * RUNNING
