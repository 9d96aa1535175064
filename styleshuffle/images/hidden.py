"""Colours for pixels that nobody sees: they are filled from the visible ones around them.

What lies under full transparency is an accident of the program that wrote the file, but a network would look at it. The
fill is a "pull-push" (Gortler et al., "The lumigraph", SIGGRAPH 1996): means of the visible colours on ever coarser grids
fill the holes, from coarse to fine. So it is smooth, fast, and the same on every machine.
"""

from __future__ import annotations

import numpy as np

_SOLID = 4  # power of the opacity that a pixel's weight in the fill is
_OPAQUE = 0.98  # of the largest opacity


def filled(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Colours (H, W, 3), of the same type, where transparent pixels take those of the opaque ones near them.

    A pixel that is less than half as opaque as the most opaque one takes its share of the fill.

    Args:
        alpha: (H, W) uint8, 0 hidden to 255 opaque. If all pixels are hidden, all stay as they are.
    """
    most = 0 if alpha is None else int(alpha.max())
    if alpha is None or not most or 2 * int(alpha.min()) >= most:
        return rgb
    own = np.minimum(alpha.astype(np.float32) * (2 / most), 1)
    return _blended(rgb, own, (alpha.astype(np.float32) / most) ** _SOLID)


def opaque_only(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Colours (H, W, 3), of the same type, where all but the opaque pixels take colours of the opaque ones near them.

    Args:
        alpha: as for `filled`.
    """
    seen = opaque(alpha)
    return rgb if seen is None else _blended(rgb, seen.astype(np.float32), seen.astype(np.float32))


def opaque(alpha: np.ndarray | None) -> np.ndarray | None:
    """Which pixels (H, W) are about as opaque as the most opaque one; None if all are.

    Soft edges are not: they often hold some of what lies beneath.
    """
    most = 0 if alpha is None else int(alpha.max())
    if alpha is None or not most:
        return None
    seen = alpha >= _OPAQUE * most
    return None if seen.all() else seen


def _blended(rgb: np.ndarray, own: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Colours with their own share (H, W), and for the rest the fill from colours of that weight (H, W)."""
    weight = weight[..., None]
    smooth = _pulled_and_pushed(rgb * weight, weight)
    thin = own < 1
    share = own[thin][:, None]
    fill = share * rgb[thin] + (1 - share) * smooth[thin]
    result = rgb.copy()
    result[thin] = (fill + 0.5).clip(0, 255) if rgb.dtype == np.uint8 else fill
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
