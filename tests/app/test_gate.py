"""Who may use the page from where: hosts and origins, and which models visitors from elsewhere may pick."""

import pytest
from starlette.testclient import TestClient

from app.loaded_scorers import Scorers
from app.page import build_page
from app.serving import web_app
from app.settings import parse_settings
from model.common.errors import ModelError


def settings_for(folder, *options: str):
    return parse_settings(["--data-dir", str(folder / "data"), "--device", "cpu", *options])


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    settings = settings_for(tmp_path_factory.mktemp("page"), "--allow-host", "Photos.example.org")
    app = web_app(build_page(settings, Scorers(settings.adapters, "cpu", check=settings.check_offered)), settings)
    with TestClient(app, base_url="http://localhost:7860") as client:
        yield client


@pytest.mark.parametrize(
    "host, passes",
    [
        ("localhost:7860", True),
        ("127.0.0.1:7860", True),
        ("[::1]:7860", True),
        ("192.168.1.7:7860", True),
        ("photos.example.org", True),
        ("evil.example.net:7860", False),
        ("localhost.evil.example.net", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_only_known_host_names_are_answered(client, host, passes):
    """A site can have its own name resolved to this machine, but not change the name that the browser sends."""
    for path in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code != 403) == passes
    assert passes or "--allow-host" in answer.text


@pytest.mark.parametrize(
    "origin, headers, passes",
    [
        ("http://localhost:7860", {}, True),
        ("https://photos.example.org", {}, True),
        ("https://studio.example.com", {"X-Forwarded-Host": "studio.example.com"}, True),
        ("http://localhost:3000", {}, False),
        ("http://127.0.0.1:3000", {}, False),
        ("https://evil.example.net", {}, False),
        ("null", {}, False),
    ],
)
def test_pages_of_other_sites_can_neither_call_nor_read(client, origin, headers, passes):
    headers = {"Origin": origin, **headers}
    called = client.post("/gradio_api/queue/join", json={"data": []}, headers=headers)
    assert (called.status_code != 403) == passes
    read = client.get("/config", headers=headers)
    assert (read.status_code == 200) == passes
    asked = client.options("/gradio_api/queue/join", headers=headers | {"Access-Control-Request-Method": "POST"})
    assert asked.status_code >= 400
    for answer in (called, read, asked):
        assert "access-control-allow-origin" not in answer.headers


def test_routes_that_the_page_does_not_use_are_closed(client):
    for path in ("deep_link?session_hash=x", "proxy=http://localhost/", "monitoring/summary", "dev/reload", "runs"):
        assert client.get(f"/gradio_api/{path}").status_code == 404
    assert client.post("/gradio_api/component_server", json={}).status_code == 404
    assert client.post("/gradio_api/call/score", content=b" " * (9 * 2**20)).status_code == 413


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--host", "::"], ["--root-path", "/studio"]])
def test_visitors_from_elsewhere_pick_what_the_owner_listed(tmp_path, options):
    settings = settings_for(tmp_path, *options, "--models", "q-realign-mini,owner/model")
    (settings.adapters / "mine").mkdir(parents=True)
    assert settings.model == "q-realign-mini"
    scorers = Scorers(settings.adapters, "cpu", check=settings.check_offered)
    for spec in (
        "one-align",
        "other/model",
        str(tmp_path),
        "/etc",
        "x" * 100_000,
        f"nano+{tmp_path}",
        "nano+../adapters/mine",
        "nano+mine",
        "nano",
    ):
        with pytest.raises(
            ModelError, match="is not offered on this page: choose one of q-realign-mini, owner/model\\."
        ):
            scorers.get(spec)
    assert settings.offered == settings.configured == ["q-realign-mini", "owner/model"]
    settings.check_offered("owner/model")
    assert settings_for(tmp_path, *options).offered == ["nano", "nano-qalign"]


def test_on_this_machine_any_model_may_be_used(tmp_path, monkeypatch):
    monkeypatch.setenv("QSCORER_MODELS", "nano-qalign")
    for options in ([], ["--host", "localhost"], ["--host", "::1"]):
        settings = settings_for(tmp_path, *options)
        assert not settings.public and settings.model == "nano-qalign"
        settings.check_offered("owner/model")
