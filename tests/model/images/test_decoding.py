"""Whatever file is handed in, an upright RGB image or one clear sentence comes out."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageCms

from model.common.errors import ImageError
from model.images import decoding as images
from model.images.decoding import MAX_ASPECT, MIN_SIDE, open_image
from tests.bad_images import sample_image, write_zoo


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return write_zoo(tmp_path_factory.mktemp("zoo"))


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def refusal(source):
    with pytest.raises(ImageError) as caught:
        open_image(source)
    sentence = str(caught.value)
    assert sentence and "\n" not in sentence
    return sentence


def gradient(width=64, height=64):
    return np.linspace(0, 65535, width * height).reshape(height, width).astype(np.uint16)


def test_every_unusual_but_valid_image_opens_upright_in_rgb(zoo):
    for name, (path, good) in zoo.items():
        if good:
            image = open_image(path)
            assert (image.mode, image.size) == ("RGB", (320, 240)), name
            left, right = np.asarray(image)[10:40, 10:60].mean((0, 1)), np.asarray(image)[-40:-10, -60:-10].mean((0, 1))
            grey = any(word in name for word in ("grey", "black_and_white"))
            assert grey or (left[0] > left[2] + 90 and right[2] > right[0] + 90), name


def test_every_broken_image_gives_one_sentence_without_its_name(zoo):
    for name, (path, good) in zoo.items():
        if not good:
            assert name not in refusal(path) and str(path.parent) not in refusal(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("truncated.jpg", "not an image: truncated JPEG"),
        ("only_a_header.jpg", "not an image: truncated JPEG"),
        ("truncated.png", "not an image: truncated PNG"),
        ("damaged.png", "not an image: damaged PNG"),
        ("empty.jpg", "empty file"),
        ("text.jpg", "not an image: the file holds text"),
        ("page.png", "not an image: the file holds text"),
        ("noise.webp", "not an image: none of the formats JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC"),
        ("bomb.png", "too many pixels: 30000x30000 is 900 megapixels, the limit is 100"),
        ("bomb_pillow_only_warns_of.png", "too many pixels: 14000x10000 is 140 megapixels, the limit is 100"),
    ],
)
def test_the_message_says_what_is_wrong(zoo, name, sentence):
    assert refusal(zoo[name][0]) == sentence


def test_narrow_and_tiny_images_are_refused_with_the_limit(zoo):
    assert refusal(zoo["one_pixel.png"][0]).startswith(
        f"too small: 1x1, each side must have at least {MIN_SIDE} pixels"
    )
    assert refusal(zoo["sliver.png"][0]).startswith(
        f"too narrow: 20000x1, each side must have at least {MIN_SIDE} pixels"
    )
    long = Image.new("RGB", (MIN_SIDE * MAX_ASPECT, MIN_SIDE))
    assert open_image(encoded(long, "PNG")).size == long.size
    assert "at most 32 times" in refusal(encoded(Image.new("RGB", (MIN_SIDE * MAX_ASPECT + 1, MIN_SIDE)), "PNG"))


def test_a_path_its_bytes_and_an_open_file_give_the_same_pixels(zoo):
    path = zoo["plain.jpg"][0]
    with path.open("rb") as file:
        pixels = [np.asarray(open_image(source)) for source in (path, str(path), path.read_bytes(), file)]
    assert all((pixels[0] == other).all() for other in pixels[1:])


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "absent.jpg") == "cannot be read: no such file or directory"
    assert refusal(tmp_path) == "not an image: a folder"
    assert refusal(tmp_path / "pipe.jpg") == "not an image: not an ordinary file"


def test_too_many_bytes_are_refused(monkeypatch, zoo):
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    assert refusal(b"\xff\xd8\xff" + bytes(2**20)) == "too many bytes: the limit is 1 MiB"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_each_exif_orientation_is_undone(format, orientation):
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that stores an upright image that way
    upright = sample_image(96, 64)
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(inverse[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encoded(stored, format, exif=exif, **({"quality": 95} if format in ("JPEG", "WEBP") else {})))
    assert opened.size == upright.size
    assert np.abs(np.asarray(opened, float) - np.asarray(upright, float)).mean() < 8


def test_transparency_is_composited_over_white_whatever_colour_is_hidden():
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    half = Image.new("RGBA", (32, 32), (0, 0, 0, 128))
    assert open_image(encoded(clear, "PNG")).getpixel((5, 5)) == (255, 255, 255)
    assert open_image(encoded(half, "PNG")).getpixel((5, 5)) == (127, 127, 127)
    assert open_image(encoded(Image.new("LA", (32, 32), (0, 0)), "PNG")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(format):
    deep = gradient()
    opened = np.asarray(open_image(encoded(Image.fromarray(deep), format)))
    assert np.array_equal(opened[..., 0], np.round(deep / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (gradient().astype(np.int32), "signed or complex pixels"),
        (gradient().astype(np.float32), "floating-point pixels"),
    ],
)
def test_samples_without_a_defined_white_are_refused(pixels, kind):
    assert refusal(encoded(Image.fromarray(pixels), "TIFF")).startswith(f"TIFF with {kind} is not supported")


def test_an_embedded_profile_is_applied_and_an_invalid_one_ignored():
    plain = sample_image(64, 64)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (srgb, lab, b"not a profile"):
        assert np.array_equal(open_image(encoded(plain, "PNG", icc_profile=profile)), plain)
    # A profile with linear transfer: half of the light is 188 in sRGB. Its bytes are sRGB's with the curve replaced.
    linear = bytearray(srgb)
    tags = int.from_bytes(linear[128:132], "big")
    for tag in range(tags):
        entry = 132 + 12 * tag
        start, size = (int.from_bytes(linear[entry + at : entry + at + 4], "big") for at in (4, 8))
        if linear[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            linear[start : start + size] = b"curv".ljust(size, b"\0")
        if linear[entry : entry + 4] == b"desc":
            linear[start : start + size] = linear[start : start + size].replace(
                "sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be")
            )
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    opened = open_image(encoded(grey, "PNG", icc_profile=bytes(linear)))
    assert abs(opened.getpixel((3, 3))[0] - 188) <= 2
    assert not opened.info


def test_flipped_and_missing_bytes_give_an_image_or_an_image_error(recwarn):
    source = sample_image(48, 40)
    samples = {
        "JPEG": encoded(source, "JPEG"),
        "PNG": encoded(source, "PNG"),
        "WEBP": encoded(source, "WEBP"),
        "GIF": encoded(source, "GIF", save_all=True, append_images=[Image.new("RGB", source.size)]),
        "TIFF": encoded(source, "TIFF"),
        "packed TIFF": encoded(source, "TIFF", compression="tiff_lzw"),
        "BMP": encoded(source, "BMP"),
        "AVIF": encoded(source, "AVIF"),
    }
    random = np.random.default_rng(2021)
    for name, sample in samples.items():
        refused = 0
        for case in range(60):
            broken = bytearray(sample)
            if case % 3 == 0:
                del broken[random.integers(len(sample)) :]
            else:
                # Most damage goes to the headers, where decoders are most easily led astray.
                reach = len(sample) if case % 3 == 1 else min(200, len(sample))
                for place in random.integers(reach, size=random.integers(1, 6)):
                    broken[place] = random.integers(256)
            try:
                assert open_image(bytes(broken)).mode == "RGB"
            except ImageError:
                refused += 1
        assert refused >= 10, name
