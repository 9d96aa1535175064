"""From pictures of masks to what the pipeline needs: which regions of content and styles have one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .errors import SettingsError
from .images.masks import Regions, hex_colour, matched_colours
from .reshuffle.areas import Areas
from .reshuffle.supply import ANYWHERE


@dataclass(frozen=True, eq=False)
class StyleRegions:
    """The regions of all styles together.

    Attributes:
        masks: of the styles.
        numbers: for each mask and each of its regions, the number that all regions of this colour have.
        count: how many such numbers there are.
    """

    masks: tuple[Regions, ...]
    numbers: tuple[tuple[int, ...], ...]
    count: int

    def index(self, number: int, size: tuple[int, int]) -> Tensor:
        """The regions of a style, at a size (width, height), as (H, W) int64."""
        return torch.tensor(self.numbers[number])[scaled(self.masks[number], size)]

    def areas(self, content: Regions, size: tuple[int, int], unmatched: str) -> Areas:
        """The areas of a content's mask, at a size (width, height), and the region that each takes from.

        Args:
            unmatched: "refuse" or "any", see `Settings.unmatched`.

        Raises:
            SettingsError: a colour has no partner on the other side; names the colour.
        """
        takes = dict.fromkeys(range(len(content.colours)), ANYWHERE)
        for mask, numbers in zip(self.masks, self.numbers, strict=True):
            takes |= {mine: numbers[theirs] for mine, theirs in matched_colours(content, mask).items()}
        if unmatched == "refuse":
            self._refuse_unmatched(content, takes)
        return Areas(scaled(content, size), tuple(takes.values()))

    def _refuse_unmatched(self, content: Regions, takes: dict[int, int]) -> None:
        remedy = "paint it on both sides, or set `unmatched` to any"
        for number, region in takes.items():
            if region == ANYWHERE:
                colour = hex_colour(content.colours[number])
                raise SettingsError(f"mask: no style has a region of the colour {colour}; {remedy}")
        for mask, numbers in zip(self.masks, self.numbers, strict=True):
            for colour, region in zip(mask.colours, numbers, strict=True):
                if region not in takes.values():
                    raise SettingsError(
                        f"style_mask: the content has no region of the colour {hex_colour(colour)}; {remedy}"
                    )


def join_regions(masks: Sequence[Regions]) -> StyleRegions:
    """Give the regions of all styles numbers, equal colours the same number."""
    numbers: list[tuple[int, ...]] = []
    count = 0
    for position, mask in enumerate(masks):
        own: dict[int, int] = {}
        for before, known in zip(masks[:position], numbers, strict=True):
            own |= {mine: known[theirs] for mine, theirs in matched_colours(mask, before).items()}
        for region in range(len(mask.colours)):
            if region not in own:
                own[region], count = count, count + 1
        numbers.append(tuple(own[region] for region in range(len(mask.colours))))
    return StyleRegions(tuple(masks), tuple(numbers), count)


def scaled(regions: Regions, size: tuple[int, int]) -> Tensor:
    """Numbers of regions at a size (width, height), each pixel as the nearest one: (H, W) int64."""
    (width, height), (wide, high) = size, regions.size
    rows = ((np.arange(height) + 0.5) * high / height).astype(int)
    columns = ((np.arange(width) + 0.5) * wide / width).astype(int)
    return torch.from_numpy(regions.index[rows][:, columns].astype(np.int64))
