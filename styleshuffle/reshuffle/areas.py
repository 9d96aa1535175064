"""The areas of a content, each of which is treated for itself: its colours, and where it takes from.

Statistics come from the inside of an area. Where two areas meet, what is done to both is mixed as much as they mix there,
so no seam shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import box_mean
from .nnf import Grid
from .supply import ANYWHERE

_SOFT = 1  # radius in pixels of the mixing at borders


@dataclass(frozen=True)
class Areas:
    """The areas of a content.

    Attributes:
        index: number of the area of each pixel, (H, W), from 0.
        takes: by area, the region of the style that it takes from, or `ANYWHERE`.
    """

    index: Tensor
    takes: tuple[int, ...]

    def on(self, grid: Grid) -> Tensor:
        """The areas on a grid that divides the picture's, (h, w): the largest at each place."""
        return labels_on(self.index, len(self.takes), grid)

    def takes_on(self, grid: Grid) -> Tensor:
        """The region of the style that each place takes from, or `ANYWHERE`, (h, w)."""
        return torch.tensor(self.takes, device=self.index.device)[self.on(grid)]

    def shares_on(self, grid: Grid) -> Tensor:
        """How much of each place belongs to each area, (A, h, w), with the sum 1."""
        shares = box_mean(_planes(self.index, len(self.takes)), _SOFT)
        return _averaged(shares, grid)

    def extended(self, grid: Grid) -> Areas:
        """Areas of a picture whose right and lower edges are repeated up to a size."""
        height, width = self.index.shape
        rows = torch.arange(grid[0], device=self.index.device).clamp_(max=height - 1)
        columns = torch.arange(grid[1], device=self.index.device).clamp_(max=width - 1)
        return replace(self, index=self.index[rows][:, columns])

    def halved(self) -> Areas:
        """Areas of the picture at half its size."""
        return replace(self, index=self.index[::2, ::2])

    def apply(self, values: Tensor, change: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
        """Values (C, h, w) changed area by area, on a grid that divides the picture's.

        Args:
            change: gets the number of the area, the values inside it (C, n), and all that are to be changed (C, m);
                returns these.
        """
        grid = values.shape[1], values.shape[2]
        index, shares = self.on(grid).flatten(), self.shares_on(grid).flatten(1)
        flat = values.flatten(1)
        result = torch.zeros_like(flat)
        for number in range(len(self.takes)):
            members = shares[number].nonzero()[:, 0]
            inside = (index == number).nonzero()[:, 0]
            if len(members):
                own = flat[:, members]
                changed = change(number, flat[:, inside] if len(inside) else own, own)
                result.index_add_(1, members, changed * shares[number, members])
        return result.view_as(values)

    def spread(self, values: Tensor, grid: Grid) -> Tensor:
        """A number or a map for each area, (A) or (A, h, w), mixed on a grid: (h, w)."""
        return (values.view(len(self.takes), *([1, 1] if values.ndim == 1 else grid)) * self.shares_on(grid)).sum(0)


def everywhere(areas: Areas | None) -> Areas | None:
    """Areas that have to be told apart; None for a single area that takes from everywhere."""
    return None if areas is None or areas.takes == (ANYWHERE,) else areas


def labels_on(index: Tensor, count: int, grid: Grid) -> Tensor:
    """Numbers (H, W) below ``count`` on a grid that divides theirs: the most frequent at each place, (h, w).

    A number that would vanish keeps the place where it is most frequent.
    """
    shares = _averaged(_planes(index, count), grid)
    numbers = shares.argmax(0)
    left = torch.bincount(numbers.flatten(), minlength=count)
    for number in (left == 0).nonzero()[:, 0].tolist():
        if shares[number].max() > 0:
            numbers.view(-1)[shares[number].argmax()] = number
    return numbers


def _planes(index: Tensor, count: int) -> Tensor:
    return torch.stack([index == number for number in range(count)]).float()


def _averaged(values: Tensor, grid: Grid) -> Tensor:
    step = values.shape[1] // grid[0]
    return F.avg_pool2d(values[None], step)[0] if step > 1 else values
