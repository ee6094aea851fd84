"""Pictures that wait to be rated and are not kept yet: one list for each browser, gone when the page's temporary files are."""

import threading
from collections.abc import Iterable
from pathlib import Path

from annotations import image_sha256
from app.naming import file_name
from model.assessment import Failure
from model.errors import ImageError
from model.images import open_image


class Waiting:
    """Uploads by browser token and sha256. Only paths are held here; the files are Gradio's temporary ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[str, dict[str, Path]] = {}

    def add(self, browser: str, paths: Iterable[str]) -> list[Failure]:
        """Let pictures wait; those that cannot be read are returned instead."""
        failures, good = [], {}
        for path in map(Path, paths):
            try:
                open_image(path)
                good[image_sha256(path.read_bytes())] = path
            except ImageError as error:
                failures.append(Failure(file_name(path), str(error)))
        with self._lock:
            self._paths.setdefault(browser, {}).update(good)
        return failures

    def images(self, browser: str) -> dict[str, Path]:
        """sha256 and path of what waits, in order of arrival; files that were cleared away meanwhile are left out."""
        with self._lock:
            mine = self._paths.get(browser, {})
            return {sha256: path for sha256, path in mine.items() if path.is_file()}
