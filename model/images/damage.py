"""Synthetic damage to images, by kind and severity: noise and compression in isolation, which photographs rarely show.

A kind is a function from (RGB array [H, W, 3] uint8, severity, random generator) to an array of the same shape. Severity runs from 0
(hardly visible) to 1 (ruined); each docstring gives its range.

Training uses the kinds in TAUGHT as ranked pairs: a damaged image should score lower than the original. Those in UNTAUGHT only measure
how a scorer responds to damage that it was not trained on.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from scipy.ndimage import convolve1d

Degradation = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def between(low: float, high: float, severity: float) -> float:
    """Geometric interpolation from `low` at severity 0 to `high` at 1: perceptually even steps."""
    return low * (high / low) ** severity


def clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values.round(), 0, 255).astype(np.uint8)


def compressed(pixels: np.ndarray, **options) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)
    return np.array(Image.open(buffer).convert("RGB"))


def jpeg(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """JPEG at quality 50 down to 4."""
    return compressed(pixels, format="JPEG", quality=round(between(50, 4, severity)))


def jpeg2000(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """JPEG 2000 at 1/25 down to 1/250 of the raw size."""
    rate = between(25, 250, severity)
    return compressed(pixels, format="JPEG2000", quality_mode="rates", quality_layers=[rate], irreversible=True)


def webp(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """WebP at quality 30 down to 1."""
    return compressed(pixels, format="WEBP", quality=round(between(30, 1, severity)), method=2)


def gaussian_noise(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Independent noise of standard deviation 6 to 60 grey levels on each channel."""
    return clipped(pixels + draw.normal(0, between(6, 60, severity), pixels.shape))


def luminance_noise(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 6 to 60 grey levels, equal on the three channels and coarser than a pixel, as at high ISO."""
    grain = draw.normal(0, 1, (*pixels.shape[:2], 1))
    for axis in (0, 1):
        grain = convolve1d(grain, [0.25, 0.5, 0.25], axis, mode="nearest")
    return clipped(pixels + between(6, 60, severity) * grain / grain.std())


def impulse_noise(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """0.4 % to 12 % of the pixels black or white."""
    share = between(0.004, 0.12, severity)
    chance = draw.random(pixels.shape[:2])
    pixels = pixels.copy()
    pixels[chance < share / 2] = 0
    pixels[chance > 1 - share / 2] = 255
    return pixels


def gaussian_blur(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Blur of standard deviation 0.2 % to 1.4 % of the shorter side."""
    radius = between(0.002, 0.014, severity) * min(pixels.shape[:2])
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def motion_blur(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Box blur along one axis over 0.8 % to 6 % of the shorter side."""
    length = max(3, round(between(0.008, 0.06, severity) * min(pixels.shape[:2])))
    kernel = np.full(length, 1 / length)
    return clipped(convolve1d(pixels.astype(np.float32), kernel, int(draw.integers(2)), mode="nearest"))


def enlarged(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Reduced to 1/1.6 to 1/8 of its sides and enlarged again, bilinearly or by nearest neighbour."""
    image, factor = Image.fromarray(pixels), between(1.6, 8, severity)
    small = image.resize([max(1, round(side / factor)) for side in image.size], Image.Resampling.BOX)
    back = Image.Resampling.BILINEAR if draw.integers(4) else Image.Resampling.NEAREST
    return np.array(small.resize(image.size, back))


def few_colours(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """24 down to 4 levels per channel."""
    levels = round(between(24, 4, severity))
    return clipped(np.round(pixels / 255 * (levels - 1)) / (levels - 1) * 255)


def low_contrast(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Contrast reduced to 60 % down to 20 %."""
    return np.array(ImageEnhance.Contrast(Image.fromarray(pixels)).enhance(between(0.6, 0.2, severity)))


def wrong_exposure(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """One to three stops too dark or too bright, clipped where the sensor would clip."""
    stops = (1 + 2 * severity) * draw.choice([-1, 1])
    linear = (pixels / 255.0) ** 2.2 * 2.0**stops
    return clipped(255 * np.clip(linear, 0, 1) ** (1 / 2.2))


def over_sharpened(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """An unsharp mask of radius 2 and strength 150 % to 1200 %."""
    percent = round(100 * between(1.5, 12, severity))
    return np.array(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(2, percent, threshold=0)))


def over_saturated(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Saturation times 1.8 to 8, clipped."""
    return np.array(ImageEnhance.Color(Image.fromarray(pixels)).enhance(between(1.8, 8, severity)))


def colour_cast(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """White balance off by a factor of 1.2 to 3 between red and blue, in either direction."""
    gain = between(1.2, 3, severity) ** (0.5 * draw.choice([-1, 1]))
    return clipped(pixels * np.array([gain, 1, 1 / gain]))


def colour_fringes(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Red and blue shifted apart by 0.6 % to 5 % of the shorter side, along one axis."""
    apart = max(1, round(between(0.003, 0.025, severity) * min(pixels.shape[:2])))
    axis = int(draw.integers(2))
    red, green, blue = np.moveaxis(pixels, 2, 0)
    return np.stack([np.roll(red, apart, axis), green, np.roll(blue, -apart, axis)], 2)


def displaced_pixels(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """Each pixel replaced by one at a random offset of up to 0.4 % to 4 % of the shorter side in each direction."""
    reach = between(0.004, 0.04, severity) * min(pixels.shape[:2])
    height, width = pixels.shape[:2]
    down, across = draw.uniform(-reach, reach, (2, height, width)).round().astype(int)
    rows, columns = np.indices((height, width))
    return pixels[(rows + down).clip(0, height - 1), (columns + across).clip(0, width - 1)]


def lost_blocks(pixels: np.ndarray, severity: float, draw: np.random.Generator) -> np.ndarray:
    """1 % to 25 % of the blocks (1/24 of the shorter side) replaced by other parts of the image, as after a transmission error."""
    side = max(2, min(pixels.shape[:2]) // 24)
    lows = [length - side + 1 for length in pixels.shape[:2]]
    corners = np.stack(np.meshgrid(*(np.arange(0, low, side) for low in lows), indexing="ij"), 2).reshape(-1, 2)
    chance, places = draw.random(len(corners)), (draw.random(corners.shape) * lows).astype(int)
    lost = chance < between(0.01, 0.25, severity)
    broken = pixels.copy()
    for (top, left), (row, column) in zip(corners[lost], places[lost], strict=True):
        broken[top : top + side, left : left + side] = pixels[row : row + side, column : column + side]
    return broken


def by_name(*kinds: Degradation) -> dict[str, Degradation]:
    return {kind.__name__: kind for kind in kinds}


TAUGHT = by_name(
    jpeg,
    jpeg2000,
    webp,
    gaussian_noise,
    luminance_noise,
    impulse_noise,
    gaussian_blur,
    motion_blur,
    enlarged,
    few_colours,
    low_contrast,
    wrong_exposure,
    over_saturated,
    colour_cast,
    lost_blocks,
)
UNTAUGHT = by_name(over_sharpened, colour_fringes, displaced_pixels)
KINDS = TAUGHT | UNTAUGHT


def degrade(image: Image.Image, kind: str, severity: float, seed: int) -> Image.Image:
    """An RGB image, damaged by one of KINDS with `severity` from 0 to 1; deterministic for a seed."""
    return Image.fromarray(KINDS[kind](np.array(image), float(severity), np.random.default_rng(seed)))
