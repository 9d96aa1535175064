"""The refiner: a network that takes the steps of refinement, in place of an optimiser.

A gradient step (`styleshuffle.reshuffle.refinement`) runs the encoder forward and backward. The refiner sees the same
residuals, the targets minus the features at relu3_1, relu2_1 and relu1_1. From these, a single forward pass makes a
change of the picture that brings its features nearer to the targets. So the refiner is a learned optimiser (Andrychowicz
et al., "Learning to learn by gradient descent by gradient descent", NIPS 2016), which receives residuals step by step
(Adler and Öktem, "Solving ill-posed inverse problems using iterative deep neural networks", Inverse Problems 2017). It is
trained through the frozen encoder, on the loss that the gradient steps lower (`styleshuffle.training.refining`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad, pixel_shuffle, pixel_unshuffle

from ..errors import WeightsError
from .precision import as_weights
from .vgg import VGG, check_fingerprint, fingerprinted
from .weights import load_bundled, load_into, load_tensors, save_tensors, without_values

LEVELS = (3, 2, 1)  # the levels of the residuals
STAGES = 2  # a network for the first step, and another for all later steps
_COARSE, _MIDDLE, _FINE = 64, 32, 12  # channels at relu3_1's, relu2_1's and the picture's resolution
_GRID_WINDOW = 32  # pixels
_BUNDLED = "refiner.safetensors"


class Refiner(nn.Module):
    """A network for each of the first steps. The last network also takes all further steps.

    Args:
        channels: of the encoder's levels.
    """

    def __init__(self, channels: Mapping[int, int], stages: int = STAGES) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(channels) for _ in range(stages))

    def forward(self, picture: Tensor, residuals: Mapping[int, Tensor], step: int) -> Tensor:
        """Take a step.

        Args:
            picture: (N, 3, H, W), RGB in [0, 1] or a little beyond; H and W multiples of 4.
            residuals: (target - features of the picture) / deviation, of `Targets.residuals`, at relu3_1, relu2_1 and
                relu1_1.
            step: the number of the step, from 0.

        Returns:
            the changed picture, (N, 3, H, W), in [0, 1] or a little beyond.
        """
        stage = self.stages[min(step, len(self.stages) - 1)]
        change = stage(as_weights(picture, self), {level: as_weights(own, self) for level, own in residuals.items()})
        return picture + without_grid(change.to(picture.dtype))


class Stage(nn.Module):
    """The network of a step, from coarse to fine. Each resolution adds its residuals, the finest also the picture.

    A coarse resolution makes channels that are rearranged into the pixels of the next finer resolution (Shi et al.,
    "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR
    2016), so that little is computed at the full resolution. The border is padded with zeros, which mean no residual.
    """

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            _convolution(channels[3], _COARSE), nn.ReLU(), _convolution(_COARSE, _COARSE), nn.ReLU()
        )
        self.to_middle = _convolution(_COARSE, 4 * _MIDDLE, share=0.5)
        self.at_middle = _convolution(channels[2], _MIDDLE, share=0.5)
        self.middle = nn.Sequential(nn.ReLU(), _convolution(_MIDDLE, _MIDDLE), nn.ReLU())
        self.to_fine = _convolution(_MIDDLE, 4 * _FINE, share=0.5)
        self.at_fine = _convolution(channels[1] + 3, _FINE, share=0.5)
        self.fine = nn.Sequential(nn.ReLU(), _convolution(_FINE, 3, share=0))  # an untrained network changes nothing

    def forward(self, picture: Tensor, residuals: Mapping[int, Tensor]) -> Tensor:
        """The change (N, 3, H, W). Arguments: see `Refiner.forward`."""
        x = self.to_middle(self.coarse(residuals[3]))
        x = self.middle(pixel_shuffle(x, 2).add_(self.at_middle(residuals[2])))
        x = pixel_shuffle(self.to_fine(x), 2)
        return self.fine(x.add_(self.at_fine(torch.cat([residuals[1], picture - 0.5], 1))))


def without_grid(change: Tensor) -> Tensor:
    """A change (N, 3, H, W) without what repeats at every second pixel over a wide area.

    Channels that are rearranged into pixels leave such a grid (Odena, Dumoulin and Olah, "Deconvolution and checkerboard
    artifacts", Distill 2016). It is weak, but all of it has one frequency, so it shows in flat places. The four pixels of
    each 2 x 2 block should change alike on average: how far each of them is from their mean, averaged over a window, is
    taken away, except for the part that is a slope.

    Args:
        change: H and W even.
    """
    blocks = pixel_unshuffle(change, 2)
    size = blocks.shape[2:]
    window = min(_GRID_WINDOW // 2, *size)
    wide = avg_pool2d(blocks, window, ceil_mode=True, count_include_pad=False).unflatten(1, (-1, 4))
    means = wide.mean(2)
    around = pad(means, (1, 1, 1, 1), mode="replicate") / (4 * window)  # from window to window, a pixel's share
    along, down = around[..., 1:-1, 2:] - around[..., 1:-1, :-2], around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    slope = torch.stack([-along - down, along - down, down - along, along + down], 2) / 2
    offsets = (wide - means[:, :, None] - slope).flatten(1, 2)
    return change - pixel_shuffle(interpolate(offsets, size, mode="bilinear", align_corners=False), 2)


def _convolution(channels: int, width: int, share: float = 1.0) -> nn.Conv2d:
    """A 3 x 3 convolution. ``share`` scales the variance of its output, relative to He initialisation."""
    layer = nn.Conv2d(channels, width, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    layer.weight.data *= share**0.5
    nn.init.zeros_(layer.bias)
    return layer


def load_compact_refiner(encoder: VGG) -> Refiner:
    """The bundled refiner of the bundled encoder.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return _refiner_of(load_bundled(_BUNDLED), encoder, _BUNDLED)


def load_refiner(encoder: VGG, path: str | Path) -> Refiner:
    """The refiner of an encoder, from a file that `save_refiner` wrote.

    Raises:
        WeightsError: the file is missing or damaged, belongs to another network, or was trained for another encoder.
    """
    tensors = load_tensors(path)
    check_fingerprint(tensors, encoder, path, "refiner")
    return _refiner_of(tensors, encoder, path)


def save_refiner(refiner: Refiner, encoder: VGG, path: str | Path) -> None:
    """Write a refiner, in half precision, with the fingerprint of its encoder."""
    save_tensors(fingerprinted({key: value.half() for key, value in refiner.state_dict().items()}, encoder), path)


def _refiner_of(tensors: dict[str, Tensor], encoder: VGG, source: str | Path) -> Refiner:
    if not set(LEVELS) <= encoder.channels.keys():
        raise WeightsError(f"{source}: needs relu3_1, which the encoder does not have; pass a deeper encoder")
    with without_values():
        net = Refiner(encoder.channels)
    load_into(net, tensors, source, may_be_zero=("fine.1.weight",))
    return net.eval().requires_grad_(False)
