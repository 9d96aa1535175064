"""Finish a picture in the image domain: gradient steps on its pixels, for content and reshuffle losses at all levels.

The feed-forward result shows what the decoder can draw. Here the picture itself is moved until its features at every
level are near what reshuffling asks for, as in the optimisation of Gu et al. (CVPR 2018), but with all levels at once
and from a result that is nearly there.

For a fixed field the reshuffle loss needs no patches: the sum of |F(q) - S(q)|^2 over all patches that overlap at q is
that of one position against their mean, the vote, times R^2, plus what does not depend on F. So both losses together are,
up to a constant, the distance to the vote blended with the content.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .inversion import make_optimizer
from .matching import Field, refine, upsample
from .moments import transfer
from .progressive import Progress
from .reshuffle import StyleLevel, vote
from .settings import Settings
from .vgg import VGG

_REFRESH = 10  # steps between two matchings
_RATE = 0.01  # in units of the pixels' range


def refine_picture(
    picture: Tensor,
    encoder: VGG,
    content: dict[int, Tensor],
    style: dict[int, StyleLevel],
    fields: dict[int, Field],
    settings: Settings,
) -> Iterator[Progress]:
    """Take `Settings.refine` steps, yielding after each.

    Args:
        picture: the feed-forward result, (3, H, W), RGB in [0, 1].
        content: features (C, H, W) of the content by level.
        style: from `prepare_style`.
        fields: the last field of each level; refreshed as the picture changes, each from itself.
        settings: as for the feed-forward result.
    """
    refiner = _Refiner(picture, encoder, content, style, fields, settings)
    for step in range(settings.refine):
        refiner.step(rematch=step % _REFRESH == 0)
        yield Progress((step + 1) / settings.refine, "refine", 0, refiner.picture)


class _Refiner:
    """What is kept between two steps, which are outside of inference mode; a generator could not leave it for itself."""

    @torch.inference_mode(False)
    def __init__(
        self,
        picture: Tensor,
        encoder: VGG,
        content: dict[int, Tensor],
        style: dict[int, StyleLevel],
        fields: dict[int, Field],
        settings: Settings,
    ) -> None:
        self.encoder, self.style, self.fields, self.settings = encoder, style, dict(fields), settings
        # mean variance of the style's channels, which makes levels comparable
        self.scales = {level: float(one.moments.covariance.diagonal().mean()) for level, one in style.items()}
        self.aims = {level: _aim(content[level], style[level], settings) for level in settings.levels}
        self.targets: dict[int, Tensor] = {}
        self.pixels = picture.clone(memory_format=torch.contiguous_format)[None].requires_grad_()
        self.optimizer = make_optimizer(settings.optimizer, [self.pixels], _RATE)

    @property
    def picture(self) -> Tensor:
        """(3, H, W), RGB in [0, 1]."""
        return self.pixels.detach()[0].clamp(0, 1)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def step(self, rematch: bool) -> None:
        if rematch:
            self._rematch()
        self.optimizer.step(self._loss)

    def _loss(self) -> Tensor:
        """Mean squared distance to the targets, a sum over the levels; leaves its gradient in the pixels."""
        self.optimizer.zero_grad()
        found = self.encoder(self.pixels, self.targets)
        errors = [
            (found[level][0] - target).square().mean() / self.scales[level] for level, target in self.targets.items()
        ]
        loss = torch.stack(errors).sum() * self.pixels.numel()  # a pixel's gradient is then of order 1, as L-BFGS expects
        loss.backward()
        return loss.detach()

    @torch.no_grad()
    def _rematch(self) -> None:
        """Improve the fields locally for the picture as it is now, and set the targets anew."""
        found = self.encoder(self.pixels, self.settings.levels)
        for level in self.settings.levels:
            features, patterns = found[level][0], self.style[level]
            if patterns.describer is None:  # follows the coarser level
                field = upsample(self.fields[level + 1], tuple(features.shape[1:]), patterns.grid)
            else:
                field = refine(self.fields[level], patterns.describer(features), patterns.descriptors, rounds=1)
            self.fields[level] = field
            votes = vote(patterns, field, self.settings.at("patch_sizes", level))
            self.targets[level] = torch.lerp(votes, self.aims[level], _share(level, self.settings))


def _aim(content: Tensor, style: StyleLevel, settings: Settings) -> Tensor:
    """The content's features as they are blended in."""
    return transfer(content, style.moments) if settings.recolour else content


def _share(level: int, settings: Settings) -> float:
    """Share of the encoder's own content in the feed-forward blend at a level."""
    share = settings.at("content_weights", level)
    if level != settings.levels[0]:
        share *= settings.at("encoder_blends", level)
    return share ** (2 * settings.strength)
