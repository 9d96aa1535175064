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
_PREPARED_BY = ("levels", "patch_sizes", "descriptor_channels", "tone", "colours")  # settings that preparing a style looks at
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
    """

    features: Tensor
    rows: Tensor
    describer: Describer | None
    descriptors: Tensor | None
    moments: Moments
    axes: Axes
    light: Tensor | None = None

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
) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level, to be matched by ``channels`` of them, or only voted from.

    Args:
        light: luminance (H, W) of the style, for matching to look at it.
        tone_weight: similarity that is lost where the luminance is missed by the style's deviation.
    """
    describer, descriptors = None, None
    if matched:
        describer = fit_describer(features, patch, channels, _DESCRIPTOR_LENGTH * channels)
        if light is not None:
            describer = replace(describer, tone_weight=tone_weight / max(float(light.var(correction=0)), 1e-4))
        descriptors = describer(features, light=light)
    rows, own = features.flatten(1).T.contiguous(), moments(features)
    return StyleLevel(features, rows, describer, descriptors, own, axes_of(own), light)


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
            settings.tone * _TONE_WEIGHT,
        )
    return prepared


def prepared_alike(settings: Settings, other: Settings) -> bool:
    """Whether a style prepared with these settings serves the others too."""
    return all(getattr(settings, name) == getattr(other, name) for name in _PREPARED_BY)
