"""Linear light to a photograph: mixing, blur, lens, film and grain."""

import numpy as np
from PIL import Image, ImageFilter

SUPERSAMPLING = 2


def mix(a, b, t):
    """a where t is 0, b where t is 1; colours spread over the pixels of t."""
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def smooth(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def developed(light, seed, exposure=1.0, grain=0.006, vignette=0.25, glow=0.06):
    """Linear light [H, W, 3] -> image: down from supersampling, lens glow, filmic curve, a little grain."""
    height, width = light.shape[0] // SUPERSAMPLING, light.shape[1] // SUPERSAMPLING
    light = light[: height * SUPERSAMPLING, : width * SUPERSAMPLING]
    light = np.minimum(light, 12).reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3)) * exposure
    light = light + glow * (blurred(np.minimum(light, 4), width / 40) - light)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = light * (1 - vignette * np.clip((x * x + y * y) / 2, 0, 1) ** 1.2)[..., None]
    curved = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    pixels = np.clip(curved, 0, 1) ** (1 / 2.2)
    pixels = pixels + np.random.default_rng(seed).normal(0, grain, pixels.shape)
    image = Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
    return image.filter(ImageFilter.UnsharpMask(radius=1.0, percent=45, threshold=1))


def blurred(light, sigma):
    """Gaussian blur of float channels, by FFT with mirrored borders."""
    pad = int(3 * sigma) + 1
    padded = np.pad(light, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    rows, columns = np.fft.fftfreq(padded.shape[0]), np.fft.rfftfreq(padded.shape[1])
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns[None] ** 2))
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * kernel[..., None]
    out = np.fft.irfft2(spectrum, padded.shape[:2], axes=(0, 1))
    return out[pad:-pad, pad:-pad].astype(np.float32)
