"""Chiaroscuro engraving: an oak, fields, mountains and a low sun in swelling ink lines over two tinted plates.

Each thing in the picture brings a tone, two sets of lines that follow its form, the tint of the plates, and an outline;
at the end all lines are cut, and their width carries the tone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from canvas import SCALE, WIDTH, Canvas, finish, height_at
from colour import mix, ramp, rgb
from fields import Array, blur, smoothstep, steepness

SUN_X, SUN_Y = 206.0, 250.0
CLOUDS = [  # x, y, radius of the balls
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
RANGES = [(300, 62, 110, 3, 0.32, "b8c0a4"), (336, 38, 90, 9, 0.46, "9fb096")]  # base, height, grain, seed, tone, tint
FIELDS = [  # base, swell, wavelength, tone, tint, lean of the furrows
    (342, 10, 90, 0.25, "d9c98a", 0.5),
    (368, 12, 130, 0.5, "b3b57a", -0.9),
    (402, 14, 170, 0.3, "d8b872", 0.8),
    (446, 16, 210, 0.55, "93a06a", -0.4),
    (500, 14, 250, 0.45, "c2a866", 0.6),
]
BIRDS = [(300, 150, 11), (330, 168, 8), (276, 176, 7), (356, 146, 6)]  # x, y, size

Balls = Sequence[tuple[float, float, float]]  # x, y, radius


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(41)
    plate = Plate(canvas)
    sky(plate)
    for mountain_range in RANGES:
        mountains(plate, *mountain_range)
    for k, place in enumerate(FIELDS):
        field(plate, k, *place)
    trunk(plate)
    crown(plate)
    birds(plate)
    return finish(print_plates(canvas, plate, engrave(canvas, plate)))


class Plate:
    """What is to be engraved; later things lie on top of earlier ones.

    Attributes:
        tone: 0 paper to 1 solid ink.
        phase: counts the lines of the first set; they follow the form.
        cross: counts those of the second set, which dark places get as well.
        tint: colour of the plates under the lines.
        outline: 1 where there is an outline.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.x, self.y = canvas, canvas.x, canvas.y
        self.tone = np.zeros(canvas.shape, np.float32)
        self.phase = np.zeros(canvas.shape, np.float32)
        self.cross = np.zeros(canvas.shape, np.float32)
        self.tint = np.zeros((*canvas.shape, 3), np.float32)
        self.outline = np.zeros(canvas.shape, np.float32)

    def cover(
        self, inside: Array, tone: Array, phase: Array, cross: Array, tint: Array, border: Array | None = None
    ) -> None:
        """Put a thing on top, with its outline if it has a ``border``."""
        for target, values in ((self.tone, tone), (self.phase, phase), (self.cross, cross)):
            np.copyto(target, np.broadcast_to(values, target.shape).astype(np.float32), where=inside)
        np.copyto(self.tint, np.broadcast_to(tint, self.tint.shape).astype(np.float32), where=inside[..., None])
        self.outline[inside] = 0
        if border is not None:
            np.maximum(self.outline, border, out=self.outline)


def billows(canvas: Canvas, balls: Balls, rough: float) -> tuple[Array, Array, Array, Array]:
    """Union of rough spheres: mask, shade from the sun's side, lines that wrap each sphere, rim."""
    shape = canvas.shape
    top = np.full(shape, -1.0, np.float32)
    shade, wrap = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    rim = np.zeros(shape, np.float32)
    bumps = rough * canvas.noise(16, 3)
    for k, (cx, cy, radius) in enumerate(balls):
        dx, dy = (canvas.x - cx) / radius, (canvas.y - cy) / radius
        r = np.hypot(dx, dy) + bumps * 6 / radius
        lift = np.sqrt(np.clip(1 - r**2, 0, 1)) * radius + 0.2 * k
        over = (r < 1) & (lift > top)
        top = np.where(over, lift, top)
        shade = np.where(over, 0.5 + 0.42 * dx + 0.42 * dy, shade)
        wrap = np.where(over, r * radius * 0.9 + 0.35 * (dx + dy) * radius, wrap)
        rim = np.where(over, smoothstep(1 - 2.0 / radius, 1 - 0.7 / radius, r), rim)
    return top > -0.5, shade, wrap, rim


def sky(plate: Plate) -> None:
    """Rings around the sun that pass into long level lines, and clouds."""
    canvas, x, y = plate.canvas, plate.x, plate.y
    sun = np.hypot(x - SUN_X, y - SUN_Y)
    theta = np.arctan2(y - SUN_Y, x - SUN_X)
    ray = 0.5 + 0.5 * np.cos(theta * 34)
    dark = 0.18 + 0.34 * smoothstep(300, 0, y) + 0.1 * canvas.noise(160, 2) - 0.16 * ray * smoothstep(330, 60, sun)
    dark -= 0.3 * smoothstep(170, 40, sun)
    wavy = y + 5 * np.sin(x / 70) + 3 * canvas.noise(200, 1)
    tint = ramp(y / 330, [(0, "8fa9a0"), (0.5, "cfc7a2"), (1, "eec98a")])
    tint = mix(tint, rgb("f7d48a"), smoothstep(230, 30, sun))
    plate.cover(np.ones(canvas.shape, bool), dark, wavy / 4.6, theta * 40, tint)
    plate.cover(sun < 46, -0.2 + 0 * x, sun / 5, sun / 5, rgb("fbe7b0"), smoothstep(1.6, 0.8, np.abs(sun - 46)))

    inside, shade, wrap, rim = billows(canvas, CLOUDS, 0.9)
    inside &= y < 134 + 3 * np.sin(x / 12)
    tint = ramp(shade, [(0, "fbf0d4"), (1, "b9bba2")])
    plate.cover(inside, 0.62 * shade - 0.12, wrap / 4.2, (x + y) / 4.4, tint, rim * inside * 0.9)


def mountains(plate: Plate, base: int, tall: int, cell: int, seed: int, dark: float, tint: str) -> None:
    """A range of mountains with facets."""
    canvas, x, y = plate.canvas, plate.x, plate.y
    ridge = base - tall * np.abs(canvas.skyline(cell * SCALE, 4, 0.45, seed)) * 0.8
    slope = np.gradient(blur(np.repeat(ridge, 8, 0), 3)[:1], axis=1) * SCALE
    face = smoothstep(-0.4, 0.5, slope + 0.5 * np.sin((x + 0.8 * (y - ridge)) / 12 + canvas.noise(50, 2)))
    lines = (y - ridge) * 0.55 + np.where(face > 0.5, 1, -1) * 0.75 * x
    border = smoothstep(1.5, 0.7, np.abs(y - ridge)) * (y > ridge)
    plate.cover(y > ridge, dark * (0.25 + 1.2 * face), lines / 4.0, (y + 0.3 * x) / 4.4, rgb(tint), border)


def field(plate: Plate, k: int, base: int, swell: int, wave: int, dark: float, tint: str, lean: float) -> None:
    """A field, whose furrows run to the horizon, with a hedge at its far end."""
    canvas, x, y = plate.canvas, plate.x, plate.y
    ridge = base + swell * np.sin(x / wave * 3 + 1.7 * k) + 0.03 * (x - 360) * lean
    depth = (y - ridge) / 60
    furrow = (x - 360 + 420 * lean) / (14 + 2.2 * (y - ridge).clip(0) + 5 * k)
    bump = 0.5 + 0.5 * np.sin(furrow * 2.6)
    shade = dark + 0.35 * (bump - 0.5) - 0.25 * smoothstep(0.5, 0, depth) + 0.1 * canvas.noise(70, 2)
    lines = (y - ridge) / (3.2 + 0.45 * k) + 0.9 * bump + 0.3 * np.sin(x / 40)
    border = smoothstep(1.4, 0.6, np.abs(y - ridge)) * (y > ridge)
    plate.cover(y > ridge, shade, lines, (x * 0.8 - y) / 4.6, rgb(tint), border)

    rng = canvas.rng
    hedge = [
        (px + rng.uniform(-5, 5), height_at(ridge, px) - rng.uniform(0, 5), rng.uniform(4, 9) + 1.6 * k)
        for px in range(8 + 37 * k, WIDTH, 23 + 6 * k)
        if (px // 90 + k) % 3 != 1
    ]
    inside, shade, wrap, rim = billows(canvas, hedge, 0.35)
    plate.cover(inside, 0.3 + 0.65 * shade, wrap / 3.2, (x + y) / 3.6, rgb("7f9468"), rim * inside)


def trunk(plate: Plate) -> None:
    """The oak's trunk with bark lines, and the shadow of the oak on the ground."""
    canvas, x, y = plate.canvas, plate.x, plate.y
    shadow = ((x - 620) / 130) ** 2 + ((y - 540) / 20) ** 2 + 0.1 * canvas.noise(30, 2) < 1
    plate.tone[shadow] += 0.4
    t = ((y - 330) / 210).clip(0, 1)
    middle = 560 + 10 * np.sin(y / 40)
    half = 14 + 24 * np.exp(-(1 - t) * 7) + 12 * np.exp(-t * 9)
    inside = (np.abs(x - middle) < half + 1.5 * np.sin(y / 7)) & (y > 290) & (y < 540 + 5 * np.sin(x / 6))
    roundness = (x - middle) / half
    bark = (x - middle) / half * 9 + 0.9 * np.sin(y / 11 + 3 * roundness) + 0.5 * canvas.noise((50, 10), 2)
    border = smoothstep(0.1, 0.02, 1 - np.abs(roundness)) * inside
    plate.cover(inside, 0.55 + 0.42 * roundness, bark, (y + 5 * roundness**2) / 3.8, rgb("a8875c"), border)


def crown(plate: Plate) -> None:
    """The oak's crown of leafy billows."""
    canvas, x, y = plate.canvas, plate.x, plate.y
    rng = canvas.rng
    balls = [
        (560 + 128 * np.cos(a) * q, 226 + 92 * np.sin(a) * q, rng.uniform(24, 40))
        for q, count in ((1.0, 17), (0.62, 12), (0.25, 6))
        for a in np.arange(count) * 2 * np.pi / count + q
    ]
    balls += [(rng.normal(560, 74), rng.normal(222, 54), rng.uniform(14, 24)) for _ in range(34)]
    inside, shade, wrap, rim = billows(canvas, balls, 1.5)
    whole = 0.5 + 0.3 * (x - 560) / 150 + 0.3 * (y - 226) / 110
    dark = 0.12 + 0.55 * shade + 0.5 * whole - 0.12 + 0.1 * canvas.noise(14, 2)
    leafy = wrap / 3.7 + 0.42 * np.sin(np.arctan2(y - 226, x - 560) * 60 + wrap)
    tint = ramp(dark, [(0.1, "cdbf72"), (0.5, "8d9c5c"), (1, "56744f")])
    plate.cover(inside, dark, leafy, (x - y) / 3.9, tint, rim * inside)


def birds(plate: Plate) -> None:
    """A few birds near the sun, in outline."""
    for bx, by, size in BIRDS:
        u = np.abs(plate.x - bx) / size
        wings = np.abs(plate.y - by + 0.55 * size * np.sin(u.clip(0, 1) * 2.6))
        plate.outline = np.maximum(plate.outline, smoothstep(1.3, 0.5, wings + 0.8 * u) * (u < 1))


def engrave(canvas: Canvas, plate: Plate) -> Array:
    """Cut the lines; 1 where there is ink."""
    tone = (plate.tone + 0.03 * canvas.noise(8, 2)).clip(0, 1.1)
    ink = cut(canvas, plate.phase, 0.1 + 0.72 * tone - 0.12 * (tone < 0.08))
    ink = np.maximum(ink, cut(canvas, plate.cross, 0.9 * (tone - 0.5)))
    ink = np.maximum(ink, cut(canvas, (plate.x * 0.35 + plate.y) / 4.2, 0.9 * (tone - 0.78)))
    return np.maximum(ink, plate.outline)


def cut(canvas: Canvas, count: Array, width: Array) -> Array:
    """Cut a line where ``count`` is whole, of a ``width`` in distances between lines; the hand is never quite steady."""
    count = count + 0.07 * canvas.noise(26, 2)
    density = np.minimum(steepness(blur(count, 0.6)) + 1e-4, 0.3)
    distance = np.abs(count - np.round(count)) / density
    half_width = 0.5 * width.clip(0, 0.92) / density
    return smoothstep(0.9, -0.6, distance - half_width) * (width > 0.03)


def print_plates(canvas: Canvas, plate: Plate, ink: Array) -> Array:
    """Print the tints and then the ink on paper, inside a frame line."""
    edge = canvas.edge_distance() + 0.5 * canvas.noise(40, 2)
    ink = ink * smoothstep(13, 14, edge)
    ink = np.maximum(ink, smoothstep(1.3, 0.6, np.abs(edge - 13)))
    fibres = canvas.noise((4, 26), 3, 0.8) + canvas.noise((26, 4), 3, 0.8)
    paper = rgb("f3e6c8") * (1 + 0.014 * fibres + 0.02 * canvas.noise(200, 3))[..., None]
    body = 0.88 + 0.08 * canvas.noise(5, 2)
    image = mix(paper, paper * plate.tint * 1.08, (smoothstep(12, 13.5, edge) * body).clip(0, 1))
    wear = smoothstep(1.3, 2.6, canvas.noise(4, 3))
    return mix(image, rgb("241a1c"), blur(ink, 0.5).clip(0, 1) * (0.94 - 0.35 * wear)).clip(0, 1)
