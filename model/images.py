"""From files to pixels: decodes pictures of any usual kind to 8-bit sRGB, under limits, before any model sees them.

Limits, and why:

* MAX_BYTES and MAX_PIXELS bound memory and time. Pixels are counted from the header, before anything is decoded.
* MIN_SIDE and MAX_ASPECT: quality is seen in texture and edges, and a picture of a few rows has none to judge. Bounding the
  aspect also bounds what a model's resize to a fixed short side can blow a thin strip up to.
* Only the formats in _DECODERS are decoded, chosen by the file's bytes and never by its name (model/image_formats.py). Pillow
  knows dozens more that nobody sends as photographs, and each is one more parser for a hostile file to aim at.
"""

import functools
import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pillow_heif import HeifImageFile

from model import image_formats
from model.errors import DataError, ImageError
from model.image_formats import SUFFIXES, Kind, image_kind

MAX_BYTES = 256 * 1024 * 1024
MAX_PIXELS = 100_000_000
MIN_SIDE = 16
MAX_ASPECT = 32

NOTHING = "no pictures in this folder"
# Pillow's own readers, called directly rather than through Image.open: that one refuses or warns at a size of its own,
# set by a global that this module would otherwise have to change for the whole process.
_DECODERS = {
    image_formats.JPEG: JpegImagePlugin.jpeg_factory,  # also opens MPO, at its first picture
    image_formats.PNG: PngImagePlugin.PngImageFile,
    image_formats.WEBP: WebPImagePlugin.WebPImageFile,
    image_formats.GIF: GifImagePlugin.GifImageFile,
    image_formats.BMP: BmpImagePlugin.BmpImageFile,
    image_formats.TIFF: TiffImagePlugin.TiffImageFile,
    image_formats.AVIF: AvifImagePlugin.AvifImageFile,
    image_formats.HEIC: HeifImageFile,
}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(source: str | Path | bytes | BinaryIO) -> Image.Image:
    """Decode one picture to an upright 8-bit sRGB image (mode RGB) that holds no metadata.

    source is a path, the file's content as bytes, or an open binary file.

    * EXIF orientation is applied; EXIF that cannot be read is ignored, since the pixels are whole.
    * Transparency is laid over white. White is what pages and viewers put behind a picture, so it is what people judge;
      dropping the alpha would uncover colours that nobody was meant to see.
    * An animation gives its first frame, a multi-page TIFF its first page.
    * 16-bit pixels are scaled by 1/257 to 8 bits, not clipped. 32-bit and floating-point grey is refused unless its values
      fit 16 bits: such files do not say which number is white.
    * An embedded colour profile other than sRGB is applied, as browsers do; one that cannot be used is ignored.

    Raises ImageError with one sentence that leaves out the file's name: for what is not a picture, is truncated or damaged
    (a PNG's checksums are verified), or lies outside the limits of this module.
    """
    content = _read(source)
    kind = image_kind(content)
    try:
        decoded = _DECODERS[kind](io.BytesIO(content), "")
        check_size(*decoded.size)
        if kind is image_formats.PNG:
            # Pillow skips the checksums of pixel data when it decodes, and would let a flipped bit through as noise.
            decoded.verify()
            decoded = _DECODERS[kind](io.BytesIO(content), "")
        decoded.load()
        return _to_rgb(_turn_upright(decoded))
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("too large for the memory of this machine: make the picture smaller") from error
    except Exception as error:
        # A hostile file makes decoders raise nearly anything (OSError, SyntaxError, struct.error, zlib.error, IndexError ...).
        # All of it means the same to the caller, and nothing is lost: the cause stays attached.
        cut = "truncat" in str(error).lower() or _lacks_end(kind, content)
        raise ImageError(f"not an image: {'truncated' if cut else 'damaged'} {kind.name}") from error


def open_named(path: Path) -> Image.Image:
    """open_image for programs that cannot go on without the picture. Raises DataError that names the file."""
    try:
        return open_image(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error


def find_images(
    paths: Iterable[str | Path], suffixes: frozenset[str] = SUFFIXES
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """List the picture files under paths: (files, problems).

    A file is taken as given, whatever its name. A folder is walked with its subfolders: its files with one of `suffixes`
    follow in sorted order; hidden files and folders are left out, links to folders are not followed. The order of paths is kept.
    problems lists (path, sentence) for each path that is missing, cannot be read or holds no picture, so that a caller
    reports these and goes on with the rest. Raises nothing.
    """
    files: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        if path.is_dir():
            found, unreadable = _walk(path, suffixes)
            files += found
            problems += unreadable
            if not found and not unreadable:
                problems.append((path, NOTHING))
        elif os.path.lexists(path):
            files.append(path)
        else:
            problems.append((path, "no such file or folder"))
    return files, problems


def find_all_images(paths: Iterable[str | Path]) -> list[Path]:
    """find_images for one path or more, none of which may be left out: raises DataError for the first that has a problem."""
    files, problems = find_images(paths)
    if problems:
        path, sentence = problems[0]
        raise DataError(f"{path}: {sentence}")
    return files


def _walk(folder: Path, suffixes: frozenset[str]) -> tuple[list[Path], list[tuple[Path, str]]]:
    found: list[Path] = []
    problems: list[tuple[Path, str]] = []

    def note(error: OSError) -> None:
        problems.append((Path(error.filename), f"cannot read this folder: {_reason(error)}"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name) for name in names if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    return sorted(found), sorted(problems)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


def _read(source: str | Path | bytes | BinaryIO) -> bytes:
    """The file's whole content, at most MAX_BYTES of it."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
    else:
        try:
            if isinstance(source, (str, Path)):
                content = _read_path(Path(source))
            else:
                content = source.read(MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(f"cannot be read: {_reason(error)}") from error
        except ValueError as error:  # a NUL in the path, or a closed file
            raise ImageError(f"cannot be read: {error}") from error
    if not content:
        raise ImageError("empty file")
    if len(content) > MAX_BYTES:
        raise ImageError(f"too many bytes: the limit is {MAX_BYTES // 2**20} MiB")
    return content


def _read_path(path: Path) -> bytes:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ImageError("not an image: a folder")
    if not stat.S_ISREG(mode):  # a pipe or a device would block, or never end
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
            f"too {'small' if long < MIN_SIDE else 'narrow'}: {width}x{height}, the smallest side accepted is {MIN_SIDE} pixels; "
            "there is too little in it to judge"
        )
    if long > MAX_ASPECT * short:
        raise ImageError(
            f"too narrow: {width}x{height}, the long side may be at most {MAX_ASPECT} times the short one; "
            "crop the part to be judged"
        )


def _lacks_end(kind: Kind, content: bytes) -> bool:
    """Whether the mark that closes a file of this kind is nowhere in it."""
    end = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b"\x3b"}.get(kind.name)
    if kind is image_formats.WEBP:
        return len(content) < 8 + int.from_bytes(content[4:8], "little")
    if kind is image_formats.BMP:
        return len(content) < int.from_bytes(content[2:6], "little")
    return end is not None and end not in content[-4096:]


def _turn_upright(image: Image.Image) -> Image.Image:
    # After load(): a PNG's EXIF may follow its pixels, and Pillow's TIFF and AVIF readers turn the pixels themselves.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noise in place of EXIF raises as variously as noise in place of pixels, but harms no pixel
        return image
    # isinstance, because a broken tag may hold any type, unhashable ones too.
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode == "F" or image.mode == "I" or image.mode.startswith("I;"):
        image = _from_deep_grey(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile:
        image = _apply_profile(image, profile)
    image = image.convert("RGB")
    image.info = {}  # above all the profile, which must not be applied again
    return image


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 bits (in whichever of Pillow's modes) to mode L."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ImageError(
            "pixels of 32 bits are not supported, as the file does not say which value is white: save it with 8 or 16"
        )
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB; an image whose profile is broken or meant for other channels comes back as it is."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC  # keeps white white
        return ImageCms.profileToProfile(image, source, _srgb(), intent, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
