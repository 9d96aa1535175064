"""Features made by code, for tests of the method."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from styleshuffle.reshuffle.descriptors import fit_describer
from styleshuffle.reshuffle.nnf import NNF
from styleshuffle.reshuffle.style import StyleLevel, style_level


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smooth(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Features that vary slowly, as those of pictures do."""
    coarse = noise(1, channels, max(2, height // 4), max(2, width // 4), seed=seed)
    return F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)[0]


def identity(height: int, width: int) -> NNF:
    return NNF(torch.arange(height * width).view(height, width), torch.zeros(height, width))


def level_of(features: Tensor, patch: int = 3) -> StyleLevel:
    """Described without any shortening."""
    describe = fit_describer(features, patch, len(features), len(features) * patch**2)
    return replace(style_level(features, patch, len(features)), describer=describe, descriptors=describe(features))
