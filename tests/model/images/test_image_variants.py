"""Variants of the kinds in test_images_sent.py, made here: layouts of TIFF and raw, HEIC, profiles and code points."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from model.common.errors import ImageError
from model.images.decoding import open_image

SENT = Path(__file__).parents[2] / "fixtures" / "images"
BASE = Image.open(SENT / "base.png").convert("RGB")
with Image.open(SENT / "palette_p3.png") as palette:
    P3 = palette.info["icc_profile"]
TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def difference(content, reference=BASE):
    opened, wanted = np.asarray(open_image(content), float), np.asarray(reference.convert("RGB"), float)
    assert opened.shape == wanted.shape
    return np.abs(opened - wanted).mean()


def refusal(content):
    with pytest.raises(ImageError) as caught:
        open_image(content)
    return str(caught.value)


def tiff(order, *directories, big=False):
    """A TIFF of directories {tag: (type, values)}; the values of 273 are replaced by where "pixels" lie, and those of 330 by where the
    directory of that number lies. Only the first directory stands in the chain."""
    long, entry, count = ("Q", "HHQ", "Q") if big else ("I", "HHI", "H")
    inline, header = (8, 16) if big else (4, 8)
    out, places = bytearray(header), {}
    for number, tags in reversed(list(enumerate(directories))):
        tags = dict(tags)
        pixels = tags.pop("pixels")
        tags[273], tags[279] = (4, [len(out)]), (4, [len(pixels)])
        out += pixels + bytes(len(pixels) % 2)
        if 330 in tags:
            tags[330] = (4, [places[n] for n in tags[330][1]])
        entries = b""
        for tag, (kind, values) in sorted(tags.items()):
            data = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
            if len(data) > inline:
                place, data = len(out), data + bytes(len(data) % 2)
                out += data
                data = struct.pack(order + long, place)
            entries += struct.pack(order + entry, tag, kind, len(values)) + data.ljust(inline, b"\0")
        places[number] = len(out)
        out += struct.pack(order + count, len(tags)) + entries + bytes(inline)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    start += struct.pack(order + "HHQ", 8, 0, places[0]) if big else struct.pack(order + "I", places[0])
    out[:header] = start
    return bytes(out)


def rgb(image, **more):
    width, height = image.size
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]), 277: (3, [3])}
    return {**tags, 278: (4, [height]), "pixels": image.tobytes(), **more}


def grey(pixels, order, bits, **more):
    height, width = pixels.shape
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    return {**tags, 278: (4, [height]), "pixels": pixels.astype(f"{order}u{bits // 8}").tobytes(), **more}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_the_photograph_below_a_thumbnail_is_found_in_every_layout(order, big):
    thumbnail = rgb(BASE.resize((32, 24)))
    whole = tiff(order, {**thumbnail, 254: (4, [1]), 330: (4, [1])}, {**rgb(BASE), 254: (4, [0])}, big=big)
    assert difference(whole) == 0


def test_a_photograph_without_thumbnail_keeps_its_orientation_and_profile():
    turned = BASE.transpose(Image.Transpose.ROTATE_90)
    assert difference(tiff("<", {**rgb(turned), 274: (3, [6])})) == 0
    srgb = ImageCms.createProfile("sRGB")
    wide = ImageCms.profileToProfile(BASE, srgb, ImageCms.ImageCmsProfile(io.BytesIO(P3)), ImageCms.Intent(1))
    assert difference(tiff(">", {**rgb(wide), 34675: (1, list(P3))})) < 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_raw_below_a_preview_is_refused_as_camera_raw(order):
    preview = {**rgb(BASE.resize((32, 24))), 254: (4, [1]), 330: (4, [1])}
    mosaic = {**grey(np.zeros((96, 128)), order, 16), 254: (4, [0]), 262: (3, [32803])}
    assert refusal(tiff(order, preview, mosaic)).startswith("camera raw is not supported")
    linear = {**rgb(BASE), 254: (4, [0]), 262: (3, [34892])}
    assert refusal(tiff(order, preview, linear)).startswith("camera raw is not supported")
    assert refusal(tiff(order, {**rgb(BASE), 50706: (1, [1, 4, 0, 0])})).startswith("camera raw is not supported")


@pytest.mark.parametrize(
    "start",
    [
        b"II*\0\x10\0\0\0CR\2\0",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"FUJIFILMCCD-RAW 0201",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"FOVb\0\0\3\0",
    ],
)
def test_raw_files_with_their_own_signature_are_refused_as_camera_raw(start):
    assert refusal(start + bytes(100)).startswith("camera raw is not supported")


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_grey_is_right_or_refused(order):
    levels = np.asarray(BASE.convert("L")).astype(np.uint32)
    light = BASE.convert("L")
    assert difference(tiff(order, grey(levels * 257, order, 16)), light) == 0
    white_is_zero = tiff(order, {**grey(65535 - levels * 257, order, 16), 262: (3, [0])})
    assert difference(white_is_zero, light) == 0
    assert "32 bits per sample" in refusal(tiff(order, grey(levels, order, 32)))
    for bits in (8, 16, 32):
        signed = {**grey(levels, order, bits), 339: (3, [2])}
        assert "signed" in refusal(tiff(order, signed))


def heic(image, **options):
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    return buffer.getvalue()


def test_heic_turned_transparent_deep_and_with_a_second_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert difference(heic(BASE.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())) < 2
    clear = BASE.convert("RGBA")
    clear.putalpha(0)
    assert np.asarray(open_image(heic(clear))).min() > 250
    deep = io.BytesIO()
    pillow_heif.encode("RGB;16", BASE.size, (np.asarray(BASE).astype(np.uint16) * 257).tobytes(), deep, quality=95)
    assert difference(deep.getvalue()) < 2
    burst = pillow_heif.from_pillow(BASE)
    burst.add_from_pillow(Image.new("RGB", (64, 64), "red"))
    buffer = io.BytesIO()
    burst.save(buffer, quality=95)
    assert difference(buffer.getvalue()) < 2


def test_heic_in_other_colours():
    def described(primaries, transfer):
        colours = {"color_primaries": primaries, "transfer_characteristics": transfer}
        return open_image(heic(BASE, **colours, matrix_coefficients=6, full_range_flag=1))

    plain = open_image(heic(BASE))
    assert np.array_equal(described(1, 13), plain) and np.array_equal(described(1, 1), plain)

    def apart(one, other):
        return np.abs(np.asarray(one, float) - np.asarray(other, float)).mean()

    as_png = {points: open_image(cicp(*points)) for points in ((12, 13), (9, 16), (9, 18))}
    for points, wanted in as_png.items():
        assert apart(described(*points), wanted) < 2.5 < apart(plain, wanted)


def cicp(primaries, transfer, matrix=0, full_range=1, **options):
    whole, data = encoded(BASE, "PNG", **options), b"cICP" + bytes([primaries, transfer, matrix, full_range])
    return whole[:33] + struct.pack(">I", 4) + data + struct.pack(">I", zlib.crc32(data)) + whole[33:]


def test_code_points_take_precedence_over_a_profile_and_unknown_ones_are_ignored():
    assert difference(cicp(1, 13, icc_profile=P3)) == 0
    for points in ((99, 13), (1, 99), (2, 2), (12, 2), (12, 13, 0, 0)):
        assert difference(cicp(*points)) == 0
    assert difference(cicp(9, 1)) > 5
    assert refusal(cicp(9, 16, 0, 0)).startswith("PNG with HDR in narrow range is not supported")


def test_a_profile_is_applied_below_transparency_and_to_grey():
    wide = encoded(BASE, "PNG", icc_profile=P3)
    opaque = BASE.convert("RGBA")
    assert difference(encoded(opaque, "PNG", icc_profile=P3), open_image(wide)) == 0
    clear = BASE.convert("RGBA")
    clear.putalpha(0)
    assert np.asarray(open_image(encoded(clear, "PNG", icc_profile=P3))).min() == 255
    light = BASE.convert("L")
    assert difference(encoded(light, "PNG", icc_profile=P3), light) < 1  # P3 has the curve of sRGB
    indexed = BASE.quantize(64)
    assert (
        difference(
            encoded(indexed, "PNG", icc_profile=P3, transparency=bytes([255] * 64)),
            open_image(encoded(indexed.convert("RGB"), "PNG", icc_profile=P3)),
        )
        == 0
    )
