"""The decoder's job without a decoder: find by gradient the picture whose features are the wanted ones; for any encoder.

After Mahendran and Vedaldi, "Understanding deep image representations by inverting them" (CVPR 2015). What is optimised
is always the picture, also where the features of the next finer level are wanted, which are then encoded from it.
Optimising those features themselves is cheaper, but finds some that no picture has, for what pooling drops is free, and
the finer levels cannot make up for that. Three things make few steps enough:

- the change from the start is the sum of a pyramid, all layers of which move at once (see `pixels`);
- only that change has to be smooth, not the picture, so one that already fits stays as it is, to the bit;
- each level starts from the picture that the coarser level came to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from ..networks.vgg import VGG
from .pixels import empty_pyramid, make_optimizer, sum_pyramid

STEPS = 80  # at most, a level
_RATE = 0.03  # of Adam, in units of the picture's range; falls linearly to 0
_MOMENTUM = 0.9  # of Adam, beta_1
_WARMUP = 10  # steps; at its full rate Adam's first ones overshoot, which would look like a stall
_SMOOTHNESS = 10.0  # weight of the change's squared slope
_LEAST_GAIN = 0.02  # share by which the loss has to fall in an eighth of the steps, or the search ends


@dataclass(frozen=True)
class InversionStep:
    """Where the search for a picture stands.

    Attributes:
        level: whose features are searched for: 4 for relu4_1.
        step, steps: number of the step, from 1, and how many there are at most.
        loss: the least so far; near 0 where the features fit, about 1 where only their mean does.
        picture: of that loss, (N, 3, H, W), RGB in [0, 1].
    """

    level: int
    step: int
    steps: int
    loss: float
    picture: Tensor


def invert(
    encoder: VGG, target: Tensor, level: int, start: Tensor, steps: int = STEPS, optimizer: str = "adam"
) -> Iterator[InversionStep]:
    """Search for a picture with given features, yielding after each step; ends early when the loss stalls.

    The loss is mean |E(x) - target|^2 / variance(target) + a weight times the mean squared slope of x - start; the
    picture is never worse by it than the start. Works in inference mode too. Memory is that of the encoder's
    activations up to the level.

    Args:
        encoder: E; its weights are left alone.
        target: relu{level}_1, (N, C, H', W').
        level: 1 to the encoder's deepest.
        start: the picture to start from, (N, 3, H, W), RGB in [0, 1].
        steps: how many at most; a step of "lbfgs" costs about two of the others'.
        optimizer: "adam", "lbfgs" or "generic-adam".

    Raises:
        SettingsError: no such optimizer.
    """
    search = _Search(encoder, target, level, start, optimizer)
    patience = max(_WARMUP, steps // 8)
    bests: list[float] = []
    for step in range(1, steps + 1):
        search.step(min(1, step / _WARMUP) * (1 - (step - 1) / steps))
        yield InversionStep(level, step, steps, search.best, search.picture)
        bests.append(search.best)
        if step > patience and search.best >= (1 - _LEAST_GAIN) * bests[-1 - patience]:
            break


class Inverter:
    """Stands in for a `Decoder` where there is none for the encoder.

    Args:
        encoder: any; its features are what is inverted.
        content: the picture to start from, (1, 3, H, W), RGB in [0, 1], of the wanted size.
        steps, optimizer: see `invert`.
        progress: called after each step; an exception from it stops the work.

    Raises:
        SettingsError: no such optimizer.
    """

    def __init__(
        self,
        encoder: VGG,
        content: Tensor,
        steps: int = STEPS,
        optimizer: str = "adam",
        progress: Callable[[InversionStep], None] | None = None,
    ) -> None:
        self.encoder, self.steps, self.optimizer, self.progress = encoder, steps, optimizer, progress
        self._content = content
        self._pictures: dict[int, Tensor] = {}  # by the level whose features they have

    @torch.no_grad()
    def __call__(self, features: Tensor, level: int) -> Tensor:
        """As `Decoder.forward`: features (1, C, H, W) of relu{level}_1 to those of the next finer level, or the picture.

        Starts from the picture last found for the next coarser level, or from the content.
        """
        picture = self._pictures.get(level + 1, self._content)
        for step in invert(self.encoder, features, level, picture, self.steps, self.optimizer):
            picture = step.picture
            if self.progress is not None:
                self.progress(step)
        self._pictures[level] = picture
        return self.encoder(picture, [level - 1])[level - 1] if level > 1 else picture


class _Search:
    """The state between two steps. Each step leaves inference mode for itself, which a generator cannot do."""

    @torch.inference_mode(False)
    def __init__(self, encoder: VGG, target: Tensor, level: int, start: Tensor, optimizer: str) -> None:
        self.encoder, self.level = encoder, level
        # copies: autograd may refuse inference mode's tensors, and the caller may change its own between two steps
        self.target, self.start = target.detach().clone(), start.detach().clone()
        centred = self.target - self.target.mean((2, 3), keepdim=True)
        self.variance = centred.square().mean().clamp_min(1e-12)
        self.layers = [layer.requires_grad_() for layer in empty_pyramid(self.start)]
        self.optimizer = make_optimizer(optimizer, self.layers, _RATE, _MOMENTUM)
        self.best, self.picture = float("inf"), self.start

    @torch.inference_mode(False)
    @torch.enable_grad()
    def step(self, share: float) -> None:
        """One step of the optimiser; Adam's is that share of its full one, the others see to theirs."""
        if isinstance(self.optimizer, Adam):
            self.optimizer.param_groups[0]["lr"] = _RATE * share
        self.optimizer.step(self._evaluate)  # type: ignore[arg-type]

    def _evaluate(self) -> Tensor:
        """The loss, its gradient left in the layers; keeps the best picture."""
        change = sum_pyramid(self.layers)
        free = self.start + change
        picture = free.clamp(0, 1)
        fit = (self.encoder(picture, [self.level])[self.level] - self.target).square().mean() / self.variance
        outside = (free - picture).square().mean()  # clamping leaves no gradient that would bring values back
        loss = fit + _SMOOTHNESS * _squared_slope(change) + outside
        if float(loss.detach()) < self.best:
            self.best, self.picture = float(loss.detach()), picture.detach()
        total = loss * free.numel()  # the gradient of a pixel is then of order 1, as L-BFGS expects
        for layer, gradient in zip(self.layers, torch.autograd.grad(total, self.layers), strict=True):
            layer.grad = gradient
        return total.detach()


def _squared_slope(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, down plus along."""
    return picture.diff(dim=2).square().mean() + picture.diff(dim=3).square().mean()
