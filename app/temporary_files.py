"""The app's own temporary folder: uploads, CSV files and whatever else a library puts there; nothing in it grows older than a day."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "qscorer-studio-"
SWEEP_EVERY, KEPT = 3600, 20 * 3600  # seconds; the page promises "within a day"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, of this process and readable by this user only, in which Python and Gradio put their temporary files from now on.

    It goes when the page ends. What other processes of this user left behind, killed perhaps, is swept away by age: now and every hour.
    Raises OSError when no folder can be made.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()
    tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = str(folder)
    if not os.access(
        Path.home(), os.W_OK
    ):  # else Matplotlib, which Gradio imports, warns, and fails to clean up at the end
        os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
    try:
        sweep(parent)
        threading.Thread(target=_sweep_on, args=(parent, folder), name="sweep", daemon=True).start()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_on(parent: Path, folder: Path) -> None:
    while True:
        time.sleep(SWEEP_EVERY)
        if not folder.exists():
            return
        os.utime(folder)  # by which other processes see that this one is alive
        sweep(parent)


def sweep(parent: Path) -> None:
    """Delete what is older than KEPT in this user's folders of ours below `parent`."""
    oldest, user = time.time() - KEPT, getattr(os, "getuid", lambda: 0)()  # on Windows all files say 0
    for folder in parent.glob(f"{PREFIX}*"):
        # A link, or somebody else's folder of this name, could lead anywhere.
        if folder.is_symlink() or folder.lstat().st_uid != user:
            continue
        for place, _, files in os.walk(folder, topdown=False):
            for path in [*(Path(place, name) for name in files), Path(place)]:
                _delete_older(path, oldest)


def _delete_older(path: Path, oldest: float) -> None:
    """A file, or a folder that is empty."""
    try:
        if path.lstat().st_mtime < oldest:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:
        pass  # gone already, or not empty: another process sweeps too, and files are younger than their folder may be
