"""Give a picture the colours of another: how they are distributed, beyond mean and covariance.

Features that are moved to the style's mean and covariance leave a picture with one cloud of colours where the style may
have several. Here its pixels are moved part of the way to the style's own distribution, by the transfer of Pitié, Kokaram
and Dahyot ("N-dimensional probability density function transfer and its application to colour transfer", ICCV 2005):
along three orthogonal axes, each pixel goes to the same quantile of the other distribution; then along three others. Four
sets of axes are enough, because the pixels go only part of the way.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .eigen import eigen
from .noise import generator_of, seeded_noise

SAMPLE = 16384  # pixels that quantiles are taken from
_QUANTILES = 257
_GRID = 2048  # steps of the table that values are looked up in
_TURNS = 4


def palette_of(picture: Tensor) -> Tensor:
    """Colours (3, n) of a picture (3, H, W), evenly picked, that stand for all of them."""
    pixels = picture.flatten(1)
    return pixels[:, :: -(-pixels.shape[1] // SAMPLE)].contiguous()


def picked(pixels: Tensor, share: float) -> Tensor:
    """Pixels (3, n), evenly picked, as many as are that share of a palette; of few pixels, some several times."""
    count = max(1, round(share * SAMPLE))
    return pixels[:, torch.arange(count, device=pixels.device) * pixels.shape[1] // count]


def match_palette(picture: Tensor, palette: Tensor, share: float, whole: Tensor | None = None) -> Tensor:
    """A picture (3, H, W) whose colours have gone that share of their way, 0 to 1, to the distribution of a palette's.

    Args:
        palette: of `palette_of`.
        whole: pixels (3, n) whose distribution is to become the palette's, if it is not that of the picture's.
    """
    moved = picture.flatten(1)
    sample = None if whole is None else palette_of(whole)
    for axes in _axes(picture.device):
        along, wanted = axes @ moved, axes @ palette
        here = along[:, :: -(-along.shape[1] // SAMPLE)].contiguous() if sample is None else axes @ sample
        table = _Table(here, wanted)
        moved = axes.T @ table(along)
        sample = None if sample is None else axes.T @ table(here)
    return torch.lerp(picture, moved.view_as(picture), share)


def within(picture: Tensor, palette: Tensor, share: float) -> Tensor:
    """A picture (3, H, W) whose colours are held within a palette's, by a share from 0 to 1: a grey style gives grey.

    Colours are clipped to the box around the palette's, whose sides lie along its principal axes.

    Args:
        palette: of `palette_of`.
    """
    centred = palette - palette.mean(1, keepdim=True)
    axes = eigen(centred @ centred.T)[1].to(palette).T
    there = axes @ palette
    low, high = there.amin(1, keepdim=True), there.amax(1, keepdim=True)
    clipped = axes.T @ torch.minimum(torch.maximum(axes @ picture.flatten(1), low), high)
    return torch.lerp(picture, clipped.view_as(picture), share)


def _axes(device: torch.device) -> list[Tensor]:
    """Orthogonal matrices (3, 3): the colour channels first, then three turned by chance, always the same."""
    generator = generator_of(0)
    turned = [torch.linalg.qr(seeded_noise((3, 3), generator)).Q for _ in range(_TURNS - 1)]
    return [axes.to(device) for axes in (torch.eye(3, dtype=torch.float32, device="cpu"), *turned)]


def _quantiles(values: Tensor) -> Tensor:
    """Evenly spaced quantiles (3, `_QUANTILES`) of values (3, n), row by row, between neighbours by their distance."""
    # NumPy sorts many numbers at a time; torch takes twenty times as long
    on_cpu = values.device.type == "cpu"
    rising = torch.from_numpy(np.sort(values.numpy(), axis=1)) if on_cpu else values.sort(1).values
    last = rising.shape[1] - 1
    places = torch.linspace(0, last, _QUANTILES, dtype=torch.float64, device="cpu")
    before = places.long().clamp_(max=max(0, last - 1))
    part, before = (places - before).to(values), before.to(values.device)
    return torch.lerp(rising[:, before], rising[:, (before + 1).clamp_(max=last)], part)


class _Table:
    """Moves values from their quantile of a sample (3, n) to that of those that are wanted (3, n'), row by row."""

    def __init__(self, sample: Tensor, wanted: Tensor) -> None:
        here, there = _quantiles(sample), _quantiles(wanted)
        self.low, high = here[:, :1], here[:, -1:]
        self.scale = _GRID / (high - self.low).clamp_min(1e-6)
        # on an even grid a value's place needs no search
        grid = self.low + (high - self.low) * torch.linspace(0, 1, _GRID + 1, dtype=sample.dtype, device=sample.device)
        above = torch.searchsorted(here, grid).clamp_(1, _QUANTILES - 1)
        before, after = here.gather(1, above - 1), here.gather(1, above)
        part = ((grid - before) / (after - before).clamp_min(1e-6)).clamp_(0, 1)
        self.values = torch.lerp(there.gather(1, above - 1), there.gather(1, above), part)

    def __call__(self, values: Tensor) -> Tensor:
        """Values (3, n) moved."""
        place = ((values - self.low) * self.scale).clamp_(0, _GRID)
        step = place.long().clamp_(max=_GRID - 1)
        return torch.lerp(self.values.gather(1, step), self.values.gather(1, step + 1), place.sub_(step))
