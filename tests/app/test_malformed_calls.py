"""Calls that the page itself never sends: to every event and every route, with whatever programs may send. No call leaves a trace in the
log, and each gets an answer."""

import json

import pytest
from starlette.testclient import TestClient

from app.loaded_scorers import Scorers
from app.page import build_page
from app.serving import web_app
from app.settings import EXAMPLES, parse_settings

LONG = "x" * 100_000
VALUES = [
    None,
    -1,
    1e308,
    LONG,
    "\ud800",
    "../../etc\0/passwd",
    [[]],
    ["nano", 7],
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}],
    {"token": [], "rater": {}},
]
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"[" * 5_000,
    b'{"data": 7}',
    b'{"data": [], "fn_index": "x"}',
    b"\xff\xfe",
    LONG.encode(),
]
EVERY_ROUTE = ["info", "queue/join", "queue/data", "upload", "cancel", "reset", "heartbeat/x", "file=x", "nothing"]
EVERY_ROUTE += [
    f"{way}/{name}" for way in ("call", "call/v2", "run", "api") for name in ("score", "score_batch", "nothing")
]
EVERY_ROUTE += ["mcp", "mcp/", "mcp/schema"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    settings = parse_settings(["--data-dir", str(folder / "data"), "--host", "0.0.0.0", "--device", "cpu"])
    return build_page(settings, Scorers(settings.adapters, "cpu", check=settings.check_offered)), settings


@pytest.fixture(scope="module")
def client(page):
    with TestClient(web_app(*page), base_url="http://localhost", raise_server_exceptions=True) as client:
        yield client


def said_for(client: TestClient, capfd: pytest.CaptureFixture, **call) -> None:
    """Send a call to an event, as a client does without the queue, and judge the answer and the log."""
    answer = client.post(
        "/gradio_api/run/event", content=json.dumps(call), headers={"Content-Type": "application/json"}
    )
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, (str(call)[:500], out + err)
    assert answer.status_code in (200, 400, 422, 500), answer.text
    if answer.status_code == 500:
        assert answer.json()["error"], f"no sentence for {str(call)[:500]}"


@pytest.mark.slow
def test_every_event_refuses_malformed_calls_in_a_sentence(page, client, capfd):
    blocks, _ = page
    for number, function in blocks.fns.items():
        for value in VALUES:
            values = [value] * len(function.inputs)
            told = {"picked": value, "key": value, "sha256": value}
            said_for(client, capfd, fn_index=number, data=values, session_hash="forged", event_data=told)
        said_for(client, capfd, fn_index=number, data=[], session_hash="forged", event_data=None)
        said_for(client, capfd, fn_index=number, data=[None] * 99, session_hash=LONG[:1000])


def test_every_route_answers_malformed_requests(client, capfd):
    routes = [f"/gradio_api/{name}" for name in EVERY_ROUTE]
    for route in routes:
        for body in BODIES:
            answer = client.post(route, content=body, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500 or answer.status_code == 200, (route, body[:50], answer.text)
    for query in ("?session_hash=forged", "?session_hash=" + LONG[:2000], "?upload_id=x", "?page=%ff"):
        for route in ("/config", "/gradio_api/queue/data", "/gradio_api/info"):
            assert client.get(route + query).status_code in (200, 400, 422)
    for file in ("/etc/passwd", "http://localhost:1/x", LONG[:5000], "\0", "../x"):
        assert client.get(f"/gradio_api/file={file.replace(chr(0), '%00')}").status_code in (400, 403, 404, 422)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, out + err


def test_files_of_this_machine_are_neither_read_nor_served(client):
    """Only what was uploaded is read, and only example images are served."""
    for path in (
        "/etc/passwd",
        str(EXAMPLES / "make_images.py"),
        "http://localhost:1/a.jpg",
        "https://example.org/a.jpg",
    ):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        said = client.post("/gradio_api/run/score", json={"data": [file]}).json()["error"]
        assert "malformed" in said or "no image that was uploaded" in said
    assert client.get(f"/gradio_api/file={EXAMPLES / 'make_images.py'}").status_code == 403
    assert client.get(f"/gradio_api/file={EXAMPLES / 'lake_pristine.jpg'}").status_code == 200
    with (EXAMPLES / "lake_pristine.jpg").open("rb") as image:
        (path,) = client.post("/gradio_api/upload", files={"files": image}).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    assert 1 <= client.post("/gradio_api/run/score", json={"data": [file]}).json()["data"][0]["score"] <= 5
    assert "no image that was uploaded" in client.post("/gradio_api/run/score", json={"data": [None]}).json()["error"]
