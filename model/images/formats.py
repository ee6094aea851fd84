"""Detects an image's format from its content, whatever its file name: the formats that are decoded, and common ones that are not.

`image_kind(content).suffix` is ".heic" for an iPhone's photograph that was renamed to photo.jpg.
"""

import re
from typing import NamedTuple

from model.common.errors import ImageError


class Kind(NamedTuple):
    """A format: its name in messages, and the suffix, with dot, for storing such a file."""

    name: str
    suffix: str


JPEG = Kind("JPEG", ".jpg")
PNG = Kind("PNG", ".png")
WEBP = Kind("WebP", ".webp")
GIF = Kind("GIF", ".gif")
BMP = Kind("BMP", ".bmp")
TIFF = Kind("TIFF", ".tiff")
AVIF = Kind("AVIF", ".avif")
HEIC = Kind("HEIC", ".heic")
KINDS = (JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF, HEIC)

# The suffixes of files that a search of a folder returns.
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"),
    }
)

CAMERA_RAW, JPEG_XL, JPEG_2000 = "camera raw", "JPEG XL", "JPEG 2000"
ADVICE = {CAMERA_RAW: "export the photograph as JPEG, or as TIFF with 16 bits"}
_RAW_SUFFIXES = (
    "3fr ari arw bay cap cr2 cr3 crw dcr dcs dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl sr2 "
    "srf srw x3f"
)
_UNSUPPORTED_SUFFIXES = {
    CAMERA_RAW: _RAW_SUFFIXES,
    JPEG_XL: "jxl",
    JPEG_2000: "jp2 j2k j2c jpc jpf jpx jpm jph jhc",
    "JPEG-LS": "jls",
    "JPEG XR": "jxr wdp hdp",
    "OpenEXR": "exr",
    "Radiance HDR": "hdr",
    "PSD": "psd psb",
    "XCF": "xcf",
    "SVG": "svg svgz",
    "PNM": "ppm pgm pbm pnm pam pfm",
    "TGA": "tga",
    "DDS": "dds",
    "ICO": "ico",
    "QOI": "qoi",
    "PCX": "pcx",
}
UNSUPPORTED_SUFFIXES = {
    f".{suffix}": name for name, suffixes in _UNSUPPORTED_SUFFIXES.items() for suffix in suffixes.split()
}

_PATTERNS: tuple[tuple[bytes, Kind | str], ...] = (
    (rb"\xff\xd8\xff\xf7", "JPEG-LS"),
    (rb"\xff\xd8\xff", JPEG),
    (rb"\x89PNG\r\n\x1a\n", PNG),
    (rb"RIFF....WEBP", WEBP),
    (rb"GIF8[79]a", GIF),
    (rb"II\*\x00.{4}CR", CAMERA_RAW),  # Canon CR2
    (rb"(?:II[*+]\x00|MM\x00[*+])", TIFF),
    (rb"(?:IIRO|IIRS|MMOR|IIU\x00|II\x1a\x00\x00\x00HEAPCCDR|FUJIFILMCCD-RAW|FOVb|\x00MRM)", CAMERA_RAW),
    (rb".{4}ftypcrx ", CAMERA_RAW),  # Canon CR3
    (rb"(?:\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n)", JPEG_XL),
    (rb"(?:\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  \r\n\x87\n)", JPEG_2000),
    (rb"II\xbc[\x00\x01]", "JPEG XR"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"#\?(?:RADIANCE|RGBE)", "Radiance HDR"),
    (rb"8BPS\x00[\x01\x02]", "PSD"),
    (rb"gimp xcf ", "XCF"),
    (rb"(?:P[1-7]\s|P[Ff]\n)", "PNM"),
    (rb"DDS \x7c\x00\x00\x00", "DDS"),
    (rb"\x00\x00[\x01\x02]\x00[^\x00]\x00", "ICO"),
    (rb"icns", "ICNS"),
    (rb"qoif", "QOI"),
    (rb"BPG\xfb", "BPG"),
    (rb"\x8aMNG\r\n\x1a\n", "MNG"),
    (rb"%PDF-", "PDF"),
    (rb"(?:%!PS|\xc5\xd0\xd3\xc6)", "PostScript"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]", "SVG"),
)
_SIGNATURES = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _PATTERNS)

_AVIF_BRANDS = {b"avif", b"avis", b"avio"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF_CODECS = {b"av01": AVIF, b"hvc1": HEIC, b"lhv1": HEIC}  # item types in a file whose brands name no codec
_VIDEO_BRANDS = re.compile(rb"isom|iso[2-9a-c]|mp4[12v]|avc1|M4V|qt  |3g[p2]|mmp4|MSNV|dash|f4v")


def image_kind(content: bytes) -> Kind:
    """The format by a file's first bytes; the pixels may still be damaged.

    Raises ImageError for a file that is not an image, and for an unsupported format, which it names.
    """
    if content[4:8] == b"ftyp":
        return _kind_of_boxes(content)
    start = content[:4096]
    for pattern, kind in _SIGNATURES:
        if pattern.match(start):
            if isinstance(kind, str):
                raise unsupported(kind)
            return kind
    if _is_text(content):
        raise ImageError("not an image: the file holds text")
    if content.startswith(b"BM"):
        return BMP
    raise ImageError(f"not an image: none of the formats {', '.join(kind.name for kind in KINDS)}")


def unsupported(name: str) -> ImageError:
    """The error for a valid file of an unsupported format or variant."""
    return ImageError(f"{name} is not supported: {ADVICE.get(name, 'save the image as JPEG or PNG')}")


def _kind_of_boxes(content: bytes) -> Kind:
    """AVIF or HEIC, which share a container: by its brands or, if these are generic, by the codec of its items."""
    end = min(int.from_bytes(content[:4], "big"), 4096)
    brands = [content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return AVIF
        if brand in _HEIC_BRANDS:
            return HEIC
    if brands[0] == b"crx ":
        raise unsupported(CAMERA_RAW)
    for codec, kind in _HEIF_CODECS.items():
        if re.search(rb"infe.{8}" + codec, content[end : end + 65_536], re.DOTALL):
            return kind
    if _VIDEO_BRANDS.match(brands[0]):
        raise ImageError("not an image: a video")
    raise unsupported("HEIF with this codec")


def _is_text(content: bytes) -> bool:
    start = content[:4096]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return True
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start):
        return False
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(content) > len(start) and error.start > len(start) - 4  # only the last character is cut
    return True
