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
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import SettingsError
from ..networks.decoder import Decoder, decoder_for
from ..networks.vgg import VGG
from .loop import TrainingPlan, TrainingProgress, train
from .statistics import feature_moments
from .workers import Workers

_FEATURE_WEIGHT = 0.05  # of 1 - R^2 of decoded features, beside the pixels' mean absolute error
_PERCEPTUAL_LEVELS = (2, 3, 4)  # that decoded pictures are encoded again to
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
        self.chain = decoder_for(encoder).to(memory_format=torch.channels_last)
        for layer in self.chain.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.levels = sorted((int(level) for level in self.chain.segments), reverse=True)
        self.variance: dict[int, float] = {}
        self.whiten, self.colour = nn.ModuleDict(), nn.ModuleDict()
        for level, (mean, covariance) in feature_moments(encoder, crops, self.levels).items():
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
    def start_from(self, plain: Decoder) -> None:
        """Take over a trained chain: the inverse of `folded`."""
        self.chain.load_state_dict(plain.state_dict())
        for level in self.levels:
            first, last = _convolutions(self.chain, level)[0], _convolutions(self.chain, level)[-1]
            if level > 1:
                _after(last, self.whiten[str(level - 1)])
            _before(first, self.colour[str(level)])

    @torch.no_grad()
    def folded(self, encoder: VGG) -> Decoder:
        """The same function as a plain `Decoder`."""
        plain = decoder_for(encoder)
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


def starting_levels(batch: int, levels: list[int]) -> dict[int, int]:
    """How many of a batch's crops start at each level: deep levels more, for they have more to learn."""
    if batch < len(levels):
        raise SettingsError(f"batch: {batch} is too small; use {len(levels)} or more, one crop for each level")
    shares = {level: level for level in levels}
    counts = {level: max(1, math.floor(batch * share / sum(shares.values()))) for level, share in shares.items()}
    counts[levels[0]] += batch - sum(counts.values())
    return counts


def learn(
    decoder: WhitenedDecoder,
    encoder: VGG,
    crops: Tensor,
    plan: TrainingPlan,
    perceptual: float = 0.0,
    workers: Workers | None = None,
    held_out: Tensor | None = None,
) -> Iterator[TrainingProgress]:
    """Train the chain on crops, uint8 (N, 3, side, side); see `train`.

    The losses are the pixels' mean absolute error, by the level it was decoded from, 1 - R^2 of decoded features, and,
    with weight ``perceptual``, 1 - R^2 of the features of the decoded picture (Johnson et al., "Perceptual losses for
    real-time style transfer", ECCV 2016): pixels alone make decoded texture smooth.

    ``held_out`` pictures, (N, 3, H, W) in [0, 1], are decoded now and then, for the log.
    """
    device = next(encoder.buffers()).device
    counts = starting_levels(plan.batch, decoder.levels)

    def losses(chosen: Tensor) -> dict[str, Tensor]:
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
            parts[f"pixels from relu{level}_1"] = error.sum() / plan.batch
        if perceptual:
            for level, again in encoder(x, _PERCEPTUAL_LEVELS).items():
                error = (again - encoded[level]).float().square().sum(1).mean() / decoder.variance[level]
                parts[f"relu{level}_1 again"] = perceptual * error
        return parts

    kind = f"decoder of the encoder {bytes(encoder.fingerprint().tolist()).hex()}"
    look = None if held_out is None else partial(validation, encoder, decoder, held_out.to(device), decoder.levels)
    return train(decoder, losses, len(crops), plan, workers, kind, look)


def validation(
    encoder: VGG, decoder: Decoder | WhitenedDecoder, pictures: Tensor, levels: Sequence[int]
) -> tuple[Tensor, dict[str, float]]:
    """A sheet with a row a picture, input | decoded from each level, (3, rows H, columns W), and the mean PSNRs in dB."""
    columns = [pictures, *(reconstruct(encoder, decoder, pictures, level) for level in levels)]
    sheet = torch.cat([torch.cat(list(column), 1) for column in columns], 2)
    figures = {f"PSNR relu{level}_1": _psnr(pictures, back) for level, back in zip(levels, columns[1:], strict=True)}
    return sheet, figures


@torch.inference_mode()
def reconstruct(encoder: VGG, decoder: Decoder | WhitenedDecoder, pictures: Tensor, level: int) -> Tensor:
    """Pictures (N, 3, H, W) in [0, 1], H and W multiples of 8, through the encoder to a level and back, in [0, 1]."""
    x = encoder(pictures, [level])[level]
    for step in range(level, 0, -1):
        x = decoder(x, step)
    return x.clamp(0, 1)


def psnr(encoder: VGG, decoder: Decoder | WhitenedDecoder, pictures: Tensor, level: int, batch: int = 4) -> float:
    """Mean peak signal-to-noise ratio of reconstructed pictures, in dB."""
    parts = [(some, reconstruct(encoder, decoder, some, level)) for some in pictures.split(batch)]
    return sum(_psnr(some, back) * len(some) for some, back in parts) / len(pictures)


def _psnr(pictures: Tensor, back: Tensor) -> float:
    return float((-10 * (pictures - back).square().mean((1, 2, 3)).log10()).mean())
