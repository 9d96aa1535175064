"""Divisionist oil: a river at golden hour in thousands of dots of pure colour with complementary accents.

A smooth reference picture is painted first; the dots take their colours from it.
"""

from __future__ import annotations

import numpy as np
from brush import Brush, Painting
from canvas import HEIGHT, SCALE, Canvas
from colour import mix, palette, ramp, rgb, saturate
from fields import Array, noise, polygon, smoothstep

SHORE = 262.0
SUN_X, SUN_Y = 500, 206
SKY = [(0, "4f7fc4"), (0.3, "86b4dc"), (0.55, "c9d4d6"), (0.75, "f6deb0"), (0.92, "f9bd78"), (1.1, "f0906a")]
TREES = [  # x, top, half width
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
]
LEAVES = [(0, "1d2f5e"), (0.25, "24605a"), (0.5, "4f8f3f"), (0.75, "b3b23a"), (1, "f2c64a")]
BOATS = [(322, 300, 1.25), (424, 276, 0.62), (604, 288, 0.85)]  # x, y, size
HULL = [(-34, 0), (36, -3), (28, 11), (-26, 11)]
MAIN_SAIL, JIB = [(2, -4), (2, -96), (22, -46), (34, -8)], [(-2, -6), (-1, -84), (-30, -6)]
REFLECTIONS = [  # of hull and sails: corners, colour, strength
    ([(-30, 13), (32, 13), (26, 24), (-24, 24)], "4a2450", 0.75),
    ([(-26, 24), (30, 24), (10, 96), (0, 96)], "f6dcb0", 0.6),
]
PIGMENTS = palette(
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


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(77)
    image = trees(canvas, sky(canvas))
    image, ripple = river(canvas, image)
    image = meadow(canvas, boats(canvas, image, ripple))

    painting = Painting(image * 0.6 + rgb("c89a6a") * 0.4, 78)
    flow = 0.25 * canvas.noise(120, 2)
    painting.layer(image, flow, Brush(26, 40, 0.1, 0.2, 0.5), 18)
    lively = saturate(image, 1.25)
    for radius, spacing, spread, purity in ((6.4, 7.6, 0.17, 0.62), (4.6, 6.0, 0.15, 0.7), (3.4, 6.4, 0.2, 0.8)):
        dots(painting, lively, radius, spacing, spread, purity)
    return saturate(painting.lit(0.7, 0.1), 1.05)


def sky(canvas: Canvas) -> Array:
    """The low sun, clouds and far hills."""
    x, y = canvas.x, canvas.y
    image = ramp(y / SHORE + 0.05 * canvas.noise((60, 220), 3), SKY)
    glow = np.hypot((x - SUN_X) / 1.25, y - SUN_Y)
    halo = ramp(glow / 170, [(0, "fffbd8"), (0.14, "fff0a0"), (0.4, "fcc978"), (1, "f3a07c")])
    image = mix(image, halo, smoothstep(180, 14, glow))
    cloud = canvas.noise((46, 260), 4, 0.6) + 0.5 * np.sin(y / 26)
    tint = ramp(y / SHORE, [(0, "e9e4ee"), (0.5, "f8d9c4"), (1, "e8828a")])
    image = mix(image, tint, smoothstep(0.7, 1.7, cloud) * 0.85)
    far = 232 - 9 * canvas.skyline(170, 3)
    hills = ramp((y - far) / 34, [(0, "8f8fc8"), (0.5, "7fa0b8"), (1, "9fb890")])
    return mix(image, hills, smoothstep(-1, 1, y - far))


def trees(canvas: Canvas, image: Array) -> Array:
    """Trees on the far bank: round crowns, warm on the side of the sun."""
    x, y = canvas.x, canvas.y
    crowns = np.zeros(canvas.shape, np.float32)
    tint = np.zeros((*canvas.shape, 3), np.float32)
    for cx, top, half in TREES:
        u, v = (x - cx) / half, (y - (top + SHORE) / 2) / ((SHORE - top) / 2 + 4)
        crown = 1 - u**2 - v**2 + 0.22 * canvas.noise(half * 0.9, 3)
        inside = smoothstep(-0.03, 0.05, crown)
        sunny = 0.5 * u * np.sign(SUN_X - cx) - 0.45 * v + 0.22 * canvas.noise(26, 2)
        crowns = np.maximum(crowns, inside)
        tint = mix(tint, ramp(sunny + 0.4, LEAVES), inside)
    image = mix(image, tint, crowns * (y < SHORE + 2))
    bank = smoothstep(-1, 1, y - SHORE + 5 + 1.5 * canvas.skyline(40, 2)) * (y < SHORE + 3)
    return mix(image, ramp((y - SHORE + 6) / 8, [(0, "d9c25a"), (1, "5a7a3a")]), bank)


def river(canvas: Canvas, image: Array) -> tuple[Array, Array]:
    """The water mirrors everything above, broken by ripples: the picture, and the ripples."""
    x, y, shape = canvas.x, canvas.y, canvas.shape
    depth = ((y - SHORE) / (HEIGHT - SHORE)).clip(0, 1)
    shift = 5 * depth * canvas.noise((10, 60), 2) * SCALE
    rows = ((2 * SHORE - y * 0.86 - 0.14 * SHORE) * SCALE + 1.2 * shift).clip(0, shape[0] - 1).astype(int)
    columns = (x * SCALE + shift).clip(0, shape[1] - 1).astype(int)
    mirror = image[rows, columns]
    ripple = canvas.noise((12, 90), 3)
    mirror = mix(mirror, ramp(depth, [(0, "9fc0d8"), (0.5, "4f86b8"), (1, "1f3f86")]), 0.22 + 0.42 * depth)
    mirror = mix(mirror, rgb("203a80"), smoothstep(0.5, 1.6, -ripple) * 0.5)
    path = np.exp(-(((x - SUN_X) / (16 + 60 * depth)) ** 2)) * smoothstep(-0.4, 0.8, ripple + 0.4)
    mirror = mix(mirror, ramp(depth, [(0, "fff6c0"), (0.6, "ffd27a"), (1, "f59a5a")]), path.clip(0, 1))
    return mix(image, mirror, smoothstep(-0.5, 0.5, y - SHORE - 2)), ripple


def boats(canvas: Canvas, image: Array, ripple: Array) -> Array:
    """Sailing boats with their reflections."""
    for bx, by, size in BOATS:

        def mask(points: list[tuple[int, int]], bx: int = bx, by: int = by, size: float = size) -> Array:
            return polygon((np.array(points) * size + [bx, by]) * SCALE, canvas.shape)

        shine = ramp((canvas.x - bx) / (60 * size) + 0.5, [(0, "f6b27a"), (0.5, "fff2d6"), (1, "fffbe8")])
        image = mix(image, shine, np.maximum(mask(MAIN_SAIL), mask(JIB)))
        image = mix(image, rgb("7a2a3a"), mask(HULL))
        for points, tone, power in REFLECTIONS:
            image = mix(image, rgb(tone), mask(points) * power * smoothstep(-0.9, 0.4, ripple))
    return image


def meadow(canvas: Canvas, image: Array) -> Array:
    """The near bank with grasses and flowers."""
    x, y = canvas.x, canvas.y
    near = np.where(x < 300, 470 + 0.0011 * x**2, 569 - 0.05 * (x - 300)) + 6 * canvas.skyline(60, 3)
    grass = canvas.noise((120, 14), 3, 0.7)
    ground = ramp(
        0.26 * grass + 0.5 + 0.1 * canvas.noise(80, 2),
        [(0, "1c2a5a"), (0.25, "1f5a4c"), (0.5, "4a8a3c"), (0.75, "a8b03c"), (1, "f0d45a")],
    )
    for tone, seed in (("e8455a", 1), ("f6a0b8", 2), ("fff2d0", 3), ("8a5ac8", 4)):
        spots = noise(np.random.default_rng(900 + seed), canvas.shape, 20, 1)
        ground = mix(ground, rgb(tone), smoothstep(1.7, 2.0, spots))
    return mix(image, ground, smoothstep(-2, 2, y - near - 3 * grass))


def dots(painting: Painting, image: Array, radius: float, spacing: float, spread: float, purity: float) -> None:
    """Set one generation of dots; ``spread`` is colour noise and ``purity`` the pull towards the nearest pigment."""
    rng = painting.rng
    height, width = image.shape[:2]
    ys, xs = np.mgrid[spacing / 2 : height : spacing, spacing / 2 : width : spacing]
    centres = np.stack([xs.ravel(), ys.ravel()], 1) + rng.uniform(-0.7, 0.7, (xs.size, 2)) * spacing
    rng.shuffle(centres)
    columns, rows = centres[:, 0].astype(int).clip(0, width - 1), centres[:, 1].astype(int).clip(0, height - 1)
    target = image[rows, columns]
    noisy = target + rng.normal(0, spread, target.shape) * np.array([1, 0.8, 1.15])
    nearest = np.argmin(((noisy[:, None] - PIGMENTS[None]) ** 2).sum(-1), 1)
    tones = (target + (PIGMENTS[nearest] - target) * purity).astype(np.float32)
    reach = int(np.ceil(radius * 1.35))
    shapes = dot_shapes(rng, radius, reach)
    kinds = rng.integers(0, len(shapes), len(centres))
    for k, row, column in zip(range(len(centres)), rows.tolist(), columns.tolist(), strict=True):
        dv, du, body = shapes[kinds[k]]
        py, px = dv + row, du + column
        if row < reach or column < reach or row + reach >= height or column + reach >= width:
            inside = (py >= 0) & (px >= 0) & (py < height) & (px < width)
            py, px, body = py[inside], px[inside], body[inside]
        painting.colour[py, px] = tones[k]
        painting.height[py, px] = 0.25 * painting.height[py, px] + 1.3 * body


def dot_shapes(rng: np.random.Generator, radius: float, reach: int) -> list[tuple[Array, Array, Array]]:
    """Rows, columns and paint heights of 32 hand-set dots: none is quite round, and paint stands up at the rim."""
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    shapes = []
    for _ in range(32):
        a, squeeze, phase = rng.uniform(0, np.pi), rng.uniform(0.78, 1.0), rng.uniform(0, 6.28)
        size = radius * rng.uniform(0.78, 1.2)
        p, q = (u * np.cos(a) + v * np.sin(a)) / size, (v * np.cos(a) - u * np.sin(a)) / (size * squeeze)
        r = np.hypot(p, q) * (1 + 0.08 * np.sin(3 * np.arctan2(q, p) + phase))
        inside = r < 1
        body = 1.1 - 0.9 * r**3 + 0.35 * np.exp(-(((r - 0.75) / 0.2) ** 2))
        shapes.append((v[inside].astype(int), u[inside].astype(int), body[inside]))
    return shapes
