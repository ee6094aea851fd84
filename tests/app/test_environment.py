"""Where the page is started: whatever is odd around it, it opens or says one sentence, and it leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.settings import ROOT
from app.temporary_files import KEPT, PREFIX, sweep

PATIENCE = 300  # seconds for a start, on a machine that is busy with other things
EXAMPLE = ROOT / "tests" / "images" / "lake_pristine.jpg"
HARMLESS = {
    "GRADIO_NUM_PORTS": "many",
    "GRADIO_NODE_NUM_PORTS": "many",
    "GRADIO_NODE_SERVER_PORT": "odd",
    "GRADIO_NODE_PATH": "/nonexistent",
    "GRADIO_NUM_WORKERS": "some",
    "GRADIO_DEBUG": "yes",
    "GRADIO_SHARE": "true",
    "GRADIO_MCP_SERVER": "true",
    "GRADIO_SSR_MODE": "true",
    "GRADIO_WATCH_DIRS": "/",
    "GRADIO_ALLOWED_PATHS": "/",
    "GRADIO_HEARTBEAT_INTERVAL": "often",
    "GRADIO_ANALYTICS_MAX_EVENTS": "all",
    "GRADIO_DEFAULT_CONCURRENCY_LIMIT": "none at all",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "odd",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "SSL_CERT_FILE": "/nonexistent",
    "SSLKEYLOGFILE": "/nonexistent/keys",
    "HOME": "/nonexistent",
    "XDG_CACHE_HOME": "/proc/nothing",
    "XDG_CONFIG_HOME": "/proc/nothing",
    "MPLCONFIGDIR": "/proc/nothing",
    "MPLBACKEND": "odd",
    "HF_HOME": "/proc/nothing",
    "WEB_CONCURRENCY": "several",
    "COLUMNS": "wide",
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
}


@contextmanager
def started(
    folder: Path, *options: str, wrapped: str = "", **environment: str
) -> Iterator[tuple[subprocess.Popen, Path]]:
    """`python app.py` from another working directory, its log in `folder`. wrapped: a shell command that ends in exec."""
    command = [sys.executable, str(ROOT / "app.py"), "--data-dir", str(folder / "data"), *options]
    if wrapped:
        command = ["sh", "-c", f'{wrapped} "$@"', "sh", *command]
    without = ("no_proxy", "NO_PROXY", "GRADIO_TEMP_DIR")
    surroundings = {name: value for name, value in os.environ.items() if name not in without}
    (folder / "tmp").mkdir(exist_ok=True)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings | {"TMPDIR": str(folder / "tmp")} | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, folder / "log"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def visited(process: subprocess.Popen, log: Path, address: str) -> Iterator[httpx.Client]:
    """A client of the page that has opened there."""
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.get("/config").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.2)
            else:
                yield client
                return
    pytest.fail(f"The page did not open:\n{log.read_text()}")


def upload(client: httpx.Client) -> dict:
    """An image on the server, as calls name it."""
    (path,) = client.post("/gradio_api/upload", files={"files": (EXAMPLE.name, EXAMPLE.read_bytes())}).json()
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_odd_surroundings_do_not_keep_the_page_from_opening(tmp_path, host):
    """All at once: each of them alone ended the start with a trace, or let others in."""
    if host == "[::1]" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    port, environment = free_port(), HARMLESS if host == "127.0.0.1" else {}
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "gradio").write_text("somebody else's")
    with started(
        tmp_path, "--host", host, "--port", str(port), wrapped="ulimit -n 64; exec <&-; exec", **environment
    ) as (process, log):
        with visited(process, log, f"http://{host}:{port}") as client:
            assert client.post("/gradio_api/run/score", json={"data": [upload(client)]}).json()["data"][0]["score"] > 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        said = log.read_text()
    assert "Traceback" not in said and f"open at http://{host}:{port}/" in said, said
    assert sorted(os.listdir(tmp_path / "tmp")) == ["gradio"]


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["exec >&- 2>&-; exec", "exec >/dev/full; exec"])
def test_closed_and_full_streams_do_not_keep_the_page_from_opening(tmp_path, streams):
    port = free_port()
    with started(tmp_path, "--port", str(port), wrapped=streams) as (process, log):
        with visited(process, log, f"http://127.0.0.1:{port}"):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "environment, sentence",
    [
        ({"GRADIO_SERVER_PORT": "abc"}, "GRADIO_SERVER_PORT: 'abc' is not a port"),
        ({"GRADIO_ROOT_PATH": "odd"}, "GRADIO_ROOT_PATH: 'odd' is neither a path"),
        ({"GRADIO_TEMP_DIR": "/proc/nothing"}, "No such file or directory: '/proc/nothing'"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "long"}, "'long' (the value of HF_HUB_DOWNLOAD_TIMEOUT)"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, environment, sentence):
    with started(tmp_path, "--port", str(free_port()), **environment) as (process, log):
        assert process.wait(PATIENCE) == 1
        said = log.read_text()
    assert said.splitlines()[-1].startswith("error: ") and sentence in said and "Traceback" not in said, said


@pytest.mark.slow
def test_temporary_files_lie_in_one_folder_and_do_not_outlive_the_day(tmp_path):
    """An upload that was cut short too, and after a kill that leaves no time to clean up."""
    port = free_port()
    with started(tmp_path, "--port", str(port)) as (process, log):
        with visited(process, log, f"http://127.0.0.1:{port}") as client:
            upload(client)
        with socket.create_connection(("127.0.0.1", port)) as cut_short:
            head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n"
            part = 'Content-Disposition: form-data; name="files"; filename="a.jpg"'
            cut_short.sendall(
                f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n{part}\r\n\r\nhalf".encode()
            )
        process.kill()
        process.wait()
    (left,) = (tmp_path / "tmp").iterdir()
    assert left.name.startswith(PREFIX) and left.stat().st_mode & 0o077 == 0
    sweep(tmp_path / "tmp")
    assert any(path.name == EXAMPLE.name for path in left.rglob("*"))  # young enough
    (tmp_path / "tmp" / f"{PREFIX}link").symlink_to(tmp_path / "data")
    for path in [left, *left.rglob("*"), *(tmp_path / "data").rglob("*")]:
        os.utime(path, (0, time.time() - KEPT - 1))
    sweep(tmp_path / "tmp")
    assert not any(path.is_file() for path in left.rglob("*"))
    assert (tmp_path / "data" / "annotations.db").exists()  # not ours to delete, though a link of our name leads there
