"""What goes wrong with photographs: blur, noise, compression, darkness, lost resolution."""

import io

import numpy as np
from film import blurred
from PIL import Image, ImageFilter


def defocused(image, sigma=4.5):
    return image.filter(ImageFilter.GaussianBlur(sigma))


def shaken(image, length=31, rise=9):
    """Motion blur along a slanted line, as from a hand that moved."""
    pixels = np.asarray(image).astype(np.float32)
    total = sum(
        np.roll(np.roll(pixels, step, axis=1), round(step * rise / length), axis=0)
        for step in range(-(length // 2), length // 2 + 1)
    )
    margin = length // 2
    moved = Image.fromarray((total / length + 0.5).astype(np.uint8))
    return moved.crop((margin, margin, image.width - margin, image.height - margin)).resize(image.size, Image.LANCZOS)


def noisy(image, strength=0.10):
    """Sensor noise, as from a small camera in the dark: stronger in colour blotches than in fine grain."""
    random = np.random.default_rng(90)
    pixels = np.asarray(image).astype(np.float32) / 255
    fine = random.normal(0, strength, pixels.shape)
    blotch = blurred(random.normal(0, strength * 4, pixels.shape).astype(np.float32), 1.6)
    return Image.fromarray((np.clip(pixels + fine + blotch * 0.6, 0, 1) * 255).astype(np.uint8))


def compressed(image, quality=7):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def underexposed(image):
    """Four stops too dark and pulled up a little, with the noise that this brings."""
    light = (np.asarray(image).astype(np.float32) / 255) ** 2.2 * 0.07
    light = light + np.random.default_rng(91).normal(0, 0.004, light.shape)
    return Image.fromarray((np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def enlarged(image, factor=7):
    """What remains of a thumbnail that was blown up again."""
    small = image.resize((image.width // factor, image.height // factor), Image.BICUBIC)
    return small.resize(image.size, Image.BILINEAR)
