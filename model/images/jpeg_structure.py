"""Reads the segments of a JPEG file: those that decoding needs, and the number of scans."""

import re

from model.common.errors import ImageError
from model.images.formats import unsupported
from model.images.stripped import Stripped
from model.images.tiff_structure import exif_orientation

MAX_SEGMENTS = 10_000

SOI, EOI, SOS, APP0, APP1, APP2, APP14, COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
ALONE = {0x01, SOI, *range(0xD0, 0xD8)}  # markers without content
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
UNSUPPORTED = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical JPEG"),
    0xF7: "JPEG-LS",
}
_NEXT_MARKER = re.compile(
    rb"\xff[^\x00\xd0-\xd7\xff]"
)  # within a scan: not a stuffed byte, restart marker or fill byte


def strip_jpeg(content: bytes) -> Stripped:
    """A JPEG without application data, with its profile, orientation and number of scans. Raises ImageError, with the name, for an
    unsupported variant; a truncated file stays truncated."""
    kept = [content[:2]]
    stripped = Stripped(b"", scans=0)
    exif, profile = b"", []
    first_scan = None
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _NEXT_MARKER.search(content, at)
        if found is None or content[found.start() + 1] == EOI:
            end = len(content) if found is None else found.end()
            break
        marker, at = content[found.start() + 1], found.end()
        if marker in ALONE:
            continue
        end = at + int.from_bytes(content[at : at + 2], "big")
        segment = content[at + 2 : end]
        if marker == SOS:
            stripped.scans += 1
            first_scan = first_scan or found.start()
        elif marker in FRAMES or marker in UNSUPPORTED:
            _check_frame(marker, segment)
        elif marker == APP1 and segment.startswith(b"Exif\0\0"):
            exif = exif or segment
        elif marker == APP2 and segment.startswith(b"ICC_PROFILE\0"):
            profile.append(segment[12:])
        if first_scan is None and _is_needed(marker, segment):
            kept.append(content[found.start() : end])
        at = max(end, at)
    else:
        raise ImageError(f"too many segments: the limit is {MAX_SEGMENTS}")
    kept.append(content[first_scan:end] if first_scan else b"")
    stripped.content = b"".join(kept)
    stripped.orientation = exif_orientation(exif)
    if profile and profile[0][1:2] == bytes([len(profile) % 256]):
        stripped.profile = b"".join(part[2:] for part in sorted(profile))
    return stripped


def _is_needed(marker: int, segment: bytes) -> bool:
    """Whether decoding needs a segment. JFIF's and Adobe's are needed: they say what colours the components are."""
    if marker == APP0:
        return segment.startswith(b"JFIF")
    if marker == APP14:
        return segment.startswith(b"Adobe")
    return not APP0 <= marker <= COM


def _check_frame(marker: int, segment: bytes) -> None:
    if marker in UNSUPPORTED:
        raise unsupported(UNSUPPORTED[marker])
    if len(segment) < 6:
        return  # truncated: the decoder reports it
    if segment[0] != 8:
        raise unsupported(f"JPEG with {segment[0]} bits per sample")
    if segment[5] not in (1, 3, 4):
        raise unsupported(f"JPEG with {segment[5]} components")
