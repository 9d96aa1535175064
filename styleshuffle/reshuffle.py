"""One level: match, vote, blend (Gu et al., "Arbitrary style transfer with deep feature reshuffle", CVPR 2018, sec. 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .descriptors import Describer, fit_describer
from .matching import EXACT, Field, Grid, match_all, refine, upsample
from .moments import Moments, moments


@dataclass(frozen=True)
class StyleLevel:
    """What is computed once for a style at one level.

    Attributes:
        features: (C, H, W).
        rows: the same as (H W, C), for gathering.
        describer: how patches of this level are described.
        descriptors: of the style's own patches, (H W, d).
        moments: of the features.
    """

    features: Tensor
    rows: Tensor
    describer: Describer
    descriptors: Tensor
    moments: Moments

    @property
    def grid(self) -> Grid:
        return tuple(self.features.shape[1:])


def style_level(features: Tensor, patch: int, channels: int, length: int) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level."""
    describer = fit_describer(features, patch, channels, length)
    rows = features.flatten(1).T.contiguous()
    return StyleLevel(features, rows, describer, describer(features), moments(features))


def match_first(features: Tensor, style: StyleLevel, usage_penalty: float) -> Field:
    """The field at the coarsest level, of any size: all pairs on a grid pooled until that is cheap, then refined."""
    factor = 1
    while max(features[0].numel(), style.features[0].numel()) > EXACT * factor**2:
        factor *= 2
    if factor == 1:
        return match_all(style.describer(features), style.descriptors, (tuple(features.shape[1:]), style.grid), usage_penalty)
    coarse, coarse_style = _pool(features, factor), _pool(style.features, factor)
    grids = tuple(coarse.shape[1:]), tuple(coarse_style.shape[1:])
    field = match_all(style.describer(coarse), style.describer(coarse_style), grids, usage_penalty)
    while factor > 1:
        factor //= 2
        finer, finer_style = _pool(features, factor), _pool(style.features, factor)
        field = upsample(field, tuple(finer.shape[1:]), tuple(finer_style.shape[1:]))
        field = refine(field, style.describer(finer), style.describer(finer_style))
    return field


def _pool(features: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(features[None], factor, ceil_mode=True)[0] if factor > 1 else features


def vote(style: StyleLevel, field: Field, patch: int) -> Tensor:
    """New features (C, H, W): at each position the mean of what the overlapping matched patches hold there.

    The style's features are full-channel and unnormalised. Patches that reach over the style's border repeat its edge.
    """
    height, width = field.content
    reach = patch // 2
    y, x = field.match // field.style[1], field.match % field.style[1]
    total, count = None, 0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # the patch centred at p - (dy, dx) holds, at p, the style's feature at its match + (dy, dx)
            rows = torch.arange(height, device=y.device).sub_(dy).clamp_(0, height - 1)[:, None]
            columns = torch.arange(width, device=y.device).sub_(dx).clamp_(0, width - 1)[None, :]
            source = (y[rows, columns] + dy).clamp_(0, field.style[0] - 1) * field.style[1]
            source += (x[rows, columns] + dx).clamp_(0, field.style[1] - 1)
            found = style.rows[source.flatten()]
            total = found if total is None else total.add_(found)
            count += 1
    return (total / count).T.reshape(-1, height, width)
