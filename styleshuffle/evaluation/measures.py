"""How much of the content and of the style a result keeps, by VGG features and by pixels. Lower is better, except for
``brushwork``, which is best near 1.

- ``cfsd``: structure. The relu4_1 features of each picture are averaged onto a 32 x 32 grid and centred. The cosines
  between all positions make a matrix, and a softmax at temperature 0.1 makes each row a distribution. The measure is the
  Kullback-Leibler divergence of the output's rows from the content's, averaged over the positions.
- ``gram``: global style. Mean over relu1_1 ... relu5_1 of |G_o - G_s| / |G_s|, where G is the Gram matrix.
- ``coherence``: local style. 1 - cosine of each 3 x 3 patch of the output (stride 2, style's mean subtracted from the
  features) to the nearest patch of the style; mean over relu3_1 and relu4_1.
- ``completeness``: wash-out. The same from each patch of the style to the nearest patch of the output.
- ``swd``: colour. Sliced Wasserstein distance of the RGB pixels, in 64 directions.
- ``smoke``, ``brushwork``, ``halo``: the surface, see `styleshuffle.evaluation.surface`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.vgg import VGG
from ..reshuffle.noise import seeded_noise
from .surface import surface

_GRID = 32
_TEMPERATURE = 0.1
_QUANTILES = 4096


@dataclass(frozen=True)
class Measures:
    """The measures of a result; the module's docstring defines them."""

    cfsd: float
    gram: float
    coherence: float
    completeness: float
    swd: float
    smoke: float
    brushwork: float
    halo: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@torch.inference_mode()
def measure(encoder: VGG, output: Tensor, content: Tensor, style: Tensor) -> Measures:
    """Measure an output against its content and style, pictures (1, 3, H, W) in [0, 1]."""
    levels = sorted(encoder.channels)
    return measure_features(
        encoder(output, levels), encoder(content, [4]), encoder(style, levels), measure_pixels(output, content, style)
    )


def measure_pixels(output: Tensor, content: Tensor, style: Tensor) -> dict[str, float]:
    """The measures that need no features, by name: `swd`, `smoke`, `brushwork`, `halo`."""
    return {"swd": sliced_wasserstein(output, style), **surface(output, content, style)}


def measure_features(
    output: dict[int, Tensor], content: dict[int, Tensor], style: dict[int, Tensor], pixels: dict[str, float]
) -> Measures:
    """Like `measure`, but from features (1, C, H, W) by level, which a caller can keep for many results.

    Args:
        pixels: of `measure_pixels`.
    """
    distances = [_distances_to_nearest(*_patches(output[level], style[level])) for level in (3, 4)]
    return Measures(
        cfsd=_self_similarity_divergence(output[4], content[4]),
        gram=sum(_gram_distance(output[level], style[level]) for level in style) / len(style),
        coherence=sum(there for there, _ in distances) / 2,
        completeness=sum(back for _, back in distances) / 2,
        **pixels,
    )


def _self_similarity_divergence(output: Tensor, content: Tensor) -> float:
    logs = []
    for features in (content, output):
        flat = F.adaptive_avg_pool2d(features.cpu(), _GRID)[0].flatten(1)  # MPS can pool only to divisors of the size
        unit = F.normalize(flat - flat.mean(1, keepdim=True), dim=0)
        logs.append(F.log_softmax(unit.T @ unit / _TEMPERATURE, 1))
    return float(F.kl_div(logs[1], logs[0], reduction="batchmean", log_target=True))


def _gram_distance(output: Tensor, style: Tensor) -> float:
    a, b = (flat @ flat.T / flat.shape[1] for flat in (output[0].flatten(1), style[0].flatten(1)))
    return float((a - b).norm() / b.norm())


def _patches(output: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """The 3 x 3 patches of both as unit rows, centred on the style's mean."""
    mean = style.mean((2, 3), keepdim=True)
    first, second = (F.normalize(F.unfold(x - mean, 3, stride=2)[0].T, dim=1) for x in (output, style))
    return first, second


def _distances_to_nearest(patches: Tensor, others: Tensor) -> tuple[float, float]:
    """Mean over the patches of 1 - cosine to the nearest other; and the same in the other direction."""
    there, back = [], torch.full((len(others),), -1.0, dtype=others.dtype, device=others.device)
    for some in patches.split(1024):
        similarity = some @ others.T
        there.append(similarity.amax(1))
        back = torch.maximum(back, similarity.amax(0))
    return float(1 - torch.cat(there).mean()), float(1 - back.mean())


def sliced_wasserstein(output: Tensor, style: Tensor) -> float:
    """Distance of the colours of two pictures (1, 3, H, W), which may differ in size."""
    directions = F.normalize(seeded_noise((64, 3), 0), dim=1).to(output)
    pixels = [x[0].flatten(1) for x in (output, style)]
    # direction by direction, to save memory
    return fmean(float((_quantiles(d @ pixels[0]) - _quantiles(d @ pixels[1])).abs().mean()) for d in directions)


def _quantiles(values: Tensor) -> Tensor:
    in_order = torch.from_numpy(np.sort(values.cpu().numpy()))  # numpy sorts 20 times as fast as torch on a CPU
    return F.interpolate(in_order[None, None], _QUANTILES, mode="linear", align_corners=True)[0, 0]
