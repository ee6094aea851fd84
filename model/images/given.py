"""Images as Python programs hold them: paths, files' bytes, PIL images and numpy arrays, all to what a model takes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from model.common.errors import ImageError
from model.images.decoding import check_size, open_image

DECIDING = {"icc_profile", "transparency"}  # of what Pillow keeps beside the pixels, what decides how they look
Given = str | Path | bytes | Image.Image | np.ndarray


def given_image(given: Given) -> Image.Image:
    """An upright 8-bit sRGB image (mode RGB). A PIL image is treated as its file would be (orientation, transparency, colour profile).

    An array holds uint8 values in RGB order, of shape (height, width), (height, width, 3) or, with alpha, (height, width, 4).
    Raises ImageError for what cannot be read, and for anything else.
    """
    if isinstance(given, np.ndarray):
        given = _from_array(given)
    if not isinstance(given, Image.Image):
        if not isinstance(given, str | Path | bytes):
            raise ImageError(
                f"not an image: {type(given).__name__}; give a path, a file's bytes, a PIL image or a numpy array"
            )
        return open_image(given)
    check_size(*given.size)
    if given.mode == "RGB" and not DECIDING.intersection(given.info) and not given.getexif():
        return given
    file = io.BytesIO()
    options = {"format": "TIFF"} if given.mode in ("CMYK", "LAB") else {"format": "PNG", "compress_level": 1}
    try:
        given.save(file, exif=given.getexif(), icc_profile=given.info.get("icc_profile"), **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"a PIL image of mode {given.mode} is not supported: convert it to RGB") from error
    return open_image(file.getvalue())


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ImageError(
            f"an array of {array.dtype} and shape {array.shape} is not an image: give uint8 values of shape (height, width), "
            "(height, width, 3) or (height, width, 4)"
        )
    return Image.fromarray(np.ascontiguousarray(array))
