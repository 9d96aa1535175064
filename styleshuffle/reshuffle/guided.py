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

CELLS = 4  # radius on the coarse grid, at least


def guided_filter(values: Tensor, guide: Tensor, radius: float, epsilon: float) -> Tensor:
    """Values (C, H, W), smoothed except at the edges of a guide (1, H, W); see the module's text.

    Args:
        radius: of the windows, in positions, at least 1.
        epsilon: variance of the guide below which it counts as flat.
    """
    factor = coarseness(radius, CELLS)
    slope, offset = coefficients(pooled(values, factor), pooled(guide, factor), max(1, round(radius / factor)), epsilon)
    return applied(slope, offset, factor, guide)


def coarseness(radius: float, cells: int) -> int:
    """The factor between a grid and the grid on which a radius is about that many cells."""
    return max(1, int(radius / cells))


def coefficients(values: Tensor, guide: Tensor, radius: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Slope a and offset b of the guided filter, both (C, H, W), averaged over the windows at each position."""
    mean, mean_guide = box_mean(values, radius), box_mean(guide, radius)
    variance = box_mean(guide.square(), radius) - mean_guide.square()
    slope = box_mean(values * guide, radius).addcmul_(mean, mean_guide, value=-1).div_(variance + epsilon)
    offset = mean.addcmul_(slope, mean_guide, value=-1)
    return box_mean(slope, radius), box_mean(offset, radius)


def applied(slope: Tensor, offset: Tensor, factor: int, guide: Tensor) -> Tensor:
    """slope . guide + offset, where both lie on a grid that is coarser by a factor."""
    if factor > 1:
        height, width = guide.shape[1:]
        both = torch.cat([slope, offset])[None]
        large = F.interpolate(both, scale_factor=factor, mode="bilinear", align_corners=False)[0, :, :height, :width]
        slope, offset = large.chunk(2)
    return torch.addcmul(offset, slope, guide)


def pooled(values: Tensor, factor: int) -> Tensor:
    """Means over cells of that side."""
    return F.avg_pool2d(values[None], factor, ceil_mode=True)[0] if factor > 1 else values
