"""Oil paint: strokes of a brush lay down colour and a height of paint, and the height is lit from one side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from canvas import finish
from fields import Array, blur, light, noise, smoothstep


@dataclass
class Brush:
    """How one kind of stroke looks; lengths are in canvas pixels."""

    width: float
    length: float
    bristle: float = 0.16  # how much the bristles streak the colour
    ragged: float = 0.35  # how much of the stroke's ends breaks up into bristles
    body: float = 1.0  # thickness of the paint
    ridge: float = 0.5  # paint pushed up to the sides of the stroke
    jitter: float = 0.045  # colour variation from stroke to stroke
    turn: float = 0.12  # random deviation from the direction field, in radians
    taper: float = 0.25  # part of the length over which the ends narrow


class Painting:
    """A canvas of colour and paint height on which strokes are laid."""

    def __init__(self, ground: Array, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.colour = ground.astype(np.float32).copy()
        self.height = 0.15 * noise(self.rng, ground.shape[:2], 3, 1)
        self.bristles = self._bristle_texture()

    def _bristle_texture(self) -> Array:
        """Streaks along the rows: what a loaded brush of hog hair leaves behind."""
        streaks = noise(self.rng, (512, 2048), (3.2, 260.0), 3, 0.75)
        return (0.5 + 0.24 * streaks).clip(0, 1).astype(np.float32)

    def trace(self, seeds: Array, angle: Array, length: float, steps: int = 10) -> Array:
        """Follow the direction field from each seed both ways; return one path for each, (n, points, 2) as x, y."""
        height, width = angle.shape
        halves = []
        for sign in (-1.0, 1.0):
            position = seeds.astype(np.float64).copy()
            heading = None
            path = [position.copy()]
            for _ in range(steps // 2):
                columns = position[:, 0].astype(int).clip(0, width - 1)
                rows = position[:, 1].astype(int).clip(0, height - 1)
                a = angle[rows, columns]
                step = np.stack([np.cos(a), np.sin(a)], 1)
                if heading is None:
                    step *= sign
                else:  # a direction has no sign: keep going forward
                    step *= np.where((step * heading).sum(1, keepdims=True) < 0, -1.0, 1.0)
                    step = step + 0.5 * heading
                    step /= np.linalg.norm(step, axis=1, keepdims=True) + 1e-9
                heading = step
                position = position + step * (length / steps)
                path.append(position.copy())
            halves.append(np.stack(path, 1))
        return np.concatenate([halves[0][:, :0:-1], halves[1]], 1)

    def stroke(self, path: Array, colour: Array, brush: Brush, size: float = 1.0) -> None:
        """Lay one stroke of ``colour`` along ``path``."""
        width = max(brush.width * size, 2.0)
        segment = np.hypot(*np.diff(path, axis=0).T)
        along = np.concatenate([[0], np.cumsum(segment)])
        count = max(int(along[-1] * 1.5), 4)
        s = np.linspace(0, along[-1], count)
        x, y = np.interp(s, along, path[:, 0]), np.interp(s, along, path[:, 1])
        tangent_x, tangent_y = np.gradient(x), np.gradient(y)
        norm = np.hypot(tangent_x, tangent_y) + 1e-9
        t = s / along[-1]
        across = max(int(width * 1.6), 4)
        v = np.linspace(-1, 1, across)[:, None]
        nearest_end = np.minimum(t, 1 - t) / max(brush.taper, 1e-3)
        half = 0.5 * width * np.sqrt(np.clip(1 - (1 - np.clip(nearest_end, 0, 1)) ** 2, 0.05, 1))
        px = (x - tangent_y / norm * v * half).astype(np.int32)
        py = (y + tangent_x / norm * v * half).astype(np.int32)

        row = self.rng.integers(0, self.bristles.shape[0] - across)
        column = self.rng.integers(0, self.bristles.shape[1] - count)
        hair = self.bristles[row : row + across, column : column + count]
        worn = 1 - smoothstep(0, 1, np.minimum(t / 0.12, (1 - t) / 0.4))  # where the brush lands and lifts
        keep = hair > brush.ragged * (worn + 0.35 * np.abs(v) ** 4)
        keep &= (px >= 0) & (py >= 0) & (px < self.colour.shape[1]) & (py < self.colour.shape[0])
        px, py = px[keep], py[keep]
        shade = ((hair - 0.5) * 2 * brush.bristle)[keep][:, None]
        warm = np.array([1.0, 0.85, 0.55], np.float32)  # bristles with more paint are a little warmer
        self.colour[py, px] = colour * (1 + shade * warm) + 0.25 * shade
        profile = brush.body * (0.55 + 0.6 * hair + brush.ridge * np.abs(v) ** 3) * (1 - 0.25 * t)
        self.height[py, px] = 0.3 * self.height[py, px] + profile[keep]

    def layer(
        self,
        reference: Array,
        angle: Array,
        brush: Brush,
        spacing: float,
        where: Array | None = None,
        choose: Callable[[Array, Array, np.random.Generator], Array] | None = None,
    ) -> None:
        """Cover the canvas (or, by chance, the part ``where``) with strokes coloured after ``reference``."""
        rng = self.rng
        height, width = angle.shape
        ys, xs = np.mgrid[-spacing / 2 : height + spacing : spacing, -spacing / 2 : width + spacing : spacing]
        seeds = np.stack([xs.ravel(), ys.ravel()], 1) + rng.uniform(-0.6, 0.6, (xs.size, 2)) * spacing
        rng.shuffle(seeds)
        columns = seeds[:, 0].astype(int).clip(0, width - 1)
        rows = seeds[:, 1].astype(int).clip(0, height - 1)
        if where is not None:
            chosen = rng.random(len(seeds)) < where[rows, columns]
            seeds, rows, columns = seeds[chosen], rows[chosen], columns[chosen]
        colours = reference[rows, columns]
        if choose is not None:
            colours = choose(colours, rows, rng)
        spread = rng.standard_normal((len(seeds), 3)) * brush.jitter * np.array([1, 0.8, 1.1])
        colours = colours * (1 + rng.standard_normal((len(seeds), 1)) * brush.jitter * 1.5) + spread
        paths = self.trace(seeds, angle, brush.length)
        if brush.turn:
            turn = rng.normal(0, brush.turn, len(seeds))
            delta = paths - seeds[:, None]
            cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
            paths = seeds[:, None] + np.stack(
                [delta[..., 0] * cos - delta[..., 1] * sin, delta[..., 0] * sin + delta[..., 1] * cos], -1
            )
        sizes = rng.uniform(0.7, 1.2, len(seeds))
        for path, colour, size in zip(paths, colours.astype(np.float32), sizes, strict=True):
            self.stroke(path, colour, brush, float(size))

    def lit(self, strength: float = 0.9, gloss: float = 0.12) -> Array:
        """Return the picture with its paint relief lit from the upper left."""
        shade, shine = light(blur(self.height, 0.8), strength, gloss)
        return finish((self.colour.clip(0, 1) * shade[..., None] + shine[..., None]).clip(0, 1))
