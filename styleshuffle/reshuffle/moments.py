"""Mean and covariance of features, and the linear map that gives one picture's features those of another.

The reshuffled features are blended with the content's; raw content features would leak the content's colours, so they are
first moved to the style's mean and covariance. Of all linear maps that do so (whitening and colouring, Li et al.,
"Universal style transfer via feature transforms", NIPS 2017, is another) ours moves the features least: the optimal
transport between Gaussians (Lu et al., "A closed-form solution to universal style transfer", ICCV 2019), which keeps more
of the content at the same style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .eigen import eigen

_STEADY = 16  # positions whose own covariance counts as much as the whole picture's
_FLOOR = 1e-5  # of the largest eigenvalue: directions below it carry rounding, not structure


@dataclass(frozen=True)
class Moments:
    """Channel mean (C) and covariance (C, C) of features."""

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """Moments of features (C, H, W) over all positions."""
    flat = features.flatten(1)
    mean = flat.mean(1)
    flat = flat - mean[:, None]
    return Moments(mean, flat @ flat.T / flat.shape[1])


def combined(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments of a whole from those of its parts, by the weights of the parts."""
    shares = [weight / sum(weights) for weight in weights]
    mean = sum((share * part.mean for part, share in zip(parts, shares, strict=True)), torch.zeros_like(parts[0].mean))
    covariance = torch.zeros_like(parts[0].covariance)
    for part, share in zip(parts, shares, strict=True):
        apart = part.mean - mean
        covariance += share * (part.covariance + apart[:, None] * apart)
    return Moments(mean, covariance)


def steadied(own: Moments, positions: int, whole: Moments) -> Moments:
    """Moments of a part, whose covariance goes towards the whole's the fewer positions it comes from."""
    share = _STEADY / (_STEADY + positions)
    return Moments(own.mean, torch.lerp(own.covariance, whole.covariance, share))


def match_moments(features: Tensor, style: Moments, content: Moments | None = None) -> Tensor:
    """Features (C, H, W) moved to the style's mean and covariance by the linear map that moves them least.

    Args:
        content: moments of ``features``, if known.
    """
    content = content or moments(features)
    floor = _FLOOR * (content.covariance.trace() + style.covariance.trace()) / len(content.mean)
    root, inverse = _roots(content.covariance, floor)
    middle, _ = _roots(root @ style.covariance @ root, 0 * floor)
    matrix = inverse @ middle @ inverse
    # by rows of channels, as features and votes lie in memory: to blend differing layouts takes several times as long
    moved = torch.addmm(style.mean - matrix @ content.mean, features.flatten(1).T, matrix.T)
    return moved.T.unflatten(1, features.shape[1:])


def _roots(covariance: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a covariance with its eigenvalues raised by ``floor``, and the inverse of that root."""
    values, vectors = eigen(covariance)
    roots = (values.clamp_min(0) + floor.to(values)).sqrt()
    inverse = roots.clamp_min(1e-30).reciprocal()
    return ((vectors * roots) @ vectors.T).to(covariance), ((vectors * inverse) @ vectors.T).to(covariance)
