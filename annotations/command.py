"""What the commands of this room have in common."""

import sys
from collections.abc import Callable

from annotations.errors import AnnotationError


def run(program: Callable[[], None]) -> int:
    """0, or 2 after an AnnotationError's sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        program()
    except AnnotationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
