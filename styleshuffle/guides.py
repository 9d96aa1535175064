"""Which styles a picture takes from, how much, and which of their regions: from pictures to what the pipeline needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .errors import SettingsError
from .images import Picture, fit_size, read, read_regions
from .images.masks import Regions, hex_colour, matched_colours, name_of
from .reshuffle.areas import Areas
from .reshuffle.supply import ANYWHERE
from .settings import Settings

if TYPE_CHECKING:
    from .images.masks import Source

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class StyleRegions:
    """The regions of all styles together.

    What is transparent of a style is a region of its own, which no content takes from.

    Attributes:
        masks: of the styles; none if only transparency makes regions.
        numbers: for each mask and each of its regions, the number that all regions of this colour have.
        count: how many such numbers there are; transparent parts have the next.
        pictures: of the styles; none if nothing of them is transparent.
    """

    masks: tuple[Regions, ...]
    numbers: tuple[tuple[int, ...], ...]
    count: int
    pictures: tuple[Picture, ...]

    def indices(self, sizes: Sequence[tuple[int, int]]) -> list[Tensor] | None:
        """The regions of each style, at its size (width, height), as (H, W) int64; None for a single region."""
        return None if self._single else [self._index(number, size) for number, size in enumerate(sizes)]

    @property
    def _single(self) -> bool:
        """Whether all of all styles is one region."""
        return self.count == 1 and all(picture.alpha is None for picture in self.pictures)

    def _index(self, number: int, size: tuple[int, int]) -> Tensor:
        if self.masks:
            index = torch.tensor(self.numbers[number])[scaled(self.masks[number], size)]
        else:
            index = torch.zeros(size[1], size[0], dtype=torch.int64)
        shown = self.pictures[number].shown(size) if self.pictures else None
        return index if shown is None else torch.where(shown, index, self.count)

    def whole(self, size: tuple[int, int]) -> Areas:
        """A content without a mask, at a size (width, height): a single area, which takes from all that is visible."""
        return Areas(torch.zeros(size[1], size[0], dtype=torch.int64), (0,))

    def areas(self, content: Regions, size: tuple[int, int], unmatched: str, whole: bool = True) -> Areas | None:
        """The areas of a content's mask, at a size (width, height), and the region that each takes from; None for a
        single area, which takes from everywhere.

        Args:
            unmatched: "refuse" or "any", see `Settings.unmatched`.
            whole: the content has all regions of the styles, unless "any" is allowed.

        Raises:
            SettingsError: a colour has no partner on the other side; names the colour.
        """
        takes = dict.fromkeys(range(len(content.colours)), ANYWHERE)
        for mask, numbers in zip(self.masks, self.numbers, strict=True):
            takes |= {mine: numbers[theirs] for mine, theirs in matched_colours(content, mask).items()}
        if unmatched == "refuse":
            self._refuse_unmatched(content, takes, whole)
        if self._single:  # which is everywhere
            takes = dict.fromkeys(takes, ANYWHERE)
        if set(takes.values()) == {ANYWHERE} and len(takes) == 1:
            return None
        return Areas(scaled(content, size), tuple(takes.values()))

    def _refuse_unmatched(self, content: Regions, takes: dict[int, int], whole: bool) -> None:
        remedy = "paint it on both sides, or set `unmatched` to any"
        for number, region in takes.items():
            if region == ANYWHERE:
                colour = hex_colour(content.colours[number])
                raise SettingsError(f"mask: no style has a region of the colour {colour}; {remedy}")
        for mask, numbers in zip(self.masks, self.numbers, strict=True):
            for colour, region in zip(mask.colours, numbers, strict=True):
                if whole and region not in takes.values():
                    raise SettingsError(
                        f"style_mask: the content has no region of the colour {hex_colour(colour)}; {remedy}"
                    )


def join_regions(masks: Sequence[Regions], pictures: Sequence[Picture] = ()) -> StyleRegions:
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
    return StyleRegions(tuple(masks), tuple(numbers), count, tuple(pictures))


def scaled(regions: Regions, size: tuple[int, int]) -> Tensor:
    """Numbers of regions at a size (width, height), each pixel as the nearest one: (H, W) int64."""
    (width, height), (wide, high) = size, regions.size
    rows = ((np.arange(height) + 0.5) * high / height).astype(int)
    columns = ((np.arange(width) + 0.5) * wide / width).astype(int)
    return torch.from_numpy(regions.index[rows][:, columns].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Chosen:
    """The styles that take part, in an order that does not depend on how they were given.

    Attributes:
        pictures: of the styles.
        shares: above 0, with the sum 1.
        scales: of the styles relative to the result.
        regions: if they have masks.
        numbers: of the styles in the order in which they were given.
    """

    pictures: tuple[Picture, ...]
    shares: tuple[float, ...]
    scales: tuple[float, ...]
    regions: StyleRegions | None
    numbers: tuple[int, ...] = (0,)

    def sizes(self, side: int) -> tuple[tuple[int, int], ...]:
        """(width, height) of each style, for pictures with that long side."""
        pairs = zip(self.pictures, self.scales, strict=True)
        return tuple(fit_size(picture.size, max(32, round(side * scale))) for picture, scale in pairs)


@dataclass(frozen=True, eq=False)
class Styles:
    """The styles that were given, in their order.

    Attributes:
        pictures: of the styles.
        weights: in place of `Settings.style_weights`.
        masks: regions of each style.
    """

    pictures: tuple[Picture, ...]
    weights: tuple[float, ...] | None = None
    masks: tuple[Regions, ...] | None = None

    def chosen(self, settings: Settings) -> Chosen:
        """Those that take part with these settings.

        Raises:
            SettingsError: there are too many styles, or a list has another number of values.
        """
        settings = settings if self.weights is None else replace(settings, style_weights=self.weights)
        shares, scales = settings.for_styles(len(self.pictures))
        used = [number for number, share in enumerate(shares) if share > 0]
        if len(used) > 1:
            used.sort(key=lambda number: (self._digests[number], shares[number], scales[number]))

        def of_used(values: Sequence[T]) -> tuple[T, ...]:
            return tuple(values[number] for number in used)

        pictures = of_used(self.pictures)
        if self.masks is not None:
            regions: StyleRegions | None = join_regions(of_used(self.masks), pictures)
        else:
            hidden = any(picture.alpha is not None for picture in pictures)
            regions = StyleRegions((), (), 1, pictures) if hidden else None
        return Chosen(pictures, of_used(shares), of_used(scales), regions, tuple(used))

    @cached_property
    def _digests(self) -> list[str]:
        """Something to sort by: what a style and its mask look like."""
        digests = []
        for number, picture in enumerate(self.pictures):
            digest = hashlib.sha256(picture.rgb.tobytes())
            if self.masks is not None:
                digest.update(self.masks[number].index.tobytes())
            digests.append(digest.hexdigest())
        return digests


def read_styles(
    style: Source | Sequence[Source],
    weights: Sequence[float] | None,
    masks: Source | Sequence[Source] | None,
    reader: Callable[[Any], Picture] = read,
) -> Styles:
    """Read styles and their masks. Arguments and errors: see `Stylizer.set_style`.

    Args:
        reader: of a style or a mask that is not read yet.
    """

    def opened(source: Source) -> Picture:
        return source if isinstance(source, Picture) else reader(source)

    pictures = tuple(map(opened, _listed(style)))
    shares = None if weights is None else tuple(weights)
    if masks is None:
        return Styles(tuple(picture.opaque() for picture in pictures), shares)
    listed = _listed(masks)
    if len(listed) != len(pictures):
        raise SettingsError(f"masks: {len(listed)} for {len(pictures)} styles; give a mask for each style")
    pairs = zip(listed, pictures, strict=True)
    regions = tuple(read_regions(opened(mask), name_of(mask), picture.size) for mask, picture in pairs)
    return Styles(tuple(picture.opaque(crop=False) for picture in pictures), shares, regions)


def _listed(sources: Source | Sequence[Source]) -> list[Source]:
    return list(sources) if isinstance(sources, list | tuple) else [sources]  # type: ignore[list-item]
