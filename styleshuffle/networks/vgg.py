"""A VGG feature extractor in two sizes.

Both have the topology of VGG-19 (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", ICLR 2015): blocks of 3 x 3 convolutions with ReLU, and a 2 x 2 maximum pooling between blocks. They differ
only in width:

- ``compact`` is our own network, distilled from VGG-19 up to relu4_1 (`styleshuffle.training.distillation`). It comes
  with the package.
- ``vgg19`` is the original. Its weights come from torchvision or from Caffe, which expect different inputs.

Level ``l`` means relu{l}_1. Its features have 1 / 2^(l-1) of the picture's height and width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import SettingsError, WeightsError
from ..settings import CONVENTIONS, ENCODERS
from .download import downloaded
from .precision import as_weights
from .weights import load_bundled, load_into, load_tensors, without_values

COMPACT_WIDTHS = ((16, 32), (64, 64), (128, 128, 128, 128), (256,))
VGG19_WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,))

# What the networks subtract and divide by, per RGB channel, for pictures in [0, 1].
COMPACT_INPUT = ((0.45, 0.45, 0.45), (0.25, 0.25, 0.25))
TORCHVISION_INPUT = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE_INPUT = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))
INPUTS = {"caffe": CAFFE_INPUT, "torchvision": TORCHVISION_INPUT}

# of torchvision's file
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
VGG19_BYTES = 574_673_361

_CAFFE_SIGNS = 0xE83C42D37EABA13B  # of the green centre weights of its 64 first kernels, from the top bit down
_CAFFE_AGREEMENT = 56  # of the 64 signs; chance agrees on 32, with a standard deviation of 4


PaddingMode = Literal["zeros", "reflect"]
_FINGERPRINT = "encoder"  # the tensor in a file that identifies the network's encoder


class VGG(nn.Module):
    """VGG features of a picture.

    Args:
        widths: output channels of each convolution, block by block; the last block may stop early.
        input_mean, input_deviation: by channel; RGB pictures in [0, 1] are normalised with them.
        padding_mode: "zeros" is what VGG-19 was trained with; "reflect" avoids a dark frame in stylized pictures.
        kind: "compact" or "vgg19"; decides which decoder fits and how much memory a pixel takes.

    The layers are numbered as in ``torchvision.models.vgg19().features``, so the two share their weight files.
    """

    def __init__(
        self,
        widths: Sequence[Sequence[int]] = COMPACT_WIDTHS,
        input_mean: Sequence[float] = COMPACT_INPUT[0],
        input_deviation: Sequence[float] = COMPACT_INPUT[1],
        padding_mode: PaddingMode = "reflect",
        kind: str = "compact",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.mean: Tensor
        self.deviation: Tensor
        layers: list[nn.Module] = []
        self.taps: dict[int, int] = {}
        channels = 3
        for level, block in enumerate(widths, start=1):
            if level > 1:
                layers.append(nn.MaxPool2d(2))
            for width in block:
                layers += [nn.Conv2d(channels, width, 3, padding=1, padding_mode=padding_mode), nn.ReLU(inplace=True)]
                self.taps.setdefault(level, len(layers) - 1)
                channels = width
        self.features = nn.Sequential(*layers)
        self.order = self._order()
        self.channels: dict[int, int] = {level: block[0] for level, block in enumerate(widths, start=1)}
        self.register_buffer("mean", _constant(input_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", _constant(input_deviation).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor, levels: Iterable[int]) -> dict[int, Tensor]:
        """Features of a picture.

        Args:
            picture: (N, 3, H, W), RGB in [0, 1]; H and W at least 2^(deepest level).
            levels: the wanted levels: 1 for relu1_1, 2 for relu2_1, ...

        Returns:
            the features of each level l, (N, C_l, H / 2^(l-1), W / 2^(l-1)), at least 0.
        """
        wanted = {self.taps[level]: level for level in levels}
        features: dict[int, Tensor] = {}
        x = as_weights((picture - self.mean) / self.deviation, self)
        for index in self.order:
            x = self.features[index](x)
            if index in wanted:
                features[wanted[index]] = x.to(picture.dtype)
                if len(features) == len(wanted):
                    break
        return features

    def _order(self) -> list[int]:
        """The layers in the order they run.

        Pooling runs before the ReLU in front of it, unless that ReLU's output is a level: the result is the same, and the
        ReLU sees a quarter of the values.
        """
        order = list(range(len(self.features)))
        for index, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d) and index - 1 not in self.taps.values():
                order[index - 1], order[index] = index, index - 1
        return order

    def fingerprint(self) -> Tensor:
        """8 bytes (uint8) that identify the encoder, because a decoder fits only its own encoder."""
        first = self.state_dict()["features.0.weight"].detach().cpu().half().contiguous()  # most files store halves
        digest = hashlib.sha256(first.numpy().tobytes()).digest()
        return torch.tensor(list(digest[:8]), dtype=torch.uint8, device="cpu")


def _constant(values: Sequence[float]) -> Tensor:
    """Numbers as float32 on the CPU, whatever torch's defaults are."""
    return torch.tensor(values, dtype=torch.float32, device="cpu")


def fingerprinted(tensors: dict[str, Tensor], encoder: VGG) -> dict[str, Tensor]:
    """The tensors of a network, together with the fingerprint of its encoder."""
    return {**tensors, _FINGERPRINT: encoder.fingerprint()}


def check_fingerprint(tensors: dict[str, Tensor], encoder: VGG, source: str | Path, what: str) -> None:
    """Refuse tensors that were trained for another encoder. A file without a fingerprint passes.

    Args:
        what: the kind of network, for the message: "decoder".

    Raises:
        WeightsError: the tensors belong to another encoder.
    """
    fingerprint = tensors.get(_FINGERPRINT)
    if fingerprint is not None and not torch.equal(fingerprint.to(torch.uint8), encoder.fingerprint()):
        raise WeightsError(f"{source}: was trained for another encoder; pass that encoder, or this encoder's {what}")


def load_compact(path: str | Path | None = None) -> VGG:
    """The compact encoder, with the bundled weights or with weights of the same shape from a file.

    Raises:
        WeightsError: the file is missing or damaged, or belongs to another network.
    """
    with without_values():
        net = VGG(COMPACT_WIDTHS)
    name = "encoder.safetensors"
    load_into(net, load_bundled(name) if path is None else load_tensors(path), path or name)
    return net.eval().requires_grad_(False)


def load_encoder(
    name: str = "compact", weights: str | Path | None = None, convention: str | None = None, progress: bool = False
) -> VGG:
    """An encoder by name.

    Args:
        name: "compact" or "vgg19".
        weights: a file; None takes the bundled network, or torchvision's VGG-19, downloaded once into torch's cache.
        convention: of a VGG-19 file, see `load_vgg19`.
        progress: show the download on stderr.

    Raises:
        SettingsError: there is no such encoder, or a convention is given for the compact encoder.
        WeightsError: the weights are missing or damaged, cannot be downloaded, or belong to another network.
    """
    if name not in ENCODERS:
        raise SettingsError(f"encoder: {name!r} is unknown; use one of {', '.join(ENCODERS)}")
    if name == "compact":
        if convention is not None:
            raise SettingsError("convention: is for vgg19 only; leave it out, or choose the encoder vgg19")
        return load_compact(weights)
    return load_vgg19(weights or _downloaded_vgg19(progress), convention)


def load_vgg19(path: str | Path, convention: str | None = None, padding_mode: PaddingMode = "reflect") -> VGG:
    """VGG-19 from a file, as deep as the file goes, to relu5_1 at most.

    Args:
        path: .safetensors or .pth with the keys of torchvision's vgg19 ("features.0.weight", ...); the classifier, if
            there, is ignored.
        convention: "caffe": BGR in 0-255 minus the channel means; "torchvision": RGB, normalised; None: see
            `detect_convention`.
        padding_mode: see `VGG`; with "zeros" the features are those of ``torchvision.models.vgg19().features``.

    Raises:
        SettingsError: there is no such convention.
        WeightsError: the file is missing or damaged, or is not VGG-19; the message names the first wrong tensor.
    """
    if convention not in (None, *CONVENTIONS):
        raise SettingsError(f"convention: {convention!r} is unknown; use one of {', '.join(CONVENTIONS)}")
    tensors = {key: value for key, value in load_tensors(path).items() if key.startswith("features.")}
    with without_values():
        convolutions = sorted({int(key.split(".")[1]) for key in VGG(VGG19_WIDTHS).state_dict()})
    present = [index for index in convolutions if f"features.{index}.weight" in tensors]
    missing = [index for index in convolutions if index not in present and index < max(present, default=1)]
    if missing:
        raise WeightsError(f"{path}: not VGG-19: no tensor 'features.{missing[0]}.weight'; pass VGG-19's weights")
    widths, left = [], len(present)
    for block in VGG19_WIDTHS:
        widths.append(block[:left])
        left -= len(widths[-1])
    convention = convention or detect_convention(tensors["features.0.weight"])
    with without_values():
        net = VGG([block for block in widths if block], *INPUTS[convention], padding_mode, kind="vgg19")
    load_into(net, tensors, path)
    if convention == "caffe":
        net.features[0].weight.data = net.features[0].weight.data.flip(1)  # BGR to RGB
    return net.eval().requires_grad_(False)


def detect_convention(first: Tensor) -> str:
    """The input convention that VGG-19's weights were trained with, "caffe" or "torchvision".

    The scale of the weights does not show it. But there is only a single Caffe VGG-19, and the signs of the centre
    weights of its 64 first kernels identify it: rescaling, rounding and fine-tuning do not change them. All other weights
    count as torchvision's.

    Args:
        first: weight of conv1_1, (64, 3, 3, 3).
    """
    if first.shape != (64, 3, 3, 3):
        return "torchvision"  # not VGG-19; `load_into` refuses it
    positive = (first[:, 1, 1, 1] > 0).tolist()
    agreeing = sum(sign == bool(_CAFFE_SIGNS >> (63 - kernel) & 1) for kernel, sign in enumerate(positive))
    return "caffe" if agreeing >= _CAFFE_AGREEMENT else "torchvision"


def _downloaded_vgg19(progress: bool) -> Path:
    """The file of torchvision's VGG-19 in torch's cache; downloaded if it is missing."""
    import torchvision  # imported here, because it takes a second

    url = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return downloaded(url, VGG19_SHA256, VGG19_BYTES, path, progress)
