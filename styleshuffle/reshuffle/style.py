"""What is computed once for a style: its features at each level, how its patches are described, and its moments."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..settings import Settings
from .descriptors import Describer, fit_describer
from .moments import Moments, moments
from .nnf import Grid, grid_of

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
    """

    features: Tensor
    rows: Tensor
    describer: Describer | None
    descriptors: Tensor | None
    moments: Moments

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


def style_level(features: Tensor, patch: int, channels: int, matched: bool = True) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level, to be matched by ``channels`` of them, or only voted from."""
    describer = fit_describer(features, patch, channels, _DESCRIPTOR_LENGTH * channels) if matched else None
    rows = features.flatten(1).T.contiguous()
    return StyleLevel(features, rows, describer, describer(features) if describer else None, moments(features))


def prepare_style(features: dict[int, Tensor], settings: Settings) -> dict[int, StyleLevel]:
    """What is computed once for a style, from its features (C, H, W) by level."""
    prepared = {}
    for level in settings.levels:
        here = settings.at(level)
        prepared[level] = style_level(features[level], here.patch_size, settings.descriptor_channels, here.matches)
    return prepared
