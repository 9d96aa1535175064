"""What the parts of the theory benchmark do with features (C, H, W) of one level."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from styleshuffle.evaluation.losses import gram, gram_loss
from styleshuffle.networks.vgg import VGG


@torch.no_grad()
def encode(encoder: VGG, picture: Tensor, levels: Sequence[int] = (4,)) -> dict[int, Tensor]:
    """Features (C, H, W) of a picture (1, 3, H, W), by level."""
    return {level: features[0].contiguous() for level, features in encoder(picture, levels).items()}


def gram_distance(output: Tensor, style: Tensor) -> float:
    """|G_o - G_s| / |G_s|."""
    return math.sqrt(float(gram_loss(output, style) / gram(style).square().mean()))


def reshuffled(features: Tensor, match: Tensor) -> Tensor:
    """Features (C, H', W') put where a match (H, W) says."""
    return features.flatten(1)[:, match.flatten()].view(len(features), *match.shape)
