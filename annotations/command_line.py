"""What the commands of this room share: the data folder, and how they end."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from annotations.errors import AnnotationError


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """The option that names the app's data folder."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("QSCORER_DATA") or "data"),
        help="the app's data folder (default: QSCORER_DATA, else data)",
    )


def follow(parser: argparse.ArgumentParser, act: Callable[[argparse.Namespace], None]) -> int:
    """Parses the arguments and does what they say; 0, or 2 after one sentence on stderr, and quiet where the reader of a pipe is gone."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        try:
            act(parser.parse_args())
        finally:
            sys.stdout.flush()  # what the disk refuses only now is said as well
    except AnnotationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit
        if isinstance(error, BrokenPipeError):
            return 128 + 13  # as of a program that SIGPIPE ends
        print(
            f"error: the output cannot be written ({error.strerror}): free some space, or write elsewhere.",
            file=sys.stderr,
        )
        return 2
    return 0
