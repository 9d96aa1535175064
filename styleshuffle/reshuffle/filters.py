"""Means over windows of a picture or of features: boxes and Gaussians, in windows that end at the border."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_FINEST_SIGMA = 1.5  # positions, of a blur on a coarser grid


def box_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over windows of 2 radius + 1 positions a side, (C, H, W) as ``values``; at the border over what there is."""
    for dimension in (1, 2):
        values = _window_sums(values, radius, dimension) / _window_sizes(values, radius, dimension)
    return values


def _window_sums(values: Tensor, radius: int, dimension: int) -> Tensor:
    """Sums over windows of 2 radius + 1 positions along a dimension, zeros beyond the border.

    By sums over 1, 2, 4, ... positions, so the time grows with the logarithm of the radius.
    """
    length, window = values.shape[dimension], 2 * radius + 1
    sums = F.pad(values, (radius, radius) if dimension == 2 else (0, 0, radius, radius))
    total, start, width = None, 0, 1
    while width <= window:
        if window & width:
            part = sums.narrow(dimension, start, length)
            total = part.clone() if total is None else total.add_(part)
            start += width
        width *= 2
        if width <= window:
            rest = sums.shape[dimension] - width // 2
            sums = sums.narrow(dimension, 0, rest) + sums.narrow(dimension, width // 2, rest)
    assert total is not None  # a window has a position at least
    return total


def _window_sizes(values: Tensor, radius: int, dimension: int) -> Tensor:
    """How many positions such a window has, for each position along the dimension, to divide values (C, H, W) by."""
    last = values.shape[dimension] - 1
    places = torch.arange(last + 1, device=values.device)
    sizes = (places + radius).clamp_max_(last) - (places - radius).clamp_min_(0) + 1
    return sizes.to(values.dtype).view((1, -1, 1) if dimension == 1 else (1, 1, -1))


def gaussian(values: Tensor, sigma: float) -> Tensor:
    """Values (C, H, W) blurred by a Gaussian that is cut off at 3 sigma; borders are repeated."""
    reach = max(1, math.ceil(3 * sigma))
    steps = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    kernel = (-0.5 * (steps / sigma) ** 2).exp()
    kernel = (kernel / kernel.sum()).expand(len(values), 1, 1, -1)
    for turned in (kernel, kernel.transpose(2, 3)):
        padding = (reach, reach, 0, 0) if turned is kernel else (0, 0, reach, reach)
        values = F.conv2d(F.pad(values[None], padding, mode="replicate"), turned, groups=len(values))[0]
    return values


def blurred(values: Tensor, sigma: float) -> Tensor:
    """About `gaussian`, in a time that does not grow with sigma: a wide blur is made on a coarser grid."""
    factor = max(1, int(sigma / _FINEST_SIGMA))
    if factor == 1:
        return gaussian(values, sigma)
    coarse = gaussian(F.avg_pool2d(values[None], factor, ceil_mode=True)[0], sigma / factor)
    large = F.interpolate(coarse[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
    return large[:, : values.shape[1], : values.shape[2]]


def local_variance(values: Tensor, radius: int) -> Tensor:
    """Variance in windows as of `box_mean`, summed over the channels, (H, W)."""
    centred = values - values.mean((1, 2), keepdim=True)  # for float32, squares of large means would swallow it
    return (box_mean(centred.square(), radius) - box_mean(centred, radius).square()).clamp_min_(0).sum(0)
