"""Impasto oil: a starry sky in whirls over a lake, thick directional strokes in ultramarine and gold."""

from __future__ import annotations

import numpy as np
from brush import Brush, Painting
from canvas import HEIGHT, SCALE, Canvas
from colour import mix, ramp, rgb, saturate
from fields import Array, blend_angles, blur, line_field, smoothstep, steepness

HORIZON = 392.0
WHIRLS = [(300, 190, 92, 105), (452, 236, 66, -78), (120, 92, 70, 62), (640, 300, 60, 60)]  # x, y, radius, strength
STARS = [  # x, y, radius; the first is the moon
    (606, 104, 66),
    (70, 58, 26),
    (196, 62, 20),
    (392, 84, 30),
    (492, 42, 18),
    (236, 292, 17),
    (520, 168, 20),
    (700, 232, 18),
    (366, 318, 15),
    (322, 30, 14),
    (150, 196, 22),
    (578, 300, 14),
    (446, 340, 11),
]
RANGES = [  # of mountains: base, height, grain, colours, seed
    (318, 34, 150, ["2b3f8f", "4f6fb5", "6fa0c0"], 21),
    (352, 20, 90, ["1b2a5e", "2f5a80", "4c8a86"], 22),
]
LAMPS = [(120, 1.0), (186, 0.7), (258, 1.2), (350, 0.8), (420, 1.0), (520, 0.7), (606, 2.0), (668, 0.8)]  # x, power
CYPRESSES = [(28, 306, 26), (112, 300, 22), (70, 112, 34)]  # x, top, width at the foot

SKY = [
    (-0.1, "0c1547"),
    (0.18, "152a78"),
    (0.38, "2350a8"),
    (0.56, "3f86c4"),
    (0.74, "7fbccb"),
    (0.92, "cfe0bf"),
    (1.1, "f2ecc0"),
]
GLOW = [(0, "fffbe0"), (0.35, "ffe98a"), (0.75, "f7c23c"), (1.2, "e0a440"), (1.7, "8fb48e"), (2.4, "3f86c4")]
WATER = [(0, "0a1340"), (0.3, "143073"), (0.55, "2560a0"), (0.8, "4f9bb4"), (1.0, "a6cdbb")]
LEAVES = [(0, "081318"), (0.35, "12302e"), (0.65, "25563f"), (0.88, "5a7c3a"), (1, "b59a45")]

Layers = tuple[Array, Array]  # colour, and the direction of the strokes


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(7)
    colour, angle = cypresses(canvas, *lake(canvas, *mountains(canvas, *stars(canvas, *sky(canvas)))))
    painting = Painting(colour * 0.55 + rgb("3a2a4a") * 0.2, 11)
    painting.layer(colour, angle, Brush(30, 110, 0.14, 0.3, 0.8), 17)
    painting.layer(colour, angle, Brush(16, 84, 0.2, 0.34, 1.1), 10)
    detail = steepness(blur(colour.mean(-1), 2))
    fine = (detail / np.percentile(detail, 92)).clip(0.12, 1)
    painting.layer(colour, angle, Brush(9, 46, 0.2, 0.3, 1.3, jitter=0.06), 8, where=fine)
    return saturate(painting.lit(1.0, 0.16), 1.12)


def sky(canvas: Canvas) -> Layers:
    """Bands of blue along the level lines of a stream function with whirls."""
    x, y = canvas.x, canvas.y
    stream = y * 0.55 + 16 * canvas.noise(360, 2)
    for cx, cy, radius, strength in WHIRLS:
        stream += strength * np.exp(-((x - cx) ** 2 + 1.25 * (y - cy) ** 2) / (1.1 * radius**2))
    angle = line_field(stream, 2)
    band = 0.5 + 0.5 * np.sin(stream / 7.2 + 0.7 * canvas.noise(60, 2))
    tone = 0.52 * band + 0.38 * y / HORIZON + 0.12 * canvas.noise(130, 3)
    return ramp(tone, SKY), angle


def stars(canvas: Canvas, colour: Array, angle: Array) -> Layers:
    """Moon and stars: rings of warm strokes around each."""
    x, y = canvas.x, canvas.y
    for cx, cy, radius in STARS:
        distance = np.hypot(x - cx, y - cy) * (1 + 0.05 * canvas.noise(50, 1))
        near = smoothstep(2.3 * radius, 0.5 * radius, distance)
        ring = 0.5 + 0.5 * np.cos(distance / radius * 7.0)
        colour = mix(colour, ramp(distance / radius + 0.16 * ring, GLOW), near)
        around = np.arctan2(y - cy, x - cx) + np.pi / 2
        angle = blend_angles(angle, around, smoothstep(3.0 * radius, 1.4 * radius, distance))
    return colour, angle


def mountains(canvas: Canvas, colour: Array, angle: Array) -> Layers:
    """Two ranges behind the lake, whose strokes follow the ridges."""
    y = canvas.y
    for base, amplitude, cell, tones, seed in RANGES:
        ridge = base + amplitude * 0.6 * canvas.skyline(cell * SCALE, 3, seed=seed)
        inside = smoothstep(-1, 1, y - ridge)
        inner = 0.5 + 0.5 * np.sin((y - ridge) / 6 + 1.2 * canvas.noise(70, 2))
        hill = ramp(inner, [(0, tones[0]), (0.55, tones[1]), (1, tones[2])])
        colour = mix(colour, hill, inside)
        angle = blend_angles(angle, line_field(y - ridge + 7 * canvas.noise(120, 1), 2), inside)
    return colour, angle


def lake(canvas: Canvas, colour: Array, angle: Array) -> Layers:
    """Broken level strokes; the lamps of the far shore stand in the water as golden pillars."""
    x, y = canvas.x, canvas.y
    water = smoothstep(-1, 1, y - HORIZON)
    depth = (y - HORIZON) / (HEIGHT - HORIZON)
    ripple = 0.5 + 0.5 * np.sin(y / (1.6 + 3.6 * depth.clip(0, 1)) + 1.6 * canvas.noise((30, 160), 2))
    surface = ramp(0.55 * ripple + 0.42 * (1 - depth) + 0.06 * canvas.noise(90, 2), WATER)
    for cx, power in LAMPS:
        wobble = cx + 5 * np.sin(y / 7 + cx) * depth.clip(0, 1)
        pillar = np.exp(-(((x - wobble) / (5 + 12 * depth.clip(0, 1)) / power**0.5) ** 2))
        pillar *= smoothstep(1.1, 0.1, depth) * (0.35 + 0.65 * ripple)
        gold = ramp(pillar, [(0, "c97a2a"), (0.5, "f2b33d"), (1, "fff0a8")])
        surface = mix(surface, gold, (pillar * 1.35).clip(0, 1))
    colour = mix(colour, surface, water)
    angle = blend_angles(angle, 0.12 * canvas.noise((40, 120), 2), water)
    for cx, power in LAMPS:
        spot = np.hypot(x - cx, (y - HORIZON + 5) * 1.1)
        colour = mix(colour, rgb("ffdf7a"), smoothstep(6.5 * power**0.4, 2, spot))
    return colour, angle


def cypresses(canvas: Canvas, colour: Array, angle: Array) -> Layers:
    """Flame-shaped trees in the foreground."""
    x, y = canvas.x, canvas.y
    tree = np.zeros(canvas.shape, np.float32)
    flame = x.copy()
    for cx, top, base_width in CYPRESSES:
        rise = ((y - top) / (HEIGHT - top)).clip(0, 1)
        sway = cx + 9 * np.sin(y / 52 + cx) * (1 - rise) ** 0.5
        ragged = 1 + 0.1 * np.sin(y / 9 + 3 * np.sign(x - sway))
        edge = base_width * rise**0.55 * ragged + 2 * canvas.noise(30, 1)
        inside = smoothstep(2, -2, np.abs(x - sway) - edge) * (y > top)
        tongues = (x - sway) / (0.25 + rise**0.55) + 5 * np.sin(y / 19 + x / 25)
        flame += (tongues + 7 * canvas.noise((110, 40), 2) - flame) * inside
        tree = np.maximum(tree, inside)
    colour = mix(colour, ramp(0.5 + 0.5 * np.sin(flame / 3.4), LEAVES), tree)
    return colour, blend_angles(angle, line_field(flame, 3), tree)
