"""Images that wait to be rated and are not kept yet: for each browser a folder below the data folder, for a day at most."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from annotations import image_sha256
from app.errors import Refused
from app.shown_names import file_name
from model.common.errors import ImageError
from model.images.decoding import open_image
from model.scoring.assessment import Failure

KEPT = 23 * 3600  # seconds, after which they are not shown any more; what is swept hourly is then gone within the day
SWEPT_EVERY = 3600
MOST_IMAGES, MOST_BYTES = 500, 2**30  # of one browser
MOST_BYTES_OF_ALL = 8 * 2**30
SHARED = ".shared"
INCOMING = "incoming-"


class Waiting:
    """Uploads by browser and sha256, as `FOLDER/BROWSER/SHA256/NAME`: what the file was called stays its name. The folder of an image
    that others may be shown is called `SHA256.shared`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._lock = threading.Lock()

    def add(self, browser: str, paths: Iterable[str], shared: bool = True) -> list[Failure]:
        """Let images wait; those that cannot be read, or for which there is no room, are returned instead. shared: once rated, they may be
        shown to others.

        Raises Refused when the data folder cannot be written.
        """
        failures = []
        for path in map(Path, paths):
            try:
                open_image(path)
                with self._lock:
                    self._keep(browser, path, path.read_bytes(), shared)
            except ImageError as error:
                failures.append(Failure(file_name(path), str(error)))
            except OSError as error:
                raise Refused(f"{file_name(path)} cannot be kept until it is rated ({error.strerror}).") from error
        return failures

    def images(self, browser: str) -> dict[str, Path]:
        """sha256 and path of what waits, in order of arrival."""
        oldest = time.time() - KEPT
        with self._lock:
            mine = sorted((folder.stat().st_mtime_ns, folder) for folder in self._folders(browser))
            return {folder.name[:64]: next(folder.iterdir()) for since, folder in mine if since > oldest * 1e9}

    def is_shared(self, browser: str, sha256: str) -> bool:
        """Whether others may be shown an image; so it is for one that does not wait here."""
        return not (self._folder / browser / sha256).exists()

    def remove(self, browser: str, sha256: str) -> None:
        """Let go of an image that is kept elsewhere now."""
        with self._lock:
            for folder in (self._folder / browser).glob(f"{sha256}*"):
                shutil.rmtree(folder)

    def sweep(self) -> None:
        """Delete what has waited for a day, and what a crash left half written."""
        oldest = time.time() - KEPT
        with self._lock:
            for browser in self._folder.glob("*"):
                for folder in browser.glob("*"):
                    if folder.stat().st_mtime < oldest:
                        shutil.rmtree(folder)
                if not any(browser.iterdir()):
                    browser.rmdir()

    def keep_swept(self) -> threading.Thread:
        """Sweep now, and every hour in the background."""
        self.sweep()

        def work() -> None:
            while True:
                time.sleep(SWEPT_EVERY)
                self.sweep()

        thread = threading.Thread(target=work, name="sweep", daemon=True)
        thread.start()
        return thread

    def _keep(self, browser: str, path: Path, data: bytes, shared: bool) -> None:
        """Raises ImageError where there is no room. What was said last of sharing an image is what holds."""
        sha256 = image_sha256(data)
        mine, folder = self._folders(browser), self._folder / browser / (f"{sha256}{SHARED}" if shared else sha256)
        if known := next((place for place in mine if place.name[:64] == sha256), None):
            known.rename(folder)
            return
        if len(mine) >= MOST_IMAGES:
            raise ImageError(f"{MOST_IMAGES} images of this browser wait already: rate some of them first")
        if _size(mine) + len(data) > MOST_BYTES:
            raise ImageError(
                f"the images of this browser that wait take {MOST_BYTES >> 30} GiB: rate some of them first"
            )
        if _size(self._folder.glob("*/*")) + len(data) > MOST_BYTES_OF_ALL:
            raise ImageError("the images that wait here take all the room there is for them: try again tomorrow")
        incoming = folder.with_name(INCOMING + secrets.token_hex(8))
        incoming.mkdir(parents=True)
        (incoming / path.name).write_bytes(data)
        now = time.time_ns()  # the file system's own clock may be too coarse to tell which came first
        os.utime(incoming, ns=(now, now))
        incoming.rename(folder)

    def _folders(self, browser: str) -> list[Path]:
        return [folder for folder in (self._folder / browser).glob("*") if not folder.name.startswith(INCOMING)]


def _size(folders: Iterable[Path]) -> int:
    return sum(file.stat().st_size for folder in folders for file in folder.iterdir())
