"""How much of a picture is done, for the caller who waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Progress:
    """Where a picture stands.

    Attributes:
        fraction: share of the work that is done, about in proportion to time, 0 to 1.
        stage: what was finished: "relu4_1", ..., "decode", "refine".
        level: 4 for relu4_1, ..., 0 for the picture.
    """

    fraction: float
    stage: str
    level: int
    _draw: Callable[[int], Image] | None = field(default=None, repr=False, compare=False)

    def preview(self, long_side: int = 256) -> Image | None:
        """The unfinished picture, about this large and never enlarged; None if there is no picture yet.

        Call it from the progress callback: it draws what the work is at in that moment. A level's features are averaged
        down before they are decoded, so a preview of 256 pixels costs a small part of the whole work.
        """
        return None if self._draw is None else self._draw(long_side)
