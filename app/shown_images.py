"""Images as the page shows them: decoded safely, without metadata, inside the page itself so that no file has to be served."""

import base64
import io
from pathlib import Path

from PIL import Image

from model.images.decoding import open_image
from model.images.video import SUFFIXES, video_frames

SHOWN_SIDE = 1600  # pixels; more than an image gets on most screens
THUMBNAIL_SIDE = 96


def image_uri(image: Image.Image, side: int = SHOWN_SIDE) -> str:
    """A data URI of an RGB image, at most `side` pixels on its long side.

    JPEG at 95 with full colour resolution: nobody sees the difference, so raters judge the image and not this copy. It is
    encoded anew, not passed on, because the file may carry where and by whom it was taken.
    """
    shown = image.copy()
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    quality = 95 if side > THUMBNAIL_SIDE else 80
    shown.save(buffer, "JPEG", quality=quality, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def file_uri(path: Path, side: int = SHOWN_SIDE) -> str:
    """`image_uri` of an image file, or of a video's first frame. Raises ImageError."""
    return image_uri(next(video_frames(path, 1)) if is_video(path) else open_image(path), side)


def is_video(path: str | Path) -> bool:
    """Whether a file is taken for a video: by its name, since the browser offered it by that too."""
    return Path(path).suffix.lower() in SUFFIXES


def example_files(folder: Path) -> list[Path]:
    """The example images that ship with the page, by name."""
    return sorted(folder.glob("*.jpg"))
