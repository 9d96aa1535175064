"""Keep the photograph's colours: its hue and saturation, under the light of the result.

Colours are compared in OKLab (Ottosson, "A perceptual color space for image processing", 2020), where a change of
lightness leaves hue and saturation as they look. A colour that no screen shows loses saturation until one does; its hue
and lightness stay.

Two ways are offered (both in Gatys et al., "Preserving color in neural artistic style transfer", 2016): to stylize as
usual and to put the photograph's colours back, or to stylize lightness alone and to put them on top of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

# From linear sRGB to the responses of the eye's cones, and from their cube roots to OKLab; Ottosson's figures.
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_BLOCK = 2**20  # pixels that are converted at a time
_HALVINGS = 12  # of the range of saturations, to find the largest that a screen shows
_INSIDE = 1e-4  # how far outside [0, 1] still counts as shown: rounding
_STEEPEST = 3.0  # factor on the differences of a result's lightness


def to_oklab(picture: Tensor) -> Tensor:
    """Lightness (0 to 1), a and b of a picture (3, ...), sRGB in [0, 1]."""
    linear = torch.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055).clamp_min(0) ** 2.4)
    return _times(_OKLAB, _times(_CONES, linear).clamp_min_(0).pow_(1 / 3))


def from_oklab(colours: Tensor) -> Tensor:
    """The picture (3, ...) of OKLab colours; values outside [0, 1] are colours that no screen shows."""
    cones = _times(_inverse(_OKLAB), colours) ** 3
    linear = _times(_inverse(_CONES), cones)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def lightness_of(picture: Tensor) -> Tensor:
    """A picture (3, H, W), sRGB in [0, 1], in greys of the same lightness."""
    grey = torch.zeros_like(picture)
    grey[0] = to_oklab(picture)[0]
    return from_oklab(grey).clamp_(0, 1)


def with_colours_of(result: Tensor, content: Tensor) -> Tensor:
    """A result with the hue and the saturation of its content, and its own lightness.

    Args:
        result, content: (3, H, W), sRGB in [0, 1], of one size.

    Returns:
        (3, H, W) in [0, 1]. Where the result is darker than the content, colours are weaker in proportion, as in shade.
    """
    parts = zip(result.flatten(1).split(_BLOCK, 1), content.flatten(1).split(_BLOCK, 1), strict=True)
    return torch.cat([_recoloured(mine, theirs) for mine, theirs in parts], 1).view_as(result)


def with_light_of(result: Tensor, content: Tensor) -> Tensor:
    """A grey result whose lightness has the mean and the deviation of its content's.

    Args:
        result, content: (3, H, W), sRGB in [0, 1].
    """
    here, there = to_oklab(result), to_oklab(content)[0]
    factor = (there.std(correction=0) / here[0].std(correction=0).clamp_min(1e-4)).clamp_max(_STEEPEST)
    grey = torch.zeros_like(here)
    grey[0] = ((here[0] - here[0].mean()) * factor + there.mean()).clamp_(0, 1)
    return from_oklab(grey).clamp_(0, 1)


def shown(colours: Tensor) -> Tensor:
    """The picture (3, n), sRGB in [0, 1], of OKLab colours; those out of its range lose saturation, and nothing else."""
    colours = torch.cat([colours[:1].clamp(0, 1), colours[1:]])
    picture = from_oklab(colours)
    outside = ((picture < -_INSIDE) | (picture > 1 + _INSIDE)).any(0).nonzero()[:, 0]
    if len(outside):
        wild = colours[:, outside]
        low, high = torch.zeros_like(wild[0]), torch.ones_like(wild[0])
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            tried = from_oklab(_paler(wild, middle))
            fits = ((tried >= -_INSIDE) & (tried <= 1 + _INSIDE)).all(0)
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        picture[:, outside] = from_oklab(_paler(wild, low))
    return picture.clamp_(0, 1)


def _recoloured(result: Tensor, content: Tensor) -> Tensor:
    """`with_colours_of` of pixels (3, n)."""
    light, colours = to_oklab(result)[:1], to_oklab(content)
    shade = (light / colours[:1].clamp_min(1e-3)).clamp_max_(1)
    return shown(torch.cat([light, colours[1:] * shade]))


def _paler(colours: Tensor, saturation: Tensor) -> Tensor:
    return torch.cat([colours[:1], colours[1:] * saturation])


def _times(matrix: tuple[tuple[float, ...], ...] | Tensor, picture: Tensor) -> Tensor:
    matrix = torch.as_tensor(matrix, dtype=picture.dtype, device=picture.device)
    return (matrix @ picture.flatten(1)).view_as(picture)


def _inverse(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64)).float()
