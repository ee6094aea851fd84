"""Removes comments in front of a GIF's first frame: Pillow concatenates them block by block, which takes minutes for 40 MB."""

from model.common.errors import ImageError
from model.images.stripped import Stripped

MAX_BLOCKS = 10_000
EXTENSION, FRAME, GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9


def strip_gif(content: bytes) -> Stripped:
    """A GIF without comments and application data in front of its first frame. Raises IndexError if it is truncated."""
    screen = at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    control = b""  # names the frame's transparent colour
    for _ in range(MAX_BLOCKS):
        if content[at] == FRAME:
            return Stripped(b"".join((content[:screen], control, memoryview(content)[at:])))
        if content[at] != EXTENSION:
            at += 1  # as Pillow does
            continue
        start, label, at = at, content[at + 1], at + 2
        for _ in range(MAX_BLOCKS):
            length = content[at]
            at += 1 + length
            if not length:
                break
        else:
            break
        if label == GRAPHIC_CONTROL:
            control = content[start:at]
    raise ImageError(f"too many blocks before the first frame of this GIF: the limit is {MAX_BLOCKS}")
