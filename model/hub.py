"""Models of the Hugging Face hub: from `owner/name` or `owner/name@revision` to a folder on this machine."""

import re
from pathlib import Path

from model.errors import ModelLoadError, first_line

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", re.ASCII)
# Settings, tokenizer and weights, of the repository's top folder only; code is not even fetched.
WANTED = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "non_lora_trainables.bin"]
UNWANTED = ["*/*", "consolidated*.safetensors"]


def is_hub_id(spec: str) -> bool:
    """Whether `spec` has the form of a hub id; a folder that exists goes first."""
    return bool(HUB_ID.fullmatch(spec)) and not Path(spec).exists()


def download(spec: str) -> Path:
    """The folder of the model `owner/name[@revision]` in the hub's cache. Only what is not there yet is fetched, with progress on
    stderr; what an earlier, interrupted download left is gone on with. Without network, the cached model is used.

    Raises ModelLoadError when there is no such model or revision, it is not for everyone, the hub cannot be reached and the
    cache does not hold the whole model, or it cannot be written.
    """
    import httpx2
    from huggingface_hub import errors, snapshot_download

    repository, _, revision = spec.partition("@")

    def fetch(wanted: list[str]) -> Path:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=wanted, ignore_patterns=UNWANTED)
        )

    try:
        folder = fetch(WANTED)
        return folder if any(folder.glob("*.safetensors")) else fetch([*WANTED, "*.bin"])
    except errors.GatedRepoError as error:
        raise ModelLoadError(
            f"{repository} is only for those who accepted its terms: accept them at https://huggingface.co/{repository}, "
            "then log in by `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelLoadError(
            f"{repository} has no revision '{revision}': give a branch, a tag or a commit that https://huggingface.co/{repository} "
            "lists, or leave it out."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelLoadError(
            f"there is no model '{repository}' on the Hugging Face hub: check the spelling, or, if it is private, log in by "
            "`hf auth login`."
        ) from error
    except errors.IncompleteSnapshotError as error:
        raise ModelLoadError(
            f"the download of {spec} was not finished, and the Hugging Face hub cannot be reached: try again with a network, "
            "and it goes on where it stopped."
        ) from error
    except httpx2.TransportError as error:
        raise ModelLoadError(
            f"the download of {spec} broke off: try again, and it goes on where it stopped."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ModelLoadError(
            f"{spec} is not on this machine, and the Hugging Face hub cannot be reached: connect to the network (and unset "
            "HF_HUB_OFFLINE), or give the folder of a model."
        ) from error
    except errors.HfHubHTTPError as error:
        raise ModelLoadError(f"the Hugging Face hub refused {spec} ({first_line(error)}): try again later.") from error
    except OSError as error:
        raise ModelLoadError(
            f"{spec} could not be stored ({error.strerror or first_line(error)}): free some space, or move the cache by HF_HOME."
        ) from error
