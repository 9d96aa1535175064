"""What optimises a picture: a pyramid of changes, all layers of which move at once, and the choice of an optimiser.

Steps on pixels alone would first of all make noise (as in Kolkin et al., "Style transfer by relaxed optimal transport and
self-similarity", CVPR 2019). `refinement` and `inversion` share this.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer

from ..errors import SettingsError

_GENERIC_FACTOR = 3.0  # Generic Adam's first step in units of Adam's: it falls as 1 / sqrt(t) by itself
_SMALLEST = 4  # pixels of the shorter side at the pyramid's top


def empty_pyramid(like: Tensor, most: int | None = None) -> list[Tensor]:
    """Zeros (N, 3, h, w) of the picture's size, half of it, and so on, to the top or until there are so many."""
    layers = [torch.zeros_like(like)]
    while min(layers[-1].shape[2:]) >= 2 * _SMALLEST and len(layers) != most:
        height, width = ((side + 1) // 2 for side in layers[-1].shape[2:])
        layers.append(layers[-1].new_zeros(*like.shape[:2], height, width))
    return layers


def sum_pyramid(layers: list[Tensor]) -> Tensor:
    """All layers of a pyramid, from fine to coarse, enlarged and added."""
    *finer, total = layers
    for layer in reversed(finer):
        total = F.interpolate(total, layer.shape[2:], mode="bilinear", align_corners=False) + layer
    return total


def make_optimizer(name: str, parameters: list[Tensor], rate: float, momentum: float) -> Optimizer:
    """An optimiser for pictures by name.

    Args:
        name: "adam", "lbfgs" or "generic-adam".
        rate: step size of "adam"; that of "generic-adam" follows from it; "lbfgs" finds its own.
        momentum: of "adam", its beta_1.

    Raises:
        SettingsError: no such optimizer.
    """
    if name == "adam":
        return Adam(parameters, lr=rate, betas=(momentum, 0.99))
    if name == "generic-adam":
        from ..optim import GenericAdam  # brings torch.distributed along, which other runs do without

        return GenericAdam(parameters, lr=_GENERIC_FACTOR * rate)
    if name == "lbfgs":
        return LBFGS(parameters, max_iter=1, max_eval=20, history_size=10, line_search_fn="strong_wolfe")
    raise SettingsError(f"optimizer: {name!r} is unknown; use one of adam, lbfgs, generic-adam")
