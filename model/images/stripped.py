"""An image file reduced to what its decoder needs, and the metadata that was read from it."""

from dataclasses import dataclass


@dataclass
class Stripped:
    """An image file without its metadata, so that no fault or attack in them can reach a decoder.

    profile: the embedded ICC profile. cicp: the (primaries, transfer) code points of H.273. orientation: EXIF's, 1 to 8.
    white_is_zero: the samples of a grey TIFF must be inverted. bits: the used bits of a 16-bit sample. scans: of a JPEG.
    canvas, corner: size of an APNG and position of its first frame.
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
