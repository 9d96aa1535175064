"""The decoder: from the features of a VGG level to those of the next finer level, and finally to a picture.

The decoder is a chain that mirrors VGG, with a segment for each level. The segments are trained while the encoder stays
fixed (`styleshuffle.training.decoding`). Their shape follows the decoders that Gu, Chen, Liao and Yuan released with
"Arbitrary style transfer with deep feature reshuffle" (CVPR 2018). Upsampling repeats the nearest value, because
transposed convolutions leave a grid.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from .precision import as_weights
from .vgg import VGG, check_fingerprint, fingerprinted
from .weights import load_bundled, load_into, load_tensors, save_tensors, without_values

UP = 0  # in a list of widths: double height and width here

SEGMENTS: dict[str, dict[int, tuple[int, ...]]] = {
    "compact": {
        4: (128, UP, 128, 128, 128),
        3: (64, UP, 64, 64),
        2: (64, 32, UP, 16),
        1: (16, 3),
    },
    "vgg19": {  # narrower inside than VGG-19, for speed
        4: (256, UP, 128, 128, 256),
        3: (128, UP, 64, 128),
        2: (64, 32, UP, 64),
        1: (32, 3),
    },
}
"""By the kind of encoder and by level: the widths of the segment's convolutions, in the order they run."""


class Decoder(nn.Module):
    """The chain of segments. Segment ``l`` goes from relu{l}_1 to relu{l-1}_1; segment 1 goes to the picture."""

    def __init__(self, channels: dict[int, int], segments: dict[int, tuple[int, ...]]) -> None:
        super().__init__()
        self.segments = nn.ModuleDict(
            {str(level): _segment(channels[level], widths, last=level == 1) for level, widths in segments.items()}
        )

    def forward(self, features: Tensor, level: int) -> Tensor:
        """Run the segment of a level.

        Args:
            features: relu{level}_1, (N, C, H, W).
            level: of the features, 1 or more.

        Returns:
            features of the next finer level, (N, C', 2H, 2W), at least 0; for level 1 the picture (N, 3, H, W), RGB,
            about in [0, 1]: it can overshoot.
        """
        segment, short = self.segments[str(level)], as_weights(features, self)
        if level > 1:
            return segment(short).to(features.dtype)
        return segment[-1](segment[:-1](short).to(segment[-1].weight.dtype)).to(features.dtype)

    @property
    def exact(self) -> nn.Module:
        """The layer that draws the picture. It always computes in float32: numbers of bfloat16 lie 1/256 apart above 0.5,
        so a sky would have bands."""
        return self.segments["1"][-1]


def _segment(channels: int, widths: tuple[int, ...], last: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        if width == UP:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
            channels = width
    return nn.Sequential(*(layers[:-1] if last else layers))


def decoder_for(encoder: VGG) -> Decoder:
    """An untrained decoder for an encoder."""
    return Decoder(encoder.channels, SEGMENTS[encoder.kind])


def load_compact_decoder(encoder: VGG) -> Decoder:
    """The bundled decoder of the bundled encoder.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return _decoder_of(load_bundled("decoder.safetensors"), encoder, "decoder.safetensors")


def load_decoder(encoder: VGG, path: str | Path) -> Decoder:
    """The decoder of an encoder, from a file that `save_decoder` wrote.

    Raises:
        WeightsError: the file is missing or damaged, belongs to another network, or was trained for another encoder.
    """
    tensors = load_tensors(path)
    check_fingerprint(tensors, encoder, path, "decoder")
    return _decoder_of(tensors, encoder, path)


def save_decoder(decoder: Decoder, encoder: VGG, path: str | Path) -> None:
    """Write a decoder, in half precision, with the fingerprint of its encoder."""
    save_tensors(fingerprinted({key: value.half() for key, value in decoder.state_dict().items()}, encoder), path)


def _decoder_of(tensors: dict[str, Tensor], encoder: VGG, source: str | Path) -> Decoder:
    with without_values():
        net = decoder_for(encoder)
    load_into(net, tensors, source)
    return net.eval().requires_grad_(False)
