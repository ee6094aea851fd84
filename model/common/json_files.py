"""Reading and writing JSON objects, with errors that name the file."""

import json
from pathlib import Path

from model.common.errors import ModelLoadError
from model.common.lfs import check_no_pointer


def read_json(path: Path) -> dict:
    """The object in a JSON file. Raises ModelLoadError when the file is missing or invalid."""
    try:
        text = path.read_bytes()
        check_no_pointer(text, path, ModelLoadError)
        content = json.loads(text.decode("utf-8"))
    except FileNotFoundError as error:
        raise ModelLoadError(f"{path.parent} lacks {path.name}: copy the whole folder again.") from error
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} is not readable JSON; it may be truncated: download this file again.") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} is not a JSON object: download this file again.")
    return content


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
