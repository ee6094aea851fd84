"""Oranges on a table, by ray tracing."""

import numpy as np
from film import SUPERSAMPLING, developed, mix, smooth, unit
from noise import Noise


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
        for index, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
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
