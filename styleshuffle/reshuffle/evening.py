"""Make votes and colours agree with the content over wide areas, and leave the style its strokes.

Where the content is flat, small noise decides which style patch a position takes. The mean of overlapping votes then
drifts from one colour of the style to another: soft clouds that follow nothing in the content. Evening replaces what is
coarser than a stroke by what the content asks for, and keeps what is finer:

    v' = v + S(W(v) - v)

W and S are guided filters (see `guided`) with the content's luminance as their guide, W wide, S as wide as a stroke. To
make a transport map regular is the aim of Ferradans et al. ("Regularized discrete optimal transport", 2014); here it is
the transported features.

Features are evened along the few principal axes of the style that hold most of it. Evening takes contrast away, as the
averaging of votes does, so mean and deviation along all axes are set to the style's again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .areas import Areas
from .guided import (
    applied,
    applied_within,
    coarseness,
    coefficients,
    coefficients_within,
    guided_filter,
    pooled,
    pooled_within,
)
from .moments import Moments
from .nnf import grid_of
from .rims import rims
from .tones import luminance

_WIDE = 1 / 11  # radius of W, of the picture's long side
_STROKE = 1 / 68  # radius of S, likewise
_EPSILON = 1e-3  # variance of the guide, in [0, 1]^2, that makes an edge
_STROKE_CELLS = 2  # radius of S on its coarse grid, at least
_AXES = (4, 16)  # at least and at most; an eighth of the channels
_GAIN = 3.0  # at most, on a deviation that evening and averaged votes have made smaller
_SAMPLE = 4096  # positions that deviations are taken from, about


@dataclass(frozen=True)
class Axes:
    """Principal axes of a style's features.

    Attributes:
        directions: all of them, (C, C).
        main: those that hold most of the style, which evening goes along, (C, k).
        mean: of the style, (C).
        deviation: of the style along each axis, (C).
    """

    directions: Tensor
    main: Tensor
    mean: Tensor
    deviation: Tensor


def axes_of(moments: Moments) -> Axes:
    """The axes of features with these moments."""
    values, vectors = (part.to(moments.mean) for part in moments.spectrum)
    count = min(max(len(moments.mean) // 8, _AXES[0]), _AXES[1])
    deviation = values.clamp_min(0).sqrt()
    return Axes(vectors.contiguous(), vectors[:, -count:].contiguous(), moments.mean, deviation)


class Evener:
    """Evens features and pictures along a content picture (3, H, W), RGB in [0, 1].

    Sizes are relative to the picture's, so that a look does not change with the resolution.
    """

    def __init__(self, picture: Tensor) -> None:
        self.guide = luminance(picture)[None]
        self.side = max(picture.shape[1:])

    def picture(self, values: Tensor, share: float, areas: Areas | None = None) -> Tensor:
        """A picture (3, H, W) of the content's size, evened by a share from 0 to 1, each area for itself."""
        return torch.add(values, self._change(values, areas), alpha=share)

    def without_rims(self, values: Tensor, share: float) -> Tensor:
        """A picture (3, H, W) without halos, see `rims`, by a share from 0 to 1."""
        return torch.sub(values, rims(values, self.guide), alpha=share)

    def features(self, rows: Tensor, height: int, axes: Axes, share: float) -> Tensor:
        """Features as rows (h w, C), on a grid of that height that divides the picture's, evened by a share."""
        along = axes.main.T @ rows.T
        change = self._change(along.unflatten(1, (height, -1))).flatten(1)
        evened = torch.addmm(rows, change.T, axes.main.T, alpha=share)
        offset, scaled = _restoring(evened, axes, share)
        return torch.addmm(offset, evened, scaled)

    def features_by_area(self, values: Tensor, areas: Areas, whole: Axes, looks: Sequence[Axes], share: float) -> Tensor:
        """Features (C, h, w), evened by a share; each area gets the mean and the deviation of its region of the style.

        Args:
            looks: axes of the region of each area.
        """
        along = torch.tensordot(whole.main.T, values, 1)
        change = torch.tensordot(whole.main, self._change(along, areas), 1)
        evened = torch.add(values, change, alpha=share)

        def restored(number: int, inside: Tensor, members: Tensor) -> Tensor:
            offset, scaled = _restoring(inside.T, looks[number], share)
            return torch.addmm(offset, members.T, scaled).T

        return areas.apply(evened, restored)

    def wide(self, values: Tensor, areas: Areas | None = None) -> Tensor:
        """A map (H, W) of the picture, over wide parts of each area."""
        radius = _WIDE * self.side
        if areas is None:
            return guided_filter(values[None], self.guide, radius, _EPSILON)
        parts = areas.shares_on(grid_of(self.guide))[:, None]
        return guided_filter(values[None], self.guide, radius, _EPSILON, parts).mul_(parts).sum(0)

    def _change(self, values: Tensor, areas: Areas | None = None) -> Tensor:
        """S(W(v) - v) of values (k, h, w), with W on the grid of S, each area for itself."""
        step = self.guide.shape[1] // values.shape[1]
        guide = pooled(self.guide, step)
        wide, stroke = (max(least, size * self.side / step) for least, size in ((2, _WIDE), (1, _STROKE)))
        factor = coarseness(stroke, _STROKE_CELLS)
        size = max(1, round(stroke / factor))
        if areas is None:
            coarse, coarse_guide = pooled(values, factor), pooled(guide, factor)
            change = guided_filter(coarse, coarse_guide, wide / factor, _EPSILON) - coarse
            return applied(*coefficients(change, coarse_guide, size, _EPSILON), factor, guide)
        parts = areas.shares_on(grid_of(values))[:, None]
        coarse, coarse_guide = pooled_within(values, parts, factor), pooled_within(guide, parts, factor)
        coarse_parts = pooled(parts, factor)
        change = guided_filter(coarse, coarse_guide, wide / factor, _EPSILON, coarse_parts) - coarse
        fit = coefficients_within(change, coarse_guide, coarse_parts, size, _EPSILON)
        return applied_within(*fit, coarse_parts, factor, guide).mul_(parts).sum(0)


def _restoring(evened: Tensor, axes: Axes, share: float) -> tuple[Tensor, Tensor]:
    """Offset (C) and matrix (C, C) that bring rows (n, C) to the mean and the deviation of axes by a share."""
    sample = evened[:: max(1, len(evened) // _SAMPLE)]
    mean = sample.mean(0)
    deviation = ((sample - mean) @ axes.directions).square_().mean(0).sqrt_()
    gain = (axes.deviation / deviation.clamp_min(1e-12)).clamp_(1 / _GAIN, _GAIN)
    scaled = (axes.directions * torch.lerp(torch.ones_like(gain), gain, share)) @ axes.directions.T
    return torch.lerp(mean, axes.mean, share) - mean @ scaled, scaled
