"""Palette-knife oil: an avenue of autumn trees, slabs of orange, crimson and violet on a wet path."""

from __future__ import annotations

import numpy as np
from brush import Brush, Painting
from canvas import HEIGHT, Canvas
from colour import mix, palette, ramp, rgb, saturate
from fields import Array, blend_angles, blur, smoothstep, steepness

CX, CY = 392.0, 300.0  # the vanishing point
# Side of the avenue, and distance from its middle.
TRUNKS = [(-1, offset) for offset in (40, 66, 106, 168, 262)] + [(1, offset) for offset in (36, 60, 98, 158, 246)]
FOLIAGE = [
    (0.0, "fff6cf"),
    (0.12, "ffe58a"),
    (0.3, "ffb52e"),
    (0.48, "f27b1d"),
    (0.66, "d23a1c"),
    (0.85, "8f1d3c"),
    (1.05, "46184f"),
    (1.3, "1d1440"),
]
GREEN = [(0, "e9e07a"), (0.4, "a9a52c"), (1, "1f5a55")]
BLUE = [(0, "cfe6e4"), (0.4, "5aa6c4"), (1, "27418f")]
WET = [
    (0, "fff2b8"),
    (0.2, "ffc64f"),
    (0.38, "ee8a35"),
    (0.55, "b04a4a"),
    (0.75, "5a3a80"),
    (1.0, "26307a"),
    (1.2, "141a4c"),
]
BANK = [(0, "f7b733"), (0.3, "dd6a1e"), (0.6, "a02a2a"), (0.9, "57204a"), (1.2, "231338")]
LEAVES = palette("ffd84a", "ff9a2a", "f2541e", "d81f2e", "ffe9a0", "b7b63a", "6a2a7a", "3d7fb0")
LEAF_SHARES = np.array([0.2, 0.22, 0.2, 0.12, 0.08, 0.08, 0.06, 0.04])


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(19)
    radius = np.hypot((canvas.x - CX) / 1.15, canvas.y - CY)
    theta = np.arctan2(canvas.y - CY, canvas.x - CX)
    floor = smoothstep(-2, 2, canvas.y - CY - 10)
    base, angle = path(canvas, foliage(canvas, radius), theta, floor)
    colour, bark = trunks(canvas, base)
    upright = np.full(canvas.shape, np.pi / 2, np.float32)
    trunk_angle = blend_angles(angle, upright, (bark > 0.3).astype(np.float32))

    painting = Painting(base * 0.5, 23)
    knife = Brush(40, 62, 0.08, 0.16, 1.5, ridge=0.9, jitter=0.05, turn=0.35, taper=0.05)
    painting.layer(base, angle, knife, 22)
    painting.layer(colour, trunk_angle, Brush(20, 46, 0.1, 0.2, 1.5, 0.9, 0.06, 0.25, 0.06), 13)
    detail = steepness(blur(colour.mean(-1), 1.5))
    fine = (detail / np.percentile(detail, 95)).clip(0.06, 1)
    painting.layer(colour, trunk_angle, Brush(9, 30, 0.12, 0.2, 1.4, 0.8, 0.05, 0.12, 0.08), 7, where=fine)
    leafy = 0.24 * smoothstep(CY + 60, CY - 10, canvas.y) * smoothstep(30, 110, radius) + 0.06 * floor
    painting.layer(base, theta, Brush(11, 20, 0.08, 0.16, 1.9, 0.8, 0.05, 0.9, 0.1), 13, where=leafy, choose=leaf_colours)
    return saturate(painting.lit(0.75, 0.18), 1.08)


def foliage(canvas: Canvas, radius: Array) -> Array:
    """Light in the middle, deep at the borders, broken into clumps, with green and blue accents."""
    clump = canvas.noise(110, 4, 0.6)
    colour = ramp(radius / 330 + 0.13 * clump, FOLIAGE)
    accent = canvas.noise(46, 3)
    colour = mix(colour, ramp(radius / 330, GREEN), smoothstep(0.75, 1.5, accent))
    return mix(colour, ramp(radius / 330, BLUE), smoothstep(1.0, 1.7, -accent))


def path(canvas: Canvas, colour: Array, theta: Array, floor: Array) -> tuple[Array, Array]:
    """The wet path, which mirrors sky and trees, and its banks: the colour, and the direction of the strokes."""
    x, y = canvas.x, canvas.y
    vanish = (y - CY) / (HEIGHT - CY)
    road = smoothstep(1.05, 0.9, np.abs(x - CX - 8 * np.sin(y / 30)) / (14 + 300 * vanish.clip(0, 1)))
    sheen = np.exp(-(((x - CX) / (22 + 120 * vanish.clip(0, 1))) ** 2))
    streak = canvas.noise((120, 30), 3)
    wet = ramp(1.02 * vanish - 0.52 * sheen + 0.12 * streak + 0.16, WET)
    bank = ramp(vanish + 0.22 * canvas.noise((50, 90), 3), BANK)
    colour = mix(colour, mix(bank, wet, road), floor)
    angle = theta + np.pi / 2 + 0.5 * canvas.noise(90, 2)
    angle = blend_angles(angle, np.pi / 2 * (streak > 0.6) + 0.06 * canvas.noise(60, 2), floor * road)
    return colour, blend_angles(angle, theta + 0.2 * canvas.noise(60, 2), floor * (1 - road))


def trunks(canvas: Canvas, colour: Array) -> tuple[Array, Array]:
    """Trunks in perspective on both sides, with their reflections: the colour, and where bark is."""
    x, y = canvas.x, canvas.y
    bark = np.zeros(canvas.shape, np.float32)
    for side, offset in TRUNKS:
        foot = CX + side * offset * 1.12
        thickness = 1.6 + offset * 0.052
        ground = CY + 12 + offset * 0.74
        lean = foot + side * (ground - y) * 0.05 + 5 * np.sin(y / 33 + offset)
        flare = thickness * (1 + 0.9 * np.exp(-(ground - y).clip(0) / (0.14 * offset + 6)))
        trunk = smoothstep(1.2, -1.2, np.abs(x - lean) - flare) * (y < ground)
        lit_side = smoothstep(-1, 1, -side * (x - lean) / flare * 1.4 + 0.25 * canvas.noise((20, 8), 2))
        colour = mix(colour, mix(rgb("1a1030"), rgb("a5502f"), lit_side), trunk)
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
    return colour, bark


def leaf_colours(colours: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Colours of the last dabs: those of the ground, on their way to a leaf's."""
    picks = LEAVES[rng.choice(len(LEAVES), len(colours), p=LEAF_SHARES)]
    return colours + (picks - colours) * 0.6
