"""Colours for pixels that nobody sees: they are filled from the visible ones around them.

What lies under full transparency is an accident of the program that wrote the file, but a network would look at it. The
fill is a "pull-push" (Gortler et al., "The lumigraph", SIGGRAPH 1996): means of the visible colours on ever coarser grids
fill the holes, from coarse to fine. So it is smooth, fast, and the same on every machine.
"""

from __future__ import annotations

import numpy as np


def filled(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Colours (H, W, 3), of the same type, where fully transparent pixels take those of the visible ones near them.

    Args:
        alpha: (H, W) uint8; where it is 0, a pixel is hidden. If all pixels are hidden, all stay as they are.
    """
    if alpha is None or alpha.all() or not alpha.any():
        return rgb
    hidden = alpha == 0
    weight = alpha[..., None].astype(np.float32) / 255
    smooth = _pulled_and_pushed(rgb.astype(np.float32) * weight, weight)
    result = rgb.copy()
    fill = smooth[hidden]
    result[hidden] = (fill + 0.5).clip(0, 255) if rgb.dtype == np.uint8 else fill
    return result


def _pulled_and_pushed(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Colours for all places of a grid, from sums (h, w, 3) of visible colours and their weights (h, w, 1)."""
    height, width = weight.shape[:2]
    own = sums / np.maximum(weight, 1e-6)
    if min(weight.min(), 1) == 1 or max(height, width) == 1:
        return own
    coarse_sums, coarse_weight = _halved(sums), _halved(weight)
    # a cell is known as well as its best-known part lets it be; never more than whole
    most = np.maximum(coarse_weight, 1)
    coarse = _pulled_and_pushed(coarse_sums / most, coarse_weight / most)
    behind = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    share = np.minimum(weight, 1)
    return share * own + (1 - share) * _smoothed(behind)


def _halved(values: np.ndarray) -> np.ndarray:
    """Sums over squares of two by two; an odd last row or column stays alone."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Means of each place and its four neighbours, so that the squares of the coarse grid do not show."""
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return (2 * values + around) / 6
