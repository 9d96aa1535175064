"""Prepare several styles as one: their features in one grid, moments and colours by their shares, and by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from ..settings import LevelSettings, Settings
from .areas import as_planes, averaged_planes, largest
from .boxes import Boxes, stack
from .descriptors import fit_describer
from .evening import axes_of
from .guide import averaged
from .matching import EXACT
from .moments import Moments, combined, moments, steadied
from .nnf import Grid, grid_of
from .style import StyleLevel, described, descriptor_length, toned
from .supply import Supply
from .tones import luminance


def prepare_styles(
    features: Sequence[Mapping[int, Tensor]],
    pictures: Sequence[Tensor],
    shares: Sequence[float],
    regions: Sequence[Tensor] | None,
    settings: Settings,
) -> dict[int, StyleLevel]:
    """What is computed once for several styles, or for one with regions.

    Args:
        features: (C, H, W) by level, of each style.
        pictures: (3, H, W) of each style, for matching to look at their luminance.
        shares: of each style, above 0, with the sum 1.
        regions: of each style, the number of the region at each pixel, (H, W), from 0; None for no regions.
    """
    count = 1 if regions is None else 1 + max(int(own.max()) for own in regions)
    coarsest = settings.levels[0]
    first = _stacked([grid_of(own[coarsest]) for own in features], pictures[0].device)
    planes = None if regions is None else [as_planes(own, count) for own in regions]
    prepared = {}
    for level in reversed(settings.levels):
        own = [each[level] for each in features]
        boxes = first.finer(own[0].shape[1] // first.grids[0][0])
        lights = [averaged(luminance(picture), grid_of(f)) for picture, f in zip(pictures, own, strict=True)]
        if planes is not None:
            planes = [averaged_planes(each, grid) for each, grid in zip(planes, boxes.grids, strict=True)]
        supply = Supply(boxes, tuple(shares), _regions(boxes, planes), count)
        prepared[level] = _level(own, lights if settings.tone else None, supply, settings.at(level), settings)
    return {level: prepared[level] for level in settings.levels}


def _stacked(grids: Sequence[Grid], device: torch.device) -> Boxes:
    """Boxes that begin at cells also where matching pools the grid."""
    factor = 1
    while sum(height * width for height, width in grids) > EXACT * factor**2:
        factor *= 2
    return stack(grids, 1 if len(grids) == 1 else max(2, factor), device)


def _regions(boxes: Boxes, shares: Sequence[Tensor] | None) -> Tensor:
    """The region at each place of the common grid; -1 between the styles.

    Args:
        shares: how much of each place of each style belongs to each region, (R, h, w).
    """
    there = boxes.style_of >= 0
    if shares is None:
        return there.long() - 1
    own = [largest(each)[None].float() for each in shares]
    return torch.where(there, boxes.together(own)[0].long(), -1)


def _moments(styles: Sequence[Tensor], supply: Supply) -> tuple[Moments, list[Moments]]:
    """Moments of the whole, by the shares of the styles, and of each region, if there are several."""
    own: list[list[Moments]] = [[] for _ in range(supply.count)]
    shares: list[list[float]] = [[] for _ in range(supply.count)]
    areas: list[list[float]] = [[] for _ in range(supply.count)]
    for number, features in enumerate(styles):
        (height, width), top = supply.boxes.grids[number], supply.boxes.tops[number]
        regions = supply.regions[top : top + height, :width].flatten()
        rows, share = features.flatten(1).T, supply.shares[number]
        for region in range(supply.count):
            places = (regions == region).nonzero()[:, 0]
            if len(places):
                members = rows if len(places) == len(rows) else rows.index_select(0, places)
                own[region].append(moments(members.T))
                shares[region].append(share)
                areas[region].append(share * len(places) / len(rows))
    whole = combined(list(chain(*own)), list(chain(*areas)))
    if supply.count == 1:
        return whole, []
    positions = supply.counts.sum(0).tolist()
    return whole, [
        steadied(combined(parts, weights), int(count), whole) if parts else whole
        for parts, weights, count in zip(own, shares, positions, strict=True)
    ]


def _level(
    own: Sequence[Tensor], lights: Sequence[Tensor] | None, supply: Supply, here: LevelSettings, settings: Settings
) -> StyleLevel:
    """Several styles at one level."""
    features = supply.boxes.together(own)
    light = None if lights is None else supply.boxes.together([each[None] for each in lights])[0]
    describer, descriptors = None, None
    if here.matches:
        channels = settings.descriptor_channels
        describer = fit_describer(own, here.patch_size, channels, descriptor_length(channels))
        describer = toned(describer, lights, settings.tone)
        descriptors = described(describer, features, light, supply)
    whole, looks = _moments(own, supply)
    return StyleLevel(
        features,
        features.flatten(1).T.contiguous(),
        describer,
        descriptors,
        whole,
        axes_of(whole),
        light,
        supply,
        tuple((look, axes_of(look)) for look in looks),
    )
