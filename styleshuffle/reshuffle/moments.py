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
from functools import cached_property

import torch
from torch import Tensor

from .eigen import eigen

_STEADY = 16  # positions whose own covariance counts as much as the whole picture's
_FLOOR = 1e-5  # of the mean eigenvalue, which is added to the content's: directions below it carry rounding
_ROUNDING = 1e-13  # of the largest eigenvalue of a product of covariances, in float64
_SAMPLE = 8192  # positions that moments are taken from, about, where there are more


@dataclass(frozen=True)
class Moments:
    """Channel mean (C) and covariance (C, C) of features."""

    mean: Tensor
    covariance: Tensor

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (C), rising, and eigenvectors (C, C) of the covariance, see `eigen`."""
        return eigen(self.covariance)


def moments(features: Tensor) -> Moments:
    """Moments of features (C, H, W) over all positions, or over some 8,000 that are spread evenly."""
    flat = features.flatten(1)
    # an odd step takes odd and even places alike, which upsampling may have made differ
    flat = flat[:, :: max(1, flat.shape[1] // _SAMPLE) | 1]
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
    matrix = _least_map(content, style, floor).to(features)
    # by rows of channels, as features and votes lie in memory: to blend differing layouts takes several times as long
    moved = torch.addmm(style.mean - matrix @ content.mean, features.flatten(1).T, matrix.T)
    return moved.T.unflatten(1, features.shape[1:])


def _least_map(content: Moments, style: Moments, floor: Tensor) -> Tensor:
    """The symmetric matrix A (C, C) with A (cov + floor) A = cov' of content and style, in float64.

    With a factor L of the style's covariance, L L^T = cov', it is L (L^T (cov + floor) L)^(-1/2) L^T. So one
    decomposition is needed for each content, and the style's own is done once.
    """
    values, vectors = style.spectrum
    factor = vectors * values.clamp_min(0).sqrt()
    raised = content.covariance.to(factor) + torch.diag(floor.to(factor).expand(len(factor)))
    inner, turned = eigen(factor.T @ raised @ factor)
    kept = inner > _ROUNDING * inner[-1]
    half = (factor @ turned) * torch.where(kept, inner, torch.inf).pow(-0.25)
    return half @ half.T
