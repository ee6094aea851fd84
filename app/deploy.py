"""Puts the page on a Hugging Face Space: what git tracks of the files that running needs, and the variables to set (docs/space.md).

python -m app.deploy --dry-run [--to owner/name]      lists them; nothing leaves this machine
python -m app.deploy --to owner/name                  makes the Space, if there is none, and uploads; HF_TOKEN is who does it
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.settings import EXAMPLES, ROOT

NEEDED = (
    "README.md",
    "LICENSE",
    "requirements.txt",
    "app.py",
    "app",
    "model",
    "annotations",
    EXAMPLES.relative_to(ROOT).as_posix(),
)
VARIABLES = {
    "QSCORER_MODELS": "the models that visitors may pick, the first by default, such as qscorer,one-align; unset: nano, nano-qalign on CPU",
    "QSCORER_DEVICE": "auto (a GPU where there is one), cpu or cuda",
    "QSCORER_DTYPE": "auto (bfloat16 on a GPU for large models), bfloat16, float16 or float32",
    "QSCORER_RATERS": "who may rate: signed-in (the default on a Space), anyone, or org:NAME",
    "QSCORER_OWNERS": "Hugging Face names of the page's owners, with commas between; unset: the Space's author",
    "QSCORER_DATA": "the folder that keeps ratings and adapters: where a bucket is mounted, such as /data; else a restart loses them",
}


class CannotDeploy(Exception):
    """Why the Space cannot be made or filled; str(error) is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.deploy", description="Put the page on a Hugging Face Space.")
    parser.add_argument("--to", metavar="OWNER/NAME", help="the Space; it is made if there is none")
    parser.add_argument("--dry-run", action="store_true", help="list what would be uploaded and the variables to set")
    given = parser.parse_args(arguments)
    try:
        files = files_of(ROOT)
        if given.dry_run:
            print(listing(files, given.to))
        else:
            print(f"Uploaded {len(files)} files to {upload(files, given.to)}. Set its variables there (docs/space.md).")
    except CannotDeploy as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def files_of(root: Path) -> list[Path]:
    """What git tracks of NEEDED, relative to `root`. Raises CannotDeploy outside a clone."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--", *NEEDED]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotDeploy(f"{root} is not a clone that git can list: run this in one, with git installed.") from error
    return [Path(name) for name in listed.split("\0") if name]


def listing(files: Sequence[Path], to: str | None) -> str:
    """What would happen, to be read."""
    sizes = {file: (ROOT / file).stat().st_size for file in files}
    lines = [f"{size:>12,}  {file.as_posix()}" for file, size in sizes.items()]
    lines.append(f"{sum(sizes.values()):>12,}  bytes in {len(files)} files, to the Space {to or 'that --to names'}")
    lines += ["", "Variables to set under Settings, none of which has to be:"]
    return "\n".join(lines + [f"  {name}: {words}" for name, words in VARIABLES.items()])


def upload(files: Sequence[Path], to: str | None) -> str:
    """Make the Space if there is none, and upload the files in one commit; returns its address. Raises CannotDeploy."""
    from httpx2 import TransportError
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if not to:
        raise CannotDeploy("name the Space: --to OWNER/NAME.")
    if not os.environ.get("HF_TOKEN"):
        raise CannotDeploy(
            "HF_TOKEN is not set: make a token that may write (huggingface.co/settings/tokens), and set it."
        )
    api = HfApi(token=os.environ["HF_TOKEN"])
    try:
        space = api.create_repo(to, repo_type="space", space_sdk="gradio", exist_ok=True)
        operations = [CommitOperationAdd(file.as_posix(), ROOT / file) for file in files]
        api.create_commit(to, operations, repo_type="space", commit_message="Q-Scorer Studio")
    except (TransportError, HfHubHTTPError, HFValidationError) as error:
        raise CannotDeploy(f"{to} was not uploaded: {' '.join(str(error).split())[:300]}") from error
    return str(space)


if __name__ == "__main__":
    sys.exit(main())
