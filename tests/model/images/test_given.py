"""A scorer takes an image in whatever form a program holds it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from model import ImageError, load_scorer
from model.images.decoding import open_image
from model.images.given import given_image

EXAMPLE = Path(__file__).parents[2] / "images" / "lake_pristine.jpg"


def png(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def test_a_scorer_gives_one_score_for_one_image_in_any_form():
    scorer, opened = load_scorer("nano"), Image.open(EXAMPLE)
    forms = [EXAMPLE, str(EXAMPLE), EXAMPLE.read_bytes(), opened, np.asarray(opened), opened.convert("RGBA")]
    alone = scorer(EXAMPLE)
    assert alone.image == str(EXAMPLE) and alone.score == pytest.approx(next(scorer.assess_files([EXAMPLE])).score)
    together = scorer(forms)
    assert [a.score for a in together] == pytest.approx([alone.score] * len(forms), abs=1e-4)
    assert together[2].image == "image 3"


def test_a_pil_image_is_treated_as_its_file_would_be():
    colours = Image.fromarray(np.arange(60 * 80 * 3, dtype=np.uint32).reshape(60, 80, 3).astype(np.uint8))
    see_through = colours.copy()
    see_through.putalpha(Image.linear_gradient("L").resize((80, 60)))
    turned = Image.Exif()
    turned[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    deep = Image.fromarray(np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) * 13)
    for file in (
        png(see_through),
        png(colours, exif=turned),
        png(colours, icc_profile=profile),
        png(deep),
        png(colours.quantize(16)),
        png(colours.convert("L")),
    ):
        assert np.array_equal(given_image(Image.open(io.BytesIO(file))), open_image(file))


@pytest.mark.parametrize(
    "given, said",
    [
        (np.zeros((40, 40, 3)), "array of float64"),
        (np.zeros((3, 40, 40), np.uint8), "not an image"),
        (Image.new("F", (40, 40)), "mode F is not supported"),
        (Image.new("RGB", (4, 4)), "too small"),
        (None, "not an image: NoneType"),
        (b"nothing", "not an image"),
        ("no such file.jpg", "cannot be read"),
    ],
)
def test_what_is_no_image_is_one_sentence(given, said):
    with pytest.raises(ImageError, match=said):
        given_image(given)
