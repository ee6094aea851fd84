"""The endpoints, used by gradio_client, curl, Node.js and an MCP client on a served page; the examples of docs/api.md are run."""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.settings import EXAMPLES, ROOT
from model import load_scorer
from tests.app.served_page import served_page
from tests.patience import PATIENCE

LAKE = EXAMPLES / "lake_pristine.jpg"
DOCUMENTED = "http://127.0.0.1:7860"
BLOCK = re.compile(r"```(python|sh|js|json)\n(.*?)```", re.DOTALL)
EXAMPLES_OF_DOCS = BLOCK.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with served_page(tmp_path_factory.mktemp("page"), "--allow-host", "studio.example.org") as (address, _):
        yield address


@pytest.fixture(scope="module")
def client(page):
    client = Client(page, verbose=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def score():
    return pytest.approx(load_scorer("nano")(LAKE).score, abs=1e-4)


def test_gradio_client_gets_what_the_commands_print(client, score):
    assessment = client.predict(handle_file(LAKE), api_name="/score")
    assert (assessment["score"], assessment["image"], assessment["model"]) == (score, LAKE.name, "nano")
    first, second = client.predict(handle_file(LAKE), ["nano", "nano-qalign"], api_name="/compare")
    assert first["score"] == score and first["common_score"] == pytest.approx((first["score"] - 1) * 25)
    assert second["model"] == "nano-qalign"
    assert [model["name"] for model in client.predict(api_name="/models")] == ["nano", "nano-qalign"]
    assert 0 < client.predict(2.5, "nano", api_name="/percentile")["percentile"] < 100


def test_a_batch_goes_on_where_one_image_fails(client, score, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    files = [handle_file(tmp_path / "broken.jpg"), handle_file(LAKE)]
    broken, sound = client.predict(files, api_name="/score_batch")
    assert broken == {"image": "broken.jpg", "error": "not an image: the file holds text"} and sound["score"] == score


@pytest.mark.parametrize(
    "arguments, name, said",
    [
        ((str(ROOT / "pyproject.toml"),), "score", "not an image"),
        ((None,), "score", "no image that was uploaded"),
        ((str(LAKE), "owner/model"), "score", "owner/model' is not offered on this page"),
        ((str(LAKE), "nano", "beauty"), "score", "beauty"),
        (([],), "score_batch", "no image in this call"),
        ((str(LAKE), []), "compare", "Give 1 to"),
        ((3.0, "one-align"), "percentile", "no percentiles of 'one-align'"),
    ],
)
def test_an_error_is_the_pages_sentence(client, arguments, name, said):
    given = [handle_file(a) if isinstance(a, str) and a.startswith("/") else a for a in arguments]
    with pytest.raises(AppError, match=said) as refused:
        client.predict(*given, api_name=f"/{name}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "image",
    [
        "/etc/passwd",
        {"path": "/etc/passwd"},
        {"path": str(LAKE), "meta": {"_type": "gradio.FileData"}},
        f"{DOCUMENTED}/gradio_api/file=/etc/passwd",
        {"path": f"{DOCUMENTED}/gradio_api/file={LAKE}", "meta": {"_type": "gradio.FileData"}},
        {"path": "http://127.0.0.1:1/a.jpg", "meta": {"_type": "gradio.FileData"}},
        "https://example.org/a.jpg",
        "data:image/png;base64,!",
        "data:,",
        [],
        7,
    ],
)
def test_only_what_was_uploaded_is_read(page, image):
    for name, values in (("score", [image]), ("score_batch", [[image]]), ("compare", [image, ["nano"]])):
        answer = httpx.post(f"{page}/gradio_api/run/{name}", json={"data": values}, timeout=PATIENCE)
        assert answer.status_code == 500
        assert re.search("uploaded|malformed|URL is broken", answer.json()["error"]), answer.text


def apart(function, *arguments):
    """Calls a function in a thread of its own: Playwright keeps an event loop running in the one of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def in_mcp(page, use, headers=None):
    """What `use` makes of a session of an MCP client."""

    async def go():
        async with (
            httpx.AsyncClient(headers=headers, timeout=PATIENCE) as http,
            streamable_http_client(f"{page}/gradio_api/mcp/", http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return apart(asyncio.run, go())


def test_an_mcp_client_lists_and_calls_the_endpoints(page, score):
    with LAKE.open("rb") as image:
        (path,) = httpx.post(f"{page}/gradio_api/upload", files={"files": image}, timeout=PATIENCE).json()
    data = "data:image/jpeg;base64," + base64.b64encode(LAKE.read_bytes()).decode()
    uploaded = f"{page}/gradio_api/file={path}"

    async def use(session):
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"score", "score_batch", "compare", "models", "percentile"}
        assert "how good" in tools["score"].description and tools["score"].inputSchema["required"] == ["image"]
        for image in (data, uploaded):
            answer = await session.call_tool("score", {"image": image})
            assert json.loads(answer.content[0].text)["score"] == score
        answer = await session.call_tool("score_batch", {"images": [data, uploaded]})
        assert [found["score"] for found in json.loads(answer.content[0].text)] == [score, score]
        answer = await session.call_tool("score", {"image": "https://example.org/a.jpg"})
        assert answer.isError and "files elsewhere are not fetched" in answer.content[0].text
        answer = await session.call_tool("compare", {"image": data, "models": ["owner/model"]})
        assert answer.isError and "is not offered on this page" in answer.content[0].text

    in_mcp(page, use)


def test_pages_of_other_sites_are_no_mcp_clients(page):
    for headers in ({"Origin": "https://evil.example.net"}, {"Host": "evil.example.net"}):
        headers |= {"Accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert httpx.post(f"{page}/gradio_api/mcp/", json=body, headers=headers).status_code == 403


@pytest.mark.parametrize("number", range(len(EXAMPLES_OF_DOCS)))
def test_an_example_of_the_docs_runs(page, tmp_path, monkeypatch, capsys, number):
    language, text = EXAMPLES_OF_DOCS[number]
    text = text.replace(DOCUMENTED, page)
    monkeypatch.chdir(tmp_path)
    shutil.copy(LAKE, "photo.jpg")
    if language == "json":
        address = json.loads(text)["mcpServers"]["q-scorer-studio"]["url"]
        assert httpx.get(address, headers={"Accept": "text/html"}).status_code == 200
        return
    if language == "python":
        apart(exec, compile(text, "docs/api.md", "exec"), {"__name__": "__main__"})
        said = capsys.readouterr().out
    else:
        command = ["bash", "-euc", text] if language == "sh" else ["node", "--input-type=module", "-e", text]
        if not shutil.which("curl" if language == "sh" else "node"):
            pytest.skip(f"{command[0]} is not installed")
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ, check=False)
        assert ended.returncode == 0, ended.stderr
        said = ended.stdout
    assert re.search(r"4\.\d+", said), said
