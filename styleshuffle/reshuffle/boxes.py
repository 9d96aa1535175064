"""Several styles in one grid, one below the other, so that a field over them is a field as any other.

Each style has its *box*: it begins at the left, and its rows come after those of the style before. What reaches over the
border of a box is held at the border, as at the border of a single style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .nnf import Grid


@dataclass(frozen=True)
class Boxes:
    """Where each style lies in a common grid.

    Attributes:
        grids: height and width of each style.
        tops: first row of each style.
        grid: height and width of all.
        device: of the tables.
    """

    grids: tuple[Grid, ...]
    tops: tuple[int, ...]
    grid: Grid
    device: torch.device

    def clamp(self, y: Tensor, x: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns, held in the box that ``row`` is in; all of one shape."""
        first, last, right = self._tables
        return torch.minimum(torch.maximum(y, first[row]), last[row]), torch.minimum(x.clamp_min(0), right[row])

    @cached_property
    def style_of(self) -> Tensor:
        """The number of the style at each place, (H, W); -1 where there is none."""
        numbers = torch.full(self.grid, -1, dtype=torch.int64, device=self.device)
        for number, ((height, width), top) in enumerate(zip(self.grids, self.tops, strict=True)):
            numbers[top : top + height, :width] = number
        return numbers

    def pooled(self, factor: int) -> Boxes:
        """The boxes on a grid that is coarser by a factor."""
        return Boxes(
            tuple((-(-height // factor), -(-width // factor)) for height, width in self.grids),
            tuple(top // factor for top in self.tops),
            (-(-self.grid[0] // factor), -(-self.grid[1] // factor)),
            self.device,
        )

    def finer(self, factor: int) -> Boxes:
        """The boxes on a grid that is finer by a factor."""
        return Boxes(
            tuple((height * factor, width * factor) for height, width in self.grids),
            tuple(top * factor for top in self.tops),
            (self.grid[0] * factor, self.grid[1] * factor),
            self.device,
        )

    def together(self, features: Sequence[Tensor]) -> Tensor:
        """Features (C, h, w) of each style in one grid, (C, H, W). Between the styles their edges are repeated."""
        if len(features) == 1 and features[0].shape[1:] == self.grid:
            return features[0]
        bottoms = [*self.tops[1:], self.grid[0]]
        parts = [
            F.pad(own[None], (0, self.grid[1] - own.shape[2], 0, bottom - top - own.shape[1]), mode="replicate")[0]
            for own, top, bottom in zip(features, self.tops, bottoms, strict=True)
        ]
        return torch.cat(parts, 1)

    @cached_property
    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """By row: the first and the last row of its box, and the last column. Rows between belong to the box above."""
        first, last, right = torch.zeros(3, self.grid[0], dtype=torch.int64, device=self.device)
        for (height, width), top in zip(self.grids, self.tops, strict=True):
            first[top:], last[top:], right[top:] = top, top + height - 1, width - 1
        return first, last, right


def stack(grids: Sequence[Grid], align: int, device: torch.device) -> Boxes:
    """Boxes for styles of these grids; each begins at a multiple of ``align``, and so the whole ends."""
    tops, top = [], 0
    for height, _ in grids:
        tops.append(top)
        top += -(-height // align) * align
    width = -(-max(width for _, width in grids) // align) * align
    return Boxes(tuple(grids), tuple(tops), (top, width), device)
