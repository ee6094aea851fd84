"""The zoo: every kind of broken, hostile or merely odd image that people hand in, written on demand.

The broken ones must each end in one clear sentence, the odd ones must be scored like any other image.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin


def sample_image(width: int = 320, height: int = 240) -> Image.Image:
    """An image that has something to see in every region: RGB, its top left corner red, its bottom right one blue."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = 0.5 + 0.25 * np.sin(x / 9) + 0.25 * np.sin(y / 13 + x / 40)
    pixels = np.stack([waves * 200 + 30, waves * x / width * 220, 60 + 180 * y / height * waves], axis=-1)
    grain = np.random.default_rng(5).normal(0, 4, pixels.shape)
    pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (220, 30, 30)
    pixels[-height // 4 :, -width // 4 :] = (30, 30, 220)
    return Image.fromarray(pixels)


def _encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _packed_zeros(count: int) -> bytes:
    """A zlib stream of about count / 1000 bytes that unfolds to count zero bytes, a multiple of 10,000; made at once."""
    assert count % 10_000 == 0
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush nothing refers back, so the same packed block may follow itself any number of times.
    block = deflate.compress(bytes(count // 100)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = (count % 65_521) << 16 | 1
    return b"\x78\x9c" + block * 100 + b"\x03\x00" + struct.pack(">I", checksum)


def bomb(width: int, height: int) -> bytes:
    """A valid PNG of width x height black pixels, in a thousandth of their bytes; height is a multiple of 10,000."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = _packed_zeros((width + 1) * height)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", _png_chunk(b"IHDR", header), _png_chunk(b"IDAT", content), _png_chunk(b"IEND", b"")]
    )


def _text_bomb() -> bytes:
    """An image whose compressed comment would unfold to 200 MB."""
    whole = _encoded(sample_image(), "PNG")
    after_header = 8 + 25
    comment = _png_chunk(b"zTXt", b"Comment\x00\x00" + _packed_zeros(200_000_000))
    return whole[:after_header] + comment + whole[after_header:]


def _rotated_by_exif() -> bytes:
    """Stored turned to the left, with the EXIF orientation (6) that turns it upright again."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(sample_image().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=92, exif=exif)


def _animation(format: str, **options) -> bytes:
    frames = [
        sample_image(),
        Image.new("RGB", sample_image().size, "green"),
        Image.new("RGB", sample_image().size, "black"),
    ]
    return _encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=200, loop=0, **options)


def _sixteen_bit() -> bytes:
    grey = np.asarray(sample_image().convert("L")).astype(np.uint16) * 257
    return _encoded(Image.fromarray(grey), "PNG")


def _with_alpha() -> bytes:
    image = sample_image().convert("RGBA")
    hole = Image.radial_gradient("L").resize(image.size)  # transparent in the middle, opaque at the corners
    image.putalpha(hole)
    return _encoded(image, "PNG")


def _palette_with_transparency() -> bytes:
    indexed = sample_image().quantize(64)
    return _encoded(indexed, "PNG", transparency=indexed.getpixel((160, 120)))


def _broken_exif() -> bytes:
    """A good JPEG whose EXIF block is noise."""
    noise = b"Exif\x00\x00MM\x00*" + np.random.default_rng(1).bytes(60)
    whole = _encoded(sample_image(), "JPEG", quality=90)
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(noise) + 2) + noise + whole[2:]


def _with_comment() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "ünïcode 图片")
    return _encoded(sample_image(), "PNG", pnginfo=notes)


def write_zoo(folder: str | Path) -> dict[str, tuple[Path, bool]]:
    """Write the zoo into folder (made when missing) and return name -> (path, whether it must be scored).

    The good ones all show `sample_image()` upright: 320 x 240, red at the top left, blue at the bottom right.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    jpeg = _encoded(sample_image(), "JPEG", quality=90)
    png = _encoded(sample_image(), "PNG")
    damaged_png = bytearray(png)
    damaged_png[len(png) // 2] ^= 0xFF

    bad = {
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "only_a_header.jpg": jpeg[:20],
        "truncated.png": png[: len(png) // 2],
        "damaged.png": bytes(damaged_png),
        "empty.jpg": b"",
        "text.jpg": b"This is not an image, whatever its name says.\n" * 20,
        "page.png": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "noise.webp": np.random.default_rng(2).bytes(4000),
        "bomb.png": bomb(30_000, 30_000),  # 900 million pixels
        "bomb_pillow_only_warns_of.png": bomb(14_000, 10_000),
        "one_pixel.png": _encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
        "sliver.png": _encoded(Image.new("RGB", (20_000, 1), "red"), "PNG"),
        "sliver_upright.png": _encoded(Image.new("RGB", (1, 20_000), "red"), "PNG"),
    }
    good = {
        "plain.jpg": jpeg,
        "cmyk.jpg": _encoded(sample_image().convert("CMYK"), "JPEG", quality=92),
        "grey.jpg": _encoded(sample_image().convert("L"), "JPEG", quality=92),
        "palette.png": _encoded(sample_image().quantize(256), "PNG"),
        "palette_transparent.png": _palette_with_transparency(),
        "black_and_white.png": _encoded(sample_image().convert("1"), "PNG"),
        "sixteen_bit_grey.png": _sixteen_bit(),
        "alpha.png": _with_alpha(),
        "grey_alpha.png": _encoded(sample_image().convert("LA"), "PNG"),
        "exif_rotated.jpg": _rotated_by_exif(),
        "exif_broken.jpg": _broken_exif(),
        "animated.gif": _animation("GIF"),
        "animated.webp": _animation("WEBP", lossless=True),
        "progressive.jpg": _encoded(sample_image(), "JPEG", quality=90, progressive=True),
        "plain.bmp": _encoded(sample_image(), "BMP"),
        "plain.tiff": _encoded(sample_image(), "TIFF"),
        "png_named.jpg": png,
        "text_bomb.png": _text_bomb(),
        "UPPER CASE and späces.PNG": _with_comment(),
    }
    zoo = {}
    for content_of, is_good in [(bad, False), (good, True)]:
        for name, content in content_of.items():
            path = folder / name
            path.write_bytes(content)
            zoo[name] = (path, is_good)
    return zoo
