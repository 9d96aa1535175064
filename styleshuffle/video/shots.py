"""Cut the frames of a film into groups that are painted together: within a shot, and a few frames long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .cuts import is_cut
from .film import Frame


@dataclass(frozen=True)
class Group:
    """Frames that follow each other in a shot.

    Attributes:
        fresh: the first of them begins the shot.
    """

    frames: list[Frame]
    fresh: bool


def groups(frames: Iterable[Frame], before: np.ndarray | None, most: int) -> Iterator[Group]:
    """All frames in groups. Holds the frames of one group, and the next frame.

    Args:
        before: the pixels of the frame before the first, if there is one.
        most: frames in a group.
    """
    held: list[Frame] = []
    fresh = before is None
    for frame in frames:
        last = held[-1].rgb if held else before
        if last is not None and is_cut(last, frame.rgb):
            if held:
                yield Group(held, fresh)
            held, fresh = [], True
        elif len(held) >= most:
            yield Group(held, fresh)
            held, fresh = [], False
        held.append(frame)
    if held:
        yield Group(held, fresh)
