"""How much a film flickers: the warp error, by which video style transfer is compared (Lai et al., "Learning blind video
temporal consistency", ECCV 2018).

The warp error of a film is the mean absolute difference, in the range 0 to 1, of each frame to the frame before, moved
along the motion. The motion is that of the content. Only places count where the flow can be trusted in both directions,
and only frames that do not begin a shot. The content has a warp error of its own, from noise, from changes of light and
from what interpolation cannot do; so it belongs beside that of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import fmean

import cv2
import numpy as np

from ..errors import PictureError
from .cuts import is_cut
from .film import Frame
from .flow import doubled, flow_between, grey, moved_finely, returns

_MARGIN = 3  # pixels that a place must be away from places whose flow is not trusted


def certain(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where flows between two frames are certain, (H, W) bool: they return, and so do those of all places nearby."""
    sure = np.pad(returns(there, back), 1).astype(np.uint8)
    distance = cv2.distanceTransform(sure, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(distance > _MARGIN)


def warp_error(after: np.ndarray, before: np.ndarray, flow: np.ndarray, counts: np.ndarray) -> float:
    """The warp error of a frame.

    Args:
        after, before: two frames that follow each other, (H, W, 3), uint8 or floats in [0, 1].
        flow: from the frame after to the frame before, (H, W, 2) in pixels.
        counts: which places count, (H, W) bool.
    """
    own, old = (frame / np.float32(255) if frame.dtype == np.uint8 else frame for frame in (after, before))
    difference = np.abs(own - moved_finely(doubled(old), flow)).mean(2)
    return float(difference[counts].mean()) if counts.any() else 0.0


def warp_errors(
    content: Iterable[Frame], results: Sequence[Iterable[Frame]], progress: Callable[[int], None] | None = None
) -> list[float]:
    """The warp errors of a content and of results of it, each the mean over its frames.

    Args:
        progress: called with the number of frames that are measured, after each.

    Raises:
        PictureError: a result has another number of frames.
    """
    errors: list[list[float]] = [[] for _ in range(1 + len(results))]
    together = _together([content, *results])
    for number, (before, after) in enumerate(pairwise(together), start=2):
        if not is_cut(before[0].rgb, after[0].rgb):
            first, second = grey(after[0].rgb), grey(before[0].rgb)
            there = flow_between(first, second)
            sure = certain(there, flow_between(second, first))
            for film, (old, own) in enumerate(zip(before, after, strict=True)):
                errors[film].append(warp_error(own.rgb, old.rgb, *_on(there, sure, own.rgb)))
        if progress is not None:
            progress(number)
    return [fmean(of_film) if of_film else 0.0 for of_film in errors]


def _together(films: Sequence[Iterable[Frame]]) -> Iterable[tuple[Frame, ...]]:
    iterators = [iter(film) for film in films]
    while True:
        frames = [next(frames, None) for frames in iterators]
        if all(frame is None for frame in frames):
            return
        if any(frame is None for frame in frames):
            raise PictureError("the films have different numbers of frames; name the results of this content")
        yield tuple(frame for frame in frames if frame is not None)


def _on(flow: np.ndarray, counts: np.ndarray, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A flow and the places that count, at the size of a frame."""
    height, width = rgb.shape[:2]
    if (height, width) == counts.shape:
        return flow, counts
    factor = np.array([width / counts.shape[1], height / counts.shape[0]], np.float32)
    larger = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * factor
    return np.asarray(larger), cv2.resize(counts.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
