"""Motion between two frames: dense optical flow, where it can be trusted, and pictures moved along it.

The flow is found by dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016), as
OpenCV has it. A place is trusted if the flow back from where it leads returns to it (Sundaram et al., "Dense point
trajectories by GPU-accelerated large displacement optical flow", ECCV 2010), and if the two frames look alike there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_STILL = 0.1  # pixels; less is noise of the search, and paint on what stands still must stand still
_SHARE, _FREE = 0.01, 0.5  # of the squared lengths of both flows, and squared pixels, that the way back may miss
_LIKE = 0.08  # difference of two frames, blurred, at which they no longer look alike, of the range of their values
_DETAIL = 0.6  # of the local contrast, by which interpolation alone may change a place
_FEATHER = 2.0  # pixels over which trust fades at the edge of what is not trusted


@lru_cache(maxsize=1)
def _search() -> Any:
    import cv2

    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setVariationalRefinementAlpha(40.0)  # smoother than its default: less noise from frame to frame
    search.setVariationalRefinementIterations(10)
    return search


def grey(rgb: np.ndarray) -> np.ndarray:
    """What the flow looks at, (H, W) uint8, of a frame (H, W, 3) uint8."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def flow_between(first: np.ndarray, second: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """The flow F, (H, W, 2) float32 in pixels, x before y: what is at p in the first frame is at p + F(p) in the second.

    Args:
        first, second: (H, W) uint8, see `grey`.
        start: a flow to begin with, if one is known.
    """
    height, width = first.shape
    pad = [(0, max(0, 16 - height)), (0, max(0, 16 - width))]
    if any(after for _, after in pad):
        first, second = (np.pad(frame, pad, "edge") for frame in (first, second))
        start = None
    flow: np.ndarray = _search().calc(first, second, None if start is None else start.copy())
    flow = flow[:height, :width]
    flow[np.abs(flow).max(2) < _STILL] = 0
    return np.ascontiguousarray(flow)


def doubled(values: np.ndarray) -> np.ndarray:
    """Values (H, W, C) on a grid twice as fine, (2 H, 2 W, C): each second position holds what was there.

    A windowed sinc of 64 positions interpolates. Nothing of the finest detail is lost, so paint can be moved many times.
    """
    import cv2

    height, width = values.shape[:2]
    for axis in (0, 1):
        kernel = _half_step() if axis == 0 else _half_step().T
        anchor = (0, _TAPS // 2 - 1) if axis == 0 else (_TAPS // 2 - 1, 0)
        halves = cv2.filter2D(values, -1, kernel, anchor=anchor, borderType=cv2.BORDER_REFLECT_101)
        values = np.stack([values, halves], axis + 1).reshape(2 * height, values.shape[1] if axis == 0 else 2 * width, -1)
    return values


_TAPS = 64


@lru_cache(maxsize=1)
def _half_step() -> np.ndarray:
    """Weights (64, 1) of the positions around for a position half-way between the two in the middle."""
    steps = np.arange(_TAPS) - (_TAPS - 1) / 2
    weights = np.sinc(steps) * np.kaiser(_TAPS, 4.0)
    return (weights / weights.sum())[:, None].astype(np.float32)


def moved_finely(fine: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Values (H, W, C) of the second frame, given on the grid of `doubled`, for the places of the first frame."""
    return _fetched(fine, flow, 2, smooth=True)


def moved(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Values (H, W) or (H, W, C) of the second frame for the places of the first; linear, so that none overshoots."""
    return _fetched(values, flow, 1, smooth=False)


def _fetched(values: np.ndarray, flow: np.ndarray, scale: int, smooth: bool) -> np.ndarray:
    import cv2

    height, width = flow.shape[:2]
    x = scale * (flow[..., 0] + np.arange(width, dtype=np.float32))
    y = scale * (flow[..., 1] + np.arange(height, dtype=np.float32)[:, None])
    kind = cv2.INTER_LANCZOS4 if smooth else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(values, x, y, kind, borderMode=cv2.BORDER_REPLICATE))


def returns(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where the flow back returns to the place that the flow there left, and leads to a place in the frame: (H, W)."""
    height, width = there.shape[:2]
    x = there[..., 0] + np.arange(width, dtype=np.float32)
    y = there[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    returned = moved(back, there)
    missed = np.square(there + returned).sum(2)
    allowed = _SHARE * (np.square(there).sum(2) + np.square(returned).sum(2)) + _FREE
    consistent: np.ndarray = inside & (missed < allowed)
    return consistent


def likeness(frame: np.ndarray, fetched: np.ndarray) -> np.ndarray:
    """How far a frame (H, W, 3) looks like what was fetched for its places, both 0 to 255: (H, W) float32, 0 to 1.

    Interpolation alone changes places that are full of detail, so there more difference counts as alike.
    """
    import cv2

    own, other = (values.astype(np.float32) / 255 for values in (frame, fetched))
    difference = cv2.GaussianBlur(np.abs(own - other).max(2), (0, 0), 1.5)
    light = own.mean(2)
    variance = cv2.blur(light * light, (5, 5)) - np.square(cv2.blur(light, (5, 5)))
    allowed = _LIKE + _DETAIL * np.sqrt(np.maximum(variance, 0))
    alike: np.ndarray = np.clip(2 - difference / allowed, 0, 1).astype(np.float32)
    return alike


def trust(like: np.ndarray, there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """How far a frame may take from another along a flow, (H, W) float32 from 0 to 1.

    Args:
        like: of `likeness`.
        there, back: the flows between them.
    """
    import cv2

    sure = returns(there, back).astype(np.uint8)
    if sure.all():
        return like
    distance = cv2.distanceTransform(sure, cv2.DIST_L2, 3)
    feathered: np.ndarray = np.clip((distance - 1) / _FEATHER, 0, 1).astype(np.float32)
    return feathered * like
