"""Give flat places the fine contrast of the style's brushwork.

Where the content is flat, a position's vote is the mean of patches that do not fit together exactly, so strokes come out
paler than the style's own. The fine frequencies of the picture are made stronger there, up to the contrast that the style
has: what is finer than a few pixels of 512, in the manner of an unsharp mask whose amount follows from the style.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .filters import blurred, box_mean

_FINE = 3 / 512  # deviation of the Gaussian that takes the fine frequencies out, of the picture's long side
_WINDOW = 24 / 512  # radius of the windows that contrast is measured in, likewise
_MOST = 2.0  # factor; more would show the decoder's grain


def fine_contrast(picture: Tensor) -> float:
    """Root mean square of the fine frequencies of a picture (3, H, W), RGB in [0, 1]."""
    return float(_fine(picture).square().mean().sqrt())


def fine_energy(picture: Tensor) -> Tensor:
    """Mean square of the fine frequencies of a picture (3, H, W) at each place, (H, W)."""
    return _fine(picture).square().mean(0)


def with_brushwork(picture: Tensor, contrast: float | Tensor, flat: Tensor, share: float) -> Tensor:
    """A picture (3, H, W) whose fine contrast in flat places goes to the style's.

    Args:
        contrast: of the style, see `fine_contrast`; a number or (H, W).
        flat: how flat the content is, (H, W), 0 to 1.
        share: how far to go, 0 to 1.
    """
    fine = _fine(picture)
    there = box_mean(fine.square().mean(0, keepdim=True), max(1, round(_WINDOW * max(picture.shape[1:])))).sqrt_()
    missing = (contrast / there.clamp_min_(1e-4)).clamp_(1, _MOST).sub_(1)
    return torch.addcmul(picture, fine, missing * flat, value=share)


def _fine(picture: Tensor) -> Tensor:
    return picture - blurred(picture, _FINE * max(picture.shape[1:]))
