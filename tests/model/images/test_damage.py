"""Synthetic damage: repeatable, of the same size, and worse with severity."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.images.damage import KINDS, degrade
from model.images.decoding import open_image


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return open_image(Path("tests/images/forest_pristine.jpg")).resize((384, 256))


def distance(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_severity(kind, photograph):
    distances = [distance(photograph, degrade(photograph, kind, severity, seed=1)) for severity in (0, 0.5, 1)]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_keeps_the_size_and_is_repeatable(kind, photograph):
    once, again = (degrade(photograph, kind, 0.6, seed=3) for _ in range(2))
    assert once.size == photograph.size and once.mode == "RGB"
    assert once.tobytes() == again.tobytes()
