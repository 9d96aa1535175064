"""Mosaic: a tree with coiled branches on a ground of gold, small hand-cut tiles that follow every outline.

First a cartoon says which region and colour each pixel has; then tiles are laid along the outlines of the regions.
"""

from __future__ import annotations

import numpy as np
from canvas import HEIGHT, SCALE, WIDTH, Canvas, finish
from colour import mix, palette, ramp, rgb
from fields import Array, blur, light, line_field, noise, resize, smoothstep
from PIL import Image, ImageDraw

SUN_X, SUN_Y = 560, 128
GOLD = [(0, "8a5a1c"), (0.2, "b98024"), (0.45, "d9a52f"), (0.7, "f0cb58"), (1, "fff0b0")]
GOLDEN = [1, 5, 6, 7]  # regions whose tiles differ most from one to the next
SUN_RINGS = [(104, "2f7f93"), (94, "f4e6b8"), (84, "a3282c"), (72, "f2b430"), (40, "f7d874"), (22, "fff6d6")]
HILLS = ["1c5f52", "2f8a5c", "7fae4a", "c9c25a", "1f6f63", "124a52"]
WATER = ["f0e9cf", "1a4fa0", "3d8fc4", "a8d8d8", "15397f", "2f78b8", "dfeee4", "102a63"]
COILS = [  # start on the trunk (0 to 1), centre, radius, turns, sense
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
EYES = [  # x, y, size
    (112, 250, 11),
    (366, 236, 11),
    (150, 118, 12),
    (292, 108, 12),
    (352, 350, 9),
    (120, 362, 9),
    (420, 150, 9),
]
LEAVES = [  # x, y, direction in radians
    (206, 176, 0.6),
    (190, 300, 2.6),
    (300, 300, 0.4),
    (58, 240, 1.2),
    (330, 168, 2.2),
    (208, 238, 1.0),
    (262, 176, 2.5),
    (398, 300, 0.8),
    (70, 96, 0.8),
    (356, 64, 2.4),
    (76, 410, 0.4),
    (300, 396, 2.8),
    (430, 214, 0.9),
    (180, 390, 0.8),
]
BLOSSOMS = [(500, 440), (566, 452), (640, 436), (420, 452), (96, 462), (40, 440), (684, 468), (350, 470), (170, 470)]
PITCH = 7.4  # side of a tile


def paint() -> Array:
    """Return the final picture."""
    canvas = Canvas(31, scale=1)
    cartoon = Cartoon(canvas)
    gold_and_sun(cartoon)
    hills_and_water(cartoon)
    tree(cartoon)
    ornaments(cartoon)
    border(cartoon)
    angle = line_field(border_distance(cartoon.regions), 2.5)
    seeds, sizes = spread_tiles(canvas, cartoon.regions, angle)
    return finish(set_tiles(canvas.rng, cartoon, seeds, sizes, angle))


class Cartoon:
    """The drawing under the mosaic; later regions lie on top of earlier ones.

    Attributes:
        regions: number of the region that each pixel belongs to.
        colour: of each pixel.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.x, self.y = canvas, canvas.x, canvas.y
        self.regions = np.zeros(canvas.shape, np.int32)
        self.colour = np.zeros((*canvas.shape, 3), np.float32)

    def cover(self, mask: Array, number: int, colour: Array) -> None:
        """Put a region on top, in a single colour or with the colours of a picture."""
        self.regions[mask] = number
        self.colour[mask] = colour[mask] if colour.ndim == 3 else colour


def gold_and_sun(cartoon: Cartoon) -> None:
    """A gold ground in slow rings, and the sun with a paler glory around it."""
    canvas, x, y = cartoon.canvas, cartoon.x, cartoon.y
    sun = np.hypot(x - SUN_X, y - SUN_Y)
    wave = 0.5 + 0.5 * np.sin(sun / 15 + 0.8 * canvas.noise(120, 2))
    gold = ramp(0.3 * wave + 0.9 * np.exp(-sun / 200) + 0.08 * canvas.noise(60, 2), GOLD)
    cartoon.cover(np.ones(canvas.shape, bool), 1, gold)
    for k, (outer, tone) in enumerate(SUN_RINGS):
        cartoon.cover(sun < outer, 2 + k, rgb(tone))
    rays = np.mod(np.arctan2(y - SUN_Y, x - SUN_X) / (2 * np.pi) * 16, 1) < 0.5
    cartoon.cover(rays & (sun > 40) & (sun < 72), 9, rgb("e2701f"))


def hills_and_water(cartoon: Cartoon) -> None:
    """Coloured bands."""
    x, y = cartoon.x, cartoon.y
    for k, tone in enumerate(HILLS):
        top = 418 + 15 * k + (20 - 2 * k) * np.sin(x / 92 + 0.9) + 6 * np.sin(x / 37 + k)
        cartoon.cover(y > top, 10 + k, rgb(tone))
    for k, tone in enumerate(WATER):
        top = 492 + 10.5 * k + 7 * np.sin(x / 23 + 0.8 * k) - 4 * np.abs(np.sin(x / 11.5 + 0.4 * k))
        cartoon.cover(y > top, 20 + k, rgb(tone))


def tree(cartoon: Cartoon) -> None:
    """A trunk and coiled branches."""
    t = np.linspace(0, 1, 500)
    trunk = np.stack([236 + 26 * np.sin(t * 3.2) - 10 * t, 478 - 300 * t], 1)
    lines, widths = [trunk], [26 - 16 * t + 22 * np.exp(-t * 16)]
    for start, (cx, cy), radius, turns, sense in COILS:
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
    shape = cartoon.canvas.shape
    cartoon.cover(pen(shape, lines, [w + 5 for w in widths]), 40, rgb("f3dfa0"))
    bark = ramp(0.5 + 0.3 * np.sin(cartoon.y / 9 + cartoon.x / 13), [(0, "2a1a1e"), (0.5, "5a3322"), (1, "8a5630")])
    cartoon.cover(pen(shape, lines, widths), 41, bark)


def pen(shape: tuple[int, int], lines: list[Array], widths: list[Array]) -> Array:
    """Mask of lines (points, 2), drawn with a pen of varying width (points)."""
    image = Image.new("L", (shape[1] * 2, shape[0] * 2))
    draw = ImageDraw.Draw(image)
    for line, line_width in zip(lines, widths, strict=True):
        for (px, py), w in zip((line * 2).tolist(), line_width.tolist(), strict=True):
            draw.ellipse([px - w, py - w, px + w, py + w], fill=255)
    return resize(np.asarray(image, np.float32), shape[1], shape[0], Image.Resampling.BOX) > 127


def ornaments(cartoon: Cartoon) -> None:
    """Eyes, leaves and blossoms between the coils, with numbers from 50 on."""
    x, y = cartoon.x, cartoon.y
    number = 50
    for cx, cy, size in EYES:
        for scale, tone in ((1.9, "f6ecd0"), (1.5, "13306e"), (0.95, "2fa0a8"), (0.5, "d23a2a")):
            cartoon.cover(np.hypot(x - cx, y - cy) < size * scale, number, rgb(tone))
            number += 1
    for k, (cx, cy, turn) in enumerate(LEAVES):
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
        for scale, tone in ((1.0, "14584c"), (0.6, ["35a06a", "2f93a0", "c2342c"][k % 3])):
            inside = (np.abs(u) < 21 * scale) & (np.abs(v) < 10 * scale * (1 - (u / (21 * scale)) ** 2))
            cartoon.cover(inside, number, rgb(tone))
            number += 1
    for cx, cy in BLOSSOMS:
        spokes = np.hypot(x - cx, y - cy) - 3.0 * np.cos(6 * np.arctan2(y - cy, x - cx))
        for limit, tone in ((17, "5a1030"), (14.5, "e8e0cf"), (9, "d8452f"), (5, "f6cf4a")):
            cartoon.cover(spokes < limit, number, rgb(tone))
            number += 1


def border(cartoon: Cartoon) -> None:
    """A border of lapis with diamonds, with numbers from 200 on."""
    x, y = cartoon.x, cartoon.y
    edge = cartoon.canvas.edge_distance()
    run = np.where(np.minimum(x, WIDTH - x) < np.minimum(y, HEIGHT - y), y, x)
    for number, (limit, tone) in enumerate(((26, "f3e3ae"), (21, "15306f"), (5, "8f1f28")), start=200):
        cartoon.cover(edge < limit, number, rgb(tone))
    diamond = np.abs(run % 48 - 24) / 1.5 + np.abs(edge - 13)
    cartoon.cover((diamond < 9) & (edge < 22), 203, rgb("e9b83c"))
    cartoon.cover((diamond < 4) & (edge < 22), 204, rgb("c22f2a"))


def border_distance(regions: Array) -> Array:
    """Distance of each pixel from the nearest border between two regions (exact up to 90 pixels, separable)."""
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


def spread_tiles(canvas: Canvas, regions: Array, angle: Array) -> tuple[Array, Array]:
    """Places (n, 2) and sizes (n) of tiles that run parallel to the outlines (the andamento).

    Tiles move to the middle of their cells until they are evenly spread; those without room are left out.
    """
    shape = canvas.shape
    ys, xs = np.mgrid[PITCH / 2 : shape[0] : PITCH, PITCH / 2 : shape[1] : PITCH]
    seeds = np.stack([xs.ravel(), ys.ravel()], 1) + canvas.rng.uniform(-2, 2, (xs.size, 2))
    sizes = np.full(len(seeds), PITCH / 2, np.float32)
    for _ in range(9):
        owner, _, _ = lay_tiles(seeds, sizes, angle, regions)
        flat = owner.ravel()
        valid = flat >= 0
        area = np.bincount(flat[valid], minlength=len(seeds))
        for axis, values in enumerate((canvas.x, canvas.y)):
            total = np.bincount(flat[valid], values.ravel()[valid] - 0.5, minlength=len(seeds))
            seeds[:, axis] = np.where(area > 0, total / np.maximum(area, 1), seeds[:, axis])
    kept = area > 7
    return seeds[kept], sizes[kept]


def lay_tiles(seeds: Array, sizes: Array, angle: Array, regions: Array) -> tuple[Array, Array, Array]:
    """Square-metric Voronoi cells turned along ``angle`` that stop at region borders.

    Returns for each pixel the number of its tile, the distance to it, and to the next nearest (in sizes of a tile).
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


def enlarge(a: Array) -> Array:
    """Repeat each pixel, from final pixels to canvas pixels."""
    return np.repeat(np.repeat(a, SCALE, 0), SCALE, 1)


def set_tiles(rng: np.random.Generator, cartoon: Cartoon, seeds: Array, sizes: Array, angle: Array) -> Array:
    """Set the tiles into grout, each a little tilted, and light them; a picture in canvas pixels."""
    regions = enlarge(cartoon.regions)
    owner, first, second = lay_tiles((seeds + 0.5) * SCALE, sizes * SCALE, enlarge(angle), regions)
    tone = tile_colours(rng, cartoon, seeds)
    border_cut = np.minimum(blur(border_distance(regions), 0.8) / (PITCH * 0.5 * SCALE), 1)
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
    return mix(grout, tiles, body * (owner >= 0)).clip(0, 1)


def tile_colours(rng: np.random.Generator, cartoon: Cartoon, seeds: Array) -> Array:
    """Colours (n, 3) after the cartoon, some lighter, some darker, and a few odd ones."""
    height, width = cartoon.regions.shape
    columns, rows = seeds[:, 0].astype(int).clip(0, width - 1), seeds[:, 1].astype(int).clip(0, height - 1)
    tone = cartoon.colour[rows, columns]
    golden = np.isin(cartoon.regions[rows, columns], GOLDEN)
    value = rng.normal(1, np.where(golden, 0.2, 0.13))
    tone = tone * value[:, None] + rng.normal(0, 0.03, tone.shape)
    odd = rng.random(len(tone)) < 0.06
    strangers = palette("fff2c8", "b5482a", "2a6f7a", "6a3a1a")[rng.integers(0, 4, odd.sum())]
    tone[odd] = mix(tone[odd], strangers, np.full(odd.sum(), 0.5))
    return tone
