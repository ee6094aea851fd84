"""Decodes images of all common formats to 8-bit sRGB, within limits.

The limits:

* MAX_BYTES and MAX_PIXELS bound memory and time. The size is read from the header, before decoding.
* MIN_SIDE and MAX_ASPECT: quality shows in texture and edges, of which an image of a few rows has too little. Bounding the aspect ratio
  also bounds the size of a thin strip after a model resizes its short side.
* FILES and PIXELS: all concurrent decoding in this process shares a memory budget (model/images/budget.py).
* MAX_SCANS: a progressive JPEG is decoded once per scan, and an empty scan takes only a few bytes.
* Only the formats in model/images/decoders.py are decoded, detected from the file's content, never from its name
  (model/images/formats.py). Pillow reads dozens more that no camera writes; each is another parser to attack.

docs/images.md lists the memory and time of each format at these limits.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from model.common.allocator import give_back_freed_memory
from model.common.errors import DataError, ImageError, reason_of
from model.common.lfs import is_pointer
from model.images.budget import FILES, PIXELS
from model.images.colour import apply_code_points, apply_profile, from_lab
from model.images.decoders import Opened, open_with
from model.images.formats import BMP, GIF, JPEG, PNG, TIFF, WEBP, Kind, image_kind, unsupported

MAX_BYTES = 256 * 1024 * 1024
MAX_PIXELS = 100_000_000
MIN_SIDE = 16
MAX_ASPECT = 32
MAX_SCANS = 100
MAX_SCANNED = 2_000_000_000  # pixels times scans

_UPRIGHT = {  # by EXIF orientation, which was read before the metadata was removed
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BAND = 1 << 22  # pixels processed at a time where an intermediate takes more memory than the image
_LARGE = 1 << 24  # pixels; after decoding a larger image, freed memory is returned to the system


def open_image(source: str | Path | bytes | BinaryIO) -> Image.Image:
    """Decode one image to an upright 8-bit sRGB image (mode RGB) without metadata.

    source: a path, the file's content as bytes, or an open binary file. Blocks while other threads' decoding uses up the memory budget;
    do not call it while holding a lock that they need.

    * EXIF orientation is applied. Unreadable EXIF and other metadata are ignored.
    * Transparency is composited over white, the background of pages and viewers; dropping the alpha channel would show hidden colours.
    * Of an animation the first frame is decoded, of a TIFF the first image that is not a thumbnail.
    * 16-bit pixels are scaled by 1/257 to 8 bits, not clipped. 32-bit, signed and floating-point pixels are refused: their white level
      is not defined.
    * An embedded ICC profile other than sRGB is applied, as in browsers; an invalid one is ignored. The colours of cICP (PNG) and nclx
      (AVIF, HEIC) are converted as well; HDR is tone-mapped as in Chromium (model/images/colour.py).

    Raises ImageError, without the file name: for a file that is not an image, truncated or damaged (the checksums of a PNG are
    verified), of an unsupported format, or outside this module's limits.
    """
    with FILES.share(3 * _length(source)):  # the file, its copy without metadata, and the decoder's copy
        content = _read(source)
        kind = image_kind(content)
        try:
            opened = open_with(kind, content)
            check_size(*opened.size)
            _check_scans(opened)
            pixels = opened.size[0] * opened.size[1]
            with PIXELS.share(pixels * opened.bytes_per_pixel):
                image = _to_rgb(_turn_upright(opened.load(), opened.file.orientation), opened)
                if pixels >= _LARGE:
                    del opened
                    give_back_freed_memory()
                return image
        except ImageError:
            raise
        except MemoryError as error:
            raise ImageError("too large for the memory of this machine: make the image smaller") from error
        except Exception as error:
            # Decoders raise almost anything for a hostile file (OSError, SyntaxError, struct.error, zlib.error, IndexError ...).
            # To the caller all mean the same; the cause stays attached.
            raise _refusal(kind, content, error) from error


def open_named(path: Path) -> Image.Image:
    """open_image for programs that need every image. Raises DataError with the file name."""
    try:
        return open_image(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error


def _length(source: str | Path | bytes | BinaryIO) -> int:
    """Bytes of the file, at most MAX_BYTES; 0 if unknown: for a stream, or a path that `_read` will refuse."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return len(source)
    try:
        return min(os.stat(source).st_size, MAX_BYTES) if isinstance(source, (str, Path)) else 0
    except (OSError, ValueError):
        return 0


def _read(source: str | Path | bytes | BinaryIO) -> bytes:
    """The file's content. Raises ImageError if it is empty, longer than MAX_BYTES, or cannot be read."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
    else:
        try:
            if isinstance(source, (str, Path)):
                content = _read_path(Path(source))
            else:
                content = source.read(MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(f"cannot be read: {reason_of(error)}") from error
        except ValueError as error:  # a NUL in the path, or a closed file
            raise ImageError(f"cannot be read: {error}") from error
    if not content:
        raise ImageError("empty file")
    if is_pointer(content):
        raise ImageError("a Git LFS pointer, not the image: run 'git lfs pull' in the folder that was cloned")
    if len(content) > MAX_BYTES:
        raise ImageError(f"too many bytes: the limit is {MAX_BYTES // 2**20} MiB")
    return content


def _read_path(path: Path) -> bytes:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ImageError("not an image: a folder")
    if not stat.S_ISREG(mode):  # reading a pipe or a device could block forever
        raise ImageError("not an image: not an ordinary file")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def check_size(width: int, height: int) -> None:
    short, long = sorted((width, height))
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"too many pixels: {width}x{height} is {width * height / 1e6:.0f} megapixels, the limit is {MAX_PIXELS / 1e6:.0f}"
        )
    if short < MIN_SIDE:
        raise ImageError(
            f"too {'small' if long < MIN_SIDE else 'narrow'}: {width}x{height}, each side must have at least {MIN_SIDE} pixels"
        )
    if long > MAX_ASPECT * short:
        raise ImageError(
            f"too narrow: {width}x{height}, the long side may be at most {MAX_ASPECT} times the short one; crop the image"
        )


def _check_scans(opened: Opened) -> None:
    scans, (width, height) = opened.file.scans, opened.size
    most = min(MAX_SCANS, MAX_SCANNED // (width * height))
    if scans > most:
        raise ImageError(f"too many scans: this JPEG has {scans}, the limit at its size is {most}; save it again")


def _refusal(kind: Kind, content: bytes, error: Exception) -> ImageError:
    reason = str(error).lower()
    if kind is TIFF and "unknown pixel mode" in reason:
        return unsupported("TIFF of this kind of pixels")
    if "unsupported" in reason:
        return unsupported(f"{kind.name} of this kind")
    cut = "truncat" in reason or _lacks_end(kind, content)
    return ImageError(f"not an image: {'truncated' if cut else 'damaged'} {kind.name}")


def _lacks_end(kind: Kind, content: bytes) -> bool:
    """Whether the end marker of a file of this kind is missing."""
    end = {JPEG: b"\xff\xd9", PNG: b"IEND", GIF: b"\x3b"}.get(kind)
    if kind is WEBP:
        return len(content) < 8 + int.from_bytes(content[4:8], "little")
    if kind is BMP:
        return len(content) < int.from_bytes(content[2:6], "little")
    return end is not None and end not in content[-4096:]


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, opened: Opened) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;"):
        image = _from_deep_grey(image, opened.file.bits)
    if opened.file.white_is_zero:
        image = ImageOps.invert(image)
    if image.mode == "LAB":
        return _plain(from_lab(image))
    if image.has_transparency_data and image.mode in ("L", "LA"):
        grey, alpha = image.convert("LA").split()
        image = _converted(grey, opened).convert("RGBA")
        image.putalpha(alpha)
    elif image.has_transparency_data:
        image = _converted(image.convert("RGBA"), opened)
    else:
        image = _converted(image if image.mode in ("L", "CMYK") else image.convert("RGB"), opened)
    return _plain(_over_white(image) if image.mode == "RGBA" else image)


def _converted(image: Image.Image, opened: Opened) -> Image.Image:
    """An L, RGB, RGBA or CMYK image, converted to sRGB from the colours that its file declares."""
    if opened.file.cicp and image.mode != "CMYK":
        return apply_code_points(image.convert("RGB") if image.mode == "L" else image, opened.file.cicp)
    return apply_profile(image, opened.file.profile) if opened.file.profile else image


def _plain(image: Image.Image) -> Image.Image:
    """The image as RGB without metadata, above all without its profile, which must not be applied again."""
    if image.mode != "RGB" or type(image) is not Image.Image:
        image = image.convert("RGB")
    image.info = {}
    return image


def _over_white(image: Image.Image) -> Image.Image:
    result = Image.new("RGB", image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        result.paste(Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert("RGB"), (0, top))
    return result


def _from_deep_grey(image: Image.Image, bits: int) -> Image.Image:
    """Grey of up to 16 bits, in any of Pillow's modes, to mode L."""
    white = (1 << bits) - 1
    result = np.empty((image.height, image.width), np.uint8)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height)))).astype(np.uint32)
        result[top : top + rows] = (band * 255 + white // 2) // white
    return Image.fromarray(result)
