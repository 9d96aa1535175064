"""What changes in a film beside its frames: the regions of its mask, and which style a place takes from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..images import Picture

_OTHER = 40  # levels of 255 from which on two colours of a mask are two regions
_SOFT = 2.0  # pixels of the Gaussian over which a change of style fades in


def outline(mask: Picture | None, frame: np.ndarray) -> np.ndarray | None:
    """The colours of a mask at the size of a frame, each pixel as the nearest one: (H, W, 3) uint8."""
    if mask is None:
        return None
    rgb = mask.rgb if mask.rgb.dtype == np.uint8 else np.round(mask.rgb * 255).astype(np.uint8)
    height, width = frame.shape[:2]
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))


def fetched_labels(labels: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Labels of the second frame for the places of the first, (H, W) or (H, W, C); each is that of the nearest pixel."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))


def same_regions(regions: np.ndarray, before: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """How far each place is in the region that it was in before, (H, W) float32, 0 to 1.

    A line of a pixel or two along a border does not count: it comes from rounding.

    Args:
        regions, before: of `outline`.
        flow: from the frame to the frame before.
    """
    apart = np.abs(regions.astype(np.int16) - fetched_labels(before, flow)).max(2) > _OTHER
    return clear_of(cv2.morphologyEx(apart.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)


def turning(before: np.ndarray, after: np.ndarray, shares: Sequence[float], wanted: Sequence[float]) -> np.ndarray:
    """Where a place turns from its style to another whose share has grown more; (H, W) bool.

    Args:
        before, after: numbers of the styles, (H, W).
        shares, wanted: of the styles, before and after.
    """
    growth = np.subtract(wanted, shares)
    turns: np.ndarray = growth[after] > growth[before]
    return turns


def clear_of(places: np.ndarray) -> np.ndarray:
    """0 at the places (H, W) bool, rising to 1 over a few pixels around them; float32."""
    if not places.any():
        return np.ones(places.shape, np.float32)
    near = cv2.GaussianBlur(places.astype(np.float32), (0, 0), _SOFT)
    return np.asarray(np.where(places, 0, np.clip(1.1 - 2.2 * near, 0, 1)), np.float32)
