"""Colours: pictures are arrays (rows, columns, 3) of floats between 0 and 1, single colours are arrays (3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fields import Array

Stops = Sequence[tuple[float, str]]


def rgb(code: str) -> Array:
    """Turn a hex colour such as ``"e0a030"`` into three floats between 0 and 1."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


def palette(*codes: str) -> Array:
    """Turn hex colours into an array of one colour a row."""
    return np.stack([rgb(code) for code in codes])


def ramp(t: Array, stops: Stops) -> Array:
    """Colour gradient: look up each value of ``t`` among stops, pairs of a position and a hex colour."""
    positions = [position for position, _ in stops]
    colours = np.stack([rgb(code) for _, code in stops])
    return np.stack([np.interp(t, positions, colours[:, c]) for c in range(3)], -1).astype(np.float32)


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """Blend colour pictures ``a`` and ``b`` (or single colours); ``t`` is a number or a field of the picture's size."""
    return a + (b - a) * np.asarray(t, np.float32)[..., None]


def saturate(image: Array, amount: float) -> Array:
    """Push colours away from their grey (amount above 1) or towards it (below 1)."""
    grey = image @ np.array([0.3, 0.59, 0.11], np.float32)
    return grey[..., None] + (image - grey[..., None]) * amount
