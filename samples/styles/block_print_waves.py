"""Colour woodblock print: curling waves in flat indigo bands with key lines, a snow peak and a red sun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from canvas import SCALE, Canvas, finish
from colour import Stops, mix, palette, ramp, rgb
from fields import Array, blur, smoothstep, steepness

Curls = list[tuple[float, float, float, float]]  # x, y, radius, turn in radians

SKY: Stops = [(0, "1f4a78"), (0.16, "5b8fae"), (0.36, "b9cdbf"), (0.6, "efe0bd"), (0.85, "f3c99a"), (1.05, "e89f7c")]
WHIRLS: Curls = [  # of the clouds
    (96, 84, 66, 3.6),
    (250, 120, 40, -3.0),
    (408, 70, 52, 3.4),
    (664, 226, 52, -3.4),
    (470, 236, 44, 3.2),
    (556, 22, 40, -3.0),
    (24, 214, 50, -3.4),
    (700, 60, 44, 3.4),
]


@dataclass(frozen=True)
class Wave:
    """A layer of the sea: a swell, twisted by curls, and cut into bands of the inks in turn."""

    base: float  # middle height of the surface
    swell: float
    wavelength: float
    phase: float
    curls: Curls
    inks: list[str]
    pitch: float  # height of a band


WAVES = [
    Wave(
        352,
        16,
        92.0,
        0.3,
        [(80, 352, 46, 2.6), (250, 362, 40, 2.4), (430, 350, 44, 2.6), (610, 360, 46, 2.5), (720, 350, 30, 2.2)],
        ["8fb9b5", "f4ecd6", "5d97a6", "dfe6d2", "3f7d98"],
        8.0,
    ),
    Wave(
        418,
        26,
        150.0,
        1.2,
        [(150, 392, 74, 3.3), (372, 420, 60, 3.0), (560, 392, 78, 3.4), (706, 424, 50, 2.6)],
        ["f6eedb", "6fa6b4", "2f6d98", "f2ead6", "1d4f82", "3a7ea4"],
        9.5,
    ),
    Wave(
        500,
        30,
        230.0,
        2.2,
        [(60, 486, 84, 3.6), (292, 476, 104, 3.9), (480, 520, 60, 3.0), (650, 486, 92, 3.7)],
        ["f8f1de", "5b95b0", "1f5288", "f3ebd8", "16386a", "2c6796", "e6e3d0"],
        11.5,
    ),
]


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(12)
    wobble = 1.2 * canvas.noise(40, 2)
    image, key = mountain(canvas, clouds(canvas, sky(canvas), wobble), wobble)
    for wave in WAVES:
        image, key = sea(canvas, image, key, wobble, wave)
        foam(canvas, image, key, wave.curls)
    return finish(ink_on_paper(canvas, image, key))


def curl(u: Array, v: Array, centres: Curls) -> tuple[Array, Array]:
    """Twist the plane around each centre: straight bands become curling waves."""
    for cx, cy, radius, turn in centres:
        dx, dy = u - cx, v - cy
        a = turn * np.exp(-((np.hypot(dx, dy) / radius) ** 2))
        u, v = cx + dx * np.cos(a) - dy * np.sin(a), cy + dx * np.sin(a) + dy * np.cos(a)
    return u, v


def sky(canvas: Canvas) -> Array:
    """Graded by hand from the top (bokashi), with a red sun."""
    x, y = canvas.x, canvas.y
    image = ramp(y / 300 + 0.02 * canvas.noise((4, 300), 2), SKY)
    sun = np.hypot(x - 566, y - 128)
    return mix(image, ramp(y, [(60, "d8402c"), (200, "ee7a45")]), smoothstep(0.6, -0.6, sun - 62))


def clouds(canvas: Canvas, image: Array, wobble: Array) -> Array:
    """Long banks of mist, coiled by the same twist, with contour lines inside."""
    x, y, shape = canvas.x, canvas.y, canvas.shape
    u, v = curl(x, y + wobble, WHIRLS)
    field = canvas.noise((52 * SCALE, 250 * SCALE), 1) + 0.35 * np.sin(v / 8.5)
    columns, rows = (u * SCALE).clip(0, shape[1] - 1).astype(int), (v * SCALE).clip(0, shape[0] - 1).astype(int)
    mist = blur(field[rows, columns], 1.2)
    level = mist / (steepness(mist) * SCALE + 0.004)  # about the distance from the outline, in pixels
    inner = (mist - 0.55) / (steepness(mist) * SCALE + 0.004)
    veil = smoothstep(-0.5, 0.5, level)
    image = mix(image, ramp(y / 300, [(0, "a9c6cc"), (0.4, "ecdfc4"), (1, "fbdcb4")]), veil * 0.9)
    image = mix(image, ramp(y / 300, [(0, "dbe4da"), (0.4, "f8efd9"), (1, "fdeccb")]), smoothstep(-0.5, 0.5, inner))
    contour = np.maximum(smoothstep(1.1, 0.5, np.abs(level)), 0.7 * smoothstep(0.9, 0.4, np.abs(inner)))
    return mix(image, ramp(y / 300, [(0, "173a63"), (0.5, "3f7488"), (1, "b0684f")]), contour * 0.85)


def mountain(canvas: Canvas, image: Array, wobble: Array) -> tuple[Array, Array]:
    """The peak, with snow that runs down in fingers: the picture, and the black block (key) with its outline."""
    x, y = canvas.x, canvas.y
    run = np.abs(x - 262)
    slope = 172 + 200 * (1 - np.exp(-run / 150)) + 0.12 * run + wobble
    slope = np.maximum(slope, 176 + 2.5 * np.sin(x / 5))
    inside = smoothstep(-0.6, 0.6, y - slope)
    rock = ramp((y - 170) / 190 + 0.03 * canvas.noise((40, 8), 2), [(0, "34507c"), (0.5, "5d7fa0"), (1, "a9bcb4")])
    finger = 46 + 24 * np.sin(run / 9.0) * np.sin(x / 13.0 + 1) + 9 * np.sin(x / 4.1)
    snow = smoothstep(1, -1, y - slope - finger * np.exp(-run / 190))
    image = mix(image, mix(rock, rgb("faf3e2"), snow), inside)
    key = np.zeros(canvas.shape, np.float32)
    return image, np.maximum(key, smoothstep(1.5, 0.7, np.abs(y - slope)) * (run < 330))


def sea(canvas: Canvas, image: Array, key: Array, wobble: Array, wave: Wave) -> tuple[Array, Array]:
    """Print a layer: bands parallel to the twisted surface, in turns of blue and white, with key lines."""
    u, v = curl(canvas.x + wobble, canvas.y + wobble, wave.curls)
    surface = wave.base + wave.swell * np.sin(u / wave.wavelength * 2 * np.pi + wave.phase)
    level = v - surface + 1.6 * np.sin(u / 9)
    inside = smoothstep(-0.7, 0.7, level)
    t = level / (wave.pitch * (1 + 0.35 * np.sin(u / 40 + wave.phase)))
    band = np.floor(t).clip(0, 400).astype(int)
    order = np.where(band == 0, 0, 1 + (band - 1) % (len(wave.inks) - 1))
    colour = palette(*wave.inks)[order] * (1 - 0.1 * np.mod(t, 1))[..., None]
    deep = smoothstep(wave.base + 20, wave.base + 190, canvas.y)[..., None] * 0.25
    colour = colour * (1 - deep) + rgb("143260") * deep
    image = mix(image, colour, inside)
    steep = steepness(t) * SCALE  # bands a pixel: keeps the key line equally thick everywhere
    edge = np.abs(t - np.round(t)) / (steep + 1e-4)
    weight = 0.75 + 0.55 * np.sin(u / 17 + v / 29)
    line = smoothstep(weight + 0.55, weight - 0.25, edge) * (t > -0.5) * smoothstep(0.9, 0.5, steep * 2.2)
    line = np.maximum(line, smoothstep(1.9, 1.1, np.abs(level) / (steepness(level) * SCALE + 1e-4)))
    return image, np.maximum(key * (1 - inside), line)


def foam(canvas: Canvas, image: Array, key: Array, curls: Curls) -> None:
    """Drops thrown up over the crests of the curls; changes picture and key in place."""
    rng = canvas.rng
    for cx, cy, radius, _ in curls:
        for _ in range(int(radius * 0.5)):
            a = rng.uniform(-2.9, -0.2)
            far = radius * rng.uniform(0.62, 1.12)
            drop(image, key, cx + far * np.cos(a), cy + far * np.sin(a), rng.uniform(1.0, 4.2) * radius / 80)


def drop(image: Array, key: Array, cx: float, cy: float, radius: float) -> None:
    """Print a drop of foam: a paper-white disc with a key line."""
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


def ink_on_paper(canvas: Canvas, image: Array, key: Array) -> Array:
    """Wood grain in the flat colours, pressed fibres, uneven pressure, and the key block last."""
    grain = canvas.noise((3, 260), 3, 0.7)
    rings = np.sin((canvas.y + 9 * canvas.noise((60, 300), 2)) * 1.1)
    pressure = 1 + 0.022 * grain + 0.018 * rings + 0.03 * canvas.noise(5, 2)
    fibres = canvas.noise((5, 30), 3, 0.8)
    paper = rgb("f4e8cc") * (1 + 0.02 * fibres)[..., None]
    image = (image * pressure[..., None]).clip(0, 1)
    image = mix(image, paper, (0.10 + 0.07 * smoothstep(1.2, 2.4, canvas.noise(4, 2))).clip(0, 1))
    ink = rgb("15233f") * (1 + 0.15 * fibres)[..., None]
    return mix(image, ink, key * (0.93 - 0.12 * smoothstep(0.8, 2, canvas.noise(6, 2)))).clip(0, 1)
