"""Smooth values except at the edges of a guide: the guided filter (He, Sun and Tang, ECCV 2010).

In each window it replaces the values v by the linear function a I + b of the guide I that is nearest to them,

    a = cov(I, v) / (var(I) + epsilon),   b = mean(v) - a mean(I),

and averages a and b over the windows that overlap at a position: an edge of the guide stays an edge, and everything else
becomes smooth. Means over windows are taken on a grid as coarse as the radius allows (He and Sun, "Fast guided filter",
2015), so the time is linear in the positions, whatever the radius.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import box_mean

LEAST = 1e-6  # part of a window, so that nothing is divided by 0
CELLS = 4  # radius on the coarse grid, at least


def guided_filter(values: Tensor, guide: Tensor, radius: float, epsilon: float, part: Tensor | None = None) -> Tensor:
    """Values (C, H, W), smoothed except at the edges of a guide (1, H, W); see the module's text.

    Args:
        radius: of the windows, in positions, at least 1.
        epsilon: variance of the guide below which it counts as flat.
        part: how much of each position counts, (1, H, W), 0 to 1; where nothing near counts, the result means nothing.
    """
    factor = coarseness(radius, CELLS)
    coarse_part = None if part is None else pooled(part, factor)
    coarse, coarse_guide = pooled_within(values, part, factor), pooled_within(guide, part, factor)
    fit = coefficients(coarse, coarse_guide, max(1, round(radius / factor)), epsilon, coarse_part)
    return applied(*fit, factor, guide, coarse_part)


def coarseness(radius: float, cells: int) -> int:
    """The factor between a grid and the grid on which a radius is about that many cells."""
    return max(1, int(radius / cells))


def coefficients(
    values: Tensor, guide: Tensor, radius: int, epsilon: float, part: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Slope a and offset b of the guided filter, both (C, H, W), averaged over the windows at each position."""
    mean, mean_guide = _mean_within(values, part, radius), _mean_within(guide, part, radius)
    variance = _mean_within(guide.square(), part, radius) - mean_guide.square()
    slope = _mean_within(values * guide, part, radius).addcmul_(mean, mean_guide, value=-1).div_(variance + epsilon)
    offset = mean.addcmul_(slope, mean_guide, value=-1)
    return _mean_within(slope, part, radius), _mean_within(offset, part, radius)


def applied(slope: Tensor, offset: Tensor, factor: int, guide: Tensor, part: Tensor | None = None) -> Tensor:
    """slope . guide + offset, where both lie on a grid that is coarser by a factor.

    Args:
        part: how much of each position counts on that grid.
    """
    if factor > 1:
        height, width = guide.shape[1:]
        both = torch.cat([slope, offset])
        both = (both if part is None else torch.cat([both * part, part]))[None]
        large = F.interpolate(both, scale_factor=factor, mode="bilinear", align_corners=False)[0, :, :height, :width]
        if part is not None:
            large = large[:-1] / large[-1:].clamp_min(LEAST)
        slope, offset = large.chunk(2)
    return torch.addcmul(offset, slope, guide)


def _mean_within(values: Tensor, part: Tensor | None, radius: int) -> Tensor:
    """Mean over windows of what counts."""
    if part is None:
        return box_mean(values, radius)
    return box_mean(values * part, radius) / box_mean(part, radius).clamp_min(LEAST)


def pooled_within(values: Tensor, part: Tensor | None, factor: int) -> Tensor:
    """Means over cells of what counts."""
    if part is None or factor == 1:
        return pooled(values, factor)
    return pooled(values * part, factor) / pooled(part, factor).clamp_min(LEAST)


def pooled(values: Tensor, factor: int) -> Tensor:
    """Means over cells of that side."""
    return F.avg_pool2d(values[None], factor, ceil_mode=True)[0] if factor > 1 else values
