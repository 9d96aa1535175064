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
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..images import Picture
from ..reshuffle.levels import Turn
from ..reshuffle.nnf import NNF
from .carrying import Link, between, fused, linked, scale_of
from .changes import clear_of, fetched_labels, outline, same_regions, turning
from .detail import movable
from .fields import CarriedMatcher, Fields, styles_of
from .flow import doubled, likeness, moved
from .timeline import Asked, Shares, Timeline

if TYPE_CHECKING:
    from ..stylizer import Stylizer

_UNCOVERED = 0.02  # share of a frame that neither anchor may cover; more makes the frame an anchor
_STRETCH = 0.3  # natural logarithm of the scale by which strokes may grow or shrink


@dataclass(frozen=True, eq=False)
class Anchor:
    """A painted frame.

    Attributes:
        frame: (H, W, 3) uint8.
        paint: (H', W', 3) float32 in [0, 1], of the result's size.
        fields: that it was painted with.
        shown: (H, W, 3) float32 in [0, 255], what the film showed at each place when its paint was new.
        stretch: (H, W) float32, natural logarithm of the scale of the paint since it was new.
        styles: (H, W) uint8, number of the style that the paint at each place is from.
        shares: of the styles, if they change over the film.
        regions: (H, W, 3) uint8, colours of the mask, if there is a mask.
    """

    frame: np.ndarray
    paint: np.ndarray
    fields: Fields
    shown: np.ndarray
    stretch: np.ndarray
    styles: np.ndarray
    shares: Shares | None = None
    regions: np.ndarray | None = None

    @cached_property
    def fine(self) -> np.ndarray:
        """The paint on a grid twice as fine, to be moved from."""
        return doubled(self.paint)


class AnchorPainter:
    """Paints the frames of a film in order.

    Args:
        stylizer: with its style.
        timeline: what is asked of each frame; default: the same of all.

    Attributes:
        anchor: the last anchor; None at the beginning of a shot.
        frames: how many frames were made so far.
        painted: how many of them were painted, as pictures are.
    """

    moves = True
    """Whether paint is moved from frame to frame."""

    def __init__(self, stylizer: Stylizer, timeline: Timeline | None = None) -> None:
        self.stylizer, self.timeline = stylizer, timeline or Timeline()
        self.anchor: Anchor | None = None
        self.frames = self.painted = 0

    def paint(self, frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Paint the next frames of a shot, (H, W, 3) uint8 each; the last of them becomes an anchor.

        Yields:
            (H', W', 3) float32 in [0, 1].
        """
        for made in self._made([self.timeline.asked(frame, self.frames + n) for n, frame in enumerate(frames)]):
            self.frames += 1
            yield made

    def _made(self, left: Sequence[Asked]) -> Iterator[np.ndarray]:
        while left:
            if self.anchor is None:
                self.anchor = self._painted(left[0], None)
                yield self.anchor.paint
                left = left[1:]
                continue
            before = self.anchor
            backward = [_linked(asked, before) for asked in left]
            count = self._reach(left, backward)
            after = self.anchor = self._painted(left[count - 1], backward[count - 1])
            for number in range(count - 1):
                forward = _linked(left[number], after)
                yield between(before.fine, backward[number], after.fine, forward, (number + 1) / count)
            yield after.paint
            left = left[count:]

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

    def _reach(self, left: Sequence[Asked], backward: Sequence[Link]) -> int:
        """How many frames there are up to the next anchor: all, or up to the first that would have holes."""
        for number in range(len(left) - 1):
            uncovered = backward[number].like < 0.5
            if uncovered.mean() > _UNCOVERED:
                forward = linked(left[number].pixels, left[-1].pixels)
                if (uncovered & (forward.like < 0.5)).mean() > _UNCOVERED:
                    return number + 1
        return len(left)

    @torch.inference_mode()
    def _painted(self, asked: Asked, link: Link | None) -> Anchor:
        """A frame painted anew, except where it takes from the anchor before."""
        if link is None or self.anchor is None:
            return self._afresh(asked, None)
        before, frame = self.anchor, asked.pixels
        link = link.less(lasting(frame, before, link))
        changing = asked.shares != before.shares
        new = self._afresh(asked, None if changing else CarriedMatcher(before.fields, link.flow, link.trust))
        styles = fetched_labels(before.styles, link.flow)
        if changing and asked.shares and before.shares:
            link = link.less(clear_of(turning(styles, new.styles, before.shares, asked.shares)))
        sure, growth = link.trust[..., None], scale_of(link.flow)
        return Anchor(
            frame=frame,
            paint=fused(new.paint, before.fine, link, growth, retoned=changing),
            fields=new.fields,
            shown=new.shown + sure * (moved(before.shown, link.flow) - new.shown),
            stretch=link.trust * (moved(before.stretch, link.flow) + growth),
            styles=np.where(link.trust > 0.5, styles, new.styles),
            shares=new.shares,
            regions=new.regions,
        )

    def _afresh(self, asked: Asked, match: CarriedMatcher | None) -> Anchor:
        """A frame painted as a picture is.

        Args:
            match: makes its fields.
        """
        frame, fields = asked.pixels, Fields()

        def keep(turn: Turn) -> None:
            fields[turn.level] = turn.nnf

        stylizer = self.stylizer
        if asked.shares is not None:
            stylizer = stylizer.with_settings(style_weights=asked.shares)
        picture = stylizer.render(Picture(frame), mask=asked.mask, match=match, watch=keep, whole_mask=False)
        self.painted += 1
        paint = as_float(picture.rgb)
        paint = movable(paint) if self.moves else paint
        shown, stretch = frame.astype(np.float32), np.zeros(frame.shape[:2], np.float32)
        taking = (0,) if asked.shares is None else stylizer.taking_part
        styles = styles_of(fields, taking, frame.shape[:2])
        return Anchor(frame, paint, fields, shown, stretch, styles, asked.shares, outline(asked.mask, frame))


def _linked(asked: Asked, anchor: Anchor) -> Link:
    """The link between a frame and an anchor: none between places of different regions."""
    link, regions = linked(asked.pixels, anchor.frame), outline(asked.mask, asked.pixels)
    if regions is None or anchor.regions is None:
        return link
    return link.less(same_regions(regions, anchor.regions, link.flow))


def arrays_of(anchor: Anchor) -> dict[str, np.ndarray]:
    """An anchor as arrays by name."""
    names = ("frame", "paint", "shown", "stretch", "styles", "regions")
    arrays = {name: getattr(anchor, name) for name in names if getattr(anchor, name) is not None}
    if anchor.shares is not None:
        arrays["shares"] = np.array(anchor.shares)
    for level, nnf in anchor.fields.items():
        arrays[f"match {level}"], arrays[f"prices {level}"] = nnf.match.cpu().numpy(), nnf.prices.cpu().numpy()
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def anchor_of(arrays: dict[str, np.ndarray], device: torch.device) -> Anchor:
    """The anchor of `arrays_of`."""
    fields = {}
    for name in arrays:
        if name.startswith("match "):
            level = int(name.split()[1])
            match, prices = (torch.from_numpy(arrays[f"{what} {level}"]).to(device) for what in ("match", "prices"))
            fields[level] = NNF(match, prices)
    shares = tuple(map(float, arrays["shares"])) if "shares" in arrays else None
    kept = {name: arrays[name] for name in ("frame", "paint", "shown", "stretch", "styles")}
    return Anchor(fields=fields, shares=shares, regions=arrays.get("regions"), **kept)


def lasting(frame: np.ndarray, before: Anchor, link: Link) -> np.ndarray:
    """How far paint may still be carried, (H, W) from 0 to 1: what it was painted for looks like the frame, and strokes
    are about as large as they were painted."""
    shown = moved(before.shown, link.flow)
    stretch = moved(before.stretch, link.flow) + scale_of(link.flow)
    return likeness(frame, shown) * (np.abs(stretch) < _STRETCH)


class SinglePainter(AnchorPainter):
    """Paints each frame by itself, as a picture: it flickers. For comparison."""

    moves = False

    def paint(self, frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            self.anchor = self._afresh(self.timeline.asked(frame, self.frames), None)
            self.frames += 1
            yield self.anchor.paint


def as_float(rgb: np.ndarray) -> np.ndarray:
    """Colours as float32 in [0, 1]."""
    return rgb / np.float32(255) if rgb.dtype == np.uint8 else np.ascontiguousarray(rgb, dtype=np.float32)
