"""What is computed once for a style: its features at each level, how its patches are described, and its moments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..settings import Settings
from .descriptors import Describer, fit_describer
from .evening import Axes, axes_of
from .guide import averaged
from .moments import Moments, moments
from .nnf import Grid, grid_of
from .tones import luminance

_TONE_WEIGHT = 0.2  # of missing the aimed luminance by a deviation of the style, in units of cosine
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
        shown: (H, W) bool, which positions may be matched; None is all.
    """

    features: Tensor
    rows: Tensor
    describer: Describer | None
    descriptors: Tensor | None
    moments: Moments
    axes: Axes
    light: Tensor | None = None
    shown: Tensor | None = None

    @property
    def grid(self) -> Grid:
        return grid_of(self.features)

    def index(self) -> tuple[Describer, Tensor]:
        """The describer and the style's own descriptors.

        Raises:
            ValueError: the level was prepared to be voted from only.
        """
        if self.describer is None or self.descriptors is None:
            raise ValueError("this level of the style is not prepared for matching; pass matched=True to style_level")
        return self.describer, self.descriptors


def style_level(
    features: Tensor,
    patch: int,
    channels: int,
    matched: bool = True,
    light: Tensor | None = None,
    tone_weight: float = 0.0,
    shown: Tensor | None = None,
) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level, to be matched by ``channels`` of them, or only voted from.

    Args:
        light: luminance (H, W) of the style, for matching to look at it.
        tone_weight: similarity that is lost where the luminance is missed by the style's deviation.
        shown: (H, W) bool, which positions count; None is all.
    """
    describer, descriptors = None, None
    if matched:
        describer = fit_describer(features, patch, channels, _DESCRIPTOR_LENGTH * channels, shown)
        if light is not None:
            variance = (light if shown is None else light[shown]).var(correction=0)
            describer = replace(describer, tone_weight=tone_weight / max(float(variance), 1e-4))
        descriptors = describer(features, light=light, shown=shown)
    rows, own = features.flatten(1).T.contiguous(), moments(features, shown)
    return StyleLevel(features, rows, describer, descriptors, own, axes_of(own), light, shown)


def mostly(shares: Tensor) -> Tensor:
    """Which places count, (H, W) bool, of which the picture shows these shares (H, W).

    Half of a place is enough; in a picture of thin lines, half of what the fullest place shows.
    """
    return shares >= shares.max().clamp_max(1) / 2


def prepare_style(
    features: dict[int, Tensor], settings: Settings, picture: Tensor | None = None, shown: Tensor | None = None
) -> dict[int, StyleLevel]:
    """What is computed once for a style, from its features (C, H, W) by level.

    Args:
        picture: the style itself, (3, H, W), for matching to look at its luminance; None looks at features only.
        shown: (H, W) in [0, 1], which pixels of the picture count; None is all.
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
            settings.tone * _TONE_WEIGHT,
            None if shown is None else mostly(averaged(shown, grid_of(own))),
        )
    return prepared
