"""The canvas that a style paints on: its size, the place of each pixel, and the random numbers of the picture.

A canvas is SCALE times as wide and high as the final picture; `finish` averages it down. Places and lengths are in
final pixels, unless a text says canvas pixels.
"""

from __future__ import annotations

import numpy as np
from fields import Array, noise

WIDTH, HEIGHT = 720, 576  # of the final picture
SCALE = 2


class Canvas:
    """Coordinates and random numbers of one picture.

    Attributes:
        rng: all random numbers of the picture come from it, so that a seed always gives the same picture.
        x, y: place of each pixel, (rows, columns).
        shape: rows and columns of the canvas.
    """

    def __init__(self, seed: int, scale: int = SCALE) -> None:
        self.rng = np.random.default_rng(seed)
        y, x = np.mgrid[0 : HEIGHT * scale, 0 : WIDTH * scale].astype(np.float32)
        self.x: Array = (x + 0.5) / scale
        self.y: Array = (y + 0.5) / scale
        self.shape: tuple[int, int] = (HEIGHT * scale, WIDTH * scale)

    def noise(self, cell: float | tuple[float, float], octaves: int = 4, gain: float = 0.5) -> Array:
        """Fractal noise over the canvas, see `fields.noise`; ``cell`` is in canvas pixels."""
        return noise(self.rng, self.shape, cell, octaves, gain)

    def skyline(self, cell: float, octaves: int, gain: float = 0.5, seed: int | None = None) -> Array:
        """Fractal noise along x only, (1, columns); with a ``seed`` it does not depend on what was drawn before."""
        rng = self.rng if seed is None else np.random.default_rng(seed)
        return noise(rng, (1, self.shape[1]), (4, cell), octaves, gain)

    def edge_distance(self) -> Array:
        """Distance of each pixel from the nearest side of the picture."""
        return np.minimum(np.minimum(self.x, WIDTH - self.x), np.minimum(self.y, HEIGHT - self.y))


def height_at(ridge: Array, x: float) -> float:
    """Height of a ridge line (1, columns) at ``x``."""
    return float(ridge[0, min(int(x * SCALE), ridge.shape[1] - 1)])


def finish(image: Array) -> Array:
    """Average a canvas (rows, columns, 3) down to the final picture."""
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    return image.reshape(height, SCALE, width, SCALE, 3).mean((1, 3))
