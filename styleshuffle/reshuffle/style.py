"""What is computed once for a style: its features at each level, how its patches are described, and its moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..settings import Settings
from .boxes import Boxes
from .descriptors import Describer, Spread, fit_describer
from .evening import Axes, axes_of
from .guide import averaged
from .moments import Moments, moments
from .nnf import Grid, grid_of
from .noise import seeded_noise
from .supply import Supply
from .tones import luminance

_TONE_WEIGHT = 0.2  # of missing the aimed luminance by a deviation of the style, in units of cosine
# settings that preparing a style looks at
_PREPARED_BY = ("levels", "patch_sizes", "descriptor_channels", "tone", "colours")
_STIR = 0.5  # norm of what a seed adds to unit descriptors
_DESCRIPTOR_LENGTH = 2  # numbers that describe a patch, for each channel that it is compared by


@dataclass(frozen=True)
class StyleLevel:
    """What is computed once for a style at one level.

    Attributes:
        features: (C, H, W).
        rows: the same as (H W, C), for gathering.
        describer: how patches of this level are described.
        descriptors: of the style's own patches, (H W, d); None, like the describer, at a level that is not matched.
        moments: of the features.
        axes: that votes are evened along.
        light: luminance (H, W) of the style; None if matching does not look at it.
        supply: of several styles, which lie in one grid, or of regions; None where each position may be taken alike.
        regions: moments and axes of each region, if there is more than one.
    """

    features: Tensor
    rows: Tensor
    describer: Describer | None
    descriptors: Tensor | None
    moments: Moments
    axes: Axes
    light: Tensor | None = None
    supply: Supply | None = None
    regions: tuple[tuple[Moments, Axes], ...] = ()

    @property
    def grid(self) -> Grid:
        return grid_of(self.features)

    @property
    def boxes(self) -> Boxes | None:
        """Where several styles lie in the grid; None for a single style, which fills it."""
        return None if self.supply is None else self.supply.several

    def look(self, region: int) -> tuple[Moments, Axes]:
        """Moments and axes of a region, or of the whole for `ANYWHERE`."""
        return self.regions[region] if self.regions and region >= 0 else (self.moments, self.axes)

    def query(
        self,
        features: Tensor,
        aim: Tensor | None = None,
        takes: Tensor | None = None,
        seed: int = 0,
        spread: Spread | None = None,
    ) -> Tensor:
        """Descriptors of content features (C, H, W) to be matched with this style's, (H W, d).

        Args:
            aim: luminance (H, W) that is aimed at.
            takes: region (H, W) that each place takes from, see `Supply`.
            seed: other than 0 stirs them, so that near-equal patches change places.
            spread: see `Describer`.
        """
        describer, _ = self.index()
        rows = _stirred(describer(features, aim, spread=spread), seed)
        wishes = None if self.supply is None else self.supply.wishes(takes)
        return rows if wishes is None else torch.cat([rows, wishes], 1)

    def pooled_index(self, factor: int) -> tuple[Tensor, Supply | None]:
        """The style's own descriptors on a grid that is coarser by a factor, and its supply there."""
        describer, descriptors = self.index()
        supply = None if self.supply is None else self.supply.pooled(factor)
        if factor == 1:
            return descriptors, supply
        if supply is None:
            return describer(pool(self.features, factor), light=pool_map(self.light, factor)), None
        assert self.supply is not None
        return described(describer, self.features, self.light, self.supply, factor), supply

    def index(self) -> tuple[Describer, Tensor]:
        """The describer and the style's own descriptors.

        Raises:
            ValueError: the level was prepared to be voted from only.
        """
        if self.describer is None or self.descriptors is None:
            raise ValueError("this level of the style is not prepared for matching; pass matched=True to style_level")
        return self.describer, self.descriptors


def _stirred(descriptors: Tensor, seed: int) -> Tensor:
    if seed == 0:
        return descriptors
    noise = seeded_noise(descriptors.shape, seed).to(descriptors)
    return F.normalize(descriptors + _STIR * noise / descriptors.shape[1] ** 0.5, dim=1)


def described(describer: Describer, features: Tensor, light: Tensor | None, supply: Supply, factor: int = 1) -> Tensor:
    """Descriptors of several styles on a grid that is coarser by a factor: each normalised by itself, then together."""
    boxes, coarse = supply.boxes, supply.pooled(factor)
    parts = []
    for (height, width), top in zip(boxes.grids, boxes.tops, strict=True):
        own = pool(features[:, top : top + height, :width], factor)
        shine = None if light is None else pool_map(light[top : top + height, :width], factor)
        parts.append(describer(own, light=shine).T.unflatten(1, own.shape[1:]))
    rows = coarse.boxes.together(parts).flatten(1).T
    columns = coarse.columns()
    return rows.contiguous() if columns is None else torch.cat([rows, columns], 1)


def pool(features: Tensor, factor: int) -> Tensor:
    """Features (C, H, W) averaged onto a grid that is coarser by a factor."""
    return F.avg_pool2d(features[None], factor, ceil_mode=True)[0] if factor > 1 else features


def pool_map(values: Tensor | None, factor: int) -> Tensor | None:
    """A map (H, W), likewise."""
    return values if values is None else pool(values[None], factor)[0]


def style_level(
    features: Tensor,
    patch: int,
    channels: int,
    matched: bool = True,
    light: Tensor | None = None,
    tone: float = 0.0,
) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level, to be matched by ``channels`` of them, or only voted from.

    Args:
        light: luminance (H, W) of the style, for matching to look at it.
        tone: how much it is looked at, 0 to 1.
    """
    describer, descriptors = None, None
    if matched:
        describer = fit_describer(features, patch, channels, descriptor_length(channels))
        describer = toned(describer, None if light is None else [light], tone)
        descriptors = describer(features, light=light)
    rows, own = features.flatten(1).T.contiguous(), moments(features)
    return StyleLevel(features, rows, describer, descriptors, own, axes_of(own), light)


def descriptor_length(channels: int) -> int:
    """How many numbers describe a patch that is compared by that many channels."""
    return _DESCRIPTOR_LENGTH * channels


def toned(describer: Describer, lights: Sequence[Tensor] | None, tone: float) -> Describer:
    """The describer, looking at the luminance of the styles (H, W) too.

    Args:
        tone: how much, 0 to 1.
    """
    if lights is None:
        return describer
    variance = torch.cat([light.flatten() for light in lights]).var(correction=0)
    return replace(describer, tone_weight=tone * _TONE_WEIGHT / max(float(variance), 1e-4))


def prepare_style(
    features: dict[int, Tensor], settings: Settings, picture: Tensor | None = None
) -> dict[int, StyleLevel]:
    """What is computed once for a style, from its features (C, H, W) by level.

    Args:
        picture: the style itself, (3, H, W), for matching to look at its luminance; None looks at features only.
    """
    light = luminance(picture) if picture is not None and settings.tone else None
    prepared = {}
    for level in settings.levels:
        here, own = settings.at(level), features[level]
        prepared[level] = style_level(
            own,
            here.patch_size,
            settings.descriptor_channels,
            here.matches,
            None if light is None else averaged(light, grid_of(own)),
            settings.tone,
        )
    return prepared


def prepared_alike(settings: Settings, other: Settings) -> bool:
    """Whether a style prepared with these settings serves the others too."""
    return all(getattr(settings, name) == getattr(other, name) for name in _PREPARED_BY)
