"""Names as the page shows them: of models, whose folders may lie deep, and of files, as they were before the browser sent them."""

import os
from html import escape
from pathlib import Path, PurePath

SHOWN_PARTS = 2  # of a folder's path


def short(spec: str) -> str:
    """A SPEC with only the last parts of each folder's path. Names and hub ids (owner/model) stay as they are."""
    return "+".join(map(_last_parts, spec.split("+")))


def _last_parts(name: str) -> str:
    parts = PurePath(os.path.normpath(name)).parts
    return name if len(parts) <= SHOWN_PARTS else "/".join(["…", *parts[-SHOWN_PARTS:]])


def breakable(spec: str) -> str:
    """`short` as HTML, the whole SPEC in its title."""
    return f'<span title="{escape(spec)}">{with_breaks(short(spec))}</span>'


def with_breaks(text: str) -> str:
    """Text as HTML that may break between the parts of a path."""
    return escape(text).replace("/", "/<wbr>").replace("_", "_<wbr>").replace("+", "<wbr>+")


def file_name(path: str | Path) -> str:
    """The name of a file that was sent. Browsers write a quotation mark in it as %22."""
    return Path(path).name.replace("%22", '"')
