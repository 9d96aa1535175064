"""What a content picture tells the reshuffling beside its features: where it has structure, how light, and its outlines.

The guide is made once from the content picture and goes along with its features. A wish of the user, such as
a mask, belongs here too: the guide says how much a place may take from the style, and from where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..settings import LevelSettings
from .areas import Areas, enlarged, part_of
from .evening import Evener
from .nnf import Grid


@dataclass(frozen=True)
class Wishes:
    """What the user wants of each place of a content picture.

    Attributes:
        areas: that take from their own regions of the style; None for a single area.
        strength: how much of the strength that is set holds at each place, (H, W), 0 to 1; None is 1 everywhere.
    """

    areas: Areas | None = None
    strength: Tensor | None = None

    def to(self, device: torch.device) -> Wishes:
        """On a device."""
        return Wishes(self.areas and self.areas.to(device), _changed(self.strength, lambda own: own.to(device)))

    def extended(self, grid: Grid) -> Wishes:
        """For the picture whose right and lower edges are repeated up to a size."""
        return Wishes(self.areas and self.areas.extended(grid), _changed(self.strength, lambda own: enlarged(own, grid)))

    def halved(self) -> Wishes:
        """For the picture at half its size."""
        return Wishes(self.areas and self.areas.halved(), _changed(self.strength, lambda own: own[::2, ::2]))

    def part(self, rows: range, columns: range, size: Grid) -> Wishes:
        """For a part of the picture, enlarged to a size (height, width)."""
        strength = _changed(self.strength, lambda own: part_of(own, rows, columns, size))
        return Wishes(self.areas and self.areas.part(rows, columns, size), strength)


@dataclass(frozen=True)
class Guide:
    """What steers the reshuffling of one content picture. Without any of it all places are alike.

    Attributes:
        evener: evens votes along the content; None leaves them.
        aim: luminance (H, W) that each place is to have, of the whole picture; None looks at features only.
        structure: how much structure there is, (h, w) on the grid of some level, 0 to 1; None is 1 everywhere.
        areas, strength: see `Wishes`.
    """

    evener: Evener | None = None
    aim: Tensor | None = None
    structure: Tensor | None = None
    areas: Areas | None = None
    strength: Tensor | None = None

    def takes_on(self, grid: Grid) -> Tensor | None:
        """The region of the style that each place takes from, on the grid of a level."""
        return None if self.areas is None else self.areas.takes_on(grid)

    def aim_on(self, grid: Grid) -> Tensor | None:
        """The aimed luminance, averaged onto the grid of a level."""
        return None if self.aim is None else averaged(self.aim, grid)

    def structure_on(self, grid: Grid) -> Tensor | None:
        """The structure, on the grid of a level."""
        if self.structure is None:
            return None
        return F.interpolate(self.structure[None, None], grid, mode="bilinear", align_corners=False)[0, 0]

    def bond_on(self, grid: Grid, contiguity: float) -> Tensor | None:
        """What it is worth to a place, (H, W), to continue its neighbours' patches, see `improve`.

        Args:
            contiguity: how much it is where the content is flat.
        """
        structure = self.structure_on(grid)
        return None if structure is None or not contiguity else contiguity * (1 - structure)

    def content_weight(self, here: LevelSettings, grid: Grid) -> float | Tensor:
        """The content's share in a level's blend: a number, or (H, W) where it depends on the place."""
        structure = self.structure_on(grid)
        weight = self.faded(here.content_weight, grid)
        if structure is None:
            return weight
        flat = self.faded(here.flat_weight, grid)
        return flat + (weight - flat) * structure

    def encoder_blend(self, here: LevelSettings, grid: Grid) -> float | Tensor:
        """How much of the content in a level's blend is the encoder's own: a number, or (H, W)."""
        return here.encoder_blend if here.coarsest else self.faded(here.encoder_blend, grid)

    def faded(self, weight: float, grid: Grid) -> float | Tensor:
        """A weight of the content that holds at the strength that is set: what it is where less strength is wanted."""
        return weight if self.strength is None else weight ** averaged(self.strength, grid).square()

    def soft(self, strength: float, grid: Grid) -> float | Tensor:
        """The share of a change that goes all the way from strength 0.5 on: a number, or (H, W)."""
        if self.strength is None:
            return min(1.0, 2 * strength)
        return (2 * strength * averaged(self.strength, grid)).clamp_(max=1)


def _changed(values: Tensor | None, change: Callable[[Tensor], Tensor]) -> Tensor | None:
    return None if values is None else change(values)


def averaged(values: Tensor, grid: Grid) -> Tensor:
    """A map (H, W) of a picture, averaged onto a grid that divides its own."""
    step = values.shape[0] // grid[0]
    return F.avg_pool2d(values[None], step)[0] if step > 1 else values
