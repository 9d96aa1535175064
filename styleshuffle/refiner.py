"""Refinement learned: from how far a picture's features are from their targets to a change of the picture.

Steps by gradient (`styleshuffle.refinement`) go through the encoder forth and back, many times. This network looks at the
same residuals, target less features at relu3_1, relu2_1 and relu1_1, and makes in one forward pass a change that brings the
picture nearer to the targets: a learned optimiser (Andrychowicz et al., "Learning to learn by gradient descent by gradient
descent", NIPS 2016; Adler and Öktem, "Solving ill-posed inverse problems using iterative deep neural networks", Inverse
Problems 2017, feed a network residuals as here). It is trained through the frozen encoder on the loss that the steps by
gradient lower (`styleshuffle.training.refiner`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import WeightsError
from .vgg import VGG, check_fingerprint, fingerprinted, load_into
from .weights import load_bundled, load_tensors, save_tensors

LEVELS = (3, 2, 1)  # whose residuals it reads
STAGES = 2  # networks with weights of their own: for the first step, and for all later ones
_COARSE, _MIDDLE, _FINE = (64, 64), (48, 32), (24,)  # widths at relu3_1's, relu2_1's and the picture's resolution
_BUNDLED = "refiner.safetensors"


class Refiner(nn.Module):
    """A network for the first step, and others for those after it; the last one serves for all that follow.

    Args:
        channels: of the encoder's levels.
    """

    def __init__(self, channels: Mapping[int, int], stages: int = STAGES) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(channels) for _ in range(stages))

    def forward(self, picture: Tensor, residuals: Mapping[int, Tensor], step: int) -> Tensor:
        """A step.

        Args:
            picture: (N, 3, H, W), RGB in [0, 1] or a little beyond; H and W multiples of 4.
            residuals: (target - features of the picture) / deviation, of `Targets.residuals`, at relu3_1, relu2_1 and
                relu1_1.
            step: its number, from 0.

        Returns:
            the changed picture, (N, 3, H, W), in [0, 1] or a little beyond.
        """
        return picture + self.stages[min(step, len(self.stages) - 1)](picture, residuals)


class Stage(nn.Module):
    """From coarse to fine, each resolution joined by its own residuals; the last also by the picture."""

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.coarse = _convolutions(channels[3], *_COARSE)
        self.middle = _convolutions(_COARSE[-1] + channels[2], *_MIDDLE)
        self.fine = _convolutions(_MIDDLE[-1] + channels[1] + 3, *_FINE)
        self.last = _convolution(_FINE[-1], 3)
        nn.init.zeros_(self.last.weight)  # the first change is none
        nn.init.zeros_(self.last.bias)

    def forward(self, picture: Tensor, residuals: Mapping[int, Tensor]) -> Tensor:
        x = self.coarse(residuals[3])
        x = self.middle(torch.cat([_doubled(x), residuals[2]], 1))
        return self.last(self.fine(torch.cat([_doubled(x), residuals[1], picture - 0.5], 1)))


def _convolutions(channels: int, *widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [_convolution(channels, width), nn.ReLU(inplace=True)]
        channels = width
    return nn.Sequential(*layers)


def _convolution(channels: int, width: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def load_compact_refiner(encoder: VGG) -> Refiner:
    """The bundled refiner of the bundled encoder.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return _with(load_bundled(_BUNDLED), encoder, _BUNDLED)


def load_refiner(encoder: VGG, path: str | Path) -> Refiner:
    """The refiner of an encoder from a file that `save_refiner` wrote.

    Raises:
        WeightsError: the file is missing or damaged, of another network, or trained for another encoder.
    """
    tensors = load_tensors(path)
    check_fingerprint(tensors, encoder, path, "refiner")
    return _with(tensors, encoder, path)


def save_refiner(refiner: Refiner, encoder: VGG, path: str | Path) -> None:
    """Write a refiner, in half precision, with the fingerprint of its encoder."""
    save_tensors(fingerprinted({key: value.half() for key, value in refiner.state_dict().items()}, encoder), path)


def _with(tensors: dict[str, Tensor], encoder: VGG, source: str | Path) -> Refiner:
    if not set(LEVELS) <= encoder.channels.keys():
        raise WeightsError(f"{source}: refines by relu3_1, which the encoder does not have; pass a deeper encoder")
    net = Refiner(encoder.channels)
    load_into(net, tensors, source)
    return net.eval().requires_grad_(False)
