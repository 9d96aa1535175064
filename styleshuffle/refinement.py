"""Finish a picture in the image domain: steps by gradient on the picture, for content and reshuffle losses.

The feed-forward result shows what the decoder can draw. Here the picture itself is moved until its features at relu1_1,
relu2_1 and relu3_1 are near what reshuffling asks for, as in the optimisation of Gu et al. (CVPR 2018), but with these
levels all at once and from a result that is nearly there.

For a fixed field the reshuffle loss needs no patches: the sum of |F(q) - S(q)|^2 over all patches that overlap at q is
that of one position against their mean, the vote, times R^2, plus what does not depend on F. So both losses together are,
up to a constant, the distance to the vote blended with the content.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .inversion import empty_pyramid, make_optimizer, sum_pyramid
from .matching import refine, upsample
from .progressive import Progress, recoloured
from .reshuffle import StyleLevel, vote
from .settings import Settings
from .vgg import VGG

_REFRESH = 10  # steps between two matchings; the feed-forward result's serve for the first
_RATE = 0.007  # of each layer, in units of the pixels' range
_MOMENTUM = 0.7  # of Adam; with 0.9 so few steps overshoot: less of the content was kept for the same style
_LAYERS = 2  # of a pyramid that changes the picture; pixels alone kept less of content and style in as many steps
_WEIGHTS = {4: 1.0, 3: 1.5, 2: 1.0, 1: 0.5}  # of the levels' losses
_COARSEST = 3  # with relu4_1 a step takes half as long again, and few steps made coherence and cfsd worse


def refine_picture(
    picture: Tensor,
    encoder: VGG,
    content: dict[int, Tensor],
    style: dict[int, StyleLevel],
    turns: dict[int, Progress],
    settings: Settings,
) -> Iterator[Progress]:
    """Take `Settings.refine` steps, yielding after each.

    Args:
        picture: the feed-forward result, (3, H, W), RGB in [0, 1].
        content: features (C, H, W) of the content by level.
        style: from `prepare_style`.
        turns: the last one of each level, from `shuffle`. Their fields are refreshed as the picture changes, each from
            itself.
        settings: as for the feed-forward result.
    """
    refiner = _Refiner(picture, encoder, content, style, turns, settings)
    del turns
    for step in range(settings.refine):
        refiner.step(rematch=step > 0 and step % _REFRESH == 0)
        yield Progress((step + 1) / settings.refine, "refine", 0, refiner.picture)


class _Refiner:
    """What is kept between two steps, which are outside of inference mode; a generator could not leave it for itself."""

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self,
        picture: Tensor,
        encoder: VGG,
        content: dict[int, Tensor],
        style: dict[int, StyleLevel],
        turns: dict[int, Progress],
        settings: Settings,
    ) -> None:
        self.encoder, self.content, self.style, self.settings = encoder, content, style, settings
        self.fields = {level: turns[level].field for level in settings.levels}
        self.levels = [level for level in settings.levels if level <= _COARSEST] or settings.levels[-1:]
        # mean variance of the style's channels, which makes levels comparable
        self.scales = {level: float(style[level].moments.covariance.diagonal().mean()) for level in self.levels}
        self.shares = content_shares(settings)
        self.targets = {level: self._target(level, turns[level].votes) for level in self.levels}
        # contiguous, not channels last: L-BFGS flattens gradients, which have the layout of their layers
        self.start = picture[None].clone(memory_format=torch.contiguous_format)
        self.layers = [layer.requires_grad_() for layer in empty_pyramid(self.start, _LAYERS)]
        self.optimizer = make_optimizer(settings.optimizer, self.layers, _RATE, _MOMENTUM)

    @property
    @torch.inference_mode(False)
    @torch.no_grad()
    def picture(self) -> Tensor:
        """(3, H, W), RGB in [0, 1]."""
        return self._free_picture()[0].clamp(0, 1)

    def _free_picture(self) -> Tensor:
        """(1, 3, H, W), not held to [0, 1]."""
        return self.start + sum_pyramid(self.layers)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def step(self, rematch: bool) -> None:
        if rematch:
            self._rematch()
        self.optimizer.step(self._loss)

    def _loss(self) -> Tensor:
        """Mean squared distance to the targets, a sum over the levels; leaves its gradient in the layers."""
        self.optimizer.zero_grad()
        found = self.encoder(self._free_picture(), self.levels)
        loss = torch.zeros((), device=self.start.device)
        gradients = []  # written out, for autograd goes through the features once more for the loss, and back
        for level, target in self.targets.items():
            # a pixel's gradient is then of order 1, as L-BFGS expects
            weight = _WEIGHTS[level] / self.scales[level] * self.start.numel() / target.numel()
            gap = found[level].detach() - target
            loss += weight * torch.linalg.vector_norm(gap).square()
            gradients.append(gap.mul_(2 * weight))
        torch.autograd.backward([found[level] for level in self.targets], gradients)
        return loss

    @torch.no_grad()
    def _rematch(self) -> None:
        """Improve the fields locally for the picture as it is now, and set the targets anew."""
        found = self.encoder(self._free_picture(), self.levels)
        for level in self.levels:
            features, patterns = found[level][0], self.style[level]
            if patterns.describer is None:  # follows the coarser level
                self.fields[level] = upsample(self.fields[level + 1], tuple(features.shape[1:]), patterns.grid)
            else:
                described = patterns.describer(features)
                self.fields[level] = refine(self.fields[level], described, patterns.descriptors, rounds=1)
            votes = vote(patterns, self.fields[level], self.settings.at("patch_sizes", level))
            self.targets[level] = self._target(level, votes)

    def _target(self, level: int, votes: Tensor) -> Tensor:
        aim = recoloured(self.content[level], self.style[level], self.settings)
        return torch.lerp(votes, aim, self.shares[level])


def content_shares(settings: Settings) -> dict[int, float]:
    """How much of the content is in the feed-forward features of each level: its own, and what the coarser ones bring.

    A level's blend has the content with its weight, and of that the encoder's own by one share and the decoded features
    of the coarser level, with their content, by the rest.
    """
    shares: dict[int, float] = {}
    carried = 1.0
    for level in settings.levels:
        weight, own = (settings.faded(settings.at(name, level)) for name in ("content_weights", "encoder_blends"))
        carried = shares[level] = weight * (own + (1 - own) * carried)
    return shares
