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

_LEAST = 1e-6  # part of a window, so that nothing is divided by 0
CELLS = 4  # radius on the coarse grid, at least


def guided_filter(values: Tensor, guide: Tensor, radius: float, epsilon: float, parts: Tensor | None = None) -> Tensor:
    """Values (C, H, W), smoothed except at the edges of a guide (1, H, W); see the module's text.

    Args:
        radius: of the windows, in positions, at least 1.
        epsilon: variance of the guide below which it counts as flat.
        parts: how much of each position belongs to each part of the picture, (A, 1, H, W). Each part is then smoothed by
            itself, and so is the result, (A, C, H, W); where a part is far, its values mean nothing.
    """
    factor = coarseness(radius, CELLS)
    size = max(1, round(radius / factor))
    if parts is None:
        return applied(*coefficients(pooled(values, factor), pooled(guide, factor), size, epsilon), factor, guide)
    coarse, coarse_guide = (pooled_within(each, parts, factor) for each in (values, guide))
    coarse_parts = pooled(parts, factor)
    return applied_within(
        *coefficients_within(coarse, coarse_guide, coarse_parts, size, epsilon), coarse_parts, factor, guide
    )


def coarseness(radius: float, cells: int) -> int:
    """The factor between a grid and the grid on which a radius is about that many cells."""
    return max(1, int(radius / cells))


def coefficients(values: Tensor, guide: Tensor, radius: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Slope a and offset b of the guided filter, both (C, H, W), averaged over the windows at each position."""
    # all of them at once: many small steps take longer than their numbers
    means = box_mean(torch.cat([values, values * guide, guide, guide.square()]), radius)
    mean, product, mean_guide, square = means.split([len(values), len(values), 1, 1])
    variance = square - mean_guide.square()
    slope = product.addcmul_(mean, mean_guide, value=-1).div_(variance + epsilon)
    offset = mean.addcmul_(slope, mean_guide, value=-1)
    slope, offset = box_mean(torch.cat([slope, offset]), radius).chunk(2)
    return slope, offset


def coefficients_within(
    values: Tensor, guide: Tensor, parts: Tensor, radius: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    """The same within each part: values (A, C, H, W), guide and parts (A, 1, H, W); both (A, C, H, W)."""
    weight = _box_means(parts, radius).clamp_min_(_LEAST)
    products = torch.cat([values, values * guide, guide, guide.square()], 1) * parts
    means = _box_means(products, radius) / weight
    mean, product, mean_guide, square = means.split([values.shape[1], values.shape[1], 1, 1], 1)
    slope = (product - mean * mean_guide) / (square - mean_guide.square() + epsilon)
    offset = mean - slope * mean_guide
    fits = _box_means(torch.cat([slope, offset], 1) * parts, radius) / weight
    return fits[:, : values.shape[1]], fits[:, values.shape[1] :]


def applied(slope: Tensor, offset: Tensor, factor: int, guide: Tensor) -> Tensor:
    """slope . guide + offset, where both lie on a grid that is coarser by a factor."""
    if factor > 1:
        slope, offset = _enlarged(torch.cat([slope, offset])[None], factor, guide)[0].chunk(2)
    return torch.addcmul(offset, slope, guide)


def applied_within(slope: Tensor, offset: Tensor, parts: Tensor, factor: int, guide: Tensor) -> Tensor:
    """The same within each part, (A, C, H, W); slope, offset and parts lie on the coarser grid."""
    if factor > 1:
        large = _enlarged(torch.cat([slope * parts, offset * parts, parts], 1), factor, guide)
        slope, offset = (large[:, :-1] / large[:, -1:].clamp_min(_LEAST)).chunk(2, 1)
    return torch.addcmul(offset, slope, guide)


def pooled(values: Tensor, factor: int) -> Tensor:
    """Means over cells of that side."""
    if factor == 1:
        return values
    batch = values if values.ndim == 4 else values[None]
    return F.avg_pool2d(batch, factor, ceil_mode=True).view(*values.shape[:-2], -(-values.shape[-2] // factor), -1)


def pooled_within(values: Tensor, parts: Tensor, factor: int) -> Tensor:
    """Means over cells of what belongs to each part, (A, C, h, w), of values (C, H, W) or (A, C, H, W)."""
    if factor == 1:
        return values.expand(len(parts), *values.shape[-3:])
    return pooled(values * parts, factor) / pooled(parts, factor).clamp_min(_LEAST)


def _enlarged(values: Tensor, factor: int, like: Tensor) -> Tensor:
    """Values (A, C, h, w) on the finer grid of ``like``, (..., H, W)."""
    height, width = like.shape[-2:]
    return F.interpolate(values, scale_factor=factor, mode="bilinear", align_corners=False)[:, :, :height, :width]


def _box_means(values: Tensor, radius: int) -> Tensor:
    return box_mean(values.flatten(0, 1), radius).view_as(values)
