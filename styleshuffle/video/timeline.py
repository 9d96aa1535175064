"""What is asked of each frame of a film: the shares of the styles, which may change over the film, and its mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .. import images
from ..errors import PictureError, one_line
from ..images.masks import check_shape
from ..settings import MAX_PIXELS
from .film import Facts, Frame, may_move
from .reading import FilmFile, FrameFolder

Shares = tuple[float, ...]


class Asked(NamedTuple):
    """A frame, and what is asked of it.

    Attributes:
        pixels: of the frame, (H, W, 3) uint8.
        shares: of several styles; None leaves them to the settings.
        mask: of its regions.
    """

    pixels: np.ndarray
    shares: Shares | None = None
    mask: images.Picture | None = None


class Mask(Protocol):
    """A mask for each frame of a film. Frames are asked for in their order; a frame may be asked for again."""

    name: str

    def at(self, number: int) -> images.Picture: ...


@dataclass(frozen=True)
class Timeline:
    """What is asked of the frames of a film.

    Attributes:
        count: frames of the film.
        steps: shares of the styles at frames that are evenly spread, the first and the last frame among them. Between
            two of them the shares change evenly. () leaves them to the settings.
        mask: of regions.
    """

    count: int = 1
    steps: tuple[Shares, ...] = ()
    mask: Mask | None = None

    def asked(self, pixels: np.ndarray, number: int) -> Asked:
        """What is asked of a frame, by its number from 0."""
        shares = shares_at(self.steps, number / max(1, self.count - 1)) if self.steps else None
        return Asked(pixels, shares, None if self.mask is None else self.mask.at(number))


def shares_at(steps: Sequence[Shares], part: float) -> Shares:
    """Shares, with the sum 1, at a part of the way from the first to the last of evenly spread steps; 0 to 1."""
    scaled = [[share / sum(step) for share in step] for step in steps]
    place = min(max(part, 0.0), 1.0) * (len(steps) - 1)
    first = min(int(place), max(0, len(steps) - 2))
    before, after = scaled[first], scaled[min(first + 1, len(steps) - 1)]
    rest = place - first
    return tuple(old + rest * (new - old) for old, new in zip(before, after, strict=True))


class StillMask:
    """A picture that is the mask of all frames.

    Raises:
        PictureError: it has another shape than the film.
    """

    def __init__(self, picture: images.Picture, name: str, facts: Facts) -> None:
        self.name, self._picture = name, picture
        check_shape(self._picture.size, facts.size, self.name)

    def at(self, number: int) -> images.Picture:
        """The mask, whatever the frame."""
        return self._picture


class MovingMask:
    """A film, or a folder of numbered frames, whose frames are the masks of a film's frames.

    Raises:
        PictureError: it cannot be read, has another shape than the film, or fewer frames.
    """

    def __init__(self, source: FilmFile | FrameFolder, facts: Facts) -> None:
        self.name = source.name
        check_shape(source.facts.size, facts.size, self.name)
        if source.facts.count < facts.count:
            counts = f"has {source.facts.count} frames, but the film has {facts.count}"
            raise PictureError(f"{self.name}: {counts}; give the mask a frame for each, or name a picture for all")
        self._frames: Iterator[Frame] = source.frames()
        self._number = -1
        self._picture: images.Picture | None = None

    def at(self, number: int) -> images.Picture:
        """The mask of a frame; not of one before the last that was asked for."""
        while self._number < number:
            frame = next(self._frames, None)
            if frame is None or frame.damaged:
                wrong = "ends before" if frame is None else "is damaged at"
                raise PictureError(f"{self.name}: {wrong} frame {self._number + 2}; make the mask again")
            self._number, self._picture = self._number + 1, images.Picture(frame.rgb)
        if self._picture is None or number < self._number:
            raise ValueError(f"frame {number} of a mask comes before {self._number}, which is read already")
        return self._picture


def open_mask(path: str, facts: Facts, max_pixels: int = MAX_PIXELS, memory: int | None = None) -> Mask:
    """The mask that a path names: a picture for all frames of a film, a film, or a folder of numbered frames.

    Args:
        max_pixels, memory: of a frame, as for `images.read`.

    Raises:
        PictureError: it cannot be read; or see `StillMask` and `MovingMask`.
    """
    if Path(path).is_dir():
        return MovingMask(FrameFolder(path, Fraction(25), max_pixels, memory), facts)
    if may_move(path):
        film = FilmFile(path, max_pixels, memory)
        if film.facts.count > 1:
            return MovingMask(film, facts)
    return StillMask(images.read(path, max_pixels, memory), one_line(path), facts)


def strengths_of(mask: Mask, size: tuple[int, int]) -> Callable[[int], np.ndarray]:
    """The strengths (H, W) of each frame by its number, 0 to 1, for a result of that size (width, height)."""
    last: tuple[images.Picture, np.ndarray] | None = None

    def strengths(number: int) -> np.ndarray:
        nonlocal last
        picture = mask.at(number)
        if last is None or last[0] is not picture:
            last = picture, images.read_strength(picture, size, mask.name)
        return last[1]

    return strengths
