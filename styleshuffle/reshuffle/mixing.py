"""Prepare several styles as one: their features in one grid, moments and colours by their shares, and by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..settings import LevelSettings, Settings
from .areas import labels_on
from .boxes import Boxes, stack
from .descriptors import fit_describer
from .evening import axes_of
from .guide import averaged
from .matching import EXACT
from .moments import Moments, moments, steadied
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
    prepared = {}
    for level in settings.levels:
        own = [each[level] for each in features]
        boxes = first.finer(own[0].shape[1] // first.grids[0][0])
        lights = [averaged(luminance(picture), grid_of(f)) for picture, f in zip(pictures, own, strict=True)]
        supply = Supply(boxes, tuple(shares), _regions(boxes, regions, count), count)
        prepared[level] = _level(own, lights if settings.tone else None, supply, settings.at(level), settings)
    return prepared


def enlarged(index: Tensor, like: Tensor) -> Tensor:
    """Numbers (h, w) for a picture whose right and lower edges are repeated, (H, W) as ``like``."""
    rows = torch.arange(like.shape[0], device=index.device).clamp_(max=index.shape[0] - 1)
    columns = torch.arange(like.shape[1], device=index.device).clamp_(max=index.shape[1] - 1)
    return index[rows][:, columns]


def _stacked(grids: Sequence[Grid], device: torch.device) -> Boxes:
    """Boxes that begin at cells also where matching pools the grid."""
    factor = 1
    while sum(height * width for height, width in grids) > EXACT * factor**2:
        factor *= 2
    return stack(grids, max(2, factor), device)


def _regions(boxes: Boxes, regions: Sequence[Tensor] | None, count: int) -> Tensor:
    """The region at each place of the common grid; -1 between the styles."""
    there = boxes.style_of >= 0
    if regions is None:
        return there.long() - 1
    own = [labels_on(index, count, grid)[None] for index, grid in zip(regions, boxes.grids, strict=True)]
    return torch.where(there, boxes.together([index.float() for index in own])[0].long(), -1)


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
    whole = moments(features, supply.weights())
    looks: list[Moments] = []
    for region in range(supply.count) if supply.count > 1 else ():
        inside = int(supply.counts[:, region].sum())
        looks.append(steadied(moments(features, supply.weights(region)), inside, whole))
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
