"""Paint some frames of a film, the anchors, and give their paint to the frames between them.

The first frame of a shot is painted as a picture is. The next anchor, some frames later, takes the paint of the anchor
before along the motion, and is painted anew where something has come into view or has changed. There the fields of the
anchor before lead the way. Each frame between two anchors takes the paint of both, the nearer one more, and so is reached
from both sides. So the paint is interpolated only once between two anchors, however many frames there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from ..images import Picture
from ..reshuffle.levels import Turn
from ..reshuffle.nnf import NNF
from .fields import CarriedMatcher, Fields
from .flow import doubled, flow_between, grey, likeness, moved, moved_finely, trust

if TYPE_CHECKING:
    from ..stylizer import Stylizer

_UNCOVERED = 0.02  # share of a frame that neither anchor may cover; more makes the frame an anchor
_TONE = 0.06  # deviation in shares of the long side of the Gaussian over which new paint takes on the old tone
_STRETCH = 0.3  # natural logarithm of the scale by which strokes may grow or shrink
_DOUBT = 0.05  # weight of paint whose flow is not trusted though the frames look alike there
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Anchor:
    """A painted frame.

    Attributes:
        frame: (H, W, 3) uint8.
        paint: (H', W', 3) float32 in [0, 1], of the result's size.
        fields: that it was painted with.
        shown: (H, W, 3) float32 in [0, 255], what the film showed at each place when its paint was new.
        stretch: (H, W) float32, natural logarithm of the scale of the paint since it was new.
    """

    frame: np.ndarray
    paint: np.ndarray
    fields: Fields
    shown: np.ndarray
    stretch: np.ndarray

    @cached_property
    def fine(self) -> np.ndarray:
        """The paint on a grid twice as fine, to be moved from."""
        return doubled(self.paint)


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


class AnchorPainter:
    """Paints the frames of a film in order.

    Args:
        stylizer: with its style.
        options: of `Stylizer.render`, the same for each frame, such as masks.

    Attributes:
        anchor: the last anchor; None at the beginning of a shot.
        painted: how many frames were painted so far, as pictures are.
    """

    def __init__(self, stylizer: Stylizer, options: dict[str, Any] | None = None) -> None:
        self.stylizer, self.options = stylizer, options or {}
        self.anchor: Anchor | None = None
        self.painted = 0

    def paint(self, frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Paint the next frames of a shot, (H, W, 3) uint8 each; the last of them becomes an anchor.

        Yields:
            (H', W', 3) float32 in [0, 1].
        """
        while frames:
            if self.anchor is None:
                self.anchor = self._painted(frames[0], None)
                yield self.anchor.paint
                frames = frames[1:]
                continue
            before = self.anchor
            backward = [linked(frame, before.frame) for frame in frames]
            count = self._reach(frames, backward)
            after = self.anchor = self._painted(frames[count - 1], backward[count - 1])
            for number in range(count - 1):
                forward = linked(frames[number], after.frame)
                yield between(before.fine, backward[number], after.fine, forward, (number + 1) / count)
            yield after.paint
            frames = frames[count:]

    def begin_shot(self) -> None:
        """Forget the anchor: the next frame has nothing to do with it."""
        self.anchor = None

    def last_frame(self) -> np.ndarray | None:
        """The frame of the anchor, which is the last of those that were painted; (H, W, 3) uint8."""
        return None if self.anchor is None else self.anchor.frame

    def state(self) -> dict[str, np.ndarray]:
        """The anchor as arrays by name, for `restore`."""
        return {} if self.anchor is None else arrays_of(self.anchor)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from an anchor."""
        self.anchor = anchor_of(state, self.stylizer.device) if state else None

    def _reach(self, frames: Sequence[np.ndarray], backward: Sequence[Link]) -> int:
        """How many frames there are up to the next anchor: all, or up to the first that would have holes."""
        for number in range(len(frames) - 1):
            uncovered = backward[number].like < 0.5
            if uncovered.mean() > _UNCOVERED:
                forward = linked(frames[number], frames[-1])
                if (uncovered & (forward.like < 0.5)).mean() > _UNCOVERED:
                    return number + 1
        return len(frames)

    @torch.inference_mode()
    def _painted(self, frame: np.ndarray, link: Link | None) -> Anchor:
        """A frame painted anew, except where it takes from the anchor before."""
        before, fields = self.anchor, {}
        shown, stretch = frame.astype(np.float32), np.zeros(frame.shape[:2], np.float32)

        def keep(turn: Turn) -> None:
            fields[turn.level] = turn.nnf

        match = None
        if link is not None and before is not None:
            link = Link(link.flow, link.trust * lasting(frame, before, link), link.like)
            match = CarriedMatcher(before.fields, link.flow, link.trust)
        picture = self.stylizer.render(Picture(frame), match=match, watch=keep, **self.options)
        paint = as_float(picture.rgb)
        self.painted += 1
        if link is not None and before is not None:
            paint = fused(paint, before.fine, link)
            sure = link.trust[..., None]
            shown += sure * (moved(before.shown, link.flow) - shown)
            stretch = link.trust * (moved(before.stretch, link.flow) + scale_of(link.flow))
        return Anchor(frame, paint, fields, shown, stretch)


def arrays_of(anchor: Anchor) -> dict[str, np.ndarray]:
    """An anchor as arrays by name."""
    arrays = {"frame": anchor.frame, "paint": anchor.paint, "shown": anchor.shown, "stretch": anchor.stretch}
    for level, nnf in anchor.fields.items():
        arrays[f"match {level}"], arrays[f"prices {level}"] = nnf.match.cpu().numpy(), nnf.prices.cpu().numpy()
    return arrays


def anchor_of(arrays: dict[str, np.ndarray], device: torch.device) -> Anchor:
    """The anchor of `arrays_of`."""
    fields = {}
    for name in arrays:
        if name.startswith("match "):
            level = int(name.split()[1])
            match, prices = (torch.from_numpy(arrays[f"{what} {level}"]).to(device) for what in ("match", "prices"))
            fields[level] = NNF(match, prices)
    return Anchor(arrays["frame"], arrays["paint"], fields, arrays["shown"], arrays["stretch"])


def lasting(frame: np.ndarray, before: Anchor, link: Link) -> np.ndarray:
    """How far paint may still be carried, (H, W) from 0 to 1: what it was painted for looks like the frame, and strokes
    are about as large as they were painted."""
    shown = moved(before.shown, link.flow)
    stretch = moved(before.stretch, link.flow) + scale_of(link.flow)
    return likeness(frame, shown) * (np.abs(stretch) < _STRETCH)


def scale_of(flow: np.ndarray) -> np.ndarray:
    """Natural logarithm of how much larger things are in the first frame of a flow than in the second, (H, W)."""
    across, down = np.gradient(flow[..., 0], axis=1), np.gradient(flow[..., 1], axis=0)
    area = np.maximum((1 + across) * (1 + down), 0.1)
    return np.asarray(cv2.GaussianBlur(-0.5 * np.log(area).astype(np.float32), (0, 0), 8.0))


class SinglePainter(AnchorPainter):
    """Paints each frame by itself, as a picture: it flickers. For comparison."""

    def paint(self, frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            self.anchor = None
            self.anchor = self._painted(frame, None)
            yield self.anchor.paint


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


def fused(new: np.ndarray, old: np.ndarray, link: Link) -> np.ndarray:
    """A frame's new paint, and the old paint of an anchor where the link is trusted.

    Args:
        new: (H, W, 3) float32.
        old: `Anchor.fine`.
    """
    flow, sure = scaled(link, new.shape[:2])
    fetched = moved_finely(old, flow)
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


def as_float(rgb: np.ndarray) -> np.ndarray:
    """Colours as float32 in [0, 1]."""
    return rgb / np.float32(255) if rgb.dtype == np.uint8 else np.ascontiguousarray(rgb, dtype=np.float32)


def resized(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Values (H, W) or (H, W, C) at a size (height, width)."""
    if values.shape[:2] == tuple(size[:2]):
        return values
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def blurred(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Values over wide areas of a picture."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _TONE * max(like.shape[:2]), borderType=cv2.BORDER_REPLICATE))
