"""Leaded window: a rising sun over mountains and a winding river, glowing cut glass between lead lines."""

from __future__ import annotations

import numpy as np
from canvas import HEIGHT, WIDTH, Canvas, finish
from colour import mix, palette, ramp, rgb, saturate
from fields import Array, blur, light, smoothstep

SUN_X, SUN_Y, SUN_RADIUS = 446.0, 226.0, 62.0
SKY = [
    (0.0, "ffe27a"),
    (0.16, "ffb53c"),
    (0.32, "f2763a"),
    (0.47, "d9486a"),
    (0.62, "8a4fb0"),
    (0.8, "3d5cc4"),
    (1.0, "1d3a9c"),
]
CLOUDS = [(150, 96, 120, 20), (236, 132, 96, 15), (630, 86, 110, 19), (600, 130, 70, 12)]  # x, y, half length, height
RANGES = [  # of mountains: base, (x, height) of the peaks, colours, first number
    (262, [(60, 80), (196, 52), (330, 66), (560, 84), (690, 58)], ["f0d9ee", "9d86d0", "5a58b8"], 3000),
    (340, [(0, 52), (140, 74), (300, 38), (470, 46), (640, 82)], ["79c7c9", "2d8fa8", "155a86"], 3400),
]
HILLS = [  # base, height, phase, colours
    (372, 20, 0.4, ["d6d957", "7fb23c", "2f8a4c"]),
    (424, 26, 2.7, ["8fc24a", "2f9455", "0f6a5a"]),
    (486, 24, 4.6, ["4fae5e", "15735a", "0b4a55"]),
]
IRISES = [(92, 420, 42), (172, 482, 34), (36, 494, 32), (612, 452, 42), (680, 510, 32)]  # x, y, size
PETALS = [  # direction, colours
    (-2.5, ["5a2fc0", "b07af0"]),
    (-0.64, ["5a2fc0", "b07af0"]),
    (2.6, ["3a1a90", "8a4fe0"]),
    (0.54, ["3a1a90", "8a4fe0"]),
    (-1.571, ["7a3ad0", "e0b8ff"]),
    (1.571, ["8a2fa0", "ffcf5a"]),
]


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(5)
    window = Window(canvas)
    sun_disc(window)
    clouds(window)
    for mountain_range in RANGES:
        mountains(window, *mountain_range)
    for k, shape in enumerate(HILLS):
        hill(window, k, *shape)
    river(window)
    for k, place in enumerate(IRISES):
        iris(window, k, *place)
    jewels(window)
    return finish(lead_and_light(canvas, window))


class Window:
    """The pieces of glass before they are leaded; later pieces lie on top of earlier ones.

    Attributes:
        piece: number of the piece that each pixel belongs to.
        colour: of each pixel.
    """

    def __init__(self, canvas: Canvas) -> None:
        """Begin with the sky: rings of rays around the sun."""
        self.canvas, self.x, self.y = canvas, canvas.x, canvas.y
        self.from_sun = np.hypot(self.x - SUN_X, self.y - SUN_Y)
        self.around_sun = np.arctan2(self.y - SUN_Y, self.x - SUN_X)
        log_distance = np.log(np.maximum(self.from_sun, 1) / SUN_RADIUS)
        ring = np.floor(log_distance / 0.33)
        turns = (self.around_sun / (2 * np.pi) + 0.5) * 22
        rays = np.floor(turns + 0.07 * np.sin(self.from_sun / 34) + 0.5 * (ring % 2))
        self.piece = 1000 + ring * 40 + rays % 22
        self.colour = ramp(log_distance / 2.1 + 0.14 * piece_value(self.piece, 1) - 0.07, SKY)

    def cover(self, mask: Array, numbers: Array, colour: Array) -> None:
        """Put pieces on top where ``mask`` is true."""
        self.piece = np.where(mask, numbers, self.piece)
        self.colour = np.where(mask[..., None], colour, self.colour)


def piece_value(numbers: Array, salt: int) -> Array:
    """A fixed pseudo-random value between 0 and 1 for each piece number."""
    mixed = np.asarray(numbers, np.float64) * 12.9898 + salt * 78.233
    return np.mod(np.sin(mixed) * 43758.5453, 1).astype(np.float32)


def sun_disc(window: Window) -> None:
    """The sun: a middle piece and ten petals."""
    distance = window.from_sun
    petals = np.floor((window.around_sun / (2 * np.pi) + 0.5) * 10 + 0.5)
    numbers = np.where(distance < SUN_RADIUS * 0.42, 2000, 2001 + petals % 10)
    colour = ramp(distance / SUN_RADIUS, [(0, "fffbe0"), (0.42, "fff0a0"), (0.43, "ffd95a"), (1, "f8a81e")])
    window.cover(distance < SUN_RADIUS, numbers, colour)


def clouds(window: Window) -> None:
    """Long lens-shaped pieces of milky glass."""
    x, y = window.x, window.y
    for k, (cx, cy, half, tall) in enumerate(CLOUDS):
        u = (x - cx) / half
        middle = cy + 9 * np.sin(u * 2.4)
        lens = np.abs(y - middle) < tall * np.sqrt(np.clip(1 - u**2, 0, 1))
        numbers = 2100 + 10 * k + 2 * np.floor((u + 1) * 2) + (y > middle)
        tone = 0.5 + 0.5 * u + 0.5 * piece_value(numbers, 2) - 0.25
        window.cover(lens, numbers, ramp(tone, [(0, "efc3cb"), (0.5, "f2e2c0"), (1, "b4c6e4")]))


def mountains(window: Window, base: int, peaks: list[tuple[int, int]], tones: list[str], first: int) -> None:
    """Ridges with facets that fall to the left and right of each peak."""
    x, y = window.x, window.y
    top = np.full(x.shape, float(base + 40), np.float32)
    owner = np.zeros(x.shape, np.float32)
    for k, (peak, tall) in enumerate(peaks):
        slope = base - tall + np.abs(x - peak) * 0.66
        owner = np.where(slope < top, k, owner)
        top = np.minimum(top, slope)
    peak_x = np.array([peak for peak, _ in peaks])[owner.astype(int)]
    fall = x - peak_x - 10 * np.sin((y - base) / 16)
    snow = y - top < 24 + 6 * np.sin(x / 7)
    step = np.floor((y - top - 0.3 * np.abs(fall)) / 40)
    numbers = first + owner * 40 + 2 * step.clip(0, 9) + (fall > 0) + 20 * snow
    tone = 0.22 + 0.4 * (fall > 0) + 0.14 * step.clip(0, 3) + 0.3 * piece_value(numbers, 3) - 0.1
    rock = ramp(tone, [(0, tones[0]), (0.5, tones[1]), (1, tones[2])])
    white = ramp(tone, [(0, "f3e6dc"), (0.5, "d3d6ea"), (1, "93a9dc")])
    window.cover(y > top, numbers, np.where(snow[..., None], white, rock))


def hill(window: Window, k: int, base: int, amplitude: int, phase: float, tones: list[str]) -> None:
    """A hill in green bands, cut across by joints."""
    x, y = window.x, window.y
    ridge = base + amplitude * np.sin(x / 118 + phase) + 0.4 * amplitude * np.sin(x / 51 + 2 * phase)
    band = np.floor((y - ridge) / 23)
    joint = np.floor((x + 26 * np.sin(band * 2.1 + k) + (y - ridge) * 0.5) / 88)
    numbers = 4000 + 400 * k + band * 20 + joint
    tone = 0.1 + 0.16 * band + 0.5 * piece_value(numbers, 4)
    window.cover(y > ridge, numbers, ramp(tone, [(0, tones[0]), (0.5, tones[1]), (1, tones[2])]))


def river(window: Window) -> None:
    """The river winds from the mountains to the lower border."""
    x, y = window.x, window.y
    depth = ((y - 378) / (HEIGHT - 378)).clip(0, 1)
    centre = 430 - 40 * depth + 105 * np.sin(depth * 5.6 + 0.3) * depth**0.6
    width = 9 + 92 * depth**1.25
    across = (x - centre) / width
    lane = np.floor((across + 1) * 2)
    joint = np.floor(depth**0.7 * 11 + 0.35 * lane + 0.12 * np.sin(across * 4))
    numbers = 6000 + joint * 5 + lane
    tone = 0.75 * depth + 0.55 * piece_value(numbers, 5) - 0.12
    colour = ramp(tone, [(0, "ffe9a8"), (0.25, "9fe0dc"), (0.55, "38a9d4"), (1, "1b55b4")])
    window.cover((np.abs(across) < 1) & (y > 384), numbers, colour)


def iris(window: Window, k: int, cx: int, cy: int, size: int) -> None:
    """An iris in the foreground: stem, two leaves, six petals and a golden middle."""
    x, y = window.x, window.y
    bend = 14 * np.sin((y - cy) / 60 + k)
    stem = (np.abs(x - cx - bend) < 5) & (y > cy)
    window.cover(stem, np.full(x.shape, 7000 + k), ramp((y - cy) / 160, [(0, "a9d84a"), (1, "1f8a4a")]))
    for side in (-1, 1):
        t = ((HEIGHT + 12 - y) / (HEIGHT + 12 - cy)).clip(0, 1)
        blade = cx + side * (9 + 34 * t**1.6) + bend * 0.5
        leaf = (np.abs(x - blade) < 10 * np.sqrt(np.clip(1 - t, 0, 1)) * (0.4 + t)) & (y > cy + 10)
        numbers = 7100 + 20 * k + 4 * (side + 1) + (x > blade)
        window.cover(leaf, numbers, ramp(t + 0.25 * (x > blade), [(0, "0f6a48"), (1.1, "8ed04a")]))
    for petal, (turn, tones) in enumerate(PETALS):
        cos, sin = np.cos(turn), np.sin(turn)
        u, v = ((x - cx) * cos + (y - cy) * sin) / size, (-(x - cx) * sin + (y - cy) * cos) / size
        inside = (np.abs(v) < 0.36 * np.sqrt(np.clip(u * (1.02 - u) * 4, 0, 1)) * (0.55 + 0.6 * u)) & (u > 0)
        window.cover(inside, np.full(x.shape, 7400 + 10 * k + petal), ramp(u, [(0.1, tones[1]), (1, tones[0])]))
    middle = np.hypot(x - cx, y - cy) < size * 0.15
    window.cover(middle, np.full(x.shape, 7800 + k), np.broadcast_to(rgb("ffc83a"), window.colour.shape))


def jewels(window: Window) -> None:
    """A border of alternate jewels, each with a diamond of gold."""
    x, y = window.x, window.y
    edge = window.canvas.edge_distance()
    sides = np.argmin(np.stack([x, WIDTH - x, y, HEIGHT - y]), 0)
    run = np.where(sides < 2, y, x)
    slot = np.floor(run / 36)
    numbers = 8000 + 100 * sides + slot
    tones = palette("8f1530", "1b2f7a", "145c4c", "1b2f7a")
    colour = tones[(slot.astype(int) + sides) % 4] * (0.85 + 0.3 * piece_value(numbers, 6))[..., None]
    window.cover(edge < 20, numbers, colour)
    diamond = (np.abs(run % 36 - 18) + np.abs(edge - 10)) < 8
    window.cover((edge < 20) & diamond, numbers + 500, np.broadcast_to(rgb("e8b040"), window.colour.shape))


def lead_and_light(canvas: Canvas, window: Window) -> Array:
    """Set the glass in lead, and let light through."""
    # Dark cames follow each change of piece; they are rounded and lit like metal.
    change = np.zeros(canvas.shape, np.float32)
    change[:, 1:] += window.piece[:, 1:] != window.piece[:, :-1]
    change[1:] += window.piece[1:] != window.piece[:-1]
    field = blur(change.clip(0, 1), 2.5)
    line = smoothstep(0.075, 0.135, field)
    glass = glass_texture(canvas, window, blur(line, 9))
    metal_shade, metal_shine = light(blur(field, 1) * 90, 0.55, 0.35)
    metal = rgb("1a1a20") * metal_shade[..., None] + metal_shine[..., None] * rgb("9fb0c8") * 0.6
    image = mix(saturate(glass, 1.04), metal, line)
    bloom = np.stack([blur(image[..., c], 14) for c in range(3)], -1)
    return (image + 0.07 * bloom).clip(0, 1)


def glass_texture(canvas: Canvas, window: Window, near_lead: Array) -> Array:
    """Streaks, bubbles, a gradient within each piece, and a glow in the middle of the pane."""
    turn = piece_value(window.piece, 7) * np.pi
    tilt = ((canvas.x - WIDTH / 2) * np.cos(turn) + (canvas.y - HEIGHT / 2) * np.sin(turn)) / 26
    streak = canvas.noise((16, 150), 4, 0.65)
    cross = canvas.noise((130, 12), 4, 0.65)
    grain = np.where(piece_value(window.piece, 8) > 0.5, streak, cross)
    glass = window.colour * (1 + 0.13 * grain + 0.12 * np.sin(tilt))[..., None]
    glass = mix(glass, glass**0.72, (0.3 * canvas.noise(60, 3)).clip(0, 1))
    bubbles = canvas.noise(5, 1)
    glass = glass + (smoothstep(2.3, 3.0, bubbles) * 0.35)[..., None]
    glass = 0.92 * glass * (1.08 - 0.62 * near_lead)[..., None]
    relief, shine = light(blur(grain, 1.2) * 2.2, 0.45, 0.15)
    return (glass * (0.5 + 0.5 * relief)[..., None] + shine[..., None]).clip(0, 1)
