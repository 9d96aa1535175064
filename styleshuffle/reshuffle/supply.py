"""Who may be taken from, and how much: the style's side of a guide.

A style may be several pictures with shares, and each of them may have regions. A place of the content that belongs to
a region takes from that region of the styles only. How often each style position is to be used follows from both: a
region of the content divides itself among the styles that have this region, by their shares, and each of them divides its
part equally among its own positions there. For a single style without regions that is equal use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .boxes import Boxes

ANYWHERE = -1
"""The region of a content's place that may take from everywhere."""

_FAR = 1000.0  # similarity that a match in another region loses: more than all else together
_PREFERENCE = 0.03  # worth of e times the mass, in units of cosine, where no penalty enforces it


@dataclass(frozen=True)
class Asked:
    """What a content asks for of each style position, (H' W').

    Attributes:
        mass: how often it is to be used, in units of the mean; 0 where no style is.
        preference: what it is worth beside its similarity, where no penalty enforces the mass.
    """

    mass: Tensor
    preference: Tensor


@dataclass(frozen=True)
class Supply:
    """What the styles have to give at one level.

    Attributes:
        boxes: of the styles.
        shares: of the styles, above 0; they sum to 1.
        regions: number of the region at each place, (H, W), from 0; -1 where no style is.
        count: how many regions there are.
    """

    boxes: Boxes
    shares: tuple[float, ...]
    regions: Tensor
    count: int = 1

    @property
    def several(self) -> Boxes | None:
        """The boxes, if there are several."""
        return self.boxes if len(self.shares) > 1 else None

    def pooled(self, factor: int) -> Supply:
        """The same on a grid that is coarser by a factor."""
        if factor == 1:
            return self
        boxes = self.boxes.pooled(factor)
        regions = self.regions[::factor, ::factor]
        return replace(self, boxes=boxes, regions=torch.where(boxes.style_of < 0, -1, regions))

    def demand(self, takes: Tensor | None) -> Tensor:
        """What each region is wanted for: the shares of the regions in a content, and last of what takes anywhere.

        Args:
            takes: number of the region that each place takes from, (H, W), or `ANYWHERE`; None for one region in all.
        """
        if takes is None:
            return torch.tensor([*[0.0] * self.count, 1.0])
        wanted = torch.where(takes < 0, self.count, takes).flatten()
        return torch.bincount(wanted, minlength=self.count + 1).float().cpu() / takes.numel()

    def mass(self, takes: Tensor | None) -> Tensor:
        """How often each style position is to be used, (H, W), in units of the mean; 0 where no style is."""
        demand, shares = self.demand(takes), torch.tensor(self.shares)
        there = (self.counts > 0).float()
        whole = shares / self.counts.sum(1).clamp_min(1)
        within = there * shares[:, None]
        within = within / within.sum(0).clamp_min(1e-12) / self.counts.clamp_min(1)
        table = demand[:-1] * within + demand[-1] * whole[:, None] * there
        return self._spread(table * self.regions.numel())

    def shares_within(self, region: int | None) -> Tensor:
        """The shares of the styles, (S), among those that have a region; None and `ANYWHERE` stand for all."""
        shares = torch.tensor(self.shares)
        if region is not None and region >= 0:
            shares = shares * (self.counts[:, region] > 0)
        return shares / shares.sum()

    def columns(self) -> Tensor | None:
        """What the regions add to the style's descriptors, (H W, R); None for a single region."""
        if self.count == 1:
            return None
        own = torch.zeros(self.regions.numel(), self.count, device=self.regions.device)
        numbers = self.regions.flatten()
        return own.scatter_(1, numbers.clamp_min(0)[:, None], (_FAR**0.5 * (numbers >= 0))[:, None].float())

    def wishes(self, takes: Tensor | None) -> Tensor | None:
        """What the regions add to the content's descriptors, (H W, R): the product is -`_FAR` for the wrong region."""
        if self.count == 1 or takes is None:
            return None
        numbers = takes.flatten()
        wrong = torch.full((len(numbers), self.count), -(_FAR**0.5), device=takes.device)
        wrong.scatter_(1, numbers.clamp_min(0)[:, None], 0)
        return wrong * (numbers >= 0)[:, None]

    def asked(self, takes: Tensor | None) -> Asked:
        """What a content asks for.

        Args:
            takes: see `demand`.
        """
        mass = self.mass(takes)
        preference = torch.where(mass > 0, _PREFERENCE * mass.clamp_min(1e-12).log(), -_FAR)
        return Asked(mass.flatten(), preference.flatten())

    def wrong(self, match: Tensor, takes: Tensor | None) -> Tensor | None:
        """Which places of a content have a match in a region that they do not take from, (H, W); None without regions."""
        if self.count == 1 or takes is None:
            return None
        return (takes >= 0) & (self.regions.flatten()[match] != takes)

    def filled(self, prices: Tensor) -> Tensor:
        """Prices (H, W), those between the styles as at the nearest border, so that finer grids can take means."""
        height, width = self.boxes.grid
        row = torch.arange(height, device=prices.device)[:, None].expand(height, width)
        column = torch.arange(width, device=prices.device)[None].expand(height, width)
        y, x = self.boxes.clamp(row, column, row)
        return prices[y, x]

    @cached_property
    def counts(self) -> Tensor:
        """Positions of each style in each region, (S, R), on the CPU."""
        count, own = self.count, self.boxes.style_of
        both = (own * count + self.regions)[own >= 0]
        return torch.bincount(both, minlength=len(self.shares) * count).view(-1, count).float().cpu()

    def _spread(self, table: Tensor) -> Tensor:
        """Values by style and region, (S, R), at each place; 0 between the styles."""
        own = self.boxes.style_of
        values = table.to(own.device)[own.clamp_min(0), self.regions.clamp_min(0)]
        return torch.where(own < 0, 0.0, values)
