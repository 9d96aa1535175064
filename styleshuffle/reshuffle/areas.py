"""The areas of a content, each of which is treated for itself: its colours, and where it takes from.

Statistics come from the inside of an area. Where two areas meet, what is done to both is mixed as much as they mix there,
so no seam shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import box_mean
from .nnf import Grid

_ROUNDING = 1e-4  # of a share
_SAMPLE = 16384  # places inside an area that its statistics are taken from, about
_SOFT = 1  # radius in pixels of the mixing at borders


@dataclass(frozen=True)
class Members:
    """The places of an area on some grid, row-major.

    Attributes:
        alone: those that belong to no other area.
        border: those that belong to others too.
        shares: how much of the border's places belongs to the area, (n, 1).
        sample: some that are inside, spread evenly; of an area that is nowhere the largest, some of its border.
        count: how many are inside.
    """

    alone: Tensor
    border: Tensor
    shares: Tensor
    sample: Tensor
    count: int


@dataclass(frozen=True, eq=False)
class Areas:
    """The areas of a content.

    Attributes:
        index: number of the area of each pixel, (H, W), from 0.
        takes: by area, the region of the style that it takes from, or `ANYWHERE`.
    """

    index: Tensor
    takes: tuple[int, ...]
    _kept: dict[tuple[str, Grid], Any] = field(default_factory=dict, repr=False)

    def on(self, grid: Grid) -> Tensor:
        """The areas on a grid that divides the picture's, (h, w): the largest at each place."""
        return self._once("on", grid, lambda: labels_on(self.index, len(self.takes), grid))

    def takes_on(self, grid: Grid) -> Tensor:
        """The region of the style that each place takes from, or `ANYWHERE`, (h, w)."""
        return self._once("takes", grid, lambda: torch.tensor(self.takes, device=self.index.device)[self.on(grid)])

    def shares_on(self, grid: Grid) -> Tensor:
        """How much of each place belongs to each area, (A, h, w), with the sum 1."""
        return self._once("shares", grid, lambda: averaged_planes(self._soft, grid))

    def members_on(self, grid: Grid) -> list[Members]:
        """The places of each area."""
        return self._once("members", grid, lambda: self._members(grid))

    def to(self, device: torch.device) -> Areas:
        """On a device."""
        return Areas(self.index.to(device), self.takes)

    def extended(self, grid: Grid) -> Areas:
        """Areas of a picture whose right and lower edges are repeated up to a size."""
        return Areas(enlarged(self.index, grid), self.takes)

    def part(self, rows: range, columns: range, size: Grid) -> Areas:
        """Areas of a part of the picture, enlarged to a size (height, width)."""
        return Areas(part_of(self.index, rows, columns, size), self.takes)

    def halved(self) -> Areas:
        """Areas of the picture at half its size."""
        return Areas(self.index[::2, ::2], self.takes)

    def apply(self, values: Tensor, change: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
        """Values (C, h, w) changed area by area, on a grid that divides the picture's.

        Args:
            change: gets the number of the area, a sample of the values inside it (C, n), and values that are to be
                changed (C, m); returns new ones.
        """
        rows = values.flatten(1).T  # as features lie in memory
        members = self.members_on((values.shape[1], values.shape[2]))
        largest = max(range(len(members)), key=lambda number: len(members[number].alone))

        def changed(number: int, places: Tensor | None) -> Tensor:
            mine = rows if places is None else rows.index_select(0, places)
            return change(number, rows.index_select(0, members[number].sample).T, mine.T).T

        if len(members) == 1:
            return changed(0, None).T.unflatten(1, values.shape[1:])
        # most are right already, and to pick them out would take longer
        result = changed(largest, None).contiguous()
        result = result.clone() if result.data_ptr() == rows.data_ptr() else result
        if len(members) == 1:
            return result.T.unflatten(1, values.shape[1:])
        borders = torch.cat([own.border for number, own in enumerate(members) if number != largest])
        own = members[largest]
        kept = result.index_select(0, own.border).mul_(own.shares)
        result.index_fill_(0, borders, 0).index_copy_(0, own.border, kept)
        for number, own in enumerate(members):
            if number != largest and len(own.sample):
                part = changed(number, torch.cat([own.alone, own.border]))
                result.index_copy_(0, own.alone, part[: len(own.alone)])
                result.index_add_(0, own.border, part[len(own.alone) :] * own.shares)
        return result.T.unflatten(1, values.shape[1:])

    def spread(self, values: Tensor, grid: Grid) -> Tensor:
        """A number for each area, (A), mixed on a grid: (h, w)."""
        return (values[:, None, None] * self.shares_on(grid)).sum(0)

    def _members(self, grid: Grid) -> list[Members]:
        index, shares = self.on(grid).flatten(), self.shares_on(grid).flatten(1)
        members = []
        for number, own in enumerate(shares):
            alone = (own >= 1 - _ROUNDING).nonzero()[:, 0]
            border = ((own > _ROUNDING) & (own < 1 - _ROUNDING)).nonzero()[:, 0]
            inside = ((index == number) & (own > _ROUNDING)).nonzero()[:, 0]
            some = inside if len(inside) else border
            sample = some[:: max(1, len(some) // _SAMPLE)]
            members.append(Members(alone, border, own[border][:, None], sample, len(inside)))
        return members

    @property
    def _soft(self) -> Tensor:
        whole = self.index.shape[0], self.index.shape[1]
        return self._once("soft", whole, lambda: box_mean(as_planes(self.index, len(self.takes)), _SOFT))

    def _once(self, what: str, grid: Grid, make: Callable[[], Any]) -> Any:
        """What was made before for this grid, or is now."""
        if (what, grid) not in self._kept:
            self._kept[what, grid] = make()
        return self._kept[what, grid]


def enlarged(index: Tensor, grid: Grid) -> Tensor:
    """A map (h, w) of a picture whose right and lower edges are repeated up to a size."""
    rows = torch.arange(grid[0], device=index.device).clamp_(max=index.shape[0] - 1)
    columns = torch.arange(grid[1], device=index.device).clamp_(max=index.shape[1] - 1)
    return index[rows][:, columns]


def part_of(values: Tensor, rows: range, columns: range, size: Grid) -> Tensor:
    """A part of a map (h, w) that is enlarged to a size (height, width), each place as the nearest."""
    y = torch.tensor(rows, device=values.device) * values.shape[0] // size[0]
    x = torch.tensor(columns, device=values.device) * values.shape[1] // size[1]
    return values[y[:, None], x]


def labels_on(index: Tensor, count: int, grid: Grid) -> Tensor:
    """Numbers (H, W) below ``count`` on a grid that divides theirs: the most frequent at each place, (h, w)."""
    return index if grid == index.shape else largest(averaged_planes(as_planes(index, count), grid))


def largest(shares: Tensor) -> Tensor:
    """The number with the largest share at each place, (h, w), of shares (R, h, w).

    A number that would vanish keeps the place where its share is largest.
    """
    numbers = shares.argmax(0)
    left = torch.bincount(numbers.flatten(), minlength=len(shares))
    for number in (left == 0).nonzero()[:, 0].tolist():
        if shares[number].max() > 0:
            numbers.view(-1)[shares[number].argmax()] = number
    return numbers


def as_planes(index: Tensor, count: int) -> Tensor:
    """Shares (R, H, W) of numbers (H, W): 1 for each pixel's own."""
    return torch.stack([index == number for number in range(count)]).float()


def averaged_planes(shares: Tensor, grid: Grid) -> Tensor:
    """Shares (R, H, W), averaged onto a grid that divides theirs."""
    step = shares.shape[1] // grid[0]
    return F.avg_pool2d(shares[None], step)[0] if step > 1 else shares
