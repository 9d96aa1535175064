"""Refinement learned: from how far a picture's features are from their targets to a change of the picture.

Steps by gradient (`styleshuffle.reshuffle.refinement`) go through the encoder forth and back, many times. This network
looks at the same residuals, target less features at relu3_1, relu2_1 and relu1_1, and makes of them in one forward pass a
change that brings the picture nearer to the targets: a learned optimiser (Andrychowicz et al., "Learning to learn by
gradient descent by gradient descent", NIPS 2016; networks that are fed residuals step by step: Adler and Öktem, "Solving
ill-posed inverse problems using iterative deep neural networks", Inverse Problems 2017). It is trained through the frozen
encoder on the loss that the steps by gradient lower (`styleshuffle.training.refining`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from ..errors import WeightsError
from .vgg import VGG, check_fingerprint, fingerprinted, load_into
from .weights import load_bundled, load_tensors, save_tensors

LEVELS = (3, 2, 1)  # whose residuals it reads
STAGES = 2  # networks with weights of their own: for the first step, and for all later ones
_COARSE, _MIDDLE, _FINE = 64, 32, 12  # channels at relu3_1's, relu2_1's and the picture's resolution
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
        return picture + self.stages[min(step, len(self.stages) - 1)](residuals)


class Stage(nn.Module):
    """From coarse to fine, each resolution joined by its own residuals.

    Without biases: where there is no residual there is no change, and twice the residuals make twice the change.

    A finer resolution is written by the coarser one into channels that are then laid side by side (Shi et al., "Real-time
    single image and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR 2016), so
    little is computed at the picture's own. Beyond the border are zeros, for there is nothing to change.
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
        self.at_fine = _convolution(channels[1], _FINE, share=0.5)
        self.fine = nn.Sequential(nn.ReLU(), _convolution(_FINE, 3, share=0))  # the first change is none

    def forward(self, residuals: Mapping[int, Tensor]) -> Tensor:
        """The change (N, 3, H, W) that residuals, see `Refiner.forward`, ask for."""
        x = self.to_middle(self.coarse(residuals[3]))
        x = self.middle(pixel_shuffle(x, 2).add_(self.at_middle(residuals[2])))
        x = pixel_shuffle(self.to_fine(x), 2)
        return self.fine(x.add_(self.at_fine(residuals[1])))


def _convolution(channels: int, width: int, share: float = 1.0) -> nn.Conv2d:
    """3 x 3, with weights that give its output ``share`` of the variance that ReLU keeps from layer to layer."""
    layer = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    layer.weight.data *= share**0.5
    return layer


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
