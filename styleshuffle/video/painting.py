"""Paint a film: frame by frame from its source into its result, in bounded memory."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import images
from ..files import written_whole
from ..images.picture import to_bytes
from .assembling import assemble
from .encoding import Encoding, encode_stretch
from .film import Facts, Frame
from .reading import Source
from .shots import Group, groups
from .work import Kept, Work

Finish = Callable[[int, Frame, np.ndarray], np.ndarray]
"""A frame's number from 0, the frame, and its paint, (H, W, 3) float32 in [0, 1], to the frame of the result."""

STRETCH = 96  # frames, at least, after which the work so far is kept


class Painter(Protocol):
    """Paints the groups of a film in order; `styleshuffle.video.anchors.AnchorPainter`."""

    frames: int
    painted: int

    def paint(self, frames: list[np.ndarray]) -> Iterator[np.ndarray]: ...

    def begin_shot(self) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...

    def last_frame(self) -> np.ndarray | None: ...


class Result(Protocol):
    """Where painted frames go."""

    def take(self, frames: Iterable[Frame], work: Work) -> int | None:
        """Write the frames of a stretch; returns the time of the first, or None if there is none."""
        ...

    def finish(self, work: Work) -> None: ...


class FilmResult:
    """A film file, which appears when it is whole.

    Args:
        sound: the film whose soundtracks are kept.
    """

    def __init__(self, target: Path, encoding: Encoding, facts: Facts, sound: Path | None, overwrite: bool) -> None:
        self.target, self.encoding, self.facts, self.sound = target, encoding, facts, sound
        self.overwrite = overwrite

    def take(self, frames: Iterable[Frame], work: Work) -> int | None:
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return None
        path = work.stretch(len(work.kept.starts))
        encode_stretch(path, itertools.chain([first], frames), first.time, self.encoding)
        return first.time

    def finish(self, work: Work) -> None:
        whole = work.folder / f"whole{self.target.suffix}"
        stretches = [(work.stretch(number), start) for number, start in enumerate(work.kept.starts)]
        assemble(whole, stretches, self.sound, self.facts)
        with written_whole(self.target, self.overwrite) as file, open(whole, "rb") as made:
            shutil.copyfileobj(made, file)


class FolderResult:
    """A folder of frames as PNG files, named as those of the source or numbered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, frames: Iterable[Frame], work: Work) -> int | None:
        start: int | None = None
        for number, frame in enumerate(frames, start=work.kept.frames + 1):
            start = frame.time if start is None else start
            name = Path(frame.name).with_suffix(".png").name if frame.name else f"{number:06d}.png"
            images.write(images.Picture(frame.rgb), self.folder / name, overwrite=True)
        return start

    def finish(self, work: Work) -> None:
        """All frames are there already."""


def paint_film(
    source: Source,
    painter: Painter,
    result: Result,
    work: Work,
    most: int,
    progress: Callable[[int], None] | None = None,
    finish: Finish | None = None,
) -> Kept:
    """Paint a film, or what is left of it.

    Args:
        most: frames between two anchors.
        progress: called with the number of frames that are painted, after each.
        finish: what is done to each painted frame.

    Returns:
        what is finished: all of it.

    Raises:
        PictureError: a frame cannot be painted, or the result cannot be written.
    """
    if work.kept.frames:
        painter.restore(work.state())
        painter.frames, painter.painted = work.kept.frames, work.kept.painted
    left = itertools.islice(source.frames(), work.kept.frames, None)
    before = painter.last_frame() if work.kept.frames else None
    coming = groups(left, before, most)
    while True:
        kept = replace(work.kept, damaged=list(work.kept.damaged), cuts=list(work.kept.cuts))
        start = result.take(_painted(coming, painter, kept, progress, finish), work)
        if start is None:
            break
        kept.starts, kept.painted = [*work.kept.starts, start], painter.painted
        work.keep(kept, painter.state())
    result.finish(work)
    work.remove()
    return work.kept


def over_film(strengths: Callable[[int], np.ndarray]) -> Finish:
    """Lay paint over the film's own frames.

    Args:
        strengths: of a frame by its number, (H, W) of the result's size, from 0 (the film) to 1 (the paint).
    """

    def finish(number: int, frame: Frame, paint: np.ndarray) -> np.ndarray:
        share = strengths(number)[..., None]
        own = images.Picture(frame.rgb).resized((share.shape[1], share.shape[0])) / np.float32(255)
        return np.asarray(own + share * (paint - own))

    return finish


def _painted(
    coming: Iterator[Group],
    painter: Painter,
    kept: Kept,
    progress: Callable[[int], None] | None,
    finish: Finish | None,
) -> Iterator[Frame]:
    """The painted frames of about a stretch; counts them in ``kept``."""
    until = kept.frames + STRETCH
    for group in coming:
        if group.fresh:
            painter.begin_shot()
            if kept.frames:
                kept.cuts.append(kept.frames)
        paints = painter.paint([frame.rgb for frame in group.frames])
        for frame, paint in zip(group.frames, paints, strict=True):
            if frame.damaged:
                kept.damaged.append(kept.frames)
            finished = paint if finish is None else finish(kept.frames, frame, paint)
            kept.frames += 1
            yield replace(frame, rgb=to_bytes(finished))
            if progress is not None:
                progress(kept.frames)
        if kept.frames >= until:
            return
