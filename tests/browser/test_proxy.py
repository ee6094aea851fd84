"""The page behind a reverse proxy that serves it under a path of its own address."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE, serve, visit
from tests.browser.steps import LAKE, score_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=1000 * PATIENCE)


@contextmanager
def proxy(path: str) -> Iterator[tuple[str, dict]]:
    """A proxy's address, and where it finds the page ("page", to be filled in). As nginx by default, it takes `path` away and sends
    the page's own Host."""
    to: dict[str, str] = {}

    class Forward(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith(f"{path}/"):
                return self.send_error(404)
            behind = http.client.HTTPConnection(urlsplit(to["page"]).netloc, timeout=PATIENCE)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            behind.request(self.command, self.path.removeprefix(path), body, headers | {"Connection": "close"})
            answer = behind.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while part := answer.read1():
                    self.wfile.write(part)
            except (BrokenPipeError, ConnectionResetError):  # the browser has gone on
                pass
            self.close_connection = True

        do_GET = do_HEAD = do_POST = forward

        def log_message(self, *words) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forward) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{path}", to
        server.shutdown()


def test_the_page_works_under_a_path_of_a_proxy(browser, tmp_path):
    with proxy("/studio") as (address, to), serve(tmp_path, "--root-path", address) as server:
        to["page"] = server.url
        elsewhere = []
        with visit(browser, f"{address}/") as page:
            page.on(
                "request",
                lambda request: elsewhere.append(request.url) if not request.url.startswith(address) else None,
            )
            page.reload()
            assert 1 <= score_of(page, LAKE) <= 5
        assert [url for url in elsewhere if url.startswith("http")] == []
