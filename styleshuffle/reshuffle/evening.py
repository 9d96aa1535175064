"""Make votes and colours agree with the content over wide areas, and leave the style its strokes.

Where the content is flat, small noise decides which style patch a position takes. The mean of overlapping votes then
drifts from one colour of the style to another: soft clouds that follow nothing in the content. Evening replaces what is
coarser than a stroke by what the content asks for, and keeps what is finer:

    v' = v + S(W(v) - v)

W and S are guided filters (He, Sun and Tang, "Guided image filtering", ECCV 2010) with the content as their guide, W
wide, S as wide as a stroke. A guided filter replaces v, in each window, by the linear function a . I + b of the guide I
that is nearest to it,

    a = (cov(I) + epsilon)^-1 cov(I, v),   b = mean(v) - a . mean(I),

and averages a and b over the windows that overlap at a position: an edge of the content stays an edge, and everything
else becomes smooth. Means over windows are box sums on a grid as coarse as the radius allows ("Fast guided filter", He
and Sun, 2015), so the time is linear in the positions, whatever the radius. To make a transport map regular is the aim of
Ferradans et al. ("Regularized discrete optimal transport", 2014); here it is the transported features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import box_mean
from .tones import luminance

_WIDE = 1 / 16  # radius of W, of the picture's long side
_STROKE = 1 / 68  # radius of S, likewise
_EPSILON = 1e-3  # variance of the guide, in [0, 1]^2, that makes an edge
_CELLS = 4  # radius on the coarse grid, at least


class Evener:
    """Evens features and pictures along a content picture (3, H, W), RGB in [0, 1].

    Sizes are relative to the picture's, so that a look does not change with the resolution.
    """

    def __init__(self, picture: Tensor) -> None:
        self.guide = luminance(picture)[None]
        self.side = max(picture.shape[1:])

    def __call__(self, values: Tensor, share: float = 1.0) -> Tensor:
        """Values (C, h, w) of the whole picture on any grid that divides its own, evened by a share from 0 to 1."""
        step = self.guide.shape[1] // values.shape[1]
        guide = F.avg_pool2d(self.guide[None], step)[0] if step > 1 else self.guide
        wide, stroke = (max(least, size * self.side / step) for least, size in ((2, _WIDE), (1, _STROKE)))
        change = guided_filter(values, guide, wide, _EPSILON) - values
        return torch.add(values, guided_filter(change, guide, stroke, _EPSILON), alpha=share)

    def wide(self, values: Tensor) -> Tensor:
        """A map (H, W) of the picture, over wide areas."""
        return guided_filter(values[None], self.guide, _WIDE * self.side, _EPSILON)


def guided_filter(values: Tensor, guide: Tensor, radius: float, epsilon: float) -> Tensor:
    """Values (C, H, W), smoothed but for the edges that a guide (1, H, W) has too; see this module's text.

    Args:
        radius: of the windows, in positions, at least 1.
        epsilon: variance of the guide below which it counts as flat.
    """
    factor = max(1, int(radius / _CELLS))
    cells = max(1, round(radius / factor))
    coarse, coarse_guide = _pool(values, factor), _pool(guide, factor)
    mean, mean_guide = box_mean(coarse, cells), box_mean(coarse_guide, cells)
    variance = box_mean(coarse_guide.square(), cells) - mean_guide.square()
    slope = box_mean(coarse * coarse_guide, cells).addcmul_(mean, mean_guide, value=-1).div_(variance + epsilon)
    offset = mean.addcmul_(slope, mean_guide, value=-1)
    slope, offset = (_enlarged(box_mean(part, cells), factor, values) for part in (slope, offset))
    return offset.addcmul(slope, guide)


def _pool(values: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(values[None], factor, ceil_mode=True)[0] if factor > 1 else values


def _enlarged(values: Tensor, factor: int, like: Tensor) -> Tensor:
    if factor == 1:
        return values
    large = F.interpolate(values[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
    return large[:, : like.shape[1], : like.shape[2]]
