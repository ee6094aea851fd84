"""Reads the chunks of a PNG file. The checksums of pixels are verified; damaged metadata is ignored."""

import struct
import zlib
from collections.abc import Iterator

from model.common.errors import ImageError
from model.images.colour import HLG, PQ, from_code_points
from model.images.formats import unsupported
from model.images.stripped import Stripped
from model.images.tiff_structure import exif_orientation

MAX_CHUNKS = 100_000
MAX_PROFILE = 16 * 2**20  # bytes, uncompressed; printers' profiles have up to 4 million
PALETTE = 3


def strip_png(content: bytes) -> Stripped:
    """A PNG reduced to its pixels, with its profile, cICP and orientation. Raises ImageError for damaged or truncated pixels.

    The pixels are those of the default image or, if that is not a frame of the animation (APNG), of the first frame.
    """
    stripped = Stripped(b"")
    header = palette = transparency = b""
    pixels: list[memoryview] = []
    first_frame: list[memoryview] = []
    frames, animated, frame = 0, False, b""
    for kind, data, whole in _chunks(content):
        if kind == b"CgBI":
            raise unsupported("Apple's PNG for iOS (CgBI)")
        if not whole:
            if kind in (b"IHDR", b"PLTE", b"IDAT"):
                raise ImageError("not an image: damaged PNG")
            continue
        if kind == b"IHDR":
            header = bytes(data)
        elif kind == b"PLTE":
            palette = bytes(data)
        elif kind == b"tRNS":
            transparency = bytes(data)
        elif kind == b"IDAT":
            pixels.append(data)
        elif kind == b"acTL":
            animated = not pixels
        elif kind == b"fcTL" and len(data) == 26:
            frames += 1
            if frames == 1 and pixels:
                frame = bytes(data)  # the first frame follows the default image, which is therefore not a frame
        elif kind == b"fdAT" and frames == 1 and frame:
            first_frame.append(data[4:])
        elif kind == b"eXIf":
            stripped.orientation = exif_orientation(bytes(data))
        elif kind == b"iCCP":
            stripped.profile = _profile(bytes(data))
        elif kind == b"cICP" and len(data) == 4:
            stripped.cicp = _code_points(data)
        elif not kind[0] & 32 and kind != b"IEND":
            raise unsupported(f"PNG with a chunk {kind.decode('latin-1')!r}")
    if len(header) != 13 or not pixels:
        raise ImageError("not an image: truncated PNG")
    if animated and first_frame:
        stripped.canvas = struct.unpack(">II", header[:8])
        stripped.corner = struct.unpack(">II", frame[12:20])
        header, pixels = frame[4:12] + header[8:], first_frame
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header)]
    if palette:
        parts.append(_chunk(b"PLTE", palette))
    if len(transparency) in {0: (2,), 2: (6,), PALETTE: range(1, 257)}.get(header[9], ()):
        parts.append(_chunk(b"tRNS", transparency))
    # One chunk of pixels instead of many, which Pillow would read in a loop.
    stripped.content = b"".join([*parts, _chunk(b"IDAT", b"".join(pixels)), _chunk(b"IEND", b"")])
    return stripped


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """(kind, data, whether the checksum is right) of each chunk up to IEND or the end of the file."""
    view, at = memoryview(content), 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        data = view[at + 8 : end]
        if end + 4 > len(content):
            raise ImageError("not an image: truncated PNG")
        yield kind, data, zlib.crc32(data, zlib.crc32(kind)) == struct.unpack_from(">I", content, end)[0]
        if kind == b"IEND":
            return
        at = end + 4
    raise ImageError(f"too many chunks: the limit is {MAX_CHUNKS}")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


def _code_points(data: memoryview) -> tuple[int, int] | None:
    primaries, transfer, matrix, full_range = data
    if (matrix, full_range) == (0, 1):
        return from_code_points(primaries, transfer)
    if transfer in (PQ, HLG):
        raise unsupported("PNG with HDR in narrow range")
    return None  # browsers ignore it


def _profile(data: bytes) -> bytes | None:
    """The uncompressed ICC profile of an iCCP chunk; None if it is invalid or longer than MAX_PROFILE."""
    packed = data.partition(b"\0")[2][1:]
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(packed, MAX_PROFILE)
    except zlib.error:
        return None
    return profile if unpack.eof else None
