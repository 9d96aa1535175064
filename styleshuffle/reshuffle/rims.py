"""Take halos away: bright and dark rims along the strong edges of the content.

Recolouring, the tone shift and the network's steps each make edges steeper than they are, as a photographer's unsharp
mask does; no step alone makes most of it. A rim is what the result has of the content's own unsharp mask

    D = I - Gauss(I)

beside what it has of the content's luminance I. So I is fitted to both in windows, as by a guided filter, and what is
left of the result is fitted to what is left of D:

    r = x - (a I + b),   d = D - (a' I + b'),   rim = d cov(r, d) / (var(d) + epsilon).

Brushwork has nothing to do with d, so it stays. A thin line stays too: there D is a multiple of I, and d is 0.
"""

from __future__ import annotations

from torch import Tensor

from .filters import blurred, box_mean
from .guided import applied, coarseness, coefficients, pooled

_WIDTH = 10 / 512  # deviation of the Gaussian, of the picture's long side
_WINDOW = 16 / 512  # radius of the windows, likewise
_CELLS = 8  # radius of a window on its coarse grid, at least
_LEAST_VARIANCE = 1e-4  # of the guide, in [0, 1]^2, that makes an edge
_EPSILON = 2e-5  # of the unsharp mask


def rims(picture: Tensor, guide: Tensor) -> Tensor:
    """The rims (3, H, W) of a picture (3, H, W) along the edges of a guide (1, H, W), the content's luminance."""
    side = max(guide.shape[1:])
    mask = guide - blurred(guide, _WIDTH * side)
    factor = coarseness(_WINDOW * side, _CELLS)
    radius = max(1, round(_WINDOW * side / factor))
    coarse, coarse_guide, coarse_mask = (pooled(values, factor) for values in (picture, guide, mask))
    fit = coefficients(coarse_mask, coarse_guide, radius, _LEAST_VARIANCE)
    left_mask = coarse_mask - applied(*fit, 1, coarse_guide)
    left = coarse - applied(*coefficients(coarse, coarse_guide, radius, _LEAST_VARIANCE), 1, coarse_guide)
    slope = box_mean(left * left_mask, radius) / (box_mean(left_mask.square(), radius) + _EPSILON)
    slope = box_mean(slope, radius)
    return applied(slope, 0 * slope, factor, mask - applied(*fit, factor, guide))
