"""Fields: arrays with one number for each pixel. Noise, blur, soft steps, masks, directions and light."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray


def smoothstep(low: float | Array, high: float | Array, x: Array) -> Array:
    """Smooth rise from 0 at ``low`` to 1 at ``high`` (``low`` may be the larger one)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def resize(a: Array, width: int, height: int, method: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    """Resize a field."""
    return np.asarray(Image.fromarray(a.astype(np.float32)).resize((width, height), method))


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float | tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> Array:
    """Fractal value noise with mean 0 and deviation 1; ``cell`` is the coarsest grain, or its (height, width)."""
    height, width = shape
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = int(np.ceil(height / max(cell_y / 2**octave, 1))) + 3
        columns = int(np.ceil(width / max(cell_x / 2**octave, 1))) + 3
        total += gain**octave * resize(rng.standard_normal((rows, columns)), width, height)
    return (total - total.mean()) / total.std()


def blur(a: Array, sigma: float) -> Array:
    """Gaussian blur of a field, mirrored at the borders."""
    pad = int(3 * sigma) + 1
    padded = np.pad(a, pad, mode="symmetric")
    fy = np.fft.fftfreq(padded.shape[0])[:, None]
    fx = np.fft.rfftfreq(padded.shape[1])[None]
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (fx**2 + fy**2))
    out = np.fft.irfft2(np.fft.rfft2(padded) * kernel, padded.shape)
    return out[pad:-pad, pad:-pad].astype(np.float32)


def steepness(a: Array) -> Array:
    """Length of the gradient, per pixel of the array."""
    return np.hypot(*np.gradient(a))


def polygon(points: Array, shape: tuple[int, int]) -> Array:
    """Mask of a polygon, whose points (n, 2) are x, y in pixels of the array; 1 inside, 0 outside."""
    image = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=255)
    return np.asarray(image, np.float32) / 255


def line_field(value: Array, smooth: float = 0) -> Array:
    """Direction along the level lines of ``value``, an angle in radians for each pixel."""
    dy, dx = np.gradient(blur(value, smooth) if smooth else value)
    return np.arctan2(dx, -dy)


def blend_angles(a: Array, b: Array, t: Array) -> Array:
    """Blend two direction fields. A direction has no sign, so the angles are doubled on the way."""
    x = (1 - t) * np.cos(2 * a) + t * np.cos(2 * b)
    y = (1 - t) * np.sin(2 * a) + t * np.sin(2 * b)
    return 0.5 * np.arctan2(y, x)


def light(height: Array, strength: float, gloss: float = 0.0, angle: float = 225.0) -> tuple[Array, Array]:
    """Light a height map from ``angle`` (degrees, y downwards): a factor for the colour, and a gloss to add."""
    dy, dx = np.gradient(height)
    radians = np.deg2rad(angle)
    slope = -(dx * np.cos(radians) + dy * np.sin(radians)) * strength
    shade = 1 + np.clip(np.tanh(slope), -0.75, 0.75) * 0.55
    return shade.astype(np.float32), (gloss * np.clip(slope - 0.35, 0, 1.2) ** 2).astype(np.float32)
