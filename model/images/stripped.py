"""What of an image file goes to its decoder, and what was read beside it."""

from dataclasses import dataclass


@dataclass
class Stripped:
    """An image file without its metadata, so that no fault or trap in these can reach a decoder.

    profile is the embedded ICC profile, cicp the (primaries, transfer) code points of H.273, orientation the EXIF value 1 to 8.
    white_is_zero tells of a grey TIFF whose samples are to be inverted; bits is how many bits of a 16-bit sample count.
    scans is how often a JPEG goes over its pixels; canvas and corner place an APNG's first frame.
    """

    content: bytes
    profile: bytes | None = None
    cicp: tuple[int, int] | None = None
    orientation: int = 1
    white_is_zero: bool = False
    bits: int = 16
    scans: int = 1
    canvas: tuple[int, int] | None = None
    corner: tuple[int, int] = (0, 0)
