"""Finish a picture in the image domain: steps that bring its features nearer to what reshuffling asks for.

The feed-forward result shows what the decoder can draw. Here the picture itself is moved until its features at relu1_1,
relu2_1 and relu3_1 are near their targets (`styleshuffle.reshuffle.targets`), as in the optimisation of Gu et al. (CVPR
2018), but with these levels all at once and from a result that is nearly there. The first steps are those of a trained
network (`styleshuffle.networks.refiner`) where there is one for the encoder; all others are by gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..networks.refiner import Refiner
from ..networks.vgg import VGG
from .pixels import empty_pyramid, make_optimizer, sum_pyramid
from .targets import Targets, gradient_of, loss_of

_REFRESH = 10  # steps between two matchings; the feed-forward result's serve for the first
_RATE = 0.007  # of each layer, in units of the pixels' range
_MOMENTUM = 0.7  # of Adam; with 0.9 so few steps overshoot: less of the content was kept for the same style
_LAYERS = 2  # of a pyramid that changes the picture; pixels alone kept less of content and style in as many steps


def refine_by_gradient(
    picture: Tensor, encoder: VGG, targets: Targets, steps: int, optimizer: str = "adam"
) -> Iterator[Tensor]:
    """Take steps by gradient on the picture, yielding it after each. Works in inference mode too.

    Args:
        picture: the feed-forward result, (3, H, W), RGB in [0, 1]; so are those that are yielded.
        targets: rematched after every ten steps.
        optimizer: see `make_optimizer`.
    """
    search = _Search(picture, encoder, targets, optimizer)
    for step in range(steps):
        search.step(rematch=step > 0 and step % _REFRESH == 0)
        yield search.picture


def refine_by_network(picture: Tensor, encoder: VGG, targets: Targets, steps: int, refiner: Refiner) -> Iterator[Tensor]:
    """Take a trained network's steps on the picture, yielding it after each; no gradient is kept.

    Args:
        picture: the feed-forward result, (3, H, W), RGB in [0, 1]; so are those that are yielded.
        targets: at relu3_1, relu2_1 and relu1_1; they stay.
        refiner: trained for this encoder.
    """
    free = picture[None].contiguous(memory_format=torch.channels_last)  # not held to [0, 1]
    for step in range(steps):
        with torch.no_grad():
            free = refiner(free, targets.residuals(encoder(free, targets.levels)), step)
        yield free[0].clamp(0, 1)


class _Search:
    """The state between two steps. Each step leaves inference mode for itself, which a generator cannot do."""

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(self, picture: Tensor, encoder: VGG, targets: Targets, optimizer: str) -> None:
        self.encoder, self.targets = encoder, targets
        # contiguous, not channels last: L-BFGS flattens gradients, which have the layout of their layers
        self.start = picture[None].clone(memory_format=torch.contiguous_format)
        self.layers = [layer.requires_grad_() for layer in empty_pyramid(self.start, _LAYERS)]
        self.optimizer = make_optimizer(optimizer, self.layers, _RATE, _MOMENTUM)

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
            with torch.no_grad():
                self.targets.rematch(self.encoder(self._free_picture(), self.targets.levels))
        self.optimizer.step(self._loss)  # type: ignore[arg-type]

    def _loss(self) -> Tensor:
        """The loss, times the picture's numbers, so that a pixel's gradient is of order 1, as L-BFGS expects.

        Leaves its gradient in the layers; written out, for autograd goes through the features once more for the loss,
        and back.
        """
        self.optimizer.zero_grad()
        features = self.encoder(self._free_picture(), self.targets.levels)
        residuals = self.targets.residuals({level: own.detach() for level, own in features.items()})
        factor = self.start.numel()
        loss = factor * loss_of(residuals)
        gradients = gradient_of(residuals, self.targets.deviations, factor)
        torch.autograd.backward([features[level] for level in gradients], list(gradients.values()))
        return loss
