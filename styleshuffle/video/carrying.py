"""How a frame takes paint from an anchor, along the flow between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .detail import refreshed, roughness
from .flow import flow_between, grey, likeness, moved, moved_finely, trust

_TONE = 0.06  # deviation in shares of the long side of the Gaussian over which new paint takes on the old tone
_DOUBT = 0.05  # weight of paint whose flow is not trusted though the frames look alike there
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Link:
    """How a frame takes from an anchor.

    Attributes:
        flow: from the frame to the anchor, (H, W, 2).
        trust: in the flow, (H, W) from 0 to 1.
        like: how far frame and anchor look alike there, whatever the flow's trust; (H, W) from 0 to 1.
    """

    flow: np.ndarray
    trust: np.ndarray
    like: np.ndarray

    def less(self, share: np.ndarray) -> Link:
        """The same with less trust.

        Args:
            share: what is left of it, (H, W), 0 to 1.
        """
        return replace(self, trust=self.trust * share)


def scale_of(flow: np.ndarray) -> np.ndarray:
    """Natural logarithm of how much larger things are in the first frame of a flow than in the second, (H, W)."""
    across, down = np.gradient(flow[..., 0], axis=1), np.gradient(flow[..., 1], axis=0)
    area = np.maximum((1 + across) * (1 + down), 0.1)
    return np.asarray(cv2.GaussianBlur(-0.5 * np.log(area).astype(np.float32), (0, 0), 8.0))


def linked(frame: np.ndarray, anchor: np.ndarray) -> Link:
    """The link between a frame and an anchor's, both (H, W, 3) uint8."""
    if np.array_equal(frame, anchor):
        height, width = frame.shape[:2]
        all_of_it = np.ones((height, width), np.float32)
        return Link(np.zeros((height, width, 2), np.float32), all_of_it, all_of_it)
    first, second = grey(frame), grey(anchor)
    there, back = flow_between(first, second), flow_between(second, first)
    like = likeness(frame, moved(anchor.astype(np.float32), there))
    return Link(there, trust(like, there, back), like)


def fused(new: np.ndarray, old: np.ndarray, link: Link, growth: np.ndarray, retoned: bool = False) -> np.ndarray:
    """A frame's new paint, and the old paint of an anchor where the link is trusted. Both get the same tone.

    Args:
        new: (H, W, 3) float32.
        old: `Anchor.fine`.
        growth: of `scale_of`; the new paint gives the finest detail that old paint lacks where it grows.
        retoned: the old paint takes on the tone of the new paint, since other colours are wanted than before. Otherwise
            the new paint takes on the tone of the old.
    """
    flow, sure = scaled(link, new.shape[:2])
    fetched = moved_finely(old, flow)
    fetched = refreshed(fetched, new, resized(growth, new.shape), moved(roughness(old[::2, ::2]), flow))
    if retoned:
        other = blurred((new - fetched) * sure[..., None], new) / (blurred(sure, new) + _LEAST)[..., None]
        return np.clip(new + sure[..., None] * (fetched + other - new), 0, 1)
    missing = blurred((fetched - new) * sure[..., None], new)
    tone = missing / (blurred(sure, new) + _LEAST)[..., None]
    toned = new + tone * (1 - sure)[..., None]
    return np.clip(fetched + (1 - sure)[..., None] * (toned - fetched), 0, 1)  # exact where all is old


def between(before: np.ndarray, backward: Link, after: np.ndarray, forward: Link, share: float) -> np.ndarray:
    """The paint of a frame between two anchors.

    Args:
        before, after: paint of the anchors, `Anchor.fine`.
        backward, forward: from the frame to them.
        share: how far the frame is on the way, 0 to 1.
    """
    size = (before.shape[0] // 2, before.shape[1] // 2)
    (flow_back, sure_back), (flow_on, sure_on) = scaled(backward, size), scaled(forward, size)
    like_back, like_on = (resized(link.like, size) for link in (backward, forward))
    first = (1 - share) * (sure_back + _DOUBT * like_back + _LEAST)
    second = share * (sure_on + _DOUBT * like_on + _LEAST)
    weight = (second / (first + second))[..., None]
    old, new = moved_finely(before, flow_back), moved_finely(after, flow_on)
    return np.clip(old + weight * (new - old), 0, 1)


def scaled(link: Link, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Flow and trust of a link at a size (height, width)."""
    height, width = link.trust.shape
    if (height, width) == tuple(size):
        return link.flow, link.trust
    factor = np.array([size[1] / width, size[0] / height], np.float32)
    return resized(link.flow, size) * factor, resized(link.trust, size)


def resized(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Values (H, W) or (H, W, C) at a size (height, width)."""
    if values.shape[:2] == tuple(size[:2]):
        return values
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def blurred(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Values over wide areas of a picture."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _TONE * max(like.shape[:2]), borderType=cv2.BORDER_REPLICATE))
