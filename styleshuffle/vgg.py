"""One VGG feature extractor in two sizes.

Both have the topology of VGG-19 (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", ICLR 2015): blocks of 3 x 3 convolutions with ReLU, a 2 x 2 maximum pooling between blocks. They differ in
width only:

- ``compact``: our own, distilled from VGG-19 to relu4_1 (`styleshuffle.training.encoder`), comes with the package;
- ``vgg19``: the original, for whoever has its weights, as torchvision or as Caffe names and scales them.

Level ``l`` means relu{l}_1: its features have 1 / 2^(l-1) of the picture's height and width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import WeightsError
from .weights import load_bundled, load_tensors

COMPACT_WIDTHS = ((16, 32), (64, 64), (128, 128, 128, 128), (256,))
VGG19_WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,))

# What the networks subtract and divide by, per RGB channel, for pictures in [0, 1].
COMPACT_INPUT = ((0.45, 0.45, 0.45), (0.25, 0.25, 0.25))
TORCHVISION_INPUT = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE_INPUT = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))


class VGG(nn.Module):
    """VGG features of a picture.

    Args:
        widths: output channels of each convolution, block by block; the last block may stop early.
        input_mean, input_deviation: what RGB pictures in [0, 1] are normalised with.
        padding_mode: "reflect" leaves no dark frame in transferred pictures; "zeros" is what VGG-19 was trained with.

    The layers are numbered as in ``torchvision.models.vgg19().features``, so the two share their weight files.
    """

    def __init__(
        self,
        widths: Sequence[Sequence[int]] = COMPACT_WIDTHS,
        input_mean: Sequence[float] = COMPACT_INPUT[0],
        input_deviation: Sequence[float] = COMPACT_INPUT[1],
        padding_mode: str = "reflect",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taps: dict[int, int] = {}
        channels = 3
        for level, block in enumerate(widths, start=1):
            if level > 1:
                layers.append(nn.MaxPool2d(2))
            for width in block:
                layers += [nn.Conv2d(channels, width, 3, padding=1, padding_mode=padding_mode), nn.ReLU()]
                self.taps.setdefault(level, len(layers) - 1)
                channels = width
        self.features = nn.Sequential(*layers)
        self.channels: dict[int, int] = {level: block[0] for level, block in enumerate(widths, start=1)}
        self.register_buffer("mean", torch.tensor(input_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(input_deviation).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor, levels: Iterable[int]) -> dict[int, Tensor]:
        """Features of a picture.

        Args:
            picture: (N, 3, H, W), RGB in [0, 1]; H and W at least 2^(deepest level).
            levels: which of relu1_1, relu2_1, ... are wanted.

        Returns:
            for each level l its features, (N, C_l, H / 2^(l-1), W / 2^(l-1)), at least 0.
        """
        wanted = {self.taps[level]: level for level in levels}
        found: dict[int, Tensor] = {}
        x = (picture - self.mean) / self.deviation
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in wanted:
                found[wanted[index]] = x
                if len(found) == len(wanted):
                    break
        return found


def load_compact(path: str | Path | None = None) -> VGG:
    """The compact encoder: the bundled one, or another of the same shape from a file.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
    """
    net = VGG(COMPACT_WIDTHS)
    name = "encoder.safetensors"
    load_into(net, load_bundled(name) if path is None else load_tensors(path), path or name)
    return net.eval().requires_grad_(False)


def load_into(net: nn.Module, tensors: dict[str, Tensor], source: str | Path) -> None:
    """Give a network its weights; a file of another network is refused by name of the first wrong tensor."""
    for key, value in net.state_dict().items():
        if key not in tensors:
            raise WeightsError(f"{source}: no tensor '{key}'; pass the weights of this network")
        if tensors[key].shape != value.shape:
            found, expected = tuple(tensors[key].shape), tuple(value.shape)
            raise WeightsError(f"{source}: tensor '{key}' is {found}, expected {expected}; pass this network's weights")
    net.load_state_dict({key: tensors[key] for key in net.state_dict()})


def load_vgg19(path: str | Path, convention: str = "caffe", padding_mode: str = "reflect") -> VGG:
    """VGG-19 from a file, as deep as the file goes.

    Args:
        path: .safetensors or .pth with the keys of torchvision's vgg19 ("features.0.weight", ...); the classifier,
            if there, is passed over.
        convention: "caffe": BGR in 0-255 minus the channel means; "torchvision": RGB, normalised.
        padding_mode: see `VGG`.

    Raises:
        WeightsError: the file is missing or damaged, or is not VGG-19; names the first tensor that is wrong.
    """
    tensors = {k: v.float() for k, v in load_tensors(path).items() if k.startswith("features.")}
    widths = VGG19_WIDTHS
    while widths:
        mean, deviation = CAFFE_INPUT if convention == "caffe" else TORCHVISION_INPUT
        net = VGG(widths, mean, deviation, padding_mode)
        if set(net.state_dict()) <= set(tensors):
            break
        # one convolution less, block by block, until the file has all that the network asks for
        widths = (*widths[:-1], widths[-1][:-1]) if len(widths[-1]) > 1 else widths[:-1]
    else:
        raise WeightsError(f"{path}: not VGG-19: no tensor 'features.0.weight'; pass a file with torchvision's names")
    if convention == "caffe":
        tensors["features.0.weight"] = tensors["features.0.weight"].flip(1)  # BGR to RGB
    load_into(net, tensors, path)
    return net.eval().requires_grad_(False)
