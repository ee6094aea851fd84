"""A real server on a data folder of its own, and a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 90  # seconds for one step, on a machine that is busy with other things


@dataclass(frozen=True)
class Server:
    url: str
    data: Path


@contextmanager
def serve(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """The page on a data folder below `folder`; fails when it has written a trace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "app.py", "--data-dir", str(folder / "data"), "--port", str(port), *options],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | {"GRADIO_TEMP_DIR": str(folder / "uploads")} | environment,
    )
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/", process, folder / "server.log")
        yield Server(f"http://127.0.0.1:{port}/", folder / "data")
        said = (folder / "server.log").read_text()
        assert "Traceback" not in said, said
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("page")) as served:
        yield served


def _wait_until_up(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"The page did not open:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Browser:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "google-chrome-stable"))), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found,  # None: Playwright's own, which `make test` fetches where the system has none
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@contextmanager
def visit(browser: Browser, url: str, **options) -> Iterator[Page]:
    """The page, opened by somebody who was never here before; fails when a script on it fails."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    context.set_default_timeout(1000 * PATIENCE)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(url)
    yield opened
    context.close()
    assert not faults


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with visit(browser, server.url) as opened:
        yield opened
