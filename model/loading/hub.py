"""Models of the Hugging Face hub: from `owner/name` or `owner/name@revision` to a folder on this machine."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.common.errors import ModelLoadError, first_line
from model.common.progress import DOWNLOADING, Progress

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", re.ASCII)
# Settings, tokenizer and weights in the repository's top folder; no code is downloaded.
WANTED = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "non_lora_trainables.bin"]
UNWANTED = ["*/*", "consolidated*.safetensors"]
CHUNK = 2**20  # bytes


def is_hub_id(spec: str) -> bool:
    """Whether `spec` has the form of a hub id and is not an existing folder."""
    return bool(HUB_ID.fullmatch(spec)) and not Path(spec).exists()


def download(spec: str, progress: Progress | None = None) -> Path:
    """The folder of the model `owner/name[@revision]` in the hub's cache. Files that are complete in the cache are not downloaded again.
    Without a network, the cached model is used.

    progress: called with bytes; an exception that it raises cancels the download. Without it, the hub's own bars are shown on stderr.

    Raises ModelLoadError when there is no such model or revision, access is restricted, the hub cannot be reached and the cache is
    incomplete, or the cache cannot be written.
    """
    repository, _, revision = spec.partition("@")
    with sentences(spec):
        folder = fetch(repository, revision or None, WANTED, progress)
        if not any(folder.glob("*.safetensors")):
            folder = fetch(repository, revision or None, [*WANTED, "*.bin"], progress)
        return folder


def fetch(repository: str, revision: str | None, wanted: list[str], progress: Progress | None) -> Path:
    """The folder with the files of a repository that match `wanted`. Exceptions of the hub's client and of `progress` pass through."""
    from huggingface_hub import constants, errors, snapshot_download

    options: dict[str, Any] = {"revision": revision, "allow_patterns": wanted, "ignore_patterns": UNWANTED}
    if progress is None:
        return Path(snapshot_download(repository, **options))
    # Xet reports progress from outside Python, where an exception cannot cancel it; plain downloads are cancelled between two chunks.
    constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE = True, CHUNK
    try:
        planned = snapshot_download(repository, **options, dry_run=True, tqdm_class=reporting_bars())
    except errors.DryRunError:  # no network: use the cache; if it is incomplete, the next call raises
        planned = []
    total = sum(file.file_size for file in planned if file.will_download)
    return Path(snapshot_download(repository, **options, tqdm_class=reporting_bars(progress, total)))


def reporting_bars(progress: Progress | None = None, total: int = 0) -> type:
    """A class of invisible progress bars that report to `progress` how many of `total` bytes are on disk.

    The client creates three: bytes received, bytes written, and files. Only the second is reported.
    """
    from huggingface_hub.utils import tqdm

    counting, done = threading.Lock(), 0

    class Reporting(tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options | {"disable": True})
            self.counts = options.get("unit") == "B" and options.get("desc") != "Downloading bytes"

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            with counting:
                done += int(n or 0) if self.counts else 0
                now = done
            if progress and total:
                progress(DOWNLOADING, min(now, total), total)

    return Reporting


@contextmanager
def sentences(spec: str) -> Iterator[None]:
    """Turns exceptions of the hub's client into ModelLoadErrors that say what to do."""
    import httpx2
    from huggingface_hub import errors

    repository, _, revision = spec.partition("@")
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelLoadError(
            f"{repository} requires that you accept its terms: do so at https://huggingface.co/{repository}, "
            "then log in by `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelLoadError(
            f"{repository} has no revision '{revision}': use a branch, tag or commit listed at https://huggingface.co/{repository}, "
            "or omit it."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelLoadError(
            f"there is no model '{repository}' on the Hugging Face hub: check the spelling, or, if it is private, log in by "
            "`hf auth login`."
        ) from error
    except errors.IncompleteSnapshotError as error:
        raise ModelLoadError(
            f"the download of {spec} is incomplete, and the Hugging Face hub cannot be reached: try again with a network; "
            "complete files are not downloaded again."
        ) from error
    except httpx2.TransportError as error:
        raise ModelLoadError(
            f"the download of {spec} was interrupted: try again; complete files are not downloaded again."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ModelLoadError(
            f"{spec} is not on this machine, and the Hugging Face hub cannot be reached: connect to the network (and unset "
            "HF_HUB_OFFLINE), or use the folder of a model."
        ) from error
    except errors.HfHubHTTPError as error:
        raise ModelLoadError(f"the Hugging Face hub refused {spec} ({first_line(error)}): try again later.") from error
    except OSError as error:
        raise ModelLoadError(
            f"{spec} could not be stored ({error.strerror or first_line(error)}): free some space, or move the cache by HF_HOME."
        ) from error
