"""The finest detail of paint: what no interpolation can move, and what paint that grows comes to lack.

Detail at the limit of what pixels can hold, a wavelength of two pixels, is there at one position and gone half a pixel
further. Paint without it can be moved many times by any part of a pixel, and comes out the same.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_HELD = 0.95  # of the highest frequency that pixels can hold, up to which paint is kept
_TAPS = 65
_INSTEAD = 0.045  # by which the detail below is made stronger, so that the paint is as rough as it was
_DETAIL = 3.0  # pixels: deviation of the Gaussian below which there is detail
_MOST_GAIN = 0.15
_AREA = 0.03  # of the long side: deviation of the Gaussian over which paint stays as rough as it was
_GROWN = 0.01  # natural logarithm of the growth from which on paint lacks detail


def movable(paint: np.ndarray) -> np.ndarray:
    """Paint (H, W, 3) float32 in [0, 1] without what cannot be moved, and as rough as before."""
    smooth = up_to(paint, _HELD)
    return np.clip(smooth + _INSTEAD * (smooth - cv2.GaussianBlur(smooth, (0, 0), 1.0)), 0, 1)


def refreshed(old: np.ndarray, new: np.ndarray, growth: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """Old paint that has grown, with the detail that it lacks, and as rough as it was; all (H, W, 3) float32.

    Args:
        new: of `movable`; gives the finest detail.
        growth: natural logarithm of how much larger things have become, (H, W).
        rough: what `roughness` of the old paint was before it grew, (H, W).
    """
    usual = float(np.median(growth))
    if usual < _GROWN:
        return old
    share = np.clip(growth / usual, 0, 1)[..., None]
    old = old + share * (new - up_to(new, _HELD * np.exp(-usual)))
    gain = np.sqrt(rough / np.maximum(roughness(old), 1e-8)) - 1
    return np.asarray(old + share * np.clip(gain, 0, _MOST_GAIN)[..., None] * _detail(old))


def roughness(paint: np.ndarray) -> np.ndarray:
    """Mean square of the detail of paint (H, W, 3) around each place, (H, W)."""
    spread = _AREA * max(paint.shape[:2])
    square = np.square(_detail(paint)).mean(2)
    return np.asarray(cv2.GaussianBlur(square, (0, 0), spread, borderType=cv2.BORDER_REFLECT_101))


def _detail(paint: np.ndarray) -> np.ndarray:
    return np.asarray(paint - cv2.GaussianBlur(paint, (0, 0), _DETAIL))


def up_to(values: np.ndarray, part: float) -> np.ndarray:
    """Values (H, W, C) with their frequencies up to a part of the highest that pixels can hold."""
    kernel = _kernel(round(part, 3))
    return np.asarray(cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101))


@lru_cache(maxsize=16)
def _kernel(part: float) -> np.ndarray:
    """A sinc in a Kaiser window, (65,)."""
    steps = np.arange(_TAPS) - (_TAPS - 1) / 2
    weights = np.sinc(steps * part) * np.kaiser(_TAPS, 4.0)
    return (weights / weights.sum()).astype(np.float32)
