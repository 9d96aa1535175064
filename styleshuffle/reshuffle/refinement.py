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
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.vgg import VGG
from ..settings import Settings
from .levels import recolour
from .matching import improve
from .nnf import NNF, grid_of, upsample
from .pixels import empty_pyramid, make_optimizer, sum_pyramid
from .style import StyleLevel
from .voting import vote

_REFRESH = 10  # steps between two matchings; the feed-forward result's serve for the first
_RATE = 0.007  # of each layer, in units of the pixels' range
_MOMENTUM = 0.7  # of Adam; with 0.9 so few steps overshoot: less of the content was kept for the same style
_LAYERS = 2  # of a pyramid that changes the picture; pixels alone kept less of content and style in as many steps
_WEIGHTS = {4: 1.0, 3: 1.5, 2: 1.0, 1: 0.5}  # of the levels' losses
_COARSEST = 3  # with relu4_1 a step takes half as long again, and few steps made coherence and cfsd worse


@dataclass(frozen=True)
class Start:
    """What the feed-forward result leaves to refinement at one level: who went where, and the votes (C, H, W)."""

    nnf: NNF
    votes: Tensor


def refine_picture(
    picture: Tensor,
    encoder: VGG,
    content: dict[int, Tensor],
    style: dict[int, StyleLevel],
    starts: dict[int, Start],
    settings: Settings,
) -> Iterator[Tensor]:
    """Take `Settings.refine` steps, yielding the picture, (3, H, W) in [0, 1], after each.

    Args:
        picture: the feed-forward result, (3, H, W), RGB in [0, 1].
        content: features (C, H, W) of the content by level.
        style: from `prepare_style`.
        starts: of the last turn of each level. The fields are improved now and then as the picture changes.
        settings: as for the feed-forward result.
    """
    refinement = _Refinement(picture, encoder, content, style, starts, settings)
    del starts
    for step in range(settings.refine):
        refinement.step(rematch=step > 0 and step % _REFRESH == 0)
        yield refinement.picture


class _Refinement:
    """The state between two steps. Each step leaves inference mode for itself, which a generator cannot do."""

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self,
        picture: Tensor,
        encoder: VGG,
        content: dict[int, Tensor],
        style: dict[int, StyleLevel],
        starts: dict[int, Start],
        settings: Settings,
    ) -> None:
        self.encoder, self.content, self.style, self.settings = encoder, content, style, settings
        self.nnfs = {level: starts[level].nnf for level in settings.levels}
        self.levels = [level for level in settings.levels if level <= _COARSEST] or list(settings.levels[-1:])
        # mean variance of the style's channels, which makes levels comparable
        self.scales = {level: float(style[level].moments.covariance.diagonal().mean()) for level in self.levels}
        self.shares = content_shares(settings)
        self.targets = {level: self._target(level, starts[level].votes) for level in self.levels}
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
        self.optimizer.step(self._loss)  # type: ignore[arg-type]

    def _loss(self) -> Tensor:
        """Mean squared distance to the targets, a sum over the levels; leaves its gradient in the layers."""
        self.optimizer.zero_grad()
        encoded = self.encoder(self._free_picture(), self.levels)
        loss = torch.zeros((), device=self.start.device)
        gradients = []  # written out, for autograd goes through the features once more for the loss, and back
        for level, target in self.targets.items():
            # a pixel's gradient is then of order 1, as L-BFGS expects
            weight = _WEIGHTS[level] / self.scales[level] * self.start.numel() / target.numel()
            gap = encoded[level].detach() - target
            loss += weight * torch.linalg.vector_norm(gap).square()
            gradients.append(gap.mul_(2 * weight))
        torch.autograd.backward([encoded[level] for level in self.targets], gradients)
        return loss

    @torch.no_grad()
    def _rematch(self) -> None:
        """Improve the fields locally for the picture as it is now, and set the targets anew."""
        encoded = self.encoder(self._free_picture(), self.levels)
        for level in self.levels:
            features, patterns, here = encoded[level][0], self.style[level], self.settings.at(level)
            if here.matches:
                describer, descriptors = patterns.index()
                self.nnfs[level] = improve(self.nnfs[level], describer(features), descriptors, rounds=1)
            else:
                self.nnfs[level] = upsample(self.nnfs[level + 1], grid_of(features), patterns.grid)
            self.targets[level] = self._target(level, vote(patterns, self.nnfs[level], here.patch_size))

    def _target(self, level: int, votes: Tensor) -> Tensor:
        aim = recolour(self.content[level], self.style[level], self.settings)
        return torch.lerp(votes, aim, self.shares[level])


def content_shares(settings: Settings) -> dict[int, float]:
    """How much of the content is in the feed-forward features of each level: its own, and what the coarser ones bring.

    A level's blend has the content with its weight, and of that the encoder's own by one share and the decoded features
    of the coarser level, with their content, by the rest.
    """
    shares: dict[int, float] = {}
    carried = 1.0
    for level in settings.levels:
        here = settings.at(level)
        carried = shares[level] = here.content_weight * (here.encoder_blend + (1 - here.encoder_blend) * carried)
    return shares
