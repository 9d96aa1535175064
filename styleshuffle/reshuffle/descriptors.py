"""What patches are compared by: one short unit vector a position, so that a dot product is a patch similarity.

The similarity of two R x R patches is the mean over their positions of the cosine between the two feature vectors (Gu et
al., "Arbitrary style transfer with deep feature reshuffle", CVPR 2018, as their released code computes it). Features are
first *instance-normalised*, each picture by its own channel means and deviations: with raw ones every smooth grey region
of the content would go to the few smooth patches of the style. Two projections onto principal axes of the style, of the
channels and then of whole patches, keep the vectors short; dot products of the short vectors stand for the long ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .eigen import eigen

Spread = tuple[Tensor, Tensor]
"""Mean and deviation (C) by channel."""

_SAMPLE = 2048  # positions that the axes of patches are found from, about
_CHANNEL_SAMPLE = 8192  # likewise the axes of channels


@dataclass(frozen=True)
class Describer:
    """Maps features to descriptors; made from a style's features by `fit_describer`.

    Attributes:
        patch: side R of a patch.
        channel_axes: (C, c).
        patch_axes: (c R^2, d), or None where patches are already short enough.
        tone_weight: similarity that is lost where the luminance misses its aim by 1; at 0 descriptors have no columns
            for the luminance.
    """

    patch: int
    channel_axes: Tensor
    patch_axes: Tensor | None
    tone_weight: float = 0.0

    def __call__(
        self, features: Tensor, aim: Tensor | None = None, light: Tensor | None = None, spread: Spread | None = None
    ) -> Tensor:
        """Descriptors of features (C, H, W): (H W, d), of norm at most 1, and the columns for the luminance.

        The product of the columns of content and style is -w (a - l)^2 + w a^2, with w the weight, a the aim and l the
        luminance, and the last term is the same for all patches of the style that a place can take.

        Args:
            aim: luminance (H, W) that is aimed at, of a content.
            light: luminance (H, W) of a style.
            spread: of the whole picture, if the features are those of a part of it.
        """
        described = self._described(features, spread)
        if not self.tone_weight:
            return described
        luminance = light if aim is None else aim
        if luminance is None:
            raise ValueError("this describer looks at the luminance; pass aim or light")
        values = luminance.flatten()[:, None] - 0.5
        root = (2 * self.tone_weight) ** 0.5
        last = torch.full_like(values, root) if light is None else -root / 2 * values.square()
        return torch.cat([described, root * values, last], 1)

    def _described(self, features: Tensor, spread: Spread | None) -> Tensor:
        return self._patches(reflect(_unit_positions(features, self.channel_axes, spread), self.patch // 2))

    def _patches(self, padded: Tensor, step: int = 1) -> Tensor:
        if self.patch_axes is None:
            return (F.unfold(padded[None], self.patch, stride=step)[0].T / self.patch).contiguous()
        # a convolution makes the same products without the patches, in a fraction of the time and the memory
        kernel = self.patch_axes.T.unflatten(1, (-1, self.patch, self.patch)).contiguous(
            memory_format=torch.channels_last
        )
        last = padded[None].contiguous(memory_format=torch.channels_last)
        described = F.conv2d(last, kernel, stride=step)[0].permute(1, 2, 0).flatten(0, 1)
        return F.normalize(described, dim=1)


def fit_describer(features: Tensor | Sequence[Tensor], patch: int, channels: int, length: int) -> Describer:
    """Axes for descriptors of at most ``length`` numbers, through ``channels``, from features (C, H, W) of styles."""
    styles = [features] if isinstance(features, Tensor) else list(features)
    spreads = [spread_of(own) for own in styles]
    normal = torch.cat([_normal_sample(own, spread) for own, spread in zip(styles, spreads, strict=True)], 1)
    axes = _principal_axes(normal @ normal.T / normal.shape[1], channels)
    whole = Describer(patch, axes, None)
    if axes.shape[1] * patch**2 <= length:
        return whole
    step = max(1, math.isqrt(sum(own[0].numel() for own in styles) // _SAMPLE))
    described = (_unit_positions(own, axes, spread) for own, spread in zip(styles, spreads, strict=True))
    samples = [whole._patches(reflect(own, patch // 2), step) for own in described]
    rows = torch.cat(samples)
    return Describer(patch, axes, _principal_axes(rows.T @ rows / len(rows), length))


def instance_normalise(features: Tensor) -> Tensor:
    """Features (C, H, W) with mean 0 and deviation 1 in each channel; constant channels become 0."""
    mean, deviation = spread_of(features)
    return (features - mean[:, None, None]) / deviation[:, None, None]


def _normal_sample(features: Tensor, spread: Spread) -> Tensor:
    """Instance-normalised features (C, n) of positions that are spread evenly over features (C, H, W)."""
    flat, (mean, deviation) = features.flatten(1), spread
    return (flat[:, :: max(1, flat.shape[1] // _CHANNEL_SAMPLE) | 1] - mean[:, None]) / deviation[:, None]


def spread_of(features: Tensor) -> Spread:
    """Mean and deviation (C) of features (C, H, W), the deviation never 0."""
    flat = features.flatten(1)
    mean = flat.mean(1)
    deviation = (flat - mean[:, None]).square_().mean(1).sqrt_()  # torch.std_mean takes ten times as long
    return mean, deviation.clamp_min(1e-5 * float(deviation.max().clamp_min(1e-12)))


def _unit_positions(features: Tensor, axes: Tensor, spread: Spread | None = None) -> Tensor:
    """Unit vectors (c, H, W): instance-normalised features (C, H, W) along the axes (C, c)."""
    mean, deviation = spread or spread_of(features)
    scaled = (axes / deviation[:, None]).T
    projected = torch.addmm(-(scaled @ mean)[:, None], scaled, features.flatten(1))
    length = projected.square().sum(0).sqrt_().clamp_min_(1e-6)  # F.normalize takes several times as long
    return projected.div_(length).unflatten(1, features.shape[1:])


def _principal_axes(square: Tensor, count: int) -> Tensor:
    return eigen(square)[1][:, -count:].to(square).contiguous()


def reflect(features: Tensor, border: int) -> Tensor:
    """Reflected borders; repeated ones where the picture is too small to reflect."""
    small = min(features.shape[1:]) <= border
    return F.pad(features[None], (border,) * 4, mode="replicate" if small else "reflect")[0]
