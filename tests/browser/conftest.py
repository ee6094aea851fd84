"""A real server on a data folder of its own, and a real browser."""

import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.patience import PATIENCE
from tests.programs import start

LAST = pytest.StashKey[str]()  # the browser test that ended last
expect.set_options(timeout=1000 * PATIENCE)


@dataclass
class Log:
    """What a server writes, read piece by piece."""

    path: Path
    read: int = field(default=0)

    def fault(self) -> str:
        """What was written since the last call, where there is a trace in it."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self.read)
            said = file.read()
            self.read = file.tell()
        return said if "Traceback" in said else ""


LOGS: list[Log] = []  # of the servers that run


@dataclass(frozen=True)
class Server:
    url: str
    data: Path


def faults() -> str:
    return "\n".join(filter(None, (log.fault() for log in LOGS)))


@pytest.fixture(autouse=True)
def servers_write_no_trace(request) -> Iterator[None]:
    """A trace in a server's log fails the test during which it came, or says after which one it did."""
    late = faults()
    assert not late, f"a server wrote this after {request.session.stash.get(LAST, 'it was started')}:\n{late}"
    yield
    request.session.stash[LAST] = request.node.nodeid
    said = faults()
    assert not said, said


@contextmanager
def serve(folder: Path, *options: str, program: str = "app.py", **environment: str) -> Iterator[Server]:
    """The page on a data folder below `folder`; fails when it has written a trace that no test was told of."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Log(folder / "server.log")
    log.path.touch()
    command = [program, "--data-dir", str(folder / "data"), "--port", str(port), *options]
    process = start(command, log.path, log.path, GRADIO_TEMP_DIR=str(folder / "uploads"), **environment)
    LOGS.append(log)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/", process, log.path)
        yield Server(f"http://127.0.0.1:{port}/", folder / "data")
        said = log.fault()
        assert not said, said
    finally:
        LOGS.remove(log)
        process.terminate()
        process.join(PATIENCE)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("page")) as served:
        yield served


def _wait_until_up(url: str, process: BaseProcess, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.is_alive():
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
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
