"""One level: match, vote, blend (Gu et al., "Arbitrary style transfer with deep feature reshuffle", CVPR 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .descriptors import Describer, fit_describer
from .matching import EXACT, Field, Grid, match_all, match_counting, refine, upsample
from .moments import Moments, moments

_DESCRIPTOR_LENGTH = 2  # numbers that describe a patch, for each channel that it is compared by
_STIR = 0.5  # norm of what a seed adds to unit descriptors


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
        return tuple(self.features.shape[1:])


def style_level(features: Tensor, patch: int, channels: int, matched: bool = True) -> StyleLevel:
    """Prepare a style's features (C, H, W) at one level, to be matched by ``channels`` of them, or only voted from."""
    describer = fit_describer(features, patch, channels, _DESCRIPTOR_LENGTH * channels) if matched else None
    rows = features.flatten(1).T.contiguous()
    return StyleLevel(features, rows, describer, describer(features) if describer else None, moments(features))


def match_first(
    features: Tensor,
    style: StyleLevel,
    usage_penalty: float,
    seed: int = 0,
    counting: bool = False,
    before: Field | None = None,
) -> Field:
    """The field at the coarsest level, of any size: all pairs on a grid pooled until that is cheap, then refined.

    Args:
        counting: by `match_counting` instead of `match_all`.
        before: the field of the turn before.

    A seed other than 0 stirs the content's descriptors, so that near-equal patches change places.
    """
    factor = 1
    while max(features[0].numel(), style.features[0].numel()) > EXACT * factor**2:
        factor *= 2
    coarse, coarse_style = _pool(features, factor), _pool(style.features, factor)
    descriptors = style.descriptors if factor == 1 else style.describer(coarse_style)
    query = _stirred(style.describer(coarse), seed)
    grids = (_grid(coarse), _grid(coarse_style))
    if counting:
        field = match_counting(query, descriptors, grids, usage_penalty, style.describer.patch)
    else:
        field = match_all(query, descriptors, grids, usage_penalty, before if factor == 1 else None)
    while factor > 1:
        factor //= 2
        finer, finer_style = _pool(features, factor), _pool(style.features, factor)
        descriptors = style.descriptors if factor == 1 else style.describer(finer_style)
        field = refine(upsample(field, _grid(finer), _grid(finer_style)), style.describer(finer), descriptors)
    return field


def _stirred(descriptors: Tensor, seed: int) -> Tensor:
    if seed == 0:
        return descriptors
    noise = torch.randn(descriptors.shape, generator=torch.Generator().manual_seed(seed)).to(descriptors)
    return F.normalize(descriptors + _STIR * noise / descriptors.shape[1] ** 0.5, dim=1)


def _grid(features: Tensor) -> Grid:
    return tuple(features.shape[1:])


def _pool(features: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(features[None], factor, ceil_mode=True)[0] if factor > 1 else features


def vote(style: StyleLevel, field: Field, patch: int) -> Tensor:
    """New features (C, H, W): at each position the mean of what the overlapping matched patches hold there.

    The style's features are full-channel and unnormalised. Patches that reach over the style's border repeat its edge.
    """
    height, width = field.content
    reach = patch // 2
    y, x = field.match // field.style[1], field.match % field.style[1]
    down, along = torch.arange(height, device=y.device)[:, None], torch.arange(width, device=y.device)[None, :]
    total, count = None, 0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # at p, the patch centred at q = p - (dy, dx), or the nearest q there is, holds the style at match(q) + p - q
            rows = (down - dy).clamp_(0, height - 1)
            columns = (along - dx).clamp_(0, width - 1)
            source = (y[rows, columns] + (down - rows)).clamp_(0, field.style[0] - 1) * field.style[1]
            source += (x[rows, columns] + (along - columns)).clamp_(0, field.style[1] - 1)
            found = style.rows[source.flatten()]
            total = found if total is None else total.add_(found)
            count += 1
    return (total / count).T.reshape(-1, height, width)
