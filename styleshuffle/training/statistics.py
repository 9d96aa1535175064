"""Mean and covariance of an encoder's features over many crops, a few crops at a time."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..networks.vgg import VGG


@torch.inference_mode()
def feature_moments(
    encoder: VGG, crops: Tensor, levels: Iterable[int], batch: int = 16
) -> dict[int, tuple[Tensor, Tensor]]:
    """Mean (C) and covariance (C, C) of the features at each level, float64, on the encoder's device.

    Args:
        crops: uint8 (N, 3, side, side).
        levels: 4 for relu4_1.
        batch: how many crops are encoded at a time.
    """
    device = next(encoder.buffers()).device
    levels = list(levels)
    counts = dict.fromkeys(levels, 0)
    totals: dict[int, Tensor] = {}
    squares: dict[int, Tensor] = {}
    for some in crops.split(batch):
        for level, features in encoder(some.to(device).float() / 255, levels).items():
            flat = features.transpose(0, 1).flatten(1).double()
            counts[level] += flat.shape[1]
            totals[level] = totals.get(level, 0) + flat.sum(1)
            squares[level] = squares.get(level, 0) + flat @ flat.T
    means = {level: totals[level] / counts[level] for level in levels}
    return {
        level: (means[level], squares[level] / counts[level] - torch.outer(means[level], means[level]))
        for level in levels
    }
