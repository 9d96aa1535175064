"""How much of the content and of the style a result keeps, by VGG features and by pixels; lower is better, but for
``brushwork``, which is best near 1.

- ``cfsd``: structure. Each picture's relu4_1 features, averaged onto a 32 x 32 grid and centred, have cosine
  self-similarities; the divergence (Kullback-Leibler) of the output's from the content's, as softmax rows at temperature
  0.1, averaged over positions.
- ``gram``: global style. Mean over relu1_1 ... relu5_1 of |G_o - G_s| / |G_s|, G the Gram matrix.
- ``coherence``: local style. 1 - cosine of each 3 x 3 patch of the output (stride 2, features less the style's mean) to
  the nearest patch of the style; mean over relu3_1 and relu4_1.
- ``completeness``: wash-out. The same from each style patch to the nearest patch of the output.
- ``swd``: colour. Sliced Wasserstein distance of the RGB pixels, 64 directions.
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
from .surface import surface

_GRID = 32
_TEMPERATURE = 0.1
_QUANTILES = 4096


@dataclass(frozen=True)
class Measures:
    """The measures of one result; see the module's text."""

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
    """Those measures that need no features, by name: `swd`, `smoke`, `brushwork`, `halo`."""
    return {"swd": sliced_wasserstein(output, style), **surface(output, content, style)}


def measure_features(
    output: dict[int, Tensor], content: dict[int, Tensor], style: dict[int, Tensor], pixels: dict[str, float]
) -> Measures:
    """As `measure`, for whoever keeps the features (1, C, H, W) of a content or a style that is measured often.

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
        flat = F.adaptive_avg_pool2d(features.cpu(), _GRID)[0].flatten(1)  # MPS pools to divisors of the size only
        unit = F.normalize(flat - flat.mean(1, keepdim=True), dim=0)
        logs.append(F.log_softmax(unit.T @ unit / _TEMPERATURE, 1))
    return float(F.kl_div(logs[1], logs[0], reduction="batchmean", log_target=True))


def _gram_distance(output: Tensor, style: Tensor) -> float:
    a, b = (flat @ flat.T / flat.shape[1] for flat in (output[0].flatten(1), style[0].flatten(1)))
    return float((a - b).norm() / b.norm())


def _patches(output: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Unit rows, one a 3 x 3 patch, of both, centred on the style's mean."""
    mean = style.mean((2, 3), keepdim=True)
    first, second = (F.normalize(F.unfold(x - mean, 3, stride=2)[0].T, dim=1) for x in (output, style))
    return first, second


def _distances_to_nearest(patches: Tensor, others: Tensor) -> tuple[float, float]:
    """1 - cosine to the nearest of the others, mean over the patches; and the same the other way round."""
    there, back = [], torch.full((len(others),), -1.0, device=others.device)
    for some in patches.split(1024):
        similarity = some @ others.T
        there.append(similarity.amax(1))
        back = torch.maximum(back, similarity.amax(0))
    return float(1 - torch.cat(there).mean()), float(1 - back.mean())


def sliced_wasserstein(output: Tensor, style: Tensor) -> float:
    """Distance of the colours of two pictures (1, 3, H, W), which may differ in size."""
    directions = F.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)), dim=1).to(output)
    pixels = [x[0].flatten(1) for x in (output, style)]
    # one direction at a time, for memory
    return fmean(float((_quantiles(d @ pixels[0]) - _quantiles(d @ pixels[1])).abs().mean()) for d in directions)


def _quantiles(values: Tensor) -> Tensor:
    in_order = torch.from_numpy(np.sort(values.cpu().numpy()))  # numpy sorts 20 times as fast as torch on a CPU
    return F.interpolate(in_order[None, None], _QUANTILES, mode="linear", align_corners=True)[0, 0]
