"""Figures in the docs that repeat a constant of the code are compared with it."""

import re
from pathlib import Path

import pytest

from model.backbones.spec import QUALITY
from model.finetuning.material import MIN_IMAGES
from model.images import budget, decoders, decoding, gif_structure, jpeg_structure, png_structure, tiff_structure, video
from model.loading.known import KNOWN

ROOT = Path(__file__).parent.parent


def page(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


IMAGES, README = page("docs/images.md"), page("README.md")


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        (IMAGES, f"| file | {decoding.MAX_BYTES >> 20} MiB |"),
        (IMAGES, f"| pixels | {decoding.MAX_PIXELS // 10**6} million, each side at least {decoding.MIN_SIDE}, "),
        (IMAGES, f"the long side at most {decoding.MAX_ASPECT} times the short one"),
        (IMAGES, f"| {decoding.MAX_SCANS}, and {decoding.MAX_SCANNED // 10**9} billion pixels over all scans |"),
        (IMAGES, f"| BMP with RLE | {decoders.MAX_RLE_PIXELS // 10**6} million pixels |"),
        (IMAGES, f"| {jpeg_structure.MAX_SEGMENTS:,}; {png_structure.MAX_CHUNKS:,}; {gif_structure.MAX_BLOCKS:,}; "),
        (IMAGES, f"; {tiff_structure.MAX_PIECES:,} |"),
        (IMAGES, f"| the first of each of its first {video.MAX_FRAMES} seconds, "),
        (IMAGES, f"at most {video.MAX_DECODED_FRAMES:,} frames or {video.MAX_DECODED // 10**9} billion pixels |"),
        (IMAGES, f"{budget.PIXELS.total / 2**30:g} GiB for pixels and {budget.FILES.total / 2**30:g} GiB for files"),
        (README, f"more than {decoding.MAX_PIXELS // 10**6} megapixels are refused"),
        (README, f"one frame a second, at most {video.MAX_FRAMES}"),
        (README, f"at least {MIN_IMAGES} rated images"),
    ],
)
def test_limits_in_the_docs_are_the_constants_of_the_code(text, figure):
    assert figure in text


def test_the_frame_limit_in_the_docs_is_the_constant_of_the_code():
    width, height = map(int, re.search(r"\| frame of a video \| (\d+) × (\d+) \|", IMAGES).groups())
    assert width * height == video.MAX_FRAME_PIXELS


@pytest.mark.parametrize("name", KNOWN)
def test_every_named_model_is_in_the_readme(name):
    short = name.removeprefix("q-realign")  # the README lists `q-realign-mini`, `-lite`, `-pro`
    assert f"`{name}`" in README or (short != name and f"`{short}`" in README)


def test_shipped_weights_have_the_size_and_scale_in_the_readme():
    size, low, high = map(int, re.search(r"`model/weights/`, (\d+) MB each, scale (\d) to (\d)", README).groups())
    for known in KNOWN.values():
        if known.ships:
            assert round((known.where / "model.safetensors").stat().st_size / 1e6) == size
            assert known.scale == (low, high) and known.tasks == (QUALITY,)
