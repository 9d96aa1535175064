"""Where a film cuts from one shot to another."""

from __future__ import annotations

import numpy as np

from .flow import flow_between, grey, moved, returns

_SIDE = 128  # pixels of the long side at which frames are compared
_LOST = 0.6  # share of the frame whose motion does not lead back, or whose brightness is another
_UNLIKE = 0.12  # difference of brightness, of its range


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a frame begins a new shot: most of it is nowhere in the frame before. Both (H, W, 3) uint8."""
    first, second = (_small(frame) for frame in (after, before))
    if first.shape != second.shape:
        return True
    if np.array_equal(first, second):
        return False
    there, back = flow_between(first, second), flow_between(second, first)
    difference = np.abs(first.astype(np.float32) - moved(second.astype(np.float32), there)) / 255
    lost = ~returns(there, back) | (difference > _UNLIKE)
    return float(lost.mean()) > _LOST


def _small(rgb: np.ndarray) -> np.ndarray:
    import cv2

    scale = min(1.0, _SIDE / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return grey(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)))
