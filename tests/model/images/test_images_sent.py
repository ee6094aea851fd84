"""Files that people really send (tests/fixtures/images): each gives what a browser shows of it, or is refused by the name of its kind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.common.errors import ImageError
from model.images.decoding import open_image
from model.images.formats import image_kind

SENT = Path(__file__).parents[2] / "fixtures" / "images"
AS_JPEG = "is not supported: save the image as JPEG or PNG"


def difference(name, reference="base.png"):
    """Levels of 255 between a file as it is decoded here and a reference, on average."""
    opened, wanted = (
        np.asarray(open_image(SENT / name), float),
        np.asarray(Image.open(SENT / reference).convert("RGB"), float),
    )
    assert opened.shape == wanted.shape
    return np.abs(opened - wanted).mean()


@pytest.mark.parametrize(
    "name",
    [
        *("thumb_first.tif", "gimp_linear8.png", "gimp_linear16.png", "gimp_linear.tif"),
        *("palette_p3.png", "palette_swapped.png", "png_cicp_p3.png", "p3_nclx.avif", "brand_mif1.avif"),
        *("iphone.heic", "jpeg_named.heic", "apng_default_image.png"),
    ],
)
def test_the_file_shows_the_image(name):
    assert difference(name) < 2


@pytest.mark.parametrize(
    "name", ["png_bad_text_crc", "png_bad_time_crc", "png_bad_phys", "png_bad_srgb_len", "png_big_xmp"]
)
def test_a_fault_in_metadata_leaves_every_pixel_as_it_is(name):
    assert difference(f"{name}.png") == 0


def test_a_palette_of_few_colours_under_a_wide_profile():
    assert difference("palette_prophoto.png") < 2.5  # 256 colours of ProPhoto lie further apart than those of sRGB


@pytest.mark.parametrize(
    "name", ["png_cicp_pq.png", "png_cicp_hlg.png", "pq10.avif", "png_big_icc.png", "la_lin_profile.png"]
)
def test_the_file_looks_as_in_chromium(name):
    assert difference(name, f"chromium/{Path(name).stem}.png") < 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("camera_raw.NEF", "camera raw is not supported: export the photograph as JPEG, or as TIFF with 16 bits"),
        ("camera_raw.DNG", "camera raw is not supported: export the photograph as JPEG, or as TIFF with 16 bits"),
        ("photo.jxl", f"JPEG XL {AS_JPEG}"),
        ("recompressed.jxl", f"JPEG XL {AS_JPEG}"),
        ("photo.jp2", f"JPEG 2000 {AS_JPEG}"),
        ("jp2k.tif", f"TIFF with JPEG 2000 inside {AS_JPEG}"),
        ("jxl.tif", f"TIFF with JPEG XL inside {AS_JPEG}"),
        ("webp.tif", f"TIFF with WebP inside {AS_JPEG}"),
        ("jpeg12.jpg", f"JPEG with 12 bits per sample {AS_JPEG}"),
        ("ls.jls", f"JPEG-LS {AS_JPEG}"),
        ("float_rgb.tif", f"TIFF with floating-point pixels {AS_JPEG}"),
        ("half_rgb.tif", f"TIFF with floating-point pixels {AS_JPEG}"),
        ("int32.tif", f"TIFF with signed or complex pixels {AS_JPEG}"),
    ],
)
def test_an_unsupported_file_is_called_unsupported(name, sentence):
    with pytest.raises(ImageError) as caught:
        open_image(SENT / name)
    assert str(caught.value) == sentence


def test_the_format_is_detected_from_the_content():
    assert image_kind((SENT / "jpeg_named.heic").read_bytes()).suffix == ".jpg"
    assert image_kind((SENT / "iphone.heic").read_bytes()).suffix == ".heic"
    assert image_kind((SENT / "brand_mif1.avif").read_bytes()).suffix == ".avif"
