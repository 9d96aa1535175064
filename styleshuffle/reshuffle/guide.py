"""What a content picture tells the reshuffling beside its features: where it has structure, how light, and its outlines.

The guide is made once from the content picture and goes along with its features. A wish of the user, such as
a mask, belongs here too: the guide says how much a place may take from the style, and from where.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ..settings import LevelSettings
from .areas import Areas
from .evening import Evener
from .nnf import Grid


@dataclass(frozen=True)
class Wishes:
    """What the user wants of each place of a content picture.

    Attributes:
        areas: that take from their own regions of the style; None for a single area.
    """

    areas: Areas | None = None

    def extended(self, grid: Grid) -> Wishes:
        """For the picture whose right and lower edges are repeated up to a size."""
        return Wishes(None if self.areas is None else self.areas.extended(grid))

    def halved(self) -> Wishes:
        """For the picture at half its size."""
        return Wishes(None if self.areas is None else self.areas.halved())


@dataclass(frozen=True)
class Guide:
    """What steers the reshuffling of one content picture. Without any of it all places are alike.

    Attributes:
        evener: evens votes along the content; None leaves them.
        aim: luminance (H, W) that each place is to have, of the whole picture; None looks at features only.
        structure: how much structure there is, (h, w) on the grid of some level, 0 to 1; None is 1 everywhere.
        areas: that are treated each for itself, of the whole picture; None for a single area.
    """

    evener: Evener | None = None
    aim: Tensor | None = None
    structure: Tensor | None = None
    areas: Areas | None = None

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
        """The content's share in a level's blend: a number, or (H, W) where it depends on the content's structure."""
        structure = self.structure_on(grid)
        if structure is None:
            return here.content_weight
        return here.flat_weight + (here.content_weight - here.flat_weight) * structure


def averaged(values: Tensor, grid: Grid) -> Tensor:
    """A map (H, W) of a picture, averaged onto a grid that divides its own."""
    step = values.shape[0] // grid[0]
    return F.avg_pool2d(values[None], step)[0] if step > 1 else values
