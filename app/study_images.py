"""Images as raters of a study are sent them: every pixel as it is kept, without metadata."""

import io
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from PIL.JpegImagePlugin import JpegImageFile

from model.common.errors import ImageError, reason_of
from model.images.decoding import open_image
from model.images.formats import JPEG, image_kind
from model.images.jpeg_structure import strip_jpeg

MOST_BYTES = 256 * 2**20  # of images that are kept in memory


class Sent(NamedTuple):
    """A file that every browser shows, and its media type."""

    content: bytes
    media_type: str


class SentImages:
    """The images that were sent lately, for the raters to whom they are shown next. Safe for threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._lock = most_bytes, threading.Lock()
        self._kept: OrderedDict[str, Sent] = OrderedDict()

    def get(self, sha256: str, path: Path) -> Sent:
        """An image by the SHA-256 of its file, which lies at `path`. Raises ImageError."""
        with self._lock:
            if known := self._kept.get(sha256):
                self._kept.move_to_end(sha256)
                return known
        try:
            sent = without_metadata(path.read_bytes())
        except OSError as error:
            raise ImageError(f"cannot be read: {reason_of(error)}") from error
        with self._lock:
            self._kept[sha256] = sent
            while sum(len(one.content) for one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return sent


def without_metadata(content: bytes) -> Sent:
    """A JPEG as it is where browsers decode it to the pixels that a model sees, anything else as PNG: both are exact. Raises ImageError.

    Metadata says where and by whom a photograph was taken, and an orientation or profile that is left out would change the image.
    """
    image = open_image(content)  # whatever is sent can be decoded
    if image_kind(content) is JPEG:
        file = strip_jpeg(content)
        if (
            file.profile is None
            and file.orientation == 1
            and JpegImageFile(io.BytesIO(file.content), "").mode != "CMYK"
        ):
            return Sent(file.content, "image/jpeg")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return Sent(buffer.getvalue(), "image/png")
