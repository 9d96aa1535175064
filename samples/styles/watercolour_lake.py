"""Watercolour: transparent washes of mountains and pines mirrored in a lake, pigment edges on rough paper."""

from __future__ import annotations

import numpy as np
from canvas import HEIGHT, SCALE, WIDTH, Canvas, finish, height_at
from colour import mix, ramp, rgb, saturate
from fields import Array, blur, light, noise, smoothstep

SHORE = 348.0
PAPER = rgb("fbf6ea")
RANGES = [  # of mountains, from far to near: base, height, grain, seed, colours, strength
    (262, 62, 190, 5, ["b9a4d8", "f0c8c8"], 0.8),
    (290, 52, 150, 8, ["7f86c8", "d9b8d0"], 0.9),
    (318, 38, 120, 14, ["3f6fa8", "a8c4cc"], 1.0),
    (338, 24, 90, 23, ["1f5f7c", "7fae9c"], 1.05),
]
MIDDLE_PINES = [  # x, height
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
NEAR_PINES: list[tuple[float, float, float]] = [(640, 372, 214), (700, 386, 250), (590, 362, 120)]  # x, foot, height

Ridges = list[tuple[Array, list[str], float]]  # height of the ridge, colours, strength


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(64)
    sheet = Sheet(canvas)
    wet = 26 * canvas.noise(150, 3)
    sky(sheet, wet)
    ridges = mountains(sheet)
    sparkle, wobble = lake(sheet, wet, ridges)
    grove(sheet, sparkle, wobble)
    bank(sheet)
    splashes(sheet)
    shade, _ = light(sheet.tooth * 0.6, 0.35)
    return finish((saturate(sheet.image, 1.1) * (0.55 + 0.45 * shade)[..., None]).clip(0, 1))


class Sheet:
    """Rough paper, which washes darken one after the other.

    Attributes:
        tooth: height of the paper's grain.
        image: what is on it so far.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.x, self.y = canvas, canvas.x, canvas.y
        self.tooth = 0.6 * canvas.noise(7, 3, 0.7) + 0.4 * canvas.noise(18, 2)
        self.image = np.broadcast_to(PAPER, (*canvas.shape, 3)).astype(np.float32) * (1 + 0.008 * self.tooth)[..., None]

    def wash(self, mask: Array, tint: Array, strength: float | Array = 1.0, rim: float = 0.5, flow: float = 0.3) -> None:
        """Lay a transparent wash: pigment gathers at the rim, flows in clouds and settles in the paper's hollows."""
        body = blur(mask, 0.7)
        edge = (body * (1 - blur(mask, 4.5)) * 2).clip(0, 1) ** 1.2
        clouds = self.canvas.noise(110, 4, 0.6)
        bloom = np.abs(self.canvas.noise(90, 3))
        backrun = smoothstep(0.16, 0.02, bloom) * smoothstep(0.2, 1.2, clouds)
        density = body * (1 + flow * clouds - 0.12 * self.tooth + 0.22 * backrun).clip(0.12) + rim * edge
        absorb = -np.log(np.clip(tint, 0.02, 0.99))
        self.image = self.image * np.exp(-absorb * (density * strength)[..., None])


def sky(sheet: Sheet, wet: Array) -> None:
    """A warm sky around the sun, which stays paper, and clouds."""
    canvas, y = sheet.canvas, sheet.y
    sun = np.hypot(sheet.x - 250, y - 158)
    warm = ramp((y + wet) / 330, [(0, "6f9fd0"), (0.28, "a9c4e0"), (0.5, "f6d9c8"), (0.72, "fbc58f"), (1, "f7a98c")])
    sheet.wash(smoothstep(27, 31, sun + 1.2 * sheet.tooth) * smoothstep(-1, 1, SHORE - y), warm, 1.0, 0.25, 0.34)
    sheet.wash(smoothstep(0.5, 1.1, canvas.noise((70, 240), 4, 0.55)) * (y < 230), rgb("8f8fc4"), 0.5, 0.55, 0.4)
    sheet.wash(smoothstep(70, 34, sun) * smoothstep(27, 31, sun), rgb("fbd07a"), 0.8, 0.2)


def mountains(sheet: Sheet) -> Ridges:
    """Mountains from far to near; each wash starts crisp at the ridge and melts into mist."""
    canvas, x, y = sheet.canvas, sheet.x, sheet.y
    ridges: Ridges = []
    for base, tall, cell, seed, tints, strength in RANGES:
        ridge = base - tall * canvas.skyline(cell * SCALE, 5, 0.45, seed) * 0.62
        ridge = ridge + 0.8 * sheet.tooth
        ridges.append((ridge, tints, strength))
        inside = smoothstep(-0.8, 0.8, y - ridge) * smoothstep(1.2, -1.2, y - SHORE - 1.2 * sheet.tooth)
        fade = ((y - ridge) / 84).clip(0, 1)
        sheet.wash(inside * (1 - 0.5 * fade), ramp(fade, [(0, tints[0]), (1, tints[1])]), strength, 0.55, 0.26)
        ravine = canvas.noise((60, 26), 3) + 0.5 * np.sin((x - 0.6 * (y - ridge)) / 9)
        sheet.wash(inside * smoothstep(0.5, 0.9, ravine) * (1 - fade), rgb(tints[0]), 0.5, 0.6)
    return ridges


def lake(sheet: Sheet, wet: Array, ridges: Ridges) -> tuple[Array, Array]:
    """The same washes upside down, pulled sideways; returns where the dry brush left sparkle (0), and the wobble."""
    canvas, y = sheet.canvas, sheet.y
    depth = ((y - SHORE) / (HEIGHT - SHORE)).clip(0, 1)
    water = smoothstep(-0.8, 0.8, y - SHORE - 0.8 * sheet.tooth)
    dry = canvas.noise((5, 120), 2) + 0.75 * sheet.tooth * smoothstep(0.05, 0.5, depth) + 0.1
    sparkle = smoothstep(1.25, 0.95, dry)
    tint = ramp(depth + wet / 400, [(0, "f6c2a0"), (0.3, "c9c0d4"), (0.6, "6fa6c8"), (1, "1f5f98")])
    sheet.wash(water * sparkle, tint, 1.0, 0.35, 0.3)
    wobble = 7 * depth**0.6 * canvas.noise((9, 90), 2)
    for ridge, tints, strength in ridges[1:]:
        mirrored = SHORE + (SHORE - ridge) * 0.9 + wobble
        inside = water * smoothstep(0.8, -0.8, y - mirrored) * sparkle
        sheet.wash(inside * (1 - 0.3 * depth), rgb(tints[0]), 0.42 * strength, 0.35, 0.3)
    for seed in (1, 2, 3):
        dash = noise(np.random.default_rng(640 + seed), canvas.shape, (7 + 3 * seed, 150), 2)
        sheet.wash(water * smoothstep(1.1, 1.35, dash) * smoothstep(0.04, 0.3, depth), rgb("2a6a9c"), 0.5, 0.6)
    return sparkle, wobble


def grove(sheet: Sheet, sparkle: Array, wobble: Array) -> None:
    """Pines in three rows: far, middle, near."""
    far = [
        (float(px), SHORE + 2, float(sheet.canvas.rng.uniform(18, 44)))
        for px in np.concatenate([np.arange(4, 200, 11), np.arange(470, 718, 10)])
    ]
    middle = [(float(px), SHORE + 8 + 0.02 * abs(px - 360), float(tall)) for px, tall in MIDDLE_PINES]
    rows = (
        (far, ("5f9a94", "4f86a0"), 0.8, 0.8),
        (middle, ("1f6a62", "24577c"), 1.1, 0.75),
        (NEAR_PINES, ("123f44", "1c3a5c"), 1.25, 0.6),
    )
    for trees, tints, strength, mirror in rows:
        mask, below = pines(sheet, trees, mirror, wobble)
        across = sheet.x / WIDTH + 0.3 * sheet.canvas.noise(70, 2)
        sheet.wash(mask, ramp(across, [(0, tints[0]), (1, tints[1])]), strength, 0.45, 0.42)
        sheet.wash(below * sparkle, rgb(tints[0]), strength * 0.5, 0.4, 0.3)


def pines(sheet: Sheet, trees: list[tuple[float, float, float]], mirror: float, wobble: Array) -> tuple[Array, Array]:
    """Masks of trees (x, foot, height), ragged triangles of branches, and of their broken reflections."""
    x, y = sheet.x, sheet.y
    mask, below = np.zeros(x.shape, np.float32), np.zeros(x.shape, np.float32)
    rough = sheet.canvas.noise(9, 2)
    for cx, foot, tall in trees:
        u = np.abs(x - cx - 1.2 * np.sin(y / 9))
        down = ((y - foot + tall) / tall).clip(0, 1)
        tier = np.mod(down * (5 + tall / 22), 1)
        reach = tall * 0.23 * down**0.85 * (0.45 + 0.75 * tier) + 1 + 1.6 * rough * down
        mask = np.maximum(mask, smoothstep(0.8, -0.8, u - reach) * (y > foot - tall) * (y < foot + rough))
        up = ((foot + tall * mirror - y) / (tall * mirror)).clip(0, 1)
        wide = tall * 0.2 * up**0.85 * (0.7 + 0.3 * np.sin(y / 2.6 + 2 * rough))
        below = np.maximum(below, smoothstep(1, -1, np.abs(x - cx - wobble) - wide) * (y > foot) * (up > 0))
    return mask, below


def bank(sheet: Sheet) -> None:
    """The near bank with grasses and flowers."""
    canvas, x, y, rng = sheet.canvas, sheet.x, sheet.y, sheet.canvas.rng
    top = 522 - 34 * np.exp(-((x / 150) ** 2)) - 30 * smoothstep(430, 720, x) + 4 * canvas.skyline(80, 3)
    blades = canvas.noise((70, 6), 3, 0.7)
    inside = smoothstep(-1, 1, y - top - 9 * blades)
    across = x / WIDTH + 0.25 * canvas.noise(120, 2)
    sheet.wash(inside, ramp(across, [(0, "8fa63a"), (0.4, "d0a83c"), (0.7, "6f9a4a"), (1, "2f6a5a")]), 1.1, 0.5, 0.4)
    sheet.wash(inside * smoothstep(0.5, 1.0, blades) * smoothstep(0, 40, y - top), rgb("2f5a3a"), 0.9, 0.5)
    for tint, count in (("d8303c", 46), ("e8703a", 26), ("7a4ab0", 22)):
        spots = np.zeros(canvas.shape, np.float32)
        for _ in range(count):
            cx = float(rng.uniform(0, WIDTH))
            cy = height_at(top, cx) + float(rng.uniform(-8, 52))
            ragged = np.hypot(x - cx, (y - cy) * 1.25) - rng.uniform(1.5, 5.5) - 0.9 * sheet.tooth
            spots = np.maximum(spots, smoothstep(1, -1, ragged))
        sheet.image = mix(sheet.image, PAPER, spots * 0.82)
        sheet.wash(spots, rgb(tint), 1.15, 0.7, 0.35)


def splashes(sheet: Sheet) -> None:
    """Splashes of blue paint."""
    rng = sheet.canvas.rng
    splash = np.zeros(sheet.canvas.shape, np.float32)
    for _ in range(70):
        cx, cy = rng.normal(430, 190), rng.normal(440, 90)
        distance = np.hypot(sheet.x - cx, sheet.y - cy)
        splash = np.maximum(splash, smoothstep(0.7, -0.7, distance - rng.uniform(0.4, 1.0) ** 3 * 3.6))
    sheet.wash(splash, rgb("3a6a98"), 0.7, 0.6)
