"""Make the style pictures of the samples folder.

Every picture is painted from nothing with numpy and Pillow: no photograph or artwork goes in.  Each style is one
function that returns an RGB array; all of them are deterministic.  Run it as

    python samples/make_styles.py [OUT_FOLDER] [--only NAME ...]

Without OUT_FOLDER the pictures go into the folder ``style`` beside this script.  They are dedicated to the public
domain (CC0 1.0).

How the pictures are made: a style paints on a canvas of twice the final size, which is averaged down at the end.
Oil pictures use stroke-based rendering: an underlying reference image gives colours, a direction field gives the
paths of the brush, each stroke lays down colour and a height of paint, and the height map is lit from one side.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 720, 576
SCALE = 2  # supersampling: pictures are painted at SCALE times their final size

Array = np.ndarray
Stops = Sequence[tuple[float, str]]


# ---------------------------------------------------------------------------------------------------------------------
# Shared helpers
# ---------------------------------------------------------------------------------------------------------------------


def rgb(code: str) -> Array:
    """Turn a hex colour such as ``"e0a030"`` into three floats between 0 and 1."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


def palette(*codes: str) -> Array:
    """Turn hex colours into an array of one colour a row."""
    return np.stack([rgb(code) for code in codes])


def ramp(t: Array, stops: Stops) -> Array:
    """Colour gradient: look every value of ``t`` up among (position, hex colour) stops."""
    positions = [position for position, _ in stops]
    colours = np.stack([rgb(code) for _, code in stops])
    return np.stack([np.interp(t, positions, colours[:, c]) for c in range(3)], -1).astype(np.float32)


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """Blend colour pictures ``a`` and ``b`` (or single colours); ``t`` is a number or a map of the picture's size."""
    return a + (b - a) * np.asarray(t, np.float32)[..., None]


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Smooth rise from 0 at ``low`` to 1 at ``high`` (``low`` may be the larger one)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def grid(scale: int = SCALE) -> tuple[Array, Array]:
    """Return the x and y coordinate of every pixel, in final pixels."""
    y, x = np.mgrid[0 : HEIGHT * scale, 0 : WIDTH * scale].astype(np.float32)
    return (x + 0.5) / scale, (y + 0.5) / scale


def resize(a: Array, width: int, height: int, method: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    """Resize one channel of floats."""
    return np.asarray(Image.fromarray(a.astype(np.float32)).resize((width, height), method))


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float | tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> Array:
    """Fractal value noise with mean 0 and deviation 1; ``cell`` is the coarsest grain (or (y, x)) in pixels."""
    height, width = shape
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = int(np.ceil(height / max(cell_y / 2**octave, 1))) + 3
        columns = int(np.ceil(width / max(cell_x / 2**octave, 1))) + 3
        total += gain**octave * resize(rng.standard_normal((rows, columns)), width, height)
    return (total - total.mean()) / total.std()


def blur(a: Array, sigma: float) -> Array:
    """Gaussian blur of one channel (mirrored at the borders)."""
    pad = int(3 * sigma) + 1
    padded = np.pad(a, pad, mode="symmetric")
    fy = np.fft.fftfreq(padded.shape[0])[:, None]
    fx = np.fft.rfftfreq(padded.shape[1])[None]
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (fx**2 + fy**2))
    out = np.fft.irfft2(np.fft.rfft2(padded) * kernel, padded.shape)
    return out[pad:-pad, pad:-pad].astype(np.float32)


def shape_mask(points: Array, shape: tuple[int, int]) -> Array:
    """Fill a polygon (points in canvas pixels); 1 inside, 0 outside."""
    image = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=255)
    return np.asarray(image, np.float32) / 255


def light(height: Array, strength: float, gloss: float = 0.0, angle: float = 225.0) -> tuple[Array, Array]:
    """Light a height map from ``angle`` (degrees, image coordinates): a factor for the colour and a gloss to add."""
    dy, dx = np.gradient(height)
    radians = np.deg2rad(angle)
    slope = -(dx * np.cos(radians) + dy * np.sin(radians)) * strength
    shade = 1 + np.clip(np.tanh(slope), -0.75, 0.75) * 0.55
    return shade.astype(np.float32), (gloss * np.clip(slope - 0.35, 0, 1.2) ** 2).astype(np.float32)


def finish(image: Array) -> Array:
    """Average the supersampled picture down to its final size."""
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    return image.reshape(height, SCALE, width, SCALE, 3).mean((1, 3))


def saturate(image: Array, amount: float) -> Array:
    """Push colours away from their grey (amount > 1) or towards it (amount < 1)."""
    grey = image @ np.array([0.3, 0.59, 0.11], np.float32)
    return grey[..., None] + (image - grey[..., None]) * amount


# ---------------------------------------------------------------------------------------------------------------------
# Brush strokes
# ---------------------------------------------------------------------------------------------------------------------


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
        """Follow the direction field from every seed both ways; return one path a seed, (n, points, 2) as x, y."""
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


def line_field(value: Array, smooth: float = 0) -> Array:
    """Direction along the level lines of ``value``, as an angle a pixel."""
    dy, dx = np.gradient(blur(value, smooth) if smooth else value)
    return np.arctan2(dx, -dy)


def blend_angles(a: Array, b: Array, t: Array) -> Array:
    """Blend two direction fields (directions have no sign, so the angles are doubled)."""
    x = (1 - t) * np.cos(2 * a) + t * np.cos(2 * b)
    y = (1 - t) * np.sin(2 * a) + t * np.sin(2 * b)
    return 0.5 * np.arctan2(y, x)


# ---------------------------------------------------------------------------------------------------------------------
# The styles
# ---------------------------------------------------------------------------------------------------------------------


def swirling_night() -> Array:
    """Impasto oil: a starry sky in whirls over a lake, thick directional strokes in ultramarine and gold."""
    rng = np.random.default_rng(7)
    x, y = grid()
    shape = x.shape
    horizon = 392.0
    # Sky: strokes follow the level lines of a stream function with whirls.
    stream = y * 0.55 + 16 * noise(rng, shape, 360, 2)
    for cx, cy, radius, strength in [(300, 190, 92, 105), (452, 236, 66, -78), (120, 92, 70, 62), (640, 300, 60, 60)]:
        stream += strength * np.exp(-((x - cx) ** 2 + 1.25 * (y - cy) ** 2) / (1.1 * radius**2))
    angle = line_field(stream, 2)
    band = 0.5 + 0.5 * np.sin(stream / 7.2 + 0.7 * noise(rng, shape, 60, 2))
    tone = 0.52 * band + 0.38 * y / horizon + 0.12 * noise(rng, shape, 130, 3)
    colour = ramp(
        tone,
        [
            (-0.1, "0c1547"),
            (0.18, "152a78"),
            (0.38, "2350a8"),
            (0.56, "3f86c4"),
            (0.74, "7fbccb"),
            (0.92, "cfe0bf"),
            (1.1, "f2ecc0"),
        ],
    )
    # Moon and stars: rings of warm strokes around each.
    stars = [(606, 104, 66), (70, 58, 26), (196, 62, 20), (392, 84, 30), (492, 42, 18), (236, 292, 17), (520, 168, 20)]
    stars += [(700, 232, 18), (366, 318, 15), (322, 30, 14), (150, 196, 22), (578, 300, 14), (446, 340, 11)]
    for cx, cy, radius in stars:
        distance = np.hypot(x - cx, y - cy) * (1 + 0.05 * noise(rng, shape, 50, 1))
        near = smoothstep(2.3 * radius, 0.5 * radius, distance)
        ring = 0.5 + 0.5 * np.cos(distance / radius * 7.0)
        glow = ramp(
            distance / radius + 0.16 * ring,
            [(0, "fffbe0"), (0.35, "ffe98a"), (0.75, "f7c23c"), (1.2, "e0a440"), (1.7, "8fb48e"), (2.4, "3f86c4")],
        )
        colour = mix(colour, glow, near)
        angle = blend_angles(
            angle, np.arctan2(y - cy, x - cx) + np.pi / 2, smoothstep(3.0 * radius, 1.4 * radius, distance)
        )
    # Mountains behind the lake.
    ranges = [
        (318, 34, 150, ["2b3f8f", "4f6fb5", "6fa0c0"], 21),
        (352, 20, 90, ["1b2a5e", "2f5a80", "4c8a86"], 22),
    ]
    for base, amplitude, cell, tones, seed in ranges:
        ridge = base + amplitude * 0.6 * noise(np.random.default_rng(seed), (1, shape[1]), (4, cell * SCALE), 3)
        inside = smoothstep(-1, 1, y - ridge)
        inner = 0.5 + 0.5 * np.sin((y - ridge) / 6 + 1.2 * noise(rng, shape, 70, 2))
        hill = ramp(inner, [(0, tones[0]), (0.55, tones[1]), (1, tones[2])])
        colour = mix(colour, hill, inside)
        angle = blend_angles(angle, line_field(y - ridge + 7 * noise(rng, shape, 120, 1), 2), inside)
    # Lake: broken horizontal strokes, the lights of the far shore stand in it as golden pillars.
    water = smoothstep(-1, 1, y - horizon)
    depth = (y - horizon) / (HEIGHT - horizon)
    ripple = 0.5 + 0.5 * np.sin(y / (1.6 + 3.6 * depth.clip(0, 1)) + 1.6 * noise(rng, shape, (30, 160), 2))
    lake = ramp(
        0.55 * ripple + 0.42 * (1 - depth) + 0.06 * noise(rng, shape, 90, 2),
        [(0, "0a1340"), (0.3, "143073"), (0.55, "2560a0"), (0.8, "4f9bb4"), (1.0, "a6cdbb")],
    )
    lamps = [(120, 1.0), (186, 0.7), (258, 1.2), (350, 0.8), (420, 1.0), (520, 0.7), (606, 2.0), (668, 0.8)]
    for cx, power in lamps:
        wobble = cx + 5 * np.sin(y / 7 + cx) * depth.clip(0, 1)
        pillar = np.exp(-(((x - wobble) / (5 + 12 * depth.clip(0, 1)) / power**0.5) ** 2))
        pillar *= smoothstep(1.1, 0.1, depth) * (0.35 + 0.65 * ripple)
        lake = mix(lake, ramp(pillar, [(0, "c97a2a"), (0.5, "f2b33d"), (1, "fff0a8")]), (pillar * 1.35).clip(0, 1))
    colour = mix(colour, lake, water)
    angle = blend_angles(angle, 0.12 * noise(rng, shape, (40, 120), 2), water)
    for cx, power in lamps:
        spot = np.hypot(x - cx, (y - horizon + 5) * 1.1)
        colour = mix(colour, rgb("ffdf7a"), smoothstep(6.5 * power**0.4, 2, spot))
    # Flame-shaped cypresses in the foreground.
    tree = np.zeros(shape, np.float32)
    flame = x.copy()
    for cx, top, base_width in [(28, 306, 26), (112, 300, 22), (70, 112, 34)]:
        rise = ((y - top) / (HEIGHT - top)).clip(0, 1)
        sway = cx + 9 * np.sin(y / 52 + cx) * (1 - rise) ** 0.5
        edge = base_width * rise**0.55 * (1 + 0.1 * np.sin(y / 9 + 3 * np.sign(x - sway))) + 2 * noise(rng, shape, 30, 1)
        inside = smoothstep(2, -2, np.abs(x - sway) - edge) * (y > top)
        tongues = (x - sway) / (0.25 + rise**0.55) + 5 * np.sin(y / 19 + x / 25)
        flame += (tongues + 7 * noise(rng, shape, (110, 40), 2) - flame) * inside
        tree = np.maximum(tree, inside)
    leaf = ramp(
        0.5 + 0.5 * np.sin(flame / 3.4),
        [(0, "081318"), (0.35, "12302e"), (0.65, "25563f"), (0.88, "5a7c3a"), (1, "b59a45")],
    )
    colour = mix(colour, leaf, tree)
    angle = blend_angles(angle, line_field(flame, 3), tree)

    painting = Painting(colour * 0.55 + rgb("3a2a4a") * 0.2, 11)
    painting.layer(colour, angle, Brush(30, 110, 0.14, 0.3, 0.8), 17)
    painting.layer(colour, angle, Brush(16, 84, 0.2, 0.34, 1.1), 10)
    detail = np.hypot(*np.gradient(blur(colour.mean(-1), 2)))
    fine = (detail / np.percentile(detail, 92)).clip(0.12, 1)
    painting.layer(colour, angle, Brush(9, 46, 0.2, 0.3, 1.3, jitter=0.06), 8, where=fine)
    return saturate(painting.lit(1.0, 0.16), 1.12)


def autumn_avenue() -> Array:
    """Palette-knife oil: an avenue of autumn trees, slabs of orange, crimson and violet on a wet path."""
    rng = np.random.default_rng(19)
    x, y = grid()
    shape = x.shape
    cx, cy = 392.0, 300.0
    radius = np.hypot((x - cx) / 1.15, y - cy)
    theta = np.arctan2(y - cy, x - cx)
    # Foliage: light in the middle, deep at the borders, broken into clumps.
    clump = noise(rng, shape, 110, 4, 0.6)
    tone = radius / 330 + 0.13 * clump
    colour = ramp(
        tone,
        [
            (0.0, "fff6cf"),
            (0.12, "ffe58a"),
            (0.3, "ffb52e"),
            (0.48, "f27b1d"),
            (0.66, "d23a1c"),
            (0.85, "8f1d3c"),
            (1.05, "46184f"),
            (1.3, "1d1440"),
        ],
    )
    accent = noise(rng, shape, 46, 3)
    colour = mix(
        colour, ramp(radius / 330, [(0, "e9e07a"), (0.4, "a9a52c"), (1, "1f5a55")]), smoothstep(0.75, 1.5, accent)
    )
    colour = mix(
        colour, ramp(radius / 330, [(0, "cfe6e4"), (0.4, "5aa6c4"), (1, "27418f")]), smoothstep(1.0, 1.7, -accent)
    )
    # The path mirrors the sky and the trees.
    vanish = (y - cy) / (HEIGHT - cy)
    floor = smoothstep(-2, 2, y - cy - 10)
    road = smoothstep(1.05, 0.9, np.abs(x - cx - 8 * np.sin(y / 30)) / (14 + 300 * vanish.clip(0, 1)))
    sheen = np.exp(-(((x - cx) / (22 + 120 * vanish.clip(0, 1))) ** 2))
    streak = noise(rng, shape, (120, 30), 3)
    wet = ramp(
        1.02 * vanish - 0.52 * sheen + 0.12 * streak + 0.16,
        [
            (0, "fff2b8"),
            (0.2, "ffc64f"),
            (0.38, "ee8a35"),
            (0.55, "b04a4a"),
            (0.75, "5a3a80"),
            (1.0, "26307a"),
            (1.2, "141a4c"),
        ],
    )
    bank = ramp(
        vanish + 0.22 * noise(rng, shape, (50, 90), 3),
        [(0, "f7b733"), (0.3, "dd6a1e"), (0.6, "a02a2a"), (0.9, "57204a"), (1.2, "231338")],
    )
    colour = mix(colour, mix(bank, wet, road), floor)
    angle = theta + np.pi / 2 + 0.5 * noise(rng, shape, 90, 2)
    angle = blend_angles(angle, np.pi / 2 * (streak > 0.6) + 0.06 * noise(rng, shape, 60, 2), floor * road)
    angle = blend_angles(angle, theta + 0.2 * noise(rng, shape, 60, 2), floor * (1 - road))
    base = colour.copy()

    # Trunks in perspective on both sides, with their reflections.
    trunks = []
    for side, offsets in ((-1, (40, 66, 106, 168, 262)), (1, (36, 60, 98, 158, 246))):
        for offset in offsets:
            trunks.append((side, cx + side * offset * 1.12, offset))
    bark = np.zeros(shape, np.float32)
    for side, foot, offset in trunks:
        thickness = 1.6 + offset * 0.052
        ground = cy + 12 + offset * 0.74
        lean = foot + side * (ground - y) * 0.05 + 5 * np.sin(y / 33 + offset)
        flare = thickness * (1 + 0.9 * np.exp(-(ground - y).clip(0) / (0.14 * offset + 6)))
        trunk = smoothstep(1.2, -1.2, np.abs(x - lean) - flare) * (y < ground)
        lit_side = smoothstep(-1, 1, -side * (x - lean) / flare * 1.4 + 0.25 * noise(rng, shape, (20, 8), 2))
        tint = mix(rgb("1a1030"), rgb("a5502f"), lit_side)
        colour = mix(colour, tint, trunk)
        bark = np.maximum(bark, trunk)
        for branch in range(3):  # branches that bend up and outwards
            start = ground - (0.55 + 0.42 * branch) * (60 + offset * 0.8)
            out = (-side if branch % 2 else side) * (x - foot - side * (ground - start) * 0.05)
            arc = start - 0.75 * out - 0.004 * out**2 + 5 * np.sin(out / 12)
            limb = smoothstep(1, -1, np.abs(y - arc) - thickness * 0.42 * (1 - out / (40 + offset))) * (out > 0)
            limb *= out < 40 + offset
            colour = mix(colour, rgb("24123a"), limb * 0.9)
        mirror = smoothstep(1.5, -1.5, np.abs(x - foot - 6 * np.sin(y / 9 + offset)) - thickness * 1.1)
        mirror *= (y >= ground) * smoothstep(150 + offset, 0, y - ground)
        colour = mix(colour, rgb("2a1545"), mirror * 0.75)
        bark = np.maximum(bark, mirror * 0.8)
    trunk_angle = blend_angles(angle, np.full(shape, np.pi / 2, np.float32), (bark > 0.3).astype(np.float32))

    painting = Painting(base * 0.5, 23)
    knife = Brush(40, 62, 0.08, 0.16, 1.5, ridge=0.9, jitter=0.05, turn=0.35, taper=0.05)
    painting.layer(base, angle, knife, 22)
    painting.layer(colour, trunk_angle, Brush(20, 46, 0.1, 0.2, 1.5, 0.9, 0.06, 0.25, 0.06), 13)
    detail = np.hypot(*np.gradient(blur(colour.mean(-1), 1.5)))
    fine = (detail / np.percentile(detail, 95)).clip(0.06, 1)
    painting.layer(colour, trunk_angle, Brush(9, 30, 0.12, 0.2, 1.4, 0.8, 0.05, 0.12, 0.08), 7, where=fine)

    def dab(colours: Array, rows: Array, rng: np.random.Generator) -> Array:
        leaves = palette("ffd84a", "ff9a2a", "f2541e", "d81f2e", "ffe9a0", "b7b63a", "6a2a7a", "3d7fb0")
        chance = np.array([0.2, 0.22, 0.2, 0.12, 0.08, 0.08, 0.06, 0.04])
        picks = leaves[rng.choice(len(leaves), len(colours), p=chance)]
        return colours + (picks - colours) * 0.6

    leafy = 0.24 * smoothstep(cy + 60, cy - 10, y) * smoothstep(30, 110, radius) + 0.06 * floor
    painting.layer(base, theta, Brush(11, 20, 0.08, 0.16, 1.9, 0.8, 0.05, 0.9, 0.1), 13, where=leafy, choose=dab)
    return saturate(painting.lit(0.75, 0.18), 1.08)


def blur_rgb(image: Array, sigma: float) -> Array:
    """Gaussian blur of a colour picture."""
    return np.stack([blur(image[..., c], sigma) for c in range(3)], -1)


def stained_glass() -> Array:
    """Leaded window: a rising sun over mountains and a winding river, glowing cut glass between lead lines."""
    rng = np.random.default_rng(5)
    x, y = grid()
    shape = x.shape
    sun_x, sun_y, sun_r = 446.0, 226.0, 62.0
    distance = np.hypot(x - sun_x, y - sun_y)
    theta = np.arctan2(y - sun_y, x - sun_x)

    # Every rule says which piece of glass a pixel belongs to; later ones lie on top of earlier ones.
    ring = np.floor(np.log(np.maximum(distance, 1) / sun_r) / 0.33)
    rays = np.floor((theta / (2 * np.pi) + 0.5) * 22 + 0.07 * np.sin(distance / 34) + 0.5 * (ring % 2))
    piece = 1000 + ring * 40 + rays % 22
    colour = ramp(
        np.log(np.maximum(distance, 1) / sun_r) / 2.1 + 0.14 * piece_value(piece, 1) - 0.07,
        [
            (0.0, "ffe27a"),
            (0.16, "ffb53c"),
            (0.32, "f2763a"),
            (0.47, "d9486a"),
            (0.62, "8a4fb0"),
            (0.8, "3d5cc4"),
            (1.0, "1d3a9c"),
        ],
    )

    def cover(mask: Array, ids: Array, paint: Array) -> None:
        nonlocal piece, colour
        piece = np.where(mask, ids, piece)
        colour = np.where(mask[..., None], paint, colour)

    disc = distance < sun_r
    petals = np.floor((theta / (2 * np.pi) + 0.5) * 10 + 0.5)
    disc_ids = np.where(distance < sun_r * 0.42, 2000, 2001 + petals % 10)
    cover(disc, disc_ids, ramp(distance / sun_r, [(0, "fffbe0"), (0.42, "fff0a0"), (0.43, "ffd95a"), (1, "f8a81e")]))

    # Clouds: long lens-shaped pieces of milky glass.
    for k, (cx, cy, half, tall) in enumerate(
        [(150, 96, 120, 20), (236, 132, 96, 15), (630, 86, 110, 19), (600, 130, 70, 12)]
    ):
        u = (x - cx) / half
        middle = cy + 9 * np.sin(u * 2.4)
        lens = np.abs(y - middle) < tall * np.sqrt(np.clip(1 - u**2, 0, 1))
        ids = 2100 + 10 * k + 2 * np.floor((u + 1) * 2) + (y > middle)
        cover(
            lens,
            ids,
            ramp(0.5 + 0.5 * u + 0.5 * piece_value(ids, 2) - 0.25, [(0, "efc3cb"), (0.5, "f2e2c0"), (1, "b4c6e4")]),
        )

    # Mountains: ridges with facets that fall to the left and right of each peak.
    ranges = [
        (262, 60, [(60, 80), (196, 52), (330, 66), (560, 84), (690, 58)], ["f0d9ee", "9d86d0", "5a58b8"], 3000),
        (340, 40, [(0, 52), (140, 74), (300, 38), (470, 46), (640, 82)], ["79c7c9", "2d8fa8", "155a86"], 3400),
    ]
    for base, _, peaks, tones, first in ranges:
        top = np.full(shape, float(base + 40), np.float32)
        owner = np.zeros(shape, np.float32)
        for k, (px, tall) in enumerate(peaks):
            slope = base - tall + np.abs(x - px) * 0.66
            owner = np.where(slope < top, k, owner)
            top = np.minimum(top, slope)
        peak_x = np.array([p for p, _ in peaks])[owner.astype(int)]
        fall = x - peak_x - 10 * np.sin((y - base) / 16)
        snow = y - top < 24 + 6 * np.sin(x / 7)
        step = np.floor((y - top - 0.3 * np.abs(fall)) / 40)
        ids = first + owner * 40 + 2 * step.clip(0, 9) + (fall > 0) + 20 * snow
        tone = 0.22 + 0.4 * (fall > 0) + 0.14 * step.clip(0, 3) + 0.3 * piece_value(ids, 3) - 0.1
        paint = ramp(tone, [(0, tones[0]), (0.5, tones[1]), (1, tones[2])])
        paint = np.where(snow[..., None], ramp(tone, [(0, "f3e6dc"), (0.5, "d3d6ea"), (1, "93a9dc")]), paint)
        cover(y > top, ids, paint)

    # Hills in green bands, cut across by joints.
    for k, (base, amplitude, phase, tones) in enumerate(
        [
            (372, 20, 0.4, ["d6d957", "7fb23c", "2f8a4c"]),
            (424, 26, 2.7, ["8fc24a", "2f9455", "0f6a5a"]),
            (486, 24, 4.6, ["4fae5e", "15735a", "0b4a55"]),
        ]
    ):
        ridge = base + amplitude * np.sin(x / 118 + phase) + 0.4 * amplitude * np.sin(x / 51 + 2 * phase)
        band = np.floor((y - ridge) / 23)
        joint = np.floor((x + 26 * np.sin(band * 2.1 + k) + (y - ridge) * 0.5) / 88)
        ids = 4000 + 400 * k + band * 20 + joint
        cover(
            y > ridge,
            ids,
            ramp(0.1 + 0.16 * band + 0.5 * piece_value(ids, 4), [(0, tones[0]), (0.5, tones[1]), (1, tones[2])]),
        )

    # The river winds from the mountains to the lower border.
    depth = ((y - 378) / (HEIGHT - 378)).clip(0, 1)
    centre = 430 - 40 * depth + 105 * np.sin(depth * 5.6 + 0.3) * depth**0.6
    width = 9 + 92 * depth**1.25
    across = (x - centre) / width
    lane = np.floor((across + 1) * 2)
    joint = np.floor(depth**0.7 * 11 + 0.35 * lane + 0.12 * np.sin(across * 4))
    ids = 6000 + joint * 5 + lane
    paint = ramp(
        0.75 * depth + 0.55 * piece_value(ids, 5) - 0.12,
        [(0, "ffe9a8"), (0.25, "9fe0dc"), (0.55, "38a9d4"), (1, "1b55b4")],
    )
    cover((np.abs(across) < 1) & (y > 384), ids, paint)

    # Irises in the foreground corners.
    for k, (fx, fy, size) in enumerate([(92, 420, 42), (172, 482, 34), (36, 494, 32), (612, 452, 42), (680, 510, 32)]):
        bend = 14 * np.sin((y - fy) / 60 + k)
        stem = (np.abs(x - fx - bend) < 5) & (y > fy)
        cover(stem, np.full(shape, 7000 + k), ramp((y - fy) / 160, [(0, "a9d84a"), (1, "1f8a4a")]))
        for side in (-1, 1):
            t = ((HEIGHT + 12 - y) / (HEIGHT + 12 - fy)).clip(0, 1)
            blade = fx + side * (9 + 34 * t**1.6) + bend * 0.5
            leaf = (np.abs(x - blade) < 10 * np.sqrt(np.clip(1 - t, 0, 1)) * (0.4 + t)) & (y > fy + 10)
            ids = 7100 + 20 * k + 4 * (side + 1) + (x > blade)
            cover(leaf, ids, ramp(t + 0.25 * (x > blade), [(0, "0f6a48"), (1.1, "8ed04a")]))
        for petal, (turn, tones) in enumerate(
            [
                (-2.5, ["5a2fc0", "b07af0"]),
                (-0.64, ["5a2fc0", "b07af0"]),
                (2.6, ["3a1a90", "8a4fe0"]),
                (0.54, ["3a1a90", "8a4fe0"]),
                (-1.571, ["7a3ad0", "e0b8ff"]),
                (1.571, ["8a2fa0", "ffcf5a"]),
            ]
        ):
            ca, sa = np.cos(turn), np.sin(turn)
            u, v = ((x - fx) * ca + (y - fy) * sa) / size, (-(x - fx) * sa + (y - fy) * ca) / size
            inside = (np.abs(v) < 0.36 * np.sqrt(np.clip(u * (1.02 - u) * 4, 0, 1)) * (0.55 + 0.6 * u)) & (u > 0)
            ids = np.full(shape, 7400 + 10 * k + petal)
            cover(inside, ids, ramp(u, [(0.1, tones[1]), (1, tones[0])]))
        cover(
            np.hypot(x - fx, y - fy) < size * 0.15,
            np.full(shape, 7800 + k),
            np.broadcast_to(rgb("ffc83a"), colour.shape),
        )

    # A border of alternate jewels.
    edge = np.minimum(np.minimum(x, WIDTH - x), np.minimum(y, HEIGHT - y))
    sides = np.argmin(np.stack([x, WIDTH - x, y, HEIGHT - y]), 0)
    run = np.where(sides < 2, y, x)
    slot = np.floor(run / 36)
    ids = 8000 + 100 * sides + slot
    jewels = palette("8f1530", "1b2f7a", "145c4c", "1b2f7a")
    paint = jewels[(slot.astype(int) + sides) % 4] * (0.85 + 0.3 * piece_value(ids, 6))[..., None]
    cover(edge < 20, ids, paint)
    diamond = (np.abs(run % 36 - 18) + np.abs(edge - 10)) < 8
    cover((edge < 20) & diamond, ids + 500, np.broadcast_to(rgb("e8b040"), colour.shape))

    # Lead: dark came along every change of piece, rounded and lit like metal.
    change = np.zeros(shape, np.float32)
    change[:, 1:] += piece[:, 1:] != piece[:, :-1]
    change[1:] += piece[1:] != piece[:-1]
    field = blur(change.clip(0, 1), 2.5)
    line = smoothstep(0.075, 0.135, field)
    near_lead = blur(line, 9)
    # Glass: streaks, seeds, a gradient within each piece and a glow in the middle of the pane.
    turn = piece_value(piece, 7) * np.pi
    tilt = ((x - WIDTH / 2) * np.cos(turn) + (y - HEIGHT / 2) * np.sin(turn)) / 26
    streak = noise(rng, shape, (16, 150), 4, 0.65)
    cross = noise(rng, shape, (130, 12), 4, 0.65)
    grain = np.where(piece_value(piece, 8) > 0.5, streak, cross)
    glass = colour * (1 + 0.13 * grain + 0.12 * np.sin(tilt))[..., None]
    glass = mix(glass, glass**0.72, (0.3 * noise(rng, shape, 60, 3)).clip(0, 1))
    bubbles = noise(rng, shape, 5, 1)
    glass = glass + (smoothstep(2.3, 3.0, bubbles) * 0.35)[..., None]
    glass = 0.92 * glass * (1.08 - 0.62 * near_lead)[..., None]
    relief, shine = light(blur(grain, 1.2) * 2.2, 0.45, 0.15)
    glass = (glass * (0.5 + 0.5 * relief)[..., None] + shine[..., None]).clip(0, 1)
    metal_shade, metal_shine = light(blur(field, 1) * 90, 0.55, 0.35)
    metal = rgb("1a1a20") * metal_shade[..., None] + metal_shine[..., None] * rgb("9fb0c8") * 0.6
    image = mix(saturate(glass, 1.04), metal, line)
    bloom = blur_rgb(image, 14)
    return finish((image + 0.07 * bloom).clip(0, 1))


def piece_value(ids: Array, salt: int) -> Array:
    """A fixed pseudo-random value between 0 and 1 for every piece number."""
    mixed = np.asarray(ids, np.float64) * 12.9898 + salt * 78.233
    return np.mod(np.sin(mixed) * 43758.5453, 1).astype(np.float32)


def block_print_waves() -> Array:
    """Colour woodblock print: curling waves in flat indigo bands with key lines, a snow peak and a red sun."""
    rng = np.random.default_rng(12)
    x, y = grid()
    shape = x.shape

    def curl(u: Array, v: Array, centres: list[tuple[float, float, float, float]]) -> tuple[Array, Array]:
        """Twist the plane around each (x, y, radius, turn): straight bands become curling waves."""
        for cx, cy, radius, turn in centres:
            dx, dy = u - cx, v - cy
            a = turn * np.exp(-((np.hypot(dx, dy) / radius) ** 2))
            u, v = cx + dx * np.cos(a) - dy * np.sin(a), cy + dx * np.sin(a) + dy * np.cos(a)
        return u, v

    wobble = 1.2 * noise(rng, shape, 40, 2)
    # Sky: graded by hand from the top, as bokashi, with drifting bars of mist.
    sky = ramp(
        y / 300 + 0.02 * noise(rng, shape, (4, 300), 2),
        [(0, "1f4a78"), (0.16, "5b8fae"), (0.36, "b9cdbf"), (0.6, "efe0bd"), (0.85, "f3c99a"), (1.05, "e89f7c")],
    )
    image = sky
    key = np.zeros(shape, np.float32)  # the black block

    sun = np.hypot(x - 566, y - 128)
    image = mix(image, ramp(y, [(60, "d8402c"), (200, "ee7a45")]), smoothstep(0.6, -0.6, sun - 62))
    # Clouds: long banks of mist, coiled by the same twist, with contour lines inside.
    whirls = [(96, 84, 66, 3.6), (250, 120, 40, -3.0), (408, 70, 52, 3.4), (664, 226, 52, -3.4), (470, 236, 44, 3.2)]
    whirls += [(556, 22, 40, -3.0), (24, 214, 50, -3.4), (700, 60, 44, 3.4)]
    u, v = curl(x, y + wobble, whirls)
    field = noise(rng, shape, (52 * SCALE, 250 * SCALE), 1) + 0.35 * np.sin(v / 8.5)
    columns, rows = (u * SCALE).clip(0, shape[1] - 1).astype(int), (v * SCALE).clip(0, shape[0] - 1).astype(int)
    mist = blur(field[rows, columns], 1.2)
    level = mist / (np.hypot(*np.gradient(mist)) * SCALE + 0.004)  # about the distance from the outline, in pixels
    inner = (mist - 0.55) / (np.hypot(*np.gradient(mist)) * SCALE + 0.004)
    veil = smoothstep(-0.5, 0.5, level)
    image = mix(image, ramp(y / 300, [(0, "a9c6cc"), (0.4, "ecdfc4"), (1, "fbdcb4")]), veil * 0.9)
    image = mix(image, ramp(y / 300, [(0, "dbe4da"), (0.4, "f8efd9"), (1, "fdeccb")]), smoothstep(-0.5, 0.5, inner))
    contour = np.maximum(smoothstep(1.1, 0.5, np.abs(level)), 0.7 * smoothstep(0.9, 0.4, np.abs(inner)))
    image = mix(image, ramp(y / 300, [(0, "173a63"), (0.5, "3f7488"), (1, "b0684f")]), contour * 0.85)
    # The mountain, with snow that runs down in fingers.
    run = np.abs(x - 262)
    slope = 172 + 200 * (1 - np.exp(-run / 150)) + 0.12 * run + wobble
    slope = np.maximum(slope, 176 + 2.5 * np.sin(x / 5))
    inside = smoothstep(-0.6, 0.6, y - slope)
    rock = ramp((y - 170) / 190 + 0.03 * noise(rng, shape, (40, 8), 2), [(0, "34507c"), (0.5, "5d7fa0"), (1, "a9bcb4")])
    finger = 46 + 24 * np.sin(run / 9.0) * np.sin(x / 13.0 + 1) + 9 * np.sin(x / 4.1)
    snow = smoothstep(1, -1, y - slope - finger * np.exp(-run / 190))
    image = mix(image, mix(rock, rgb("faf3e2"), snow), inside)
    key = np.maximum(key, smoothstep(1.5, 0.7, np.abs(y - slope)) * (run < 330))

    # The sea: three layers of waves; bands parallel to a twisted surface are cut in turns of blue and white.
    layers = [
        (
            352,
            16,
            92.0,
            0.3,
            [(80, 352, 46, 2.6), (250, 362, 40, 2.4), (430, 350, 44, 2.6), (610, 360, 46, 2.5), (720, 350, 30, 2.2)],
            ["8fb9b5", "f4ecd6", "5d97a6", "dfe6d2", "3f7d98"],
            8.0,
        ),
        (
            418,
            26,
            150.0,
            1.2,
            [(150, 392, 74, 3.3), (372, 420, 60, 3.0), (560, 392, 78, 3.4), (706, 424, 50, 2.6)],
            ["f6eedb", "6fa6b4", "2f6d98", "f2ead6", "1d4f82", "3a7ea4"],
            9.5,
        ),
        (
            500,
            30,
            230.0,
            2.2,
            [(60, 486, 84, 3.6), (292, 476, 104, 3.9), (480, 520, 60, 3.0), (650, 486, 92, 3.7)],
            ["f8f1de", "5b95b0", "1f5288", "f3ebd8", "16386a", "2c6796", "e6e3d0"],
            11.5,
        ),
    ]
    for base, swell, wavelength, phase, curls, tones, pitch in layers:
        u, v = curl(x + wobble, y + wobble, curls)
        surface = base + swell * np.sin(u / wavelength * 2 * np.pi + phase)
        level = v - surface + 1.6 * np.sin(u / 9)
        inside = smoothstep(-0.7, 0.7, level)
        spread = pitch * (1 + 0.35 * np.sin(u / 40 + phase))
        t = level / spread
        band = np.floor(t).clip(0, 400).astype(int)
        inks = palette(*tones)
        order = np.where(band == 0, 0, 1 + (band - 1) % (len(tones) - 1))
        paint = inks[order] * (1 - 0.1 * np.mod(t, 1))[..., None]
        deep = smoothstep(base + 20, base + 190, y)[..., None] * 0.25
        paint = paint * (1 - deep) + rgb("143260") * deep
        image = mix(image, paint, inside)
        key = key * (1 - inside)
        gy, gx = np.gradient(t)
        steep = np.hypot(gx, gy) * SCALE  # bands a pixel: keeps the key line equally thick everywhere
        edge = np.abs(t - np.round(t)) / (steep + 1e-4)
        weight = 0.75 + 0.55 * np.sin(u / 17 + v / 29)
        line = smoothstep(weight + 0.55, weight - 0.25, edge) * (t > -0.5) * smoothstep(0.9, 0.5, steep * 2.2)
        line = np.maximum(line, smoothstep(1.9, 1.1, np.abs(level) / (np.hypot(*np.gradient(level)) * SCALE + 1e-4)))
        key = np.maximum(key, line)
        # Foam: drops thrown up over the crests of the curls.
        for cx, cy, radius, _ in curls:
            for _ in range(int(radius * 0.5)):
                a = rng.uniform(-2.9, -0.2)
                far = radius * rng.uniform(0.62, 1.12)
                fx, fy, size = cx + far * np.cos(a), cy + far * np.sin(a), rng.uniform(1.0, 4.2) * radius / 80
                stamp(image, key, fx, fy, size)

    # Ink on paper: wood grain in the flat colours, pressed fibres, uneven pressure.
    grain = noise(rng, shape, (3, 260), 3, 0.7)
    rings = np.sin((y + 9 * noise(rng, shape, (60, 300), 2)) * 1.1)
    pressure = 1 + 0.022 * grain + 0.018 * rings + 0.03 * noise(rng, shape, 5, 2)
    fibres = noise(rng, shape, (5, 30), 3, 0.8)
    paper = rgb("f4e8cc") * (1 + 0.02 * fibres)[..., None]
    image = (image * pressure[..., None]).clip(0, 1)
    image = mix(image, paper, (0.10 + 0.07 * smoothstep(1.2, 2.4, noise(rng, shape, 4, 2))).clip(0, 1))
    ink = rgb("15233f") * (1 + 0.15 * fibres)[..., None]
    image = mix(image, ink, key * (0.93 - 0.12 * smoothstep(0.8, 2, noise(rng, shape, 6, 2))))
    return finish(image.clip(0, 1))


def stamp(image: Array, key: Array, cx: float, cy: float, radius: float) -> None:
    """Print one drop of foam: a paper-white disc with a key line."""
    reach = int((radius + 3) * SCALE)
    px, py = int(cx * SCALE), int(cy * SCALE)
    rows = slice(max(py - reach, 0), max(min(py + reach, image.shape[0]), 0))
    columns = slice(max(px - reach, 0), max(min(px + reach, image.shape[1]), 0))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    y, x = np.mgrid[rows, columns]
    distance = np.hypot((x + 0.5) / SCALE - cx, (y + 0.5) / SCALE - cy)
    disc = smoothstep(0.5, -0.5, distance - radius)
    image[rows, columns] = mix(image[rows, columns], np.broadcast_to(rgb("faf4e4"), (*disc.shape, 3)), disc)
    ring = smoothstep(1.1, 0.5, np.abs(distance - radius)) * 0.9
    key[rows, columns] = np.maximum(key[rows, columns] * (1 - disc), ring)


def border_distance(regions: Array) -> Array:
    """Distance of every pixel from the nearest border between two regions (exact, separable)."""
    height, _ = regions.shape
    border = np.zeros(regions.shape, bool)
    border[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    border[1:] |= regions[1:] != regions[:-1]
    rows = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(border, rows, -(10**4)), 0)
    below = np.minimum.accumulate(np.where(border, rows, 10**4)[::-1], 0)[::-1]
    vertical = np.minimum(rows - above, below - rows).astype(np.float32) ** 2
    best = vertical.copy()
    for shift in range(1, 90):
        best[:, shift:] = np.minimum(best[:, shift:], vertical[:, :-shift] + shift**2)
        best[:, :-shift] = np.minimum(best[:, :-shift], vertical[:, shift:] + shift**2)
    return np.sqrt(np.minimum(best, 90.0**2))


def lay_tiles(seeds: Array, sizes: Array, angle: Array, regions: Array) -> tuple[Array, Array, Array]:
    """Square-metric Voronoi cells turned along ``angle`` that stop at region borders.

    Returns the tile number of each pixel, its distance and the distance to the next best tile (in tile units).
    """
    height, width = regions.shape
    owner = np.full(regions.shape, -1, np.int32)
    first = np.full(regions.shape, 9.0, np.float32)
    second = np.full(regions.shape, 9.0, np.float32)
    for k, ((sx, sy), size) in enumerate(zip(seeds.tolist(), sizes.tolist(), strict=True)):
        reach = int(size * 2.1)
        cx, cy = min(max(int(sx), 0), width - 1), min(max(int(sy), 0), height - 1)
        y0, y1, x0, x1 = max(cy - reach, 0), min(cy + reach + 1, height), max(cx - reach, 0), min(cx + reach + 1, width)
        a = angle[cy, cx]
        dx = np.arange(x0, x1, dtype=np.float32)[None] - sx
        dy = np.arange(y0, y1, dtype=np.float32)[:, None] - sy
        cos, sin = np.cos(a), np.sin(a)
        distance = np.maximum(np.abs(dx * cos + dy * sin), np.abs(dy * cos - dx * sin)) / size
        distance = np.where(regions[y0:y1, x0:x1] == regions[cy, cx], distance, 8.0).astype(np.float32)
        f1, f2, mine = first[y0:y1, x0:x1], second[y0:y1, x0:x1], owner[y0:y1, x0:x1]
        closer = distance < f1
        f2[...] = np.where(closer, f1, np.minimum(f2, distance))
        mine[closer] = k
        f1[...] = np.minimum(f1, distance)
    return owner, first, second


def byzantine_mosaic() -> Array:
    """Mosaic: a tree with coiled branches on a ground of gold, small hand-cut tiles that follow every outline."""
    rng = np.random.default_rng(31)
    x, y = grid(1)
    shape = x.shape
    regions = np.zeros(shape, np.int32)
    colour = np.zeros((*shape, 3), np.float32)

    def cover(mask: Array, number: int, paint: Array) -> None:
        regions[mask] = number
        colour[mask] = paint[mask] if paint.ndim == 3 else paint

    def pen(lines: list[Array], widths: list[Array]) -> Array:
        """Draw polylines of varying width."""
        image = Image.new("L", (shape[1] * 2, shape[0] * 2))
        draw = ImageDraw.Draw(image)
        for line, line_width in zip(lines, widths, strict=True):
            for (px, py), w in zip((line * 2).tolist(), line_width.tolist(), strict=True):
                draw.ellipse([px - w, py - w, px + w, py + w], fill=255)
        return resize(np.asarray(image, np.float32), shape[1], shape[0], Image.Resampling.BOX) > 127

    # Gold ground in slow rings, with a paler glory around the sun.
    sun = np.hypot(x - 560, y - 128)
    wave = 0.5 + 0.5 * np.sin(sun / 15 + 0.8 * noise(rng, shape, 120, 2))
    gold = ramp(
        0.3 * wave + 0.9 * np.exp(-sun / 200) + 0.08 * noise(rng, shape, 60, 2),
        [(0, "8a5a1c"), (0.2, "b98024"), (0.45, "d9a52f"), (0.7, "f0cb58"), (1, "fff0b0")],
    )
    cover(np.ones(shape, bool), 1, gold)
    for k, (outer, paint) in enumerate(
        [(104, "2f7f93"), (94, "f4e6b8"), (84, "a3282c"), (72, "f2b430"), (40, "f7d874"), (22, "fff6d6")]
    ):
        cover(sun < outer, 2 + k, np.broadcast_to(rgb(paint), colour.shape))
    rays = (np.mod(np.arctan2(y - 128, x - 560) / (2 * np.pi) * 16, 1) < 0.5) & (sun > 40) & (sun < 72)
    cover(rays, 9, rgb("e2701f"))

    # Hills and water in coloured bands.
    bands = ["1c5f52", "2f8a5c", "7fae4a", "c9c25a", "1f6f63", "124a52"]
    for k, tone in enumerate(bands):
        top = 418 + 15 * k + (20 - 2 * k) * np.sin(x / 92 + 0.9) + 6 * np.sin(x / 37 + k)
        cover(y > top, 10 + k, rgb(tone))
    for k, tone in enumerate(["f0e9cf", "1a4fa0", "3d8fc4", "a8d8d8", "15397f", "2f78b8", "dfeee4", "102a63"]):
        top = 492 + 10.5 * k + 7 * np.sin(x / 23 + 0.8 * k) - 4 * np.abs(np.sin(x / 11.5 + 0.4 * k))
        cover(y > top, 20 + k, rgb(tone))

    # The tree: a trunk and coiled branches.
    t = np.linspace(0, 1, 500)
    trunk = np.stack([236 + 26 * np.sin(t * 3.2) - 10 * t, 478 - 300 * t], 1)
    lines, widths = [trunk], [26 - 16 * t + 22 * np.exp(-t * 16)]
    coils = [  # start on the trunk (0..1), centre, radius, turns, sense
        (0.62, (112, 250), 62, 2.3, -1),
        (0.7, (366, 236), 58, 2.2, 1),
        (0.9, (150, 118), 66, 2.4, -1),
        (0.97, (292, 108), 62, 2.3, 1),
        (0.45, (352, 350), 40, 2.0, 1),
        (0.42, (120, 362), 40, 2.0, -1),
        (0.8, (420, 150), 38, 2.0, 1),
        (0.8, (52, 182), 30, 1.8, -1),
        (0.95, (222, 56), 30, 1.7, 1),
        (0.72, (452, 316), 36, 1.9, 1),
        (0.5, (48, 318), 26, 1.7, -1),
    ]
    for start, (cx, cy), radius, turns, sense in coils:
        begin = trunk[int(start * 499)]
        s = np.linspace(0, 1, 900)
        a = -np.pi / 2 + sense * 2 * np.pi * turns * s
        r = radius * (1 - s) ** 0.85 + 2
        coil = np.stack([cx + r * np.cos(a), cy + r * np.sin(a)], 1)
        join = np.linspace(0, 1, 300)[:, None]
        pull = np.array([cx - sense * radius * 1.25, cy - radius * 1.0])
        bend = (1 - join) ** 2 * begin + 2 * join * (1 - join) * pull + join**2 * coil[0]
        lines += [bend, coil]
        thick = radius / 62
        widths += [(13 - 3 * join[:, 0]) * thick, (10 - 5.5 * s) * thick]
    outline = pen(lines, [w + 5 for w in widths])
    cover(outline, 40, rgb("f3dfa0"))
    bark = ramp(0.5 + 0.3 * np.sin(y / 9 + x / 13), [(0, "2a1a1e"), (0.5, "5a3322"), (1, "8a5630")])
    cover(pen(lines, widths), 41, bark)

    # Eyes, leaves and blossoms between the coils.
    number = 50
    for cx, cy, size in [
        (112, 250, 11),
        (366, 236, 11),
        (150, 118, 12),
        (292, 108, 12),
        (352, 350, 9),
        (120, 362, 9),
        (420, 150, 9),
    ]:
        for scale, tone in ((1.9, "f6ecd0"), (1.5, "13306e"), (0.95, "2fa0a8"), (0.5, "d23a2a")):
            cover(np.hypot(x - cx, y - cy) < size * scale, number, rgb(tone))
            number += 1
    leaves = [
        (206, 176, 0.6),
        (190, 300, 2.6),
        (300, 300, 0.4),
        (58, 240, 1.2),
        (330, 168, 2.2),
        (208, 238, 1.0),
        (262, 176, 2.5),
    ]
    leaves += [
        (398, 300, 0.8),
        (70, 96, 0.8),
        (356, 64, 2.4),
        (76, 410, 0.4),
        (300, 396, 2.8),
        (430, 214, 0.9),
        (180, 390, 0.8),
    ]
    for k, (cx, cy, turn) in enumerate(leaves):
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
        for scale, tone in ((1.0, "14584c"), (0.6, ["35a06a", "2f93a0", "c2342c"][k % 3])):
            cover((np.abs(u) < 21 * scale) & (np.abs(v) < 10 * scale * (1 - (u / (21 * scale)) ** 2)), number, rgb(tone))
            number += 1
    for cx, cy in [
        (500, 440),
        (566, 452),
        (640, 436),
        (420, 452),
        (96, 462),
        (40, 440),
        (684, 468),
        (350, 470),
        (170, 470),
    ]:
        spokes = np.hypot(x - cx, y - cy) - 3.0 * np.cos(6 * np.arctan2(y - cy, x - cx))
        for limit, tone in ((17, "5a1030"), (14.5, "e8e0cf"), (9, "d8452f"), (5, "f6cf4a")):
            cover(spokes < limit, number, rgb(tone))
            number += 1
    # A border of lapis with diamonds.
    edge = np.minimum(np.minimum(x, WIDTH - x), np.minimum(y, HEIGHT - y))
    run = np.where(np.minimum(x, WIDTH - x) < np.minimum(y, HEIGHT - y), y, x)
    for limit, tone in ((26, "f3e3ae"), (21, "15306f"), (5, "8f1f28")):
        cover(edge < limit, number, rgb(tone))
        number += 1
    diamond = np.abs(run % 48 - 24) / 1.5 + np.abs(edge - 13)
    cover((diamond < 9) & (edge < 22), number, rgb("e9b83c"))
    cover((diamond < 4) & (edge < 22), number + 1, rgb("c22f2a"))

    # Tiles run parallel to the outlines (the andamento); relax them until they are evenly spread.
    distance = border_distance(regions)
    angle = line_field(distance, 2.5)
    pitch = 7.4
    ys, xs = np.mgrid[pitch / 2 : shape[0] : pitch, pitch / 2 : shape[1] : pitch]
    seeds = np.stack([xs.ravel(), ys.ravel()], 1) + rng.uniform(-2, 2, (xs.size, 2))
    sizes = np.full(len(seeds), pitch / 2, np.float32)
    for _ in range(9):
        owner, _, _ = lay_tiles(seeds, sizes, angle, regions)
        flat = owner.ravel()
        valid = flat >= 0
        area = np.bincount(flat[valid], minlength=len(seeds))
        for axis, values in enumerate((x, y)):
            total = np.bincount(flat[valid], values.ravel()[valid] - 0.5, minlength=len(seeds))
            seeds[:, axis] = np.where(area > 0, total / np.maximum(area, 1), seeds[:, axis])
    kept = area > 7
    seeds, sizes = seeds[kept], sizes[kept]

    def enlarge(a: Array) -> Array:
        return np.repeat(np.repeat(a, SCALE, 0), SCALE, 1)

    big_regions = np.asarray(
        Image.fromarray(regions).resize((shape[1] * SCALE, shape[0] * SCALE), Image.Resampling.NEAREST)
    )
    owner, first, second = lay_tiles((seeds + 0.5) * SCALE, sizes * SCALE, enlarge(angle), big_regions)
    columns, rows = seeds[:, 0].astype(int).clip(0, shape[1] - 1), seeds[:, 1].astype(int).clip(0, shape[0] - 1)
    tone = colour[rows, columns]
    golden = np.isin(regions[rows, columns], [1, 5, 6, 7])
    value = rng.normal(1, np.where(golden, 0.2, 0.13))
    tone = tone * value[:, None] + rng.normal(0, 0.03, tone.shape)
    odd = rng.random(len(tone)) < 0.06
    tone[odd] = mix(
        tone[odd],
        palette("fff2c8", "b5482a", "2a6f7a", "6a3a1a")[rng.integers(0, 4, odd.sum())],
        np.full(odd.sum(), 0.5),
    )
    border_cut = np.minimum(distance_at_scale(big_regions) / (pitch * 0.5 * SCALE), 1)
    gap = np.minimum(second - first, border_cut * 1.6)
    body = smoothstep(0.1, 0.24, gap + 0.03 * noise(rng, gap.shape, 6, 2))
    relief = smoothstep(0.05, 0.6, gap) + 0.03 * noise(rng, gap.shape, 5, 3)
    tilt = rng.normal(0, 1, (len(seeds), 2)) * 0.055
    yy, xx = np.mgrid[0 : gap.shape[0], 0 : gap.shape[1]]
    safe = owner.clip(0)
    plane = (xx - seeds[safe, 0] * SCALE) * tilt[safe, 0] + (yy - seeds[safe, 1] * SCALE) * tilt[safe, 1]
    shade, shine = light((relief * 2.6 + plane) * body, 0.85, 0.5)
    glassy = 1 + 0.05 * noise(rng, gap.shape, 7, 2)
    tiles = tone[safe].astype(np.float32) * (shade * glassy)[..., None] + (shine * 0.8)[..., None] * rgb("fff0c8")
    grout = rgb("3a3029") * (1 + 0.16 * noise(rng, gap.shape, 4, 2))[..., None]
    return finish(mix(grout, tiles, body * (owner >= 0)).clip(0, 1))


def distance_at_scale(regions: Array) -> Array:
    """Distance from region borders, slightly smoothed, for a supersampled region map."""
    return blur(border_distance(regions), 0.8)


def pointillist_river() -> Array:
    """Divisionist oil: a river at golden hour in thousands of dots of pure colour with complementary accents."""
    rng = np.random.default_rng(77)
    x, y = grid()
    shape = x.shape
    shore = 262.0
    sky = ramp(
        y / shore + 0.05 * noise(rng, shape, (60, 220), 3),
        [(0, "4f7fc4"), (0.3, "86b4dc"), (0.55, "c9d4d6"), (0.75, "f6deb0"), (0.92, "f9bd78"), (1.1, "f0906a")],
    )
    glow = np.hypot((x - 500) / 1.25, y - 206)
    sky = mix(
        sky,
        ramp(glow / 170, [(0, "fffbd8"), (0.14, "fff0a0"), (0.4, "fcc978"), (1, "f3a07c")]),
        smoothstep(180, 14, glow),
    )
    cloud = noise(rng, shape, (46, 260), 4, 0.6) + 0.5 * np.sin(y / 26)
    sky = mix(sky, ramp(y / shore, [(0, "e9e4ee"), (0.5, "f8d9c4"), (1, "e8828a")]), smoothstep(0.7, 1.7, cloud) * 0.85)
    image = sky
    far = 232 - 9 * noise(rng, (1, shape[1]), (4, 170), 3)
    image = mix(image, ramp((y - far) / 34, [(0, "8f8fc8"), (0.5, "7fa0b8"), (1, "9fb890")]), smoothstep(-1, 1, y - far))

    # Trees on the far bank: round crowns, warm on the side of the sun.
    trees = np.zeros(shape, np.float32)
    tint = np.zeros((*shape, 3), np.float32)
    for cx, top, half in [
        (40, 92, 50),
        (104, 128, 42),
        (152, 168, 34),
        (196, 190, 26),
        (236, 206, 20),
        (272, 216, 15),
        (618, 196, 26),
        (664, 160, 38),
        (712, 120, 46),
        (580, 214, 17),
        (330, 226, 11),
        (392, 230, 10),
    ]:
        u, v = (x - cx) / half, (y - (top + shore) / 2) / ((shore - top) / 2 + 4)
        crown = 1 - u**2 - v**2 + 0.22 * noise(rng, shape, half * 0.9, 3)
        inside = smoothstep(-0.03, 0.05, crown)
        sunny = 0.5 * u * np.sign(500 - cx) - 0.45 * v + 0.22 * noise(rng, shape, 26, 2)
        leaf = ramp(sunny + 0.4, [(0, "1d2f5e"), (0.25, "24605a"), (0.5, "4f8f3f"), (0.75, "b3b23a"), (1, "f2c64a")])
        trees = np.maximum(trees, inside)
        tint = mix(tint, leaf, inside)
    image = mix(image, tint, trees * (y < shore + 2))
    bank = smoothstep(-1, 1, y - shore + 5 + 1.5 * noise(rng, (1, shape[1]), (4, 40), 2)) * (y < shore + 3)
    image = mix(image, ramp((y - shore + 6) / 8, [(0, "d9c25a"), (1, "5a7a3a")]), bank)

    # The water mirrors everything above, broken by ripples.
    depth = ((y - shore) / (HEIGHT - shore)).clip(0, 1)
    shift = 5 * depth * noise(rng, shape, (10, 60), 2) * SCALE
    rows = ((2 * shore - y * 0.86 - 0.14 * shore) * SCALE + 1.2 * shift).clip(0, shape[0] - 1).astype(int)
    columns = (x * SCALE + shift).clip(0, shape[1] - 1).astype(int)
    mirror = image[rows, columns]
    ripple = noise(rng, shape, (12, 90), 3)
    mirror = mix(mirror, ramp(depth, [(0, "9fc0d8"), (0.5, "4f86b8"), (1, "1f3f86")]), 0.22 + 0.42 * depth)
    mirror = mix(mirror, rgb("203a80"), smoothstep(0.5, 1.6, -ripple) * 0.5)
    path = np.exp(-(((x - 500) / (16 + 60 * depth)) ** 2)) * smoothstep(-0.4, 0.8, ripple + 0.4)
    mirror = mix(mirror, ramp(depth, [(0, "fff6c0"), (0.6, "ffd27a"), (1, "f59a5a")]), path.clip(0, 1))
    water = smoothstep(-0.5, 0.5, y - shore - 2)
    image = mix(image, mirror, water)

    # Sailing boats.
    for bx, by, size in [(322, 300, 1.25), (424, 276, 0.62), (604, 288, 0.85)]:

        def place(points: list[tuple[float, float]], bx: float = bx, by: float = by, size: float = size) -> Array:
            corners = (np.array(points) * size + [bx, by]) * SCALE
            return shape_mask(corners, shape)

        hull = place([(-34, 0), (36, -3), (28, 11), (-26, 11)])
        main_sail = place([(2, -4), (2, -96), (22, -46), (34, -8)])
        jib = place([(-2, -6), (-1, -84), (-30, -6)])
        shine = ramp((x - bx) / (60 * size) + 0.5, [(0, "f6b27a"), (0.5, "fff2d6"), (1, "fffbe8")])
        image = mix(image, shine, np.maximum(main_sail, jib))
        image = mix(image, rgb("7a2a3a"), hull)
        for points, tone, power in (
            ([(-30, 13), (32, 13), (26, 24), (-24, 24)], "4a2450", 0.75),
            ([(-26, 24), (30, 24), (10, 96), (0, 96)], "f6dcb0", 0.6),
        ):
            image = mix(image, rgb(tone), place(points) * power * smoothstep(-0.9, 0.4, ripple))

    # Near bank with grasses and flowers.
    near = np.where(x < 300, 470 + 0.0011 * x**2, 569 - 0.05 * (x - 300)) + 6 * noise(rng, (1, shape[1]), (4, 60), 3)
    grass = noise(rng, shape, (120, 14), 3, 0.7)
    ground = ramp(
        0.26 * grass + 0.5 + 0.1 * noise(rng, shape, 80, 2),
        [(0, "1c2a5a"), (0.25, "1f5a4c"), (0.5, "4a8a3c"), (0.75, "a8b03c"), (1, "f0d45a")],
    )
    for tone, seed in (("e8455a", 1), ("f6a0b8", 2), ("fff2d0", 3), ("8a5ac8", 4)):
        spots = noise(np.random.default_rng(900 + seed), shape, 20, 1)
        ground = mix(ground, rgb(tone), smoothstep(1.7, 2.0, spots))
    image = mix(image, ground, smoothstep(-2, 2, y - near - 3 * grass))

    # Dots: two generations of colour, from broad dabs to fine points, each near one pure pigment.
    pigments = palette(
        "1b2a7a",
        "2f56c0",
        "5b8fe0",
        "a9cdf0",
        "3a1f6e",
        "7a4fb8",
        "b79ae0",
        "0f5a52",
        "1f8a5a",
        "6ab04a",
        "bcd05a",
        "f6e04a",
        "fff3a8",
        "fdb52f",
        "f4822a",
        "e2483a",
        "b0203e",
        "f29a90",
        "f9cfc0",
        "fffbee",
        "6a2f2a",
        "d8a070",
    )
    painting = Painting(image * 0.6 + rgb("c89a6a") * 0.4, 78)
    flow = 0.25 * noise(rng, shape, 120, 2)
    painting.layer(image, flow, Brush(26, 40, 0.1, 0.2, 0.5), 18)
    lively = saturate(image, 1.25)
    for radius, spacing, spread, purity in ((6.4, 7.6, 0.17, 0.62), (4.6, 6.0, 0.15, 0.7), (3.4, 6.4, 0.2, 0.8)):
        dots(painting, lively, pigments, radius, spacing, spread, purity)
    return saturate(painting.lit(0.7, 0.1), 1.05)


def dots(
    painting: Painting, image: Array, pigments: Array, radius: float, spacing: float, spread: float, purity: float
) -> None:
    """Set one generation of dots; ``spread`` is colour noise and ``purity`` the pull towards the nearest pigment."""
    rng = painting.rng
    height, width = image.shape[:2]
    ys, xs = np.mgrid[spacing / 2 : height : spacing, spacing / 2 : width : spacing]
    centres = np.stack([xs.ravel(), ys.ravel()], 1) + rng.uniform(-0.7, 0.7, (xs.size, 2)) * spacing
    rng.shuffle(centres)
    columns, rows = centres[:, 0].astype(int).clip(0, width - 1), centres[:, 1].astype(int).clip(0, height - 1)
    target = image[rows, columns]
    noisy = target + rng.normal(0, spread, target.shape) * np.array([1, 0.8, 1.15])
    nearest = np.argmin(((noisy[:, None] - pigments[None]) ** 2).sum(-1), 1)
    tones = (target + (pigments[nearest] - target) * purity).astype(np.float32)
    reach = int(np.ceil(radius * 1.35))
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    sprites = []
    for _ in range(32):  # hand-set dots: none is quite round, paint stands up at the rim
        a, squeeze, phase = rng.uniform(0, np.pi), rng.uniform(0.78, 1.0), rng.uniform(0, 6.28)
        size = radius * rng.uniform(0.78, 1.2)
        p, q = (u * np.cos(a) + v * np.sin(a)) / size, (v * np.cos(a) - u * np.sin(a)) / (size * squeeze)
        r = np.hypot(p, q) * (1 + 0.08 * np.sin(3 * np.arctan2(q, p) + phase))
        inside = r < 1
        sprites.append(
            (
                v[inside].astype(int),
                u[inside].astype(int),
                (1.1 - 0.9 * r**3 + 0.35 * np.exp(-(((r - 0.75) / 0.2) ** 2)))[inside],
            )
        )
    kinds = rng.integers(0, len(sprites), len(centres))
    for k, row, column in zip(range(len(centres)), rows.tolist(), columns.tolist(), strict=True):
        dv, du, body = sprites[kinds[k]]
        py, px = dv + row, du + column
        if row < reach or column < reach or row + reach >= height or column + reach >= width:
            inside = (py >= 0) & (px >= 0) & (py < height) & (px < width)
            py, px, body = py[inside], px[inside], body[inside]
        painting.colour[py, px] = tones[k]
        painting.height[py, px] = 0.25 * painting.height[py, px] + 1.3 * body


def pen_engraving() -> Array:
    """Chiaroscuro engraving: an oak, fields, mountains and a low sun in swelling ink lines over two tinted plates."""
    rng = np.random.default_rng(41)
    x, y = grid()
    shape = x.shape
    tone = np.zeros(shape, np.float32)  # 0 paper .. 1 solid ink
    phase = np.zeros(shape, np.float32)  # counts lines: the first set of hatching follows the form
    cross = np.zeros(shape, np.float32)  # the second set
    tint = np.zeros((*shape, 3), np.float32)
    outline = np.zeros(shape, np.float32)

    def cover(inside: Array, dark: Array, lines: Array, second: Array, plate: Array, border: Array | None = None) -> None:
        for target, values in ((tone, dark), (phase, lines), (cross, second)):
            np.copyto(target, np.broadcast_to(values, shape).astype(np.float32), where=inside)
        np.copyto(tint, np.broadcast_to(plate, tint.shape).astype(np.float32), where=inside[..., None])
        outline[inside] = 0
        if border is not None:
            np.maximum(outline, border, out=outline)

    # Sky: rings around the sun that pass into long level lines.
    sun_x, sun_y = 206.0, 250.0
    sun = np.hypot(x - sun_x, y - sun_y)
    theta = np.arctan2(y - sun_y, x - sun_x)
    ray = 0.5 + 0.5 * np.cos(theta * 34)
    sky = 0.18 + 0.34 * smoothstep(300, 0, y) + 0.1 * noise(rng, shape, 160, 2) - 0.16 * ray * smoothstep(330, 60, sun)
    sky -= 0.3 * smoothstep(170, 40, sun)
    wavy = y + 5 * np.sin(x / 70) + 3 * noise(rng, shape, 200, 1)
    plate = mix(ramp(y / 330, [(0, "8fa9a0"), (0.5, "cfc7a2"), (1, "eec98a")]), rgb("f7d48a"), smoothstep(230, 30, sun))
    cover(np.ones(shape, bool), sky, wavy / 4.6, theta * 40, plate)
    cover(sun < 46, -0.2 + 0 * x, sun / 5, sun / 5, rgb("fbe7b0"), smoothstep(1.6, 0.8, np.abs(sun - 46)))

    def billows(balls: list[tuple[float, float, float]], rough: float) -> tuple[Array, Array, Array, Array]:
        """Union of rough spheres: mask, shade from the sun's side, lines that wrap each sphere, rim."""
        top = np.full(shape, -1.0, np.float32)
        shade, wrap = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        rim = np.zeros(shape, np.float32)
        bumps = rough * noise(rng, shape, 16, 3)
        for k, (cx, cy, radius) in enumerate(balls):
            dx, dy = (x - cx) / radius, (y - cy) / radius
            r = np.hypot(dx, dy) + bumps * 6 / radius
            lift = np.sqrt(np.clip(1 - r**2, 0, 1)) * radius + 0.2 * k
            over = (r < 1) & (lift > top)
            top = np.where(over, lift, top)
            shade = np.where(over, 0.5 + 0.42 * dx + 0.42 * dy, shade)
            wrap = np.where(over, r * radius * 0.9 + 0.35 * (dx + dy) * radius, wrap)
            rim = np.where(over, smoothstep(1 - 2.0 / radius, 1 - 0.7 / radius, r), rim)
        return top > -0.5, shade, wrap, rim

    clouds = [
        (470, 92, 44),
        (520, 72, 52),
        (578, 88, 48),
        (628, 104, 38),
        (430, 108, 30),
        (674, 116, 28),
        (546, 116, 40),
        (490, 122, 32),
        (600, 124, 32),
        (60, 92, 36),
        (104, 76, 44),
        (150, 94, 34),
        (22, 108, 26),
        (188, 106, 22),
    ]
    inside, shade, wrap, rim = billows(clouds, 0.9)
    inside &= y < 134 + 3 * np.sin(x / 12)
    cover(
        inside,
        0.62 * shade - 0.12,
        wrap / 4.2,
        (x + y) / 4.4,
        ramp(shade, [(0, "fbf0d4"), (1, "b9bba2")]),
        rim * inside * 0.9,
    )

    # Mountains with facets, then furrowed fields whose lines run to the horizon.
    for base, tall, cell, seed, dark, colour in ((300, 62, 110, 3, 0.32, "b8c0a4"), (336, 38, 90, 9, 0.46, "9fb096")):
        ridge = base - tall * np.abs(noise(np.random.default_rng(seed), (1, shape[1]), (4, cell * SCALE), 4, 0.45)) * 0.8
        slope = np.gradient(blur(np.repeat(ridge, 8, 0), 3)[:1], axis=1) * SCALE
        face = smoothstep(-0.4, 0.5, slope + 0.5 * np.sin((x + 0.8 * (y - ridge)) / 12 + noise(rng, shape, 50, 2)))
        lines = (y - ridge) * 0.55 + np.where(face > 0.5, 1, -1) * 0.75 * x
        border = smoothstep(1.5, 0.7, np.abs(y - ridge)) * (y > ridge)
        cover(y > ridge, dark * (0.25 + 1.2 * face), lines / 4.0, (y + 0.3 * x) / 4.4, rgb(colour), border)
    fields = [
        (342, 10, 90, 0.25, "d9c98a", 0.5),
        (368, 12, 130, 0.5, "b3b57a", -0.9),
        (402, 14, 170, 0.3, "d8b872", 0.8),
        (446, 16, 210, 0.55, "93a06a", -0.4),
        (500, 14, 250, 0.45, "c2a866", 0.6),
    ]
    for k, (base, swell, wave, dark, colour, lean) in enumerate(fields):
        ridge = base + swell * np.sin(x / wave * 3 + 1.7 * k) + 0.03 * (x - 360) * lean
        depth = (y - ridge) / 60
        furrow = (x - 360 + 420 * lean) / (14 + 2.2 * (y - ridge).clip(0) + 5 * k)
        bump = 0.5 + 0.5 * np.sin(furrow * 2.6)
        shade = dark + 0.35 * (bump - 0.5) - 0.25 * smoothstep(0.5, 0, depth) + 0.1 * noise(rng, shape, 70, 2)
        lines = (y - ridge) / (3.2 + 0.45 * k) + 0.9 * bump + 0.3 * np.sin(x / 40)
        cover(
            y > ridge,
            shade,
            lines,
            (x * 0.8 - y) / 4.6,
            rgb(colour),
            smoothstep(1.4, 0.6, np.abs(y - ridge)) * (y > ridge),
        )
        hedge = [
            (px + rng.uniform(-5, 5), ridge_at(ridge, px) - rng.uniform(0, 5), rng.uniform(4, 9) + 1.6 * k)
            for px in range(8 + 37 * k, WIDTH, 23 + 6 * k)
            if (px // 90 + k) % 3 != 1
        ]
        inside, shade, wrap, rim = billows(hedge, 0.35)
        cover(inside, 0.3 + 0.65 * shade, wrap / 3.2, (x + y) / 3.6, rgb("7f9468"), rim * inside)

    # The oak: trunk with bark lines, crown of leafy billows, shadow on the ground.
    shadow = ((x - 620) / 130) ** 2 + ((y - 540) / 20) ** 2 + 0.1 * noise(rng, shape, 30, 2) < 1
    tone[shadow] += 0.4
    t = ((y - 330) / 210).clip(0, 1)
    middle = 560 + 10 * np.sin(y / 40)
    half = 14 + 24 * np.exp(-(1 - t) * 7) + 12 * np.exp(-t * 9)
    inside = (np.abs(x - middle) < half + 1.5 * np.sin(y / 7)) & (y > 290) & (y < 540 + 5 * np.sin(x / 6))
    roundness = (x - middle) / half
    bark = (x - middle) / half * 9 + 0.9 * np.sin(y / 11 + 3 * roundness) + 0.5 * noise(rng, shape, (50, 10), 2)
    border = smoothstep(0.1, 0.02, 1 - np.abs(roundness)) * inside
    cover(inside, 0.55 + 0.42 * roundness, bark, (y + 5 * roundness**2) / 3.8, rgb("a8875c"), border)
    crown = [
        (560 + 128 * np.cos(a) * q, 226 + 92 * np.sin(a) * q, rng.uniform(24, 40))
        for q, count in ((1.0, 17), (0.62, 12), (0.25, 6))
        for a in np.arange(count) * 2 * np.pi / count + q
    ]
    crown += [(rng.normal(560, 74), rng.normal(222, 54), rng.uniform(14, 24)) for _ in range(34)]
    inside, shade, wrap, rim = billows(crown, 1.5)
    whole = 0.5 + 0.3 * (x - 560) / 150 + 0.3 * (y - 226) / 110
    dark = 0.12 + 0.55 * shade + 0.5 * whole - 0.12 + 0.1 * noise(rng, shape, 14, 2)
    leafy = wrap / 3.7 + 0.42 * np.sin(np.arctan2(y - 226, x - 560) * 60 + wrap)
    cover(inside, dark, leafy, (x - y) / 3.9, ramp(dark, [(0.1, "cdbf72"), (0.5, "8d9c5c"), (1, "56744f")]), rim * inside)
    # Birds.
    for bx, by, size in [(300, 150, 11), (330, 168, 8), (276, 176, 7), (356, 146, 6)]:
        u = np.abs(x - bx) / size
        bird = smoothstep(1.3, 0.5, np.abs(y - by + 0.55 * size * np.sin(u.clip(0, 1) * 2.6)) + 0.8 * u) * (u < 1)
        outline = np.maximum(outline, bird)

    # Cut the lines: their width carries the tone, the hand is never quite steady.
    def cut(count: Array, width: Array) -> Array:
        count = count + 0.07 * noise(rng, shape, 26, 2)
        density = np.hypot(*np.gradient(blur(count, 0.6))) + 1e-4
        density = np.minimum(density, 0.3)
        distance = np.abs(count - np.round(count)) / density
        half_width = 0.5 * width.clip(0, 0.92) / density
        return smoothstep(0.9, -0.6, distance - half_width) * (width > 0.03)

    tone = (tone + 0.03 * noise(rng, shape, 8, 2)).clip(0, 1.1)
    ink = cut(phase, 0.1 + 0.72 * tone - 0.12 * (tone < 0.08))
    ink = np.maximum(ink, cut(cross, 0.9 * (tone - 0.5)))
    ink = np.maximum(ink, cut((x * 0.35 + y) / 4.2, 0.9 * (tone - 0.78)))
    ink = np.maximum(ink, outline)
    edge = np.minimum(np.minimum(x, WIDTH - x), np.minimum(y, HEIGHT - y)) + 0.5 * noise(rng, shape, 40, 2)
    ink = ink * smoothstep(13, 14, edge)
    ink = np.maximum(ink, smoothstep(1.3, 0.6, np.abs(edge - 13)))
    fibres = noise(rng, shape, (4, 26), 3, 0.8) + noise(rng, shape, (26, 4), 3, 0.8)
    paper = rgb("f3e6c8") * (1 + 0.014 * fibres + 0.02 * noise(rng, shape, 200, 3))[..., None]
    body = 0.88 + 0.08 * noise(rng, shape, 5, 2)
    image = mix(paper, paper * tint * 1.08, (smoothstep(12, 13.5, edge) * body).clip(0, 1))
    wear = smoothstep(1.3, 2.6, noise(rng, shape, 4, 3))
    image = mix(image, rgb("241a1c"), blur(ink, 0.5).clip(0, 1) * (0.94 - 0.35 * wear))
    return finish(image.clip(0, 1))


def ridge_at(ridge: Array, px: float) -> float:
    """Height of a ridge line (given over the canvas) at ``px`` final pixels."""
    return float(ridge[0, min(int(px * SCALE), ridge.shape[1] - 1)])


def watercolour_lake() -> Array:
    """Watercolour: transparent washes of mountains and pines mirrored in a lake, pigment edges on rough paper."""
    rng = np.random.default_rng(64)
    x, y = grid()
    shape = x.shape
    tooth = 0.6 * noise(rng, shape, 7, 3, 0.7) + 0.4 * noise(rng, shape, 18, 2)
    image = np.broadcast_to(rgb("fbf6ea"), (*shape, 3)).astype(np.float32) * (1 + 0.008 * tooth)[..., None]

    def wash(mask: Array, tint: Array, strength: float | Array = 1.0, rim: float = 0.5, flow: float = 0.3) -> None:
        """Lay one transparent wash: pigment gathers at the rim, flows in clouds and settles in the paper's hollows."""
        nonlocal image
        body = blur(mask, 0.7)
        edge = (body * (1 - blur(mask, 4.5)) * 2).clip(0, 1) ** 1.2
        clouds = noise(rng, shape, 110, 4, 0.6)
        bloom = np.abs(noise(rng, shape, 90, 3))
        backrun = smoothstep(0.16, 0.02, bloom) * smoothstep(0.2, 1.2, clouds)
        density = body * (1 + flow * clouds - 0.12 * tooth + 0.22 * backrun).clip(0.12) + rim * edge
        absorb = -np.log(np.clip(tint, 0.02, 0.99))
        image = image * np.exp(-absorb * (density * strength)[..., None])

    shore = 348.0
    wet = 26 * noise(rng, shape, 150, 3)
    sun = np.hypot(x - 250, y - 158)
    warm = ramp((y + wet) / 330, [(0, "6f9fd0"), (0.28, "a9c4e0"), (0.5, "f6d9c8"), (0.72, "fbc58f"), (1, "f7a98c")])
    wash(smoothstep(27, 31, sun + 1.2 * tooth) * smoothstep(-1, 1, shore - y), warm, 1.0, 0.25, 0.34)
    wash(smoothstep(0.5, 1.1, noise(rng, shape, (70, 240), 4, 0.55)) * (y < 230), rgb("8f8fc4"), 0.5, 0.55, 0.4)
    wash(smoothstep(70, 34, sun) * smoothstep(27, 31, sun), rgb("fbd07a"), 0.8, 0.2)

    # Mountains from far to near; each wash starts crisp at the ridge and melts into mist.
    ranges = []
    for base, tall, cell, seed, tints, strength in (
        (262, 62, 190, 5, ["b9a4d8", "f0c8c8"], 0.8),
        (290, 52, 150, 8, ["7f86c8", "d9b8d0"], 0.9),
        (318, 38, 120, 14, ["3f6fa8", "a8c4cc"], 1.0),
        (338, 24, 90, 23, ["1f5f7c", "7fae9c"], 1.05),
    ):
        ridge = base - tall * noise(np.random.default_rng(seed), (1, shape[1]), (4, cell * SCALE), 5, 0.45) * 0.62
        ridge = ridge + 0.8 * tooth
        ranges.append((ridge, tints, strength))
        inside = smoothstep(-0.8, 0.8, y - ridge) * smoothstep(1.2, -1.2, y - shore - 1.2 * tooth)
        fade = ((y - ridge) / 84).clip(0, 1)
        wash(inside * (1 - 0.5 * fade), ramp(fade, [(0, tints[0]), (1, tints[1])]), strength, 0.55, 0.26)
        ravine = noise(rng, shape, (60, 26), 3) + 0.5 * np.sin((x - 0.6 * (y - ridge)) / 9)
        wash(inside * smoothstep(0.5, 0.9, ravine) * (1 - fade), rgb(tints[0]), 0.5, 0.6)

    # Lake: the same washes upside down, pulled sideways, with dry-brush sparkle left white.
    depth = ((y - shore) / (HEIGHT - shore)).clip(0, 1)
    lake = smoothstep(-0.8, 0.8, y - shore - 0.8 * tooth)
    sparkle = smoothstep(1.25, 0.95, noise(rng, shape, (5, 120), 2) + 0.75 * tooth * smoothstep(0.05, 0.5, depth) + 0.1)
    wash(
        lake * sparkle,
        ramp(depth + wet / 400, [(0, "f6c2a0"), (0.3, "c9c0d4"), (0.6, "6fa6c8"), (1, "1f5f98")]),
        1.0,
        0.35,
        0.3,
    )
    wobble = 7 * depth**0.6 * noise(rng, shape, (9, 90), 2)
    for ridge, tints, strength in ranges[1:]:
        mirrored = shore + (shore - ridge) * 0.9 + wobble
        inside = lake * smoothstep(0.8, -0.8, y - mirrored) * sparkle
        wash(inside * (1 - 0.3 * depth), rgb(tints[0]), 0.42 * strength, 0.35, 0.3)
    for seed in (1, 2, 3):
        dash = noise(np.random.default_rng(640 + seed), shape, (7 + 3 * seed, 150), 2)
        wash(lake * smoothstep(1.1, 1.35, dash) * smoothstep(0.04, 0.3, depth), rgb("2a6a9c"), 0.5, 0.6)

    def pines(trees: list[tuple[float, float, float]], tints: tuple[str, str], strength: float, mirror: float) -> None:
        """Wet pines: a ragged triangle of branches each, with a broken reflection below the foot."""
        mask, below = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        rough = noise(rng, shape, 9, 2)
        for cx, foot, tall in trees:
            u = np.abs(x - cx - 1.2 * np.sin(y / 9))
            down = ((y - foot + tall) / tall).clip(0, 1)
            tier = np.mod(down * (5 + tall / 22), 1)
            reach = tall * 0.23 * down**0.85 * (0.45 + 0.75 * tier) + 1 + 1.6 * rough * down
            mask = np.maximum(mask, smoothstep(0.8, -0.8, u - reach) * (y > foot - tall) * (y < foot + rough))
            up = ((foot + tall * mirror - y) / (tall * mirror)).clip(0, 1)
            wide = tall * 0.2 * up**0.85 * (0.7 + 0.3 * np.sin(y / 2.6 + 2 * rough))
            below = np.maximum(below, smoothstep(1, -1, np.abs(x - cx - wobble) - wide) * (y > foot) * (up > 0))
        wash(
            mask,
            ramp((x / WIDTH + 0.3 * noise(rng, shape, 70, 2)), [(0, tints[0]), (1, tints[1])]),
            strength,
            0.45,
            0.42,
        )
        wash(below * sparkle, rgb(tints[0]), strength * 0.5, 0.4, 0.3)

    far = [
        (float(px), shore + 2, float(rng.uniform(18, 44)))
        for px in np.concatenate([np.arange(4, 200, 11), np.arange(470, 718, 10)])
    ]
    pines(far, ("5f9a94", "4f86a0"), 0.8, 0.8)
    middle = [
        (px, shore + 8 + 0.02 * abs(px - 360), tall)
        for px, tall in [
            (520, 70),
            (548, 104),
            (580, 84),
            (612, 128),
            (648, 96),
            (680, 142),
            (712, 110),
            (20, 92),
            (48, 64),
            (84, 50),
        ]
    ]
    pines(middle, ("1f6a62", "24577c"), 1.1, 0.75)
    pines([(640, 372, 214), (700, 386, 250), (590, 362, 120)], ("123f44", "1c3a5c"), 1.25, 0.6)

    # Near bank with grasses, flowers and splashes of paint.
    bank = 522 - 34 * np.exp(-((x / 150) ** 2)) - 30 * smoothstep(430, 720, x) + 4 * noise(rng, (1, shape[1]), (4, 80), 3)
    blades = noise(rng, shape, (70, 6), 3, 0.7)
    inside = smoothstep(-1, 1, y - bank - 9 * blades)
    wash(
        inside,
        ramp(
            x / WIDTH + 0.25 * noise(rng, shape, 120, 2),
            [(0, "8fa63a"), (0.4, "d0a83c"), (0.7, "6f9a4a"), (1, "2f6a5a")],
        ),
        1.1,
        0.5,
        0.4,
    )
    wash(inside * smoothstep(0.5, 1.0, blades) * smoothstep(0, 40, y - bank), rgb("2f5a3a"), 0.9, 0.5)
    for tint, count in (("d8303c", 46), ("e8703a", 26), ("7a4ab0", 22)):
        spots = np.zeros(shape, np.float32)
        for _ in range(count):
            cx = float(rng.uniform(0, WIDTH))
            cy = ridge_at(bank, cx) + float(rng.uniform(-8, 52))
            spots = np.maximum(
                spots, smoothstep(1, -1, np.hypot(x - cx, (y - cy) * 1.25) - rng.uniform(1.5, 5.5) - 0.9 * tooth)
            )
        image = mix(image, rgb("fbf6ea"), spots * 0.82)
        wash(spots, rgb(tint), 1.15, 0.7, 0.35)
    splash = np.zeros(shape, np.float32)
    for _ in range(70):
        cx, cy = rng.normal(430, 190), rng.normal(440, 90)
        splash = np.maximum(splash, smoothstep(0.7, -0.7, np.hypot(x - cx, y - cy) - rng.uniform(0.4, 1.0) ** 3 * 3.6))
    wash(splash, rgb("3a6a98"), 0.7, 0.6)

    shade, _ = light(tooth * 0.6, 0.35)
    return finish((saturate(image, 1.1) * (0.55 + 0.45 * shade)[..., None]).clip(0, 1))


STYLES: dict[str, Callable[[], Array]] = {
    "swirling_night": swirling_night,
    "autumn_avenue": autumn_avenue,
    "stained_glass": stained_glass,
    "block_print_waves": block_print_waves,
    "byzantine_mosaic": byzantine_mosaic,
    "pointillist_river": pointillist_river,
    "pen_engraving": pen_engraving,
    "watercolour_lake": watercolour_lake,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Paint the pictures and write them as JPEG."""
    parser = argparse.ArgumentParser(description="Make the style pictures.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent / "style")
    parser.add_argument("--only", nargs="+", choices=sorted(STYLES), default=sorted(STYLES), metavar="NAME")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        picture = (STYLES[name]().clip(0, 1) * 255 + 0.5).astype(np.uint8)
        path = options.folder / f"{name}.jpg"
        Image.fromarray(picture).save(path, quality=92, optimize=True)
        print(f"{path.name}: {picture.shape[1]} x {picture.shape[0]}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
