"""Lake, dunes and forest: landscapes given by their height over the plane."""

import numpy as np
from film import developed, mix, smooth, unit
from noise import Noise


class Land:
    """A landscape given by its height over the plane, seen by a camera at the origin that looks along +z."""

    def __init__(self, size, height, camera_height, horizon, focal, near, far, steps=900):
        """size in pixels; horizon as a fraction from the top; focal length in image widths."""
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
