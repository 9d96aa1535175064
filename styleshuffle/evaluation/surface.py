"""The surface of a result, by its pixels: smoke, brushwork and halos, which features do not show.

Pictures are first resized to a long side of 512, so that a radius in pixels means the same for all. A place is *flat* if
the content's local deviation there (radius 24, norm over the channels) is below 0.08. If less than a fiftieth of the
picture is flat, its flattest fiftieth counts as flat.

- ``smoke``: colours that drift where the content is flat. Output and content are blurred with sigma 6. The measure is the
  mean, over flat places, of the output's local deviation (radius 32) minus the content's, at least 0; in units of the
  blurred style's deviation. Lower is better.
- ``brushwork``: how rough flat places are. A blur with sigma 3 is subtracted from output and style. The measure is the
  root mean square of the rest of the output in flat places, divided by that of the style everywhere. 1 is as rough as the
  style, less is smoother.
- ``halo``: rims along the content's strong edges. Only sides of an edge that are even in the content count. There, the
  colour far from the edge (14 to 22 pixels) is subtracted from the colour near it (4 to 8 pixels). A rim follows the edge
  and brushwork does not, so this difference is multiplied by its mean at 8 to 40 pixels along the edge: brushwork cancels
  out. The measure is the root of the mean product of the output, in units of the style's deviation, minus that of the
  content, in units of its own. Lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..reshuffle.filters import gaussian, local_variance

_SIDE = 512
_FLAT, _FLAT_SHARE = 0.08, 0.02
_EDGE = 0.04  # change of a channel from pixel to pixel in the content blurred with sigma 2: a step of 0.2
_NEAR, _FAR = (4, 6, 8), (14, 18, 22)
_ALONG = (5, 14)  # sigmas between which a rim is looked for along the edge
_EVEN = 0.1  # norm of the change of colour on one side of an edge


def surface(output: Tensor, content: Tensor, style: Tensor) -> dict[str, float]:
    """Smoke, brushwork and halo of an output, by name; all pictures (1, 3, H, W) in [0, 1]."""
    output, content, style = (_resized(picture) for picture in (output, content, style))
    if output.shape != content.shape:
        output = F.interpolate(output[None], content.shape[1:], mode="bilinear", antialias=True)[0]
    flat = flat_places(content)
    return {
        "smoke": _smoke(output, content, style, flat),
        "brushwork": _brushwork(output, style, flat),
        "halo": _halo(output, content, style),
    }


def _resized(picture: Tensor) -> Tensor:
    scale = _SIDE / max(picture.shape[2:])
    size = [max(1, round(side * scale)) for side in picture.shape[2:]]
    if size == list(picture.shape[2:]):
        return picture[0]
    return F.interpolate(picture, size, mode="bilinear", antialias=True)[0]


def flat_places(content: Tensor) -> Tensor:
    """Where a content (3, H, W) with a long side of 512 is flat, boolean (H, W)."""
    deviation = local_variance(content, 24).sqrt()
    flat = deviation < _FLAT
    if float(flat.float().mean()) >= _FLAT_SHARE:
        return flat
    count = max(1, round(_FLAT_SHARE * deviation.numel()))
    return deviation <= deviation.flatten().sort().values[count - 1]


def _spread(picture: Tensor) -> float:
    """Norm of the channels' deviations."""
    return max(float(picture.flatten(1).var(1, correction=0).sum().sqrt()), 1e-2)


def _smoke(output: Tensor, content: Tensor, style: Tensor, flat: Tensor) -> float:
    deviations = [local_variance(gaussian(picture, 6), 32).sqrt() for picture in (output, content)]
    return float((deviations[0] - deviations[1]).clamp_min(0)[flat].mean()) / _spread(gaussian(style, 6))


def _brushwork(output: Tensor, style: Tensor, flat: Tensor) -> float:
    fine, wanted = (picture - gaussian(picture, 3) for picture in (output, style))
    return float(fine[:, flat].square().mean().sqrt()) / max(float(wanted.square().mean().sqrt()), 1e-3)


def _halo(output: Tensor, content: Tensor, style: Tensor) -> float:
    points, normals = strong_edges(content)
    excess, count = 0.0, 0
    for side in (-normals, normals):
        change, even = _change(content, points, side)
        number = int(even.sum())
        if number:
            changes = (change, _change(output, points, side)[0])
            own, changed = (_along(x[:, even], points[even], content.shape[1:]) for x in changes)
            excess += number * (changed / _spread(style) ** 2 - own / _spread(content) ** 2)
            count += number
    return max(0.0, excess / max(count, 1)) ** 0.5


def strong_edges(content: Tensor) -> tuple[Tensor, Tensor]:
    """The strong edges of a content (3, H, W): positions (n, 2), x before y, and unit normals to the brighter side."""
    blurred = F.pad(gaussian(content, 2)[None], (1, 1, 1, 1), mode="replicate")[0]
    slopes = torch.stack([blurred[:, 1:-1, 2:] - blurred[:, 1:-1, :-2], blurred[:, 2:, 1:-1] - blurred[:, :-2, 1:-1]]) / 2
    steepness = slopes.square().sum(0)
    steepest = steepness.argmax(0, keepdim=True)  # of the channels
    steepness = steepness.gather(0, steepest)[0].sqrt()
    y, x = (steepness > _EDGE).nonzero().T
    points = torch.stack([x, y], 1).to(content)
    normals = slopes.gather(1, steepest.expand(2, 1, -1, -1))[:, 0, y, x].T / steepness[y, x, None]
    beside = torch.stack([_sampled(steepness[None], points + step * normals)[0] for step in (-1, 1)]).amax(0)
    ridge = steepness[y, x] >= beside
    return points[ridge], normals[ridge]


def _sampled(values: Tensor, points: Tensor) -> Tensor:
    """Values (C, H, W) at points (n, 2), x before y, in pixels: (C, n)."""
    size = torch.tensor([values.shape[2], values.shape[1]], device=values.device)
    where = ((2 * points + 1) / size - 1)[None, None]
    return F.grid_sample(values[None], where, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0]


def _change(picture: Tensor, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Colour near an edge minus colour further away, (3, n), and whether that side is in the picture and even."""
    blurred = gaussian(picture, 1.5)
    near, far = (torch.stack([_sampled(blurred, points + d * normals) for d in part]) for part in (_NEAR, _FAR))
    last = points + _FAR[-1] * normals
    inside = ((last >= 0) & (last <= last.new_tensor([picture.shape[2] - 1, picture.shape[1] - 1]))).all(1)
    colours = torch.cat([near, far])
    spread = (colours.amax(0) - colours.amin(0)).norm(dim=0)
    return near.mean(0) - far.mean(0), inside & (spread < _EVEN)


def _along(change: Tensor, points: Tensor, shape: Sequence[int]) -> float:
    """Mean product of a change (3, n) at points (n, 2) with its mean further along the edge, in a picture of (H, W)."""
    x, y = points.long().T
    marked = change.new_zeros(4, *shape)
    marked[:3, y, x], marked[3, y, x] = change, 1.0
    # a ring: a wide Gaussian minus a narrow Gaussian of the same height in the middle
    ring = (gaussian(marked, _ALONG[1]) - gaussian(marked, _ALONG[0]) * (_ALONG[0] / _ALONG[1]) ** 2)[:, y, x]
    inside = ring[3] > 1e-3  # an edge, not a single point
    product = (change * ring[:3]).sum(0) / ring[3].clamp_min(1e-3)
    return float(product[inside].sum() / max(1, int(inside.sum())))
