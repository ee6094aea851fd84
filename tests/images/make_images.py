"""Renders the example pictures of the page and of the tests, each from nothing but numpy and a seed.

    python tests/images/make_images.py [--only NAME] [--width 768] [--out tests/images]

Five scenes in photographic manner, and damaged copies of some: blur, noise, compression, darkness, lost resolution.
Lengths are in scene units, colours are linear RGB until `developed` turns them into the 8-bit sRGB of a camera.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SUPERSAMPLING = 2


# ---- noise ----------------------------------------------------------------------------------------------------------


class Noise:
    """Gradient noise on the plane, about -0.7..0.7, the same for the same seed."""

    def __init__(self, seed: int):
        random = np.random.default_rng(seed)
        angle = random.uniform(0, 2 * np.pi, (256, 256)).astype(np.float32)
        self.gradient_x, self.gradient_y = np.cos(angle), np.sin(angle)

    def __call__(self, x, y):
        x, y = np.broadcast_arrays(np.asarray(x, np.float32), np.asarray(y, np.float32))
        floor_x, floor_y = np.floor(x), np.floor(y)
        u, v = x - floor_x, y - floor_y
        column, row = floor_x.astype(np.int32) & 255, floor_y.astype(np.int32) & 255

        def corner(right, down):
            j, i = (column + right) & 255, (row + down) & 255
            return self.gradient_x[i, j] * (u - right) + self.gradient_y[i, j] * (v - down)

        fade_u = u * u * u * (u * (u * 6 - 15) + 10)
        fade_v = v * v * v * (v * (v * 6 - 15) + 10)
        top = corner(0, 0) + fade_u * (corner(1, 0) - corner(0, 0))
        bottom = corner(0, 1) + fade_u * (corner(1, 1) - corner(0, 1))
        return top + fade_v * (bottom - top)

    def fractal(self, x, y, octaves, gain=0.5):
        total, amplitude = 0.0, 1.0
        for _ in range(octaves):
            total = total + amplitude * self(x, y)
            # Turning each octave hides the lattice.
            x, y = 1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y - 9.1
            amplitude *= gain
        return total

    def ridged(self, x, y, octaves, gain=0.5):
        """Sharp crests and smooth valleys, 0..about 1.6; crests carry more detail than valleys."""
        total, amplitude, weight = 0.0, 1.0, 1.0
        for _ in range(octaves):
            ridge = np.square(1 - np.minimum(1, 1.7 * np.abs(self(x, y)))) * weight
            total = total + amplitude * ridge
            weight = np.clip(ridge * 1.8, 0, 1)
            x, y = 1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y - 9.1
            amplitude *= gain
        return total


# ---- light and film -------------------------------------------------------------------------------------------------


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
    """Linear light [H, W, 3] -> picture: down from supersampling, lens glow, filmic curve, a little grain."""
    height, width = light.shape[0] // SUPERSAMPLING, light.shape[1] // SUPERSAMPLING
    light = light[: height * SUPERSAMPLING, : width * SUPERSAMPLING]
    light = np.minimum(light, 12).reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3)) * exposure
    light = light + glow * (blurred(np.minimum(light, 4), width / 40) - light)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = light * (1 - vignette * np.clip((x * x + y * y) / 2, 0, 1) ** 1.2)[..., None]
    curved = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    pixels = np.clip(curved, 0, 1) ** (1 / 2.2)
    pixels = pixels + np.random.default_rng(seed).normal(0, grain, pixels.shape)
    picture = Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
    return picture.filter(ImageFilter.UnsharpMask(radius=1.0, percent=45, threshold=1))


def blurred(light, sigma):
    """Gaussian blur of float channels, by FFT with mirrored borders."""
    pad = int(3 * sigma) + 1
    padded = np.pad(light, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    rows, columns = np.fft.fftfreq(padded.shape[0]), np.fft.rfftfreq(padded.shape[1])
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns[None] ** 2))
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * kernel[..., None]
    out = np.fft.irfft2(spectrum, padded.shape[:2], axes=(0, 1))
    return out[pad:-pad, pad:-pad].astype(np.float32)


# ---- landscapes -----------------------------------------------------------------------------------------------------


class Land:
    """A landscape given by its height over the plane, seen by a camera at the origin that looks along +z."""

    def __init__(self, size, height, camera_height, horizon, focal, near, far, steps=900):
        """size in pixels; horizon as a fraction from the top; focal length in picture widths."""
        self.columns, self.rows = size
        self.height, self.camera_height = height, camera_height
        self.focal = focal * self.columns
        self.slope = ((horizon * self.rows - np.arange(self.rows)) / self.focal).astype(np.float32)  # of a row's ray
        self.side = ((np.arange(self.columns) - self.columns / 2) / self.focal).astype(np.float32)
        self.distances = np.geomspace(near, far, steps).astype(np.float32)

    def seen(self, camera_height=None):
        """Distance along z to what each pixel shows [rows, columns]; infinity where it shows sky."""
        if camera_height is None:
            camera_height = self.camera_height
        z = self.distances[:, None]
        height = self.height(z * self.side, z)
        slopes = (height - camera_height) / z
        if camera_height < 0:  # a mirror image in water, which shows no ground that lies below the water
            slopes = np.where(height < 0, np.float32(-9), slopes)
        skyline = np.maximum.accumulate(slopes, axis=0)
        found = np.full((self.rows, self.columns), np.inf, np.float32)
        rising = self.slope[::-1]
        for column in range(self.columns):
            line = skyline[:, column]
            first = np.searchsorted(line, rising)
            hit = np.minimum(first, len(line) - 1)
            before = np.maximum(hit - 1, 0)
            span = np.maximum(line[hit] - line[before], 1e-9)
            part = np.clip((rising - line[before]) / span, 0, 1)
            depth = self.distances[before] + part * (self.distances[hit] - self.distances[before])
            found[:, column] = np.where(first < len(line), depth, np.inf)[::-1]
        return found

    def normals(self, x, z, eps):
        here = self.height(x, z)
        over_x = (self.height(x + eps, z) - here) / eps
        over_z = (self.height(x, z + eps) - here) / eps
        return unit(np.stack([-over_x, np.ones_like(here), -over_z], axis=-1)), here

    def sunlit(self, x, z, here, sun, reach, steps=18):
        """How much of the sun reaches each point, 0..1, with soft edges; what throws shadows is seen without detail."""
        lit = np.ones_like(here)
        for travelled in np.geomspace(reach / 150, reach, steps):
            clearance = (
                here + travelled * sun[1] - self.height(x + travelled * sun[0], z + travelled * sun[2], detail=0.5)
            )
            lit = np.minimum(lit, smooth(-0.06, 0.06, clearance / travelled))
        return lit


def lake(size):
    """Snowy mountains at sunset over a still lake."""
    noise, cloud_noise = Noise(3), Noise(12)
    sun = unit([-0.80, 0.34, -0.34])

    def height(x, z, detail=1):
        shore = 4.3 + 0.7 * noise(x * 0.45 + 3, 0.3) + 0.4 * noise(x * 1.3, 7.7)
        inland = smooth(-0.6, 6.5, z - shore)
        peaks = noise.ridged(x * 0.28 + 4.4, z * 0.28 + 1.7, round(9 * detail), 0.48)
        hills = 0.10 + 0.16 * np.abs(noise.fractal(x * 0.8, z * 0.8, round(6 * detail)))
        return np.where(z > shore, 0.0, -0.3) + inland * (hills + 1.55 * peaks * smooth(0.1, 1, inland))

    land = Land(size, height, 0.28, 0.58, 0.95, 1.2, 26)

    def sky(slope, side):
        direction = unit(np.stack(np.broadcast_arrays(side, slope, np.float32(1)), axis=-1))
        up = np.clip(direction[..., 1], 0, 1)
        toward = np.clip(direction @ sun, 0, 1)
        colour = mix([1.0, 0.52, 0.30], [0.42, 0.40, 0.62], smooth(0.0, 0.20, up))
        colour = (
            colour * (1 - smooth(0.1, 0.55, up)[..., None])
            + np.array([0.07, 0.14, 0.36]) * smooth(0.1, 0.55, up)[..., None]
        )
        colour = colour + np.array([1.2, 0.55, 0.2]) * (toward**10)[..., None] * 0.7
        over = 1 / (up + 0.10)
        x, z = direction[..., 0] * over, direction[..., 2] * over
        density = cloud_noise.fractal(x * 0.9 + 5, z * 1.5, 7, 0.55)
        cloud = smooth(0.02, 0.55, density) * smooth(0.02, 0.16, up)
        thick = cloud_noise.fractal(x * 0.9 + 5.10, z * 1.5 - 0.06, 5, 0.55)
        lit = np.clip(0.6 + 1.6 * (density - thick), 0, 1)
        return mix(colour, mix([0.34, 0.26, 0.38], [1.5, 0.72, 0.48], lit), cloud * 0.85)

    def shown(camera_height):
        """Light of sky and land, and which pixels show the lake."""
        depth = land.seen(camera_height)
        light = sky(land.slope[:, None], land.side[None])
        surface = depth * land.slope[:, None] + camera_height < 0.012
        water = (land.slope[:, None] < 0) & (surface | ~np.isfinite(depth))
        i, j = np.nonzero(np.isfinite(depth) & ~water)
        z = depth[i, j]
        x = z * land.side[j]
        normal, here = land.normals(x, z, 0.0009 * z)
        steep = 1 - normal[..., 1]
        grit = noise.fractal(x * 14, z * 14, 5)
        rock = mix([0.10, 0.085, 0.08], [0.20, 0.17, 0.15], 0.5 + grit)
        wood = mix([0.012, 0.022, 0.014], [0.035, 0.05, 0.022], 0.5 + 0.9 * noise.fractal(x * 40, z * 40, 3))
        snow_line = 0.72 + 0.35 * grit
        ground = mix(wood, rock, smooth(0.42, 0.72, here + 0.25 * grit) + smooth(0.4, 0.6, steep))
        ground = mix(ground, [0.82, 0.84, 0.90], smooth(0, 0.35, here - snow_line) * smooth(0.62, 0.35, steep))
        sunshine = np.clip(normal @ sun, 0, 1)
        turned_to = sunshine > 0
        sunshine[turned_to] *= land.sunlit(x[turned_to], z[turned_to], here[turned_to], sun, 6.0)
        lit = ground * (
            sunshine[..., None] * np.array([4.6, 2.5, 1.5])
            + (0.35 + 0.65 * normal[..., 1:2]) * np.array([0.42, 0.50, 0.78])
        )
        veil = 1 - np.exp(-np.maximum(z - 3, 0) * 0.035 * np.exp(-1.1 * np.maximum(here, 0)))
        light[i, j] = mix(lit, np.array([0.62, 0.47, 0.52]), veil)
        return light, water

    light, water = shown(land.camera_height)
    mirrored, _ = shown(-land.camera_height)
    i, j = np.nonzero(water)
    slope = land.slope[i]
    z = -land.camera_height / slope
    x = z * land.side[j]
    ripple = noise.fractal(x * 3.0, z * 9.0, 4) * 0.5 + 0.7 * noise.fractal(x * 11, z * 42, 3)
    calm = smooth(-0.25, 0.35, noise.fractal(x * 0.7 + 9, z * 0.5, 3))
    bend = ripple * (0.004 + 0.016 * calm) * (0.35 + 0.65 * np.clip(z / 2.5, 0, 1)) * land.focal
    horizon_row = np.argmin(np.abs(land.slope))
    source = np.clip(2 * horizon_row - i + bend, 0, land.rows - 1).astype(int)
    aside = np.clip(j + bend * 0.25, 0, land.columns - 1).astype(int)
    grazing = 0.10 + 0.90 * (1 - np.clip(-slope / np.hypot(1, slope), 0, 1)) ** 4
    depths = np.array([0.012, 0.035, 0.05])
    light[i, j] = mirrored[source, aside] * grazing[..., None] * 0.92 + depths * (1 - grazing[..., None])
    return developed(light, 31, exposure=0.70)


def dunes(size):
    """Desert dunes under a low sun."""
    noise = Noise(21)
    sun = unit([0.80, 0.30, 0.22])

    def crest(x, z, scale, seed):
        bend = 0.9 * noise.fractal(x * 0.22 * scale + seed, z * 0.22 * scale, 3)
        phase = (x * 0.42 + z * 0.30) * scale + bend * 2.2 + seed
        t = phase - np.floor(phase)
        profile = np.where(t < 0.68, smooth(0, 0.68, t) ** 1.3, np.clip(1 - (t - 0.68) / 0.32, 0, 1) ** 1.15)
        return profile * (0.45 + 0.75 * np.clip(0.5 + 0.9 * noise(x * 0.3 * scale + 31, z * 0.3 * scale - seed), 0, 1))

    def height(x, z, detail=1):
        far = smooth(3, 12, z)
        dune = (
            0.42 * crest(x, z, 0.62, 0.3)
            + 0.16 * crest(z * 0.7 - x, x + z, 0.9, 4.1)
            + far * 0.5 * crest(x, z * 0.8, 0.24, 8.2)
        )
        bend = 0.7 * noise.fractal(x * 1.3, z * 1.3, 2)
        ripple = np.sin((x * 52 + z * 34) + 9 * bend) * 0.0022 * smooth(5, 0.8, z)
        return dune + ripple + 0.03 * noise.fractal(x * 0.9, z * 0.9, 4)

    land = Land(size, height, 0.95, 0.36, 0.9, 0.5, 40, steps=1500)
    direction = unit(np.stack(np.broadcast_arrays(land.side[None], land.slope[:, None], np.float32(1)), axis=-1))
    up = np.clip(direction[..., 1], 0, 1)
    light = mix([0.80, 0.74, 0.66], [0.16, 0.34, 0.70], smooth(-0.04, 0.34, up) ** 0.7)
    over = 1 / (up + 0.12)
    wisps = noise.fractal(direction[..., 0] * over * 0.5 + 2, direction[..., 2] * over * 1.6 + 4, 6, 0.6)
    light = mix(light, [1.0, 0.97, 0.94], smooth(0.08, 0.8, wisps) * smooth(0.03, 0.2, up) * 0.75)
    depth = land.seen()
    i, j = np.nonzero(np.isfinite(depth))
    z = depth[i, j]
    x = z * land.side[j]
    normal, here = land.normals(x, z, 0.0012 * z)
    grains = noise.fractal(x * 90, z * 90, 4) * smooth(6, 1, z)
    sand = mix([0.52, 0.27, 0.12], [0.70, 0.42, 0.22], 0.5 + 0.5 * noise.fractal(x * 0.8, z * 0.8, 4) + 0.35 * grains)
    sunshine = np.clip(normal @ sun, 0, 1) * land.sunlit(x, z, here, sun, 3.5)
    bounce = np.clip(0.5 - normal[..., 0:1] * 0.5, 0, 1) * np.array([0.16, 0.08, 0.03])
    lit = sand * (
        sunshine[..., None] * np.array([3.0, 2.3, 1.55]) + normal[..., 1:2] * np.array([0.17, 0.21, 0.32]) + bounce
    )
    veil = 1 - np.exp(-np.maximum(z - 2, 0) * 0.028)
    light[i, j] = mix(lit, [0.80, 0.70, 0.60], veil)
    return developed(light, 32, exposure=0.72)


def forest(size):
    """Conifers on misty slopes at dawn, layer behind layer."""
    columns, rows = size
    noise = Noise(40)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    u, v = x / columns, y / columns
    bottom = rows / columns
    sun_x, sun_y = 0.70, 0.17
    far = np.hypot(u - sun_x, v - sun_y)
    light = mix([0.98, 0.70, 0.44], [0.36, 0.47, 0.60], smooth(0.0, 0.75, far))
    light = (
        light
        + np.array([2.6, 1.8, 0.9]) * np.exp(-((far / 0.05) ** 2))[..., None]
        + np.array([0.5, 0.32, 0.14]) * np.exp(-far / 0.16)[..., None]
    )
    streaks = noise.fractal(u * 3 + 1, v * 11, 6, 0.55)
    light = mix(light, [1.15, 0.88, 0.70], smooth(0.05, 0.7, streaks) * 0.5)
    layers = 7
    for layer in range(layers):
        near = layer / (layers - 1)
        random = np.random.default_rng(400 + layer)
        base = bottom * (0.36 + 0.62 * near**1.15)
        ground = (
            base
            + (0.10 - 0.05 * near) * noise.fractal(u[0] * (2.2 - near) + 7.1 * layer, 3.3 * layer, 5)
            + 0.05 * near * (u[0] - 0.6) ** 2
        )
        tall = 0.028 * 8 ** (near**1.05)
        cover = np.where(v >= ground, 1.0, 0.0).astype(np.float32)
        shade = np.full(cover.shape, 0.6, np.float32)
        for centre in np.sort(random.uniform(-0.05, 1.05, int(2.6 / tall))):
            _stand_tree(
                cover,
                shade,
                noise,
                random,
                centre * columns,
                np.interp(centre, u[0], ground) * columns,
                tall * random.uniform(0.55, 1.15) * columns,
            )
        needles = mix(
            [0.010, 0.020, 0.014],
            [0.050, 0.072, 0.040],
            shade + 0.5 * noise.fractal(u * 60 * (1.6 - near), v * 60 * (1.6 - near), 3),
        )
        away = (1 - near) ** 1.25
        haze = mix([0.95, 0.68, 0.46], [0.42, 0.52, 0.62], smooth(0.0, 0.6, far))
        tinted = needles * np.array([1.0, 1.0, 1.1]) * (1 - 0.9 * away) + haze * 0.88 * away
        # Mist lies in the hollows: thickest below the tree tops of each layer.
        mist = (
            smooth(-0.7 * tall, 1.6 * tall, v - ground[None])
            * (0.75 + 0.5 * noise.fractal(u * 3 + layer, v * 7, 5))
            * (0.95 - 0.62 * near)
        )
        light = light * (1 - cover[..., None]) + mix(tinted, haze * 0.95, mist) * cover[..., None]
    rays = (
        smooth(0.0, 0.9, noise.fractal(np.arctan2(v - sun_y, u - sun_x) * 5, 0.4, 4) + 0.45)
        * np.exp(-far / 0.35)
        * smooth(0.03, 0.2, far)
    )
    light = light + rays[..., None] * np.array([0.22, 0.15, 0.07])
    return developed(light.astype(np.float32), 33, exposure=0.82)


def _stand_tree(cover, shade, noise, random, centre, foot, tall):
    """Draw one conifer into cover (0..1) and its light and dark boughs into shade."""
    half = tall * random.uniform(0.16, 0.23)
    top, low = int(max(foot - tall, 0)), int(min(foot + tall * 0.05, cover.shape[0]))
    left, right = int(max(centre - half * 1.3, 0)), int(min(centre + half * 1.3 + 1, cover.shape[1]))
    if low <= top or right <= left:
        return
    y, x = np.mgrid[top:low, left:right].astype(np.float32)
    down = (y - (foot - tall)) / tall
    aside = (x - centre) / half
    phase = random.uniform(0, 100)
    whorl = down * random.uniform(11, 15) + np.abs(aside) * -1.1 + 0.35 * noise(aside * 3 + phase, down * 9)
    saw = whorl - np.floor(whorl)
    reach = (
        (0.06 + 0.94 * np.maximum(down, 0) ** 0.9)
        * (0.62 + 0.38 * saw)
        * (1 + 0.5 * noise(np.sign(aside) * 5 + phase, down * 16))
    )
    fray = 0.16 * noise.fractal(x / tall * 46 + phase, y / tall * 46, 2)
    inside = (np.abs(aside) < np.maximum(reach + fray * (0.3 + down), 0.035)) & (down > 0)
    part = cover[top:low, left:right]
    dark = shade[top:low, left:right]
    part[inside] = 1
    dark[inside] = (0.25 + 0.5 * saw + 0.25 * aside)[inside]


# ---- still life, by ray tracing -------------------------------------------------------------------------------------


def oranges(size, passes=56):
    """Oranges, a lime and a steel ball on a wooden table beside a window."""
    columns, rows = size[0] // SUPERSAMPLING, size[1] // SUPERSAMPLING
    noise = Noise(60)
    random = np.random.default_rng(61)
    window = np.array([-3.4, 3.6, 1.2])
    # centre x, z; radius; colour; kind
    fruits = [
        ((-0.95, 5.0), 0.62, (0.90, 0.32, 0.03), "peel"),
        ((0.25, 5.7), 0.66, (0.86, 0.28, 0.02), "peel"),
        ((0.55, 4.35), 0.56, (0.92, 0.36, 0.04), "peel"),
        ((-0.28, 3.95), 0.36, (0.24, 0.44, 0.04), "peel"),
        ((1.62, 5.0), 0.50, (0.92, 0.92, 0.93), "steel"),
        ((-2.05, 6.1), 0.55, (0.55, 0.05, 0.04), "peel"),
        ((1.25, 3.72), 0.20, (0.36, 0.02, 0.07), "peel"),
        ((1.62, 3.95), 0.19, (0.40, 0.03, 0.09), "peel"),
    ]
    centres = np.array([[x, radius, z] for (x, z), radius, _, _ in fruits], np.float32)
    radii = np.array([fruit[1] for fruit in fruits], np.float32)

    def nearest(origin, ray):
        """Distance and index of the first thing hit; -1 the table, -2 nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(ray[:, 1] < -1e-4, -origin[:, 1] / ray[:, 1], np.inf)
            best = np.where(origin[:, 2] + best * ray[:, 2] < 7.6, best, np.inf)  # where the table ends
        which = np.where(np.isfinite(best), -1, -2)
        for index, (centre, radius) in enumerate(zip(centres, radii)):
            offset = origin - centre
            half_b = np.einsum("ij,ij->i", offset, ray)
            discriminant = half_b**2 - np.einsum("ij,ij->i", offset, offset) + radius**2
            distance = -half_b - np.sqrt(np.maximum(discriminant, 0))
            closer = (discriminant > 0) & (distance > 1e-3) & (distance < best)
            best, which = np.where(closer, distance, best), np.where(closer, index, which)
        return best, which

    def room(ray):
        """What a ray sees that leaves the table: a dim room with a bright window on the left and a lamp's warmth right."""
        tone = mix([0.16, 0.17, 0.19], [0.035, 0.036, 0.045], 0.45 + 0.8 * ray[:, 0] + 0.25 * ray[:, 1])
        tone = tone + np.array([0.15, 0.085, 0.045]) * np.clip(ray @ unit([0.8, 0.1, 0.5]), 0, 1)[:, None] ** 4
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(ray[:, 0] < -0.05, -3.4 / ray[:, 0], np.inf)
            height, depth = ray[:, 1] * reach, ray[:, 2] * reach
        pane = (np.abs(height - 2.3) < 1.7) & (np.abs(depth - 0.6) < 2.2)
        bar = (np.abs(height - 2.3) < 0.06) | (np.abs(depth - 0.6) < 0.06)
        return np.where((pane & ~bar)[:, None], np.array([4.2, 4.6, 5.2]), tone)

    def surface(point, which):
        normal = np.zeros_like(point)
        normal[:, 1] = 1
        board = np.floor(point[:, 2] * 1.05 + 0.4)
        along = point[:, 0] + board * 3.7
        across = point[:, 2]
        ring = noise.fractal(along * 0.5, across * 5.0, 4) * 5 + across * 9
        figure = 0.5 + 0.5 * np.sin(ring * 2.1)
        pores = noise.fractal(along * 5, across * 110, 3)
        colour = mix([0.20, 0.095, 0.04], [0.40, 0.22, 0.10], 0.75 * figure + 0.5 * pores + 0.25 * np.sin(board * 5))
        seam = np.abs(point[:, 2] * 1.05 + 0.4 - np.round(point[:, 2] * 1.05 + 0.4))
        colour = colour * smooth(0.002, 0.014, seam)[:, None]
        for index, (_, radius, tone, kind) in enumerate(fruits):
            mine = which == index
            if not mine.any():
                continue
            out = (point[mine] - centres[index]) / radius
            if kind == "peel":
                # Dimples of the peel: noise over the ball's three planes, added to the normal.
                size_of = 26 * radius / 0.6
                a, b, c = (out * size_of + index * 11).T
                dimple = np.stack([noise(b, c), noise(c, a), noise(a, b)], axis=-1)
                spot = noise.fractal(out[:, 0] * 2.2 + index * 5, out[:, 1] * 2.2 + out[:, 2], 4)
                colour[mine] = np.array(tone) * (1 + 0.5 * spot[:, None] + 0.15 * dimple[:, :1])
                crown = smooth(0.989, 0.995, out @ unit([0.25, 0.95, -0.2]))
                colour[mine] = mix(colour[mine], [0.10, 0.14, 0.03], crown)
                normal[mine] = unit(out + 0.10 * dimple)
            else:
                colour[mine] = tone
                normal[mine] = out
        return normal, np.clip(colour, 0, 1)

    def traced(origin, ray, bounces):
        distance, which = nearest(origin, ray)
        light = room(ray)
        hit = np.nonzero(which != -2)[0]
        point = origin[hit] + distance[hit, None] * ray[hit]
        which, ray = which[hit], ray[hit]
        normal, colour = surface(point, which)
        lifted = point + normal * 2e-3
        # One random point of the window a pass gives soft shadows.
        pane = window + np.stack(
            [np.zeros(len(hit)), random.uniform(-1.5, 1.5, len(hit)), random.uniform(-2.0, 2.0, len(hit))], axis=-1
        )
        to_pane = pane - lifted
        square = np.einsum("ij,ij->i", to_pane, to_pane)[:, None]
        to_pane = to_pane / np.sqrt(square)
        reach, _ = nearest(lifted, to_pane)
        free = (reach > np.sqrt(square[:, 0]))[:, None]
        facing = np.clip(np.einsum("ij,ij->i", normal, to_pane), 0, 1)[:, None] * np.clip(-to_pane[:, 0:1], 0, 1)
        shine = colour * free * facing * np.array([4.2, 4.5, 4.9]) * 4.3 / square
        # One random direction a pass gives the light that the room and the neighbours throw.
        around = unit(normal + unit(random.normal(size=normal.shape)))
        near, what = nearest(lifted, around)
        tones = np.array([fruit[2] for fruit in fruits] + [(0.10, 0.07, 0.05), (0.25, 0.13, 0.06)])
        thrown = np.where((what == -2)[:, None], np.minimum(room(around), 0.6), tones[what] * 0.22)
        shine = shine + colour * thrown * 0.9
        # Gloss: a mirror image of the room and the window, stronger at grazing angles.
        steel = np.isin(which, [k for k, fruit in enumerate(fruits) if fruit[3] == "steel"])
        angle = np.clip(-np.einsum("ij,ij->i", normal, ray), 0, 1)
        rough = np.where(steel, 0.004, np.where(which == -1, 0.07, 0.10))[:, None]
        mirror = unit(ray + 2 * angle[:, None] * normal + rough * random.normal(size=ray.shape))
        strength = np.where(steel, 0.80, 0.035 + 0.5 * (1 - angle) ** 5)[:, None]
        if bounces:
            seen = np.minimum(traced(lifted, mirror, bounces - 1), np.where(steel, 6.0, 2.5)[:, None])
        else:
            seen = np.minimum(room(mirror), 0.3)
        light[hit] = shine * np.where(steel, 0.04, 1)[:, None] + strength * seen
        return light

    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    total = np.zeros((rows * columns, 3))
    eye = np.array([0.1, 1.75, -0.2])
    ahead = unit(np.array([0.12, 0.48, 4.9]) - eye)
    aside = unit(np.cross([0, 1, 0], ahead))
    above = np.cross(ahead, aside)
    focus = 4.75
    for _ in range(passes):
        u = (x.ravel() + random.uniform(size=x.size) - columns / 2) / columns / 1.18
        v = (rows / 2 - y.ravel() - random.uniform(size=x.size)) / columns / 1.18
        aim = eye + focus * (ahead + u[:, None] * aside + v[:, None] * above)
        turn, spread = random.uniform(0, 2 * np.pi, x.size), 0.035 * np.sqrt(random.uniform(size=x.size))
        start = eye + (spread * np.cos(turn))[:, None] * aside + (spread * np.sin(turn))[:, None] * above
        total += np.minimum(traced(start, unit(aim - start), 2), 5)
    light = (total / passes).reshape(rows, columns, 3)
    return developed(np.repeat(np.repeat(light, SUPERSAMPLING, 0), SUPERSAMPLING, 1), 34, exposure=1.15, grain=0.004)


# ---- night ----------------------------------------------------------------------------------------------------------


def night_street(size):
    """Lights of a wet street at night, far out of focus, seen through a rainy window."""
    columns, rows = size
    random = np.random.default_rng(80)
    noise = Noise(81)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) / columns
    bottom = rows / columns
    horizon = 0.60 * bottom
    light = mix([0.012, 0.016, 0.040], [0.050, 0.030, 0.045], smooth(0, horizon, y))
    light = light + np.array([0.16, 0.07, 0.03]) * np.exp(-(((y - horizon) / 0.10) ** 2))[..., None]
    colours = np.array(
        [
            [1.0, 0.55, 0.18],
            [1.0, 0.72, 0.40],
            [1.0, 0.16, 0.10],
            [0.25, 0.85, 0.55],
            [0.35, 0.55, 1.0],
            [1.0, 0.35, 0.65],
        ]
    )
    gleam = 0.35 + 0.65 * smooth(-0.15, 0.35, noise.fractal(x * 8, y * 60, 4))  # of the wet road
    lamps = []
    for _ in range(95):
        near = random.uniform() ** 2.2
        side = random.choice([-1, 1]) * random.uniform(0.03, 0.16 + 0.55 * near) + 0.5 + 0.04 * random.normal()
        up = horizon - abs(random.normal(0, 0.05 + 0.22 * near)) - 0.008
        lamps.append(
            (
                side,
                up,
                0.010 + 0.034 * near**0.8,
                colours[random.choice(6, p=[0.34, 0.24, 0.17, 0.09, 0.10, 0.06])],
                random.uniform(0.25, 1.0),
            )
        )
    for side, up, radius, colour, power in lamps:
        _add_disc(light, x, y, side, up, radius, colour * power * 1.3)
        # The wet road draws each light out into a long streak.
        deep = horizon + (horizon - up) * 0.9 + 0.01
        half = 2.2 * radius + 0.01
        left, right = int(max((side - half) * columns, 0)), int(np.clip((side + half) * columns, 0, columns))
        here = np.s_[int((deep - 0.05) * columns) :, left:right]
        wave = 0.006 * noise.fractal(y[here] * 40 + side * 50, x[here] * 3, 3)
        across = np.exp(-(((x[here] - side + wave) / (radius * 0.8)) ** 2))
        along = smooth(deep - 0.05, deep + 0.02, y[here]) * np.exp(-np.maximum(y[here] - deep, 0) / 0.16)
        light[here] += (across * along * gleam[here] * power * 0.28)[..., None] * colour
    blurry = blurred(light, columns / 700)
    # Drops on the pane: each a small lens that shows the street upside down.
    sharp = blurry.copy()
    for _ in range(430):
        radius = 0.0022 + 0.011 * random.uniform() ** 4
        centre_x, centre_y = random.uniform(0, 1), random.uniform(0, bottom)
        left, right = (
            int(max((centre_x - radius * 1.2) * columns, 0)),
            int(min((centre_x + radius * 1.2) * columns, columns)),
        )
        top, low = int(max((centre_y - radius * 1.4) * columns, 0)), int(min((centre_y + radius * 1.4) * columns, rows))
        if right - left < 3 or low - top < 3:
            continue
        u = (x[top:low, left:right] - centre_x) / radius
        v = (y[top:low, left:right] - centre_y) / (radius * 1.15)
        lump = 1 + 0.25 * noise(u + centre_x * 90, v + centre_y * 90)
        out = np.hypot(u, v) * lump
        cover = smooth(1.0, 0.82, out)
        from_x = np.clip((centre_x - u * 0.16) * columns, 0, columns - 1).astype(int)
        from_y = np.clip((centre_y - v * 0.22) * columns, 0, rows - 1).astype(int)
        lens = blurry[from_y, from_x] * (1.25 - 0.95 * np.clip(out, 0, 1) ** 3)[..., None]
        gloss = np.exp(-(((u + 0.35) / 0.22) ** 2 + ((v + 0.45) / 0.18) ** 2)) * 0.10
        sharp[top:low, left:right] = (
            sharp[top:low, left:right] * (1 - cover[..., None]) + (lens + gloss[..., None]) * cover[..., None]
        )
    return developed(sharp, 35, exposure=1.5, grain=0.010, glow=0.14)


def _add_disc(light, x, y, centre_x, centre_y, radius, colour):
    """Add the disc that a point of light becomes out of focus: flat, its rim a little brighter."""
    columns, rows = light.shape[1], light.shape[0]
    left, right = (
        int(max((centre_x - radius * 1.1) * columns, 0)),
        int(min((centre_x + radius * 1.1) * columns + 1, columns)),
    )
    top, low = int(max((centre_y - radius * 1.1) * columns, 0)), int(min((centre_y + radius * 1.1) * columns + 1, rows))
    if right <= left or low <= top:
        return
    out = np.hypot(x[top:low, left:right] - centre_x, y[top:low, left:right] - centre_y) / radius
    light[top:low, left:right] += (smooth(1.03, 0.95, out) * (0.55 + 0.45 * smooth(0.55, 0.97, out)))[
        ..., None
    ] * colour


# ---- damage ---------------------------------------------------------------------------------------------------------


def defocused(picture, sigma=4.5):
    return picture.filter(ImageFilter.GaussianBlur(sigma))


def shaken(picture, length=31, rise=9):
    """Motion blur along a slanted line, as from a hand that moved."""
    pixels = np.asarray(picture).astype(np.float32)
    total = sum(
        np.roll(np.roll(pixels, step, axis=1), round(step * rise / length), axis=0)
        for step in range(-(length // 2), length // 2 + 1)
    )
    margin = length // 2
    moved = Image.fromarray((total / length + 0.5).astype(np.uint8))
    return moved.crop((margin, margin, picture.width - margin, picture.height - margin)).resize(
        picture.size, Image.LANCZOS
    )


def noisy(picture, strength=0.10):
    """Sensor noise, as from a small camera in the dark: stronger in colour blotches than in fine grain."""
    random = np.random.default_rng(90)
    pixels = np.asarray(picture).astype(np.float32) / 255
    fine = random.normal(0, strength, pixels.shape)
    blotch = blurred(random.normal(0, strength * 4, pixels.shape).astype(np.float32), 1.6)
    return Image.fromarray((np.clip(pixels + fine + blotch * 0.6, 0, 1) * 255).astype(np.uint8))


def compressed(picture, quality=7):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def underexposed(picture):
    """Four stops too dark and pulled up a little, with the noise that this brings."""
    light = (np.asarray(picture).astype(np.float32) / 255) ** 2.2 * 0.07
    light = light + np.random.default_rng(91).normal(0, 0.004, light.shape)
    return Image.fromarray((np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def enlarged(picture, factor=7):
    """What remains of a thumbnail that was blown up again."""
    small = picture.resize((picture.width // factor, picture.height // factor), Image.BICUBIC)
    return small.resize(picture.size, Image.BILINEAR)


SCENES = {"lake": lake, "dunes": dunes, "forest": forest, "oranges": oranges, "night_street": night_street}
COPIES = {
    "lake": {"pristine": None, "blurred": defocused, "compressed": compressed},
    "dunes": {"pristine": None, "noisy": noisy},
    "forest": {"pristine": None, "enlarged": enlarged},
    "oranges": {"pristine": None, "shaken": shaken, "underexposed": underexposed},
    "night_street": {"pristine": None},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SCENES, help="render one scene only")
    parser.add_argument("--width", type=int, default=768, help="in pixels (768)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the pictures (this one)")
    options = parser.parse_args()
    size = (options.width * SUPERSAMPLING, options.width * 2 // 3 * SUPERSAMPLING)
    for scene in [options.only] if options.only else SCENES:
        picture = SCENES[scene](size)
        for name, damage in COPIES[scene].items():
            path = options.out / f"{scene}_{name}.jpg"
            shown = damage(picture) if damage else picture
            shown.save(path, quality=86 if name != "noisy" else 70, subsampling=0 if not damage else 2, optimize=True)
            print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
