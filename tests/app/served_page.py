"""The real page on a real port, served by a thread of the test's own process, where torch is imported already."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.loaded_scorers import Scorers
from app.page import build_page
from app.serving import Server, listen, web_app
from app.settings import Settings, parse_settings
from tests.patience import PATIENCE


@contextmanager
def served_page(folder: Path, *options: str) -> Iterator[tuple[str, Settings]]:
    """The address of the page on a data folder below `folder`, and its settings."""
    settings = parse_settings(["--data-dir", str(folder / "data"), "--device", "cpu", *options])
    page = build_page(settings, Scorers(settings.adapters, "cpu", check=settings.check_offered))
    server = Server(page, web_app(page, settings), settings.port)
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive() and time.monotonic() < deadline
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", settings
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
