"""Train the decoder chain of a frozen encoder.

While training, each segment reads *whitened* features and writes whitened features: raw ones are so correlated that
the same network learns several times slower. Whitening is linear, so it is folded into the first and last convolution
of each segment when the weights are written, and nothing of it is left at run time.

All segments learn together: a part of each batch starts at the deepest level, parts join at each finer one, and all run
through the finer segments to the picture. So a segment learns both from the encoder's features and from what the
segment before it makes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..decoder import Decoder, compact_decoder
from ..errors import SettingsError
from ..vgg import VGG
from .loop import Plan, Progress, train

_FEATURE_WEIGHT = 0.05  # of 1 - R^2 of decoded features, beside the pixels' mean absolute error
_FLOOR = 1e-4  # of the largest eigenvalue, below which a direction of the features is not amplified further


class Affine(nn.Module):
    """x -> matrix x + offset at each position, fixed."""

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.matrix[:, :, None, None], self.offset)


class WhitenedDecoder(nn.Module):
    """A decoder chain between whitened features; `folded` gives the plain chain."""

    def __init__(self, encoder: VGG, crops: Tensor) -> None:
        super().__init__()
        self.chain = compact_decoder(encoder).to(memory_format=torch.channels_last)
        for layer in self.chain.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.levels = sorted((int(level) for level in self.chain.segments), reverse=True)
        self.variance: dict[int, float] = {}
        self.whiten, self.colour = nn.ModuleDict(), nn.ModuleDict()
        for level, (mean, covariance) in _moments(encoder, crops, self.levels).items():
            values, vectors = torch.linalg.eigh(covariance)
            deviation = (values.clamp_min(0) + _FLOOR * values.max()).sqrt()
            matrix = (vectors / deviation).T
            self.whiten[str(level)] = Affine(matrix.float(), -(matrix @ mean).float())
            self.colour[str(level)] = Affine((vectors * deviation).float(), mean.float())
            self.variance[level] = float(covariance.trace())
        for level in self.levels:
            last = _convolutions(self.chain, level)[-1]
            last.weight.data *= 0.1  # start near the mean: of the features, or mid grey
            if level == 1:
                last.bias.data += 0.45

    def forward(self, features: Tensor, level: int) -> Tensor:
        """As `Decoder.forward`."""
        segment = self.chain.segments[str(level)]
        x = self.whiten[str(level)](features)
        if level == 1:
            return segment(x)
        return self.colour[str(level - 1)](segment[:-1](x)).relu()

    @torch.no_grad()
    def folded(self, encoder: VGG) -> Decoder:
        """The same function as a plain `Decoder`."""
        plain = compact_decoder(encoder)
        plain.load_state_dict(self.chain.state_dict())
        for level in self.levels:
            first, last = _convolutions(plain, level)[0], _convolutions(plain, level)[-1]
            if level > 1:
                _after(last, self.colour[str(level - 1)])
            _before(first, self.whiten[str(level)])
        return plain


def _convolutions(chain: Decoder, level: int) -> list[nn.Conv2d]:
    return [layer for layer in chain.segments[str(level)] if isinstance(layer, nn.Conv2d)]


def _before(convolution: nn.Conv2d, affine: Affine) -> None:
    """Make the convolution do the affine map first; exact, for reflected borders are mapped like all else."""
    convolution.bias += torch.einsum("oihw,i->o", convolution.weight, affine.offset)
    convolution.weight.copy_(torch.einsum("oihw,ij->ojhw", convolution.weight, affine.matrix))


def _after(convolution: nn.Conv2d, affine: Affine) -> None:
    """Make the convolution do the affine map afterwards."""
    convolution.weight.copy_(torch.einsum("po,oihw->pihw", affine.matrix, convolution.weight))
    convolution.bias.copy_(affine.matrix @ convolution.bias + affine.offset)


@torch.inference_mode()
def _moments(encoder: VGG, crops: Tensor, levels: list[int], batch: int = 16) -> dict[int, tuple[Tensor, Tensor]]:
    """Mean (C) and covariance (C, C) of the encoder's features at each level, float64."""
    sums: dict[int, tuple[int, Tensor, Tensor]] = {}
    device = next(encoder.buffers()).device
    for pictures in crops.split(batch):
        for level, features in encoder(pictures.to(device).float() / 255, levels).items():
            flat = features.transpose(0, 1).flatten(1).double()
            count, total, square = sums.get(level, (0, 0, 0))
            sums[level] = count + flat.shape[1], total + flat.sum(1), square + flat @ flat.T
    return {
        level: (total / count, square / count - torch.outer(total, total) / count**2)
        for level, (count, total, square) in sums.items()
    }


def starting_levels(batch: int, levels: list[int]) -> dict[int, int]:
    """How many of a batch's crops start at each level: deep levels more, for they have more to learn."""
    if batch < len(levels):
        raise SettingsError(f"batch: {batch} is too small; use {len(levels)} or more, one crop for each level")
    shares = {level: level for level in levels}
    counts = {level: max(1, math.floor(batch * share / sum(shares.values()))) for level, share in shares.items()}
    counts[levels[0]] += batch - sum(counts.values())
    return counts


def learn(decoder: WhitenedDecoder, encoder: VGG, crops: Tensor, plan: Plan, batch: int) -> Iterator[Progress]:
    """Train the chain on crops, uint8 (N, 3, side, side).

    The losses are the pixels' mean absolute error, by the level it was decoded from, and 1 - R^2 of decoded features.
    """
    device = next(encoder.buffers()).device
    counts = starting_levels(batch, decoder.levels)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.randint(len(crops), (batch,), generator=generator)
        pictures = (crops[chosen].to(device).float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            encoded = encoder(pictures, decoder.levels)
        parts: dict[str, Tensor] = {}
        done, x = 0, None
        for level in decoder.levels:
            if x is not None:
                error = (x - encoded[level][:done]).float().square().sum(1).mean() / decoder.variance[level]
                parts[f"relu{level}_1"] = _FEATURE_WEIGHT * error
            joining = encoded[level][done : done + counts[level]]
            x = decoder(joining if x is None else torch.cat([x, joining]), level)
            done += counts[level]
        errors = (x.float() - pictures).abs().mean((1, 2, 3)).split(list(counts.values()))
        for level, error in zip(counts, errors, strict=True):
            parts[f"pixels from relu{level}_1"] = error.sum() / batch
        return parts

    return train(decoder, losses, plan)


@torch.inference_mode()
def reconstruct(encoder: VGG, decoder: Decoder | WhitenedDecoder, pictures: Tensor, level: int) -> Tensor:
    """Pictures (N, 3, H, W) in [0, 1], H and W multiples of 8, through the encoder to a level and back, in [0, 1]."""
    x = encoder(pictures, [level])[level]
    for step in range(level, 0, -1):
        x = decoder(x, step)
    return x.clamp(0, 1)


def psnr(encoder: VGG, decoder: Decoder | WhitenedDecoder, pictures: Tensor, level: int, batch: int = 4) -> float:
    """Mean peak signal-to-noise ratio of reconstructed pictures, in dB."""
    ratios = [
        -10 * math.log10(float((one - back).square().mean()))
        for some in pictures.split(batch)
        for one, back in zip(some, reconstruct(encoder, decoder, some, level), strict=True)
    ]
    return sum(ratios) / len(ratios)
