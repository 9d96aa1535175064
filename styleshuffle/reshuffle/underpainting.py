"""Coarse strokes first: a painting at half the size lays in the wide flat places of the content.

A painter takes a wide brush for the sky and a thin brush for the face, coarse strokes first (Hertzmann, "Painterly
rendering with curved brush strokes of multiple sizes", SIGGRAPH 1998). The style at its usual scale has strokes of one
size. A content at half its size, painted in the same style and enlarged again, has strokes twice as wide. They are laid
into the content before it is reshuffled, so that the fine strokes follow the coarse strokes:

    content' = content + share flat tanh-limited(Y(P) - Gauss(Y(P)))

P is the enlarged painting, Y its luminance. Only luminance, and only what is finer than the Gaussian, is taken: the
colours over wide areas are decided at full size, and those of a half-sized painting would drift like smoke. Where
structure is near, as in a face, `flat` falls to 0, because a wide brush has no room there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import blurred, box_mean
from .tones import luminance

LEAST_SIDE = 64  # pixels of the content's short side; half of less is too small to be painted
_COARSEST = 12 / 512  # deviation of the Gaussian, of the picture's long side
_ROOM = 16 / 512  # radius of the windows that must be flat, likewise
_FULL = 3.0  # factor on the mean structure of a window, which leaves no strokes at 1
_LIMIT = 0.8  # of a stroke's height, in deviations of all; single spots would look like stains


def halved(picture: Tensor) -> Tensor:
    """A picture (1, 3, H, W) at half its size."""
    return F.avg_pool2d(picture, 2)


def laid_in(picture: Tensor, painting: Tensor, structure: Tensor, share: float) -> Tensor:
    """A picture (3, H, W) with the coarse strokes of a painting of half its size.

    Args:
        painting: (3, h, w), RGB in [0, 1]; it is enlarged.
        structure: how much structure the picture has, (H, W), 0 to 1.
        share: how far to go, 0 to 1.
    """
    size, side = picture.shape[1:], max(picture.shape[1:])
    light = luminance(painting)[None]
    large = F.interpolate(light[None], size, mode="bicubic", align_corners=False)[0]
    strokes = large - blurred(large, _COARSEST * side)
    limit = _LIMIT * strokes.square().mean().sqrt().clamp_min(1e-6)
    strokes = torch.tanh(strokes / limit) * limit
    room = (1 - _FULL * box_mean(structure[None], max(1, round(_ROOM * side)))).clamp_min_(0)
    return torch.addcmul(picture, room, strokes, value=share).clamp_(0, 1)
