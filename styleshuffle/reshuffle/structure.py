"""Where a content has structure, and a floor of noise where it has none at all.

The content's weight falls where there is nothing to keep, a sky, a wall, a cheek: the style is free there. Where a
content is exactly flat, only rounding and the padding at the border tell its patches apart. All of them then take the
same match, and a woven grid or bands along the borders appear. A little noise tells the patches apart.
"""

from __future__ import annotations

from torch import Tensor

from .descriptors import instance_normalise
from .filters import local_variance
from .noise import seeded_noise
from .tones import luminance

_EVERY = 4  # every fourth feature is looked at
_RADIUS = 2  # of the windows in features
_FLAT, _STRUCTURED = 0.15, 0.6  # deviation in a window, of the whole picture's, mean over channels
_FLOOR_RADIUS = 4  # pixels


def structure(features: Tensor) -> Tensor:
    """How much structure there is, (H, W) from 0 to 1, by the deviation of features (C, H, W) around each position."""
    some = instance_normalise(features[::_EVERY].contiguous())
    deviation = (local_variance(some, _RADIUS) / len(some)).sqrt_()
    share = ((deviation - _FLAT) / (_STRUCTURED - _FLAT)).clamp_(0, 1)
    return share * share * (3 - 2 * share)


def with_floor(picture: Tensor, deviation: float, noise: Tensor) -> Tensor:
    """A picture (3, H, W) with grey noise where its local deviation is below a floor, as much as is missing.

    Args:
        deviation: the floor, in units of the picture's range.
        noise: (H, W), of `noise_of`.
    """
    missing = (deviation**2 - local_variance(luminance(picture)[None], _FLOOR_RADIUS)).clamp_min_(0).sqrt_()
    return picture + missing * noise.to(picture)


def noise_of(height: int, width: int, seed: int) -> Tensor:
    """Noise (H, W) of deviation 1, drawn on the CPU, so that it is the same on every device."""
    return seeded_noise((height, width), seed)
