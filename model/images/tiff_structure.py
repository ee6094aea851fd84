"""Finds the photograph in a TIFF file and refuses unsupported variants; also reads the orientation from EXIF.

Cameras and scanners often store a thumbnail first and the photograph after or below it (SubIFDs). The decoder receives a new directory
with only the tags of the photograph's pixels: Pillow copies every tag, and a 1 MB file whose tags all point at the same megabyte took
20 GB.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from model.common.errors import ImageError
from model.images.formats import CAMERA_RAW, unsupported
from model.images.stripped import Stripped

MAX_DIRECTORIES = 64
MAX_TAG = 1 << 24  # bytes
MAX_PIECES = 1 << 18  # strips or tiles: as for 100 megapixels in tiles of 20 x 20 pixels

SUBFILE, OLD_SUBFILE, WIDTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 258, 259, 262
ORIENTATION, SAMPLES, SUB_DIRECTORIES, SAMPLE_FORMAT = 274, 277, 330, 339
ICC_PROFILE, DNG_VERSION = 34675, 50706
# Tags that describe pixels: sizes, strips, tiles, planes, predictor, colour map, extra samples, JPEG tables, YCbCr.
PIXELS = {*range(254, 260), 262, 266, 273, *range(277, 285), 292, 293, 317, 320, *range(322, 326), *range(338, 342)}
PIXELS |= {347, *range(512, 522), *range(529, 533)}

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
UNSIGNED = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
LONG8 = (16, 17, 18)
CFA, LINEAR_RAW, YCBCR = 32803, 34892, 6
COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000}
NAMES = {
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34927: "WebP",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    34892: "lossy DNG",
    34887: "LERC",
    34661: "JBIG",
    34676: "LogLuv",
    34677: "LogLuv",
    22610: "JPEG XR",
    34933: "PNG",
}


class Layout(NamedTuple):
    """Byte order ("<" or ">"), and whether directories have the field sizes of BigTIFF."""

    order: str
    big: bool

    def number(self, content: bytes, at: int, size: int) -> int:
        if at + size > len(content):
            raise ValueError("truncated TIFF directory")
        return int.from_bytes(content[at : at + size], "little" if self.order == "<" else "big")


class Tag(NamedTuple):
    kind: int
    length: int
    at: int  # offset of its values


def strip_tiff(content: bytes) -> Stripped:
    """A TIFF whose only directory is the photograph's. Raises ImageError for camera raw and unsupported variants."""
    layout = Layout("<" if content[:2] == b"II" else ">", content[2:4] in (b"+\0", b"\0+"))
    directories = list(_directories(content, layout))
    if not directories:
        raise ValueError("no directory")
    if any(
        DNG_VERSION in tags or _first(content, layout, tags, PHOTOMETRIC) in (CFA, LINEAR_RAW) for tags in directories
    ):
        raise unsupported(CAMERA_RAW)
    chosen = next((tags for tags in directories if not _is_reduced(content, layout, tags)), directories[0])
    stripped = Stripped(b"", orientation=_first(content, layout, chosen, ORIENTATION, 1))
    if profile := chosen.get(ICC_PROFILE):
        stripped.profile = content[profile.at : profile.at + profile.length * SIZES[profile.kind]]
    _check_samples(content, layout, chosen, stripped)
    stripped.content = _with_directory(content, layout, chosen, stripped.white_is_zero)
    return stripped


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF; 1 if missing or invalid."""
    exif = exif.removeprefix(b"Exif\0\0")
    layout = Layout("<" if exif[:2] == b"II" else ">", False)
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        value = _first(exif, layout, _directory(exif, layout, layout.number(exif, 4, 4))[0], ORIENTATION, 1)
    except ValueError:
        return 1
    return value if 1 <= value <= 8 else 1


def _directories(content: bytes, layout: Layout) -> Iterator[dict[int, Tag]]:
    """The directories in the file's chain, each followed by its SubIFDs."""
    seen: set[int] = set()
    waiting = [layout.number(content, 8, 8) if layout.big else layout.number(content, 4, 4)]
    while waiting and len(seen) < MAX_DIRECTORIES:
        at = waiting.pop(0)
        if not at or at in seen:
            continue
        seen.add(at)
        try:
            tags, following = _directory(content, layout, at)
        except ValueError:
            if len(seen) > 1:  # an unreadable later directory does not affect the first
                continue
            raise
        yield tags
        waiting[:0] = [*_values(content, layout, tags.get(SUB_DIRECTORIES))[:MAX_DIRECTORIES], following]


def _directory(content: bytes, layout: Layout, at: int) -> tuple[dict[int, Tag], int]:
    """(tags, offset of the next directory). Raises ValueError if truncated."""
    count_size, entry_size, offset_size = (8, 20, 8) if layout.big else (2, 12, 4)
    count = layout.number(content, at, count_size)
    start = at + count_size
    if start + count * entry_size > len(content) or count > 65_535:
        raise ValueError("truncated TIFF directory")
    tags: dict[int, Tag] = {}
    for place in range(start, start + count * entry_size, entry_size):
        number, kind = layout.number(content, place, 2), layout.number(content, place + 2, 2)
        values = layout.number(content, place + 4, offset_size)
        at_values = place + 4 + offset_size
        if values * SIZES.get(kind, 1) > offset_size:
            at_values = layout.number(content, at_values, offset_size)
        if kind in SIZES:
            tags.setdefault(number, Tag(kind, values, at_values))
    end = start + count * entry_size
    return tags, layout.number(content, end, offset_size) if end + offset_size <= len(content) else 0


def _values(content: bytes, layout: Layout, tag: Tag | None) -> list[int]:
    """The first values, at most 64, of a tag of integers."""
    if tag is None or tag.kind not in UNSIGNED:
        return []
    size = SIZES[tag.kind]
    count = min(tag.length, 64, (len(content) - tag.at) // size)
    if count < 1:
        return []
    return list(struct.unpack_from(f"{layout.order}{count}{UNSIGNED[tag.kind]}", content, tag.at))


def _first(content: bytes, layout: Layout, tags: dict[int, Tag], number: int, default: int = 0) -> int:
    values = _values(content, layout, tags.get(number))
    return values[0] if values else default


def _is_reduced(content: bytes, layout: Layout, tags: dict[int, Tag]) -> bool:
    """Whether a directory declares a thumbnail, a mask or a depth map."""
    if WIDTH not in tags:
        return True
    return bool(_first(content, layout, tags, SUBFILE) & 0b11101) or _first(content, layout, tags, OLD_SUBFILE) == 2


def _check_samples(content: bytes, layout: Layout, tags: dict[int, Tag], stripped: Stripped) -> None:
    """Raises ImageError, with the name, for pixels that Pillow cannot decode or decodes wrongly; sets bits and white_is_zero."""

    def first(number: int, default: int) -> int:
        return _first(content, layout, tags, number, default)

    compression, photometric = first(COMPRESSION, 1), first(PHOTOMETRIC, 0)
    if compression not in COMPRESSIONS:
        raise unsupported(f"TIFF with {NAMES.get(compression, f'compression {compression}')} inside")
    for number in (273, 324):
        if number in tags and tags[number].length > MAX_PIECES:
            raise ImageError(f"too many pieces: {tags[number].length} strips or tiles, the limit is {MAX_PIECES}")
    bits, sample = max(_values(content, layout, tags.get(BITS)) or [1]), first(SAMPLE_FORMAT, 1)
    if photometric == YCBCR and compression == 1:
        raise unsupported("TIFF with uncompressed YCbCr pixels")
    if sample == 3:
        raise unsupported("TIFF with floating-point pixels")
    if sample in (2, 5, 6):
        raise unsupported("TIFF with signed or complex pixels")
    if bits > 16:
        raise unsupported(f"TIFF with {bits} bits per sample")
    stripped.bits = bits
    stripped.white_is_zero = bits == 16 and photometric == 0 and first(SAMPLES, 1) == 1


def _with_directory(content: bytes, layout: Layout, tags: dict[int, Tag], black_is_zero: bool) -> bytes:
    """The file with a new directory at its end, with only the tags in PIXELS, and a header that points to it.

    Always classic TIFF: Pillow cannot read big-endian BigTIFF, and offsets below MAX_BYTES fit into 32 bits.
    """
    order = layout.order
    tail = bytearray(len(content) % 2)
    entries = []
    for number in sorted(PIXELS & tags.keys()):
        kind, count, at = tags[number]
        size = count * SIZES[kind]
        if at + size > len(content) or size > MAX_TAG:
            raise ValueError("truncated TIFF tag")
        data = content[at : at + size]
        if number == PHOTOMETRIC and black_is_zero:  # Pillow does not invert 16-bit samples: decoding.py does
            kind, count, data = 3, 1, struct.pack(order + "H", 1)
        if kind in LONG8:
            kind, data = 4, struct.pack(f"{order}{count}I", *struct.unpack(f"{order}{count}Q", data))
        if len(data) > 4:
            place = len(content) + len(tail)
            tail += data + bytes(len(data) % 2)
            data = struct.pack(order + "I", place)
        entries.append(struct.pack(order + "HHI", number, kind, count) + data.ljust(4, b"\0"))
    header = content[:2] + struct.pack(order + "HI", 42, len(content) + len(tail))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return b"".join((header, memoryview(content)[len(header) :], tail, directory))
