"""What a file is comes from its bytes: the suffix it is kept under, and the name by which it is refused."""

import io

import pytest

from model.common.errors import ImageError
from model.images.formats import image_kind
from tests.bad_images import sample_image


def encoded(format, **options):
    buffer = io.BytesIO()
    sample_image(64, 48).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format", "name", "suffix"),
    [
        ("JPEG", "JPEG", ".jpg"),
        ("MPO", "JPEG", ".jpg"),
        ("PNG", "PNG", ".png"),
        ("WEBP", "WebP", ".webp"),
        ("GIF", "GIF", ".gif"),
        ("BMP", "BMP", ".bmp"),
        ("TIFF", "TIFF", ".tiff"),
        ("AVIF", "AVIF", ".avif"),
    ],
)
def test_format_and_suffix_are_detected_from_the_content(format, name, suffix):
    assert image_kind(encoded(format)) == (name, suffix)


def container(major, *compatible, item=b""):
    brands = major + bytes(4) + b"".join(compatible)
    item = item and b"\0\0\0\x15infe\x02\0\0\0\0\1\0\0" + item
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + item


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (container(b"heic", b"mif1"), ".heic"),
        (container(b"mif1", b"mif1", b"heic"), ".heic"),
        (container(b"msf1", b"hevc"), ".heic"),
        (container(b"mif1", b"miaf", b"avif"), ".avif"),
        (container(b"avis", b"avif", b"msf1"), ".avif"),
        (container(b"mif1", item=b"hvc1"), ".heic"),
        (container(b"mif1", b"miaf", item=b"av01"), ".avif"),
    ],
)
def test_avif_and_heic_are_distinguished_by_brands_then_by_codec(content, suffix):
    assert image_kind(content).suffix == suffix


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL is not supported: save the image as JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL is not supported: save the image as JPEG or PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not supported: save the image as JPEG or PNG"),
        (
            container(b"crx ", b"isom"),
            "camera raw is not supported: export the photograph as JPEG, or as TIFF with 16 bits",
        ),
        (container(b"mif1", item=b"avc1"), "HEIF with this codec is not supported: save the image as JPEG or PNG"),
        (container(b"isom", b"mp42"), "not an image: a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "SVG is not supported: save the image as JPEG or PNG"),
        (b"8BPS\0\1" + bytes(6), "PSD is not supported: save the image as JPEG or PNG"),
        (b"<!DOCTYPE html><html>", "not an image: the file holds text"),
    ],
)
def test_an_unsupported_format_is_named(content, sentence):
    with pytest.raises(ImageError) as caught:
        image_kind(content)
    assert str(caught.value) == sentence
