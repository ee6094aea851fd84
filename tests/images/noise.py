"""Gradient noise, from which clouds, mountains and bark are made."""

import numpy as np


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
