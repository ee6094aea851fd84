"""The decoder of each format: Pillow's and pillow-heif's, called directly rather than through Image.open.

Image.open has its own size limit, a global that this program would have to change for the whole process. For WebP and AVIF, Pillow's C
decoders are called directly: Pillow's classes keep two more copies of all pixels and parse EXIF without a limit.
"""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from PIL import Image, _avif, _webp
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from pillow_heif import HeifFile

from model.common.errors import ImageError
from model.images.colour import from_code_points
from model.images.formats import AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF, WEBP, Kind
from model.images.gif_structure import strip_gif
from model.images.jpeg_structure import strip_jpeg
from model.images.png_structure import strip_png
from model.images.stripped import Stripped
from model.images.tiff_structure import exif_orientation, strip_tiff

MAX_RLE_PIXELS = 4_000_000  # of a run-length encoded BMP, which Pillow decodes in Python
HEIF_ERRORS = (OSError, ValueError, SyntaxError, RuntimeError, EOFError)


class Opened(NamedTuple):
    """An image whose header was read: (width, height) as stored, a function that decodes it, the memory that takes, and its metadata."""

    size: tuple[int, int]
    load: Callable[[], Image.Image]
    bytes_per_pixel: int  # peak, including the resulting RGB image
    file: Stripped


def open_with(kind: Kind, content: bytes) -> Opened:
    """Read the header of a file of this kind; load() decodes the pixels. Raises whatever the decoder raises."""
    return _OPENERS[kind](content)


def _by_pillow(reader: Callable[..., ImageFile], file: Stripped, bytes_per_pixel: int) -> Opened:
    opened = reader(io.BytesIO(file.content), "")

    def load() -> Image.Image:
        opened.load()
        return opened

    return Opened(opened.size, load, bytes_per_pixel, file)


def _jpeg(content: bytes) -> Opened:
    file = strip_jpeg(content)
    return _by_pillow(JpegImageFile, file, 8 if file.scans < 2 else 14)  # a progressive one keeps its coefficients


def _png(content: bytes) -> Opened:
    file = strip_png(content)
    opened = _by_pillow(PngImageFile, file, 12)
    if (size := file.canvas) is None:
        return opened
    width, height = opened.size
    left, top = file.corner
    if left + width > size[0] or top + height > size[1]:
        raise ImageError("not an image: damaged PNG")

    def load() -> Image.Image:
        canvas = Image.new("RGBA", size)
        canvas.paste(opened.load().convert("RGBA"), file.corner)
        return canvas

    return Opened(size, load, 20, file)


def _bmp(content: bytes) -> Opened:
    opened = _by_pillow(BmpImageFile, Stripped(content), 8)
    packed = content[30:34] in (b"\1\0\0\0", b"\2\0\0\0")
    if packed and opened.size[0] * opened.size[1] > MAX_RLE_PIXELS:
        raise ImageError(f"too many pixels for a BMP with RLE: the limit is {MAX_RLE_PIXELS / 1e6:.0f} megapixels")
    return opened


def _webp_file(content: bytes) -> Opened:
    decoder = [_webp.WebPAnimDecoder(content)]
    size, _, _, _, mode = decoder[0].get_info()
    profile, exif = decoder[0].get_chunk("ICCP"), decoder[0].get_chunk("EXIF")
    file = Stripped(b"", profile, orientation=exif_orientation(exif or b""))

    def load() -> Image.Image:
        frame = decoder.pop().get_next()  # popped to free the decoder's two canvases
        if frame is None:
            raise ValueError("damaged frame")
        return Image.frombuffer(mode, size, frame[0], "raw", mode, 0, 1)

    return Opened(size, load, 14, file)


def _avif_file(content: bytes) -> Opened:
    decoder = [_avif.AvifDecoder(content, "auto", os.cpu_count() or 1)]
    size, _, mode, profile, _, orientation, _ = decoder[0].get_info()
    file = Stripped(b"", profile, orientation=orientation)
    with suppress(*HEIF_ERRORS):  # libheif reads fewer variants of AVIF than libavif; without code points it is sRGB
        file.cicp = _nclx(HeifFile(content).info)

    def load() -> Image.Image:
        return Image.frombytes(mode, size, decoder.pop().get_frame(0)[0])

    return Opened(size, load, 16, file)


def _heic(content: bytes) -> Opened:
    heif = [HeifFile(content, remove_stride=False)]
    info, size = heif[0].info, heif[0].size
    file = Stripped(b"", info.get("icc_profile"), _nclx(info))  # libheif applies the orientation

    def load() -> Image.Image:
        return heif.pop().to_pillow()

    return Opened(size, load, 16, file)


def _nclx(info: dict) -> tuple[int, int] | None:
    """The code points of an AVIF or HEIC file; None if it has a profile, which takes precedence."""
    nclx = None if info.get("icc_profile") else info.get("nclx_profile")
    return nclx and from_code_points(nclx["color_primaries"], nclx["transfer_characteristics"], heif=True)


_OPENERS: dict[Kind, Callable[[bytes], Opened]] = {
    JPEG: _jpeg,
    PNG: _png,
    WEBP: _webp_file,
    GIF: lambda content: _by_pillow(GifImageFile, strip_gif(content), 12),
    BMP: _bmp,
    TIFF: lambda content: _by_pillow(TiffImageFile, strip_tiff(content), 14),
    AVIF: _avif_file,
    HEIC: _heic,
}
