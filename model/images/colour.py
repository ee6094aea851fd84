"""Converts a file's colours to sRGB: ICC profiles, and the code points (cICP, nclx) of ITU-T H.273.

The result is what Chromium shows on an sRGB screen. HDR (PQ and HLG) is tone-mapped to that screen's range by the reference white tone
mapping of SMPTE ST 2094-50: diffuse white at half of the linear range, highlights of up to 1000 nits compressed above it.
"""

import functools
import io

import numpy as np
from PIL import Image, ImageCms, ImageFilter

LUT_SIDE = 65  # nodes per channel, Pillow's maximum
SAME = 2  # levels of 255: a profile that changes no colour by more is treated as sRGB, whatever its name

SRGB, LINEAR, PQ, HLG = 13, 8, 16, 18
BT709, BT2020 = 1, 9
UNSPECIFIED = 2
VIDEO = (1, 6, 14, 15)  # the curves of BT.709, BT.601 and BT.2020
GAMMA = {4: 2.2, 5: 2.8, **dict.fromkeys(VIDEO, 2.4)}
SMPTE_240, DCI = 7, 17
TRANSFERS = {SRGB, LINEAR, PQ, HLG, SMPTE_240, DCI, *GAMMA}
# CIE xy of red, green, blue and white.
_D65 = (0.3127, 0.3290)
PRIMARIES = {
    BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}

PAPER_WHITE, PEAK = 203, 1000  # nits (BT.2408): diffuse white, and where highlights clip
HEADROOM = PEAK / PAPER_WHITE


def from_code_points(primaries: int, transfer: int, heif: bool = False) -> tuple[int, int] | None:
    """The code points to apply; None if unknown.

    heif: the file is an AVIF or HEIC. For these, browsers treat unspecified values as sRGB, and the curve of BT.709 as well, which
    encoders write for content made on an sRGB screen.
    """
    if heif:
        primaries = BT709 if primaries == UNSPECIFIED else primaries
        transfer = SRGB if transfer in (UNSPECIFIED, *VIDEO) else transfer
    return (primaries, transfer) if primaries in PRIMARIES and transfer in TRANSFERS else None


def apply_code_points(image: Image.Image, code_points: tuple[int, int]) -> Image.Image:
    """An RGB or RGBA image in the colours of (primaries, transfer), as returned by `from_code_points`, converted to sRGB; same mode."""
    primaries, transfer = code_points
    if transfer == LINEAR:  # evenly spaced nodes would be too coarse in the shadows
        curve = (_encode(np.arange(256) / 255) * 255).round().astype(int).tolist()
        identity = list(range(256))
        image = image.point(curve * 3 + (identity if image.mode == "RGBA" else []))
        transfer = SRGB
    if (primaries, transfer) == (BT709, SRGB):
        return image
    return image.filter(_lut(primaries, transfer))


def apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """An L, RGB, RGBA or CMYK image in the colours of an ICC profile, converted to sRGB (RGB or RGBA).

    Returned unchanged if the profile is sRGB, invalid, or for other channels.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        target = "RGBA" if image.mode == "RGBA" else "RGB"
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC  # keeps white white
        transform = ImageCms.buildTransform(source, _srgb(), image.mode, target, intent)
        if space in ("RGB", "GRAY") and _changes_nothing(transform, image.mode):
            return image
        if image.mode == target:
            ImageCms.applyTransform(image, transform, inPlace=True)
            return image
        return ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def from_lab(image: Image.Image) -> Image.Image:
    """A CIELAB image, converted to sRGB."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    transform = ImageCms.buildTransform(lab, _srgb(), "LAB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    return ImageCms.applyTransform(image, transform) or image


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves a sample of colours unchanged, to within SAME."""
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 3))
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    sample = ramp if mode == "L" else np.concatenate([ramp, colours])
    before = Image.fromarray(sample[None])
    after = (ImageCms.applyTransform(before.convert(mode), transform) or before).convert("RGB")
    return int(np.abs(np.asarray(after, int) - np.asarray(before, int)).max()) <= SAME


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.lru_cache(maxsize=8)
def _lut(primaries: int, transfer: int) -> ImageFilter.Color3DLUT:
    """A look-up table on a grid of colours; Pillow interpolates."""
    steps = np.linspace(0, 1, LUT_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red varies fastest
    light = _decode(np.stack([red, green, blue], axis=-1).reshape(-1, 3), primaries, transfer)
    if transfer in (PQ, HLG):
        light = _tone_mapped(light @ _between(primaries, BT2020).T) @ _between(BT2020, BT709).T
    else:
        light = light @ _between(primaries, BT709).T
    return ImageFilter.Color3DLUT(LUT_SIDE, _encode(light).astype(np.float32).ravel())


def _decode(values: np.ndarray, primaries: int, transfer: int) -> np.ndarray:
    """Encoded values in 0..1 to linear light [N, 3]: 1 is diffuse white; PQ and HLG exceed it."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = values ** (1 / m2)
        return (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10_000 / PAPER_WHITE
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
        luminance = scene @ _to_xyz(primaries)[1]
        return scene * luminance[:, None] ** 0.2 * HEADROOM  # the system gamma of a screen of 1000 nits
    if transfer == SMPTE_240:
        return np.where(values < 0.0912, values / 4, ((values + 0.1115) / 1.1115) ** (1 / 0.45))
    if transfer == DCI:
        return values**2.6 * 52.37 / 48
    if transfer in GAMMA:
        return values ** GAMMA[transfer]
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encode(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB's encoding, both in 0..1."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _tone_mapped(light: np.ndarray) -> np.ndarray:
    """HDR light [N, 3] in BT.2020 primaries, scaled to 0..1 by a gain that depends on the largest component.

    Up to diffuse white the gain is 0.5. Above, a quadratic Bézier curve leads to 1 at the peak; its control point lies 0.65 of the way
    to the intersection of the tangents.
    """
    half, bend = 0.5, 0.65
    middle_x, middle_y = (1 - bend) + bend / half, (1 - bend) * half + bend
    t = np.linspace(0, 1, 1025)
    curve_x = (1 - t) ** 2 + 2 * t * (1 - t) * middle_x + t**2 * HEADROOM
    curve_y = (1 - t) ** 2 * half + 2 * t * (1 - t) * middle_y + t**2
    largest = np.maximum(light.max(axis=1, keepdims=True), 1e-9)
    return light * np.where(largest <= 1, half, np.interp(largest, curve_x, curve_y) / largest)


def _between(source: int, target: int) -> np.ndarray:
    return np.linalg.inv(_to_xyz(target)) @ _to_xyz(source)


def _to_xyz(primaries: int) -> np.ndarray:
    """The matrix from linear RGB to XYZ, white adapted to D65 by Bradford's method."""
    red, green, blue, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in PRIMARIES[primaries])
    matrix = np.stack([red, green, blue], axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d65 = np.array([_D65[0] / _D65[1], 1, (1 - sum(_D65)) / _D65[1]])
    return np.linalg.inv(cone) @ np.diag(cone @ d65 / (cone @ white)) @ cone @ matrix
