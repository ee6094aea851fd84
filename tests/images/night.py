"""A wet street at night."""

import numpy as np
from film import blurred, developed, mix, smooth
from noise import Noise


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
