"""How light the style is to be at each place of the content: dark stays dark, and light stays light.

Features of a flat dark place are like those of a flat light place, so matching alone turns night into day and a black
mountain into fog. Each place of the content therefore has an *aim*: its luminance, moved to the mean and deviation of the
style's. Matching pays for missing the aim, and the decoded picture is moved towards it over wide areas.

The style's colours as a whole would still turn a night into a day, because the lighter half of the night would take the
style's lighter half. So the mean rank of the content among the style's luminances may only move by `_REACH` from the
content's mean luminance: a night gets a palette with fewer of the style's light colours, a product on white a palette
with fewer of the dark ones. Pictures of ordinary lightness get the style's whole palette.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LUMINANCE = (0.299, 0.587, 0.114)
_REACH = 0.2
_STEEPEST = 2.5  # factor on the content's differences in luminance
_SAMPLE = 16384


def luminance(picture: Tensor) -> Tensor:
    """Of a picture (3, ...), RGB in [0, 1]: (...)."""
    red, green, blue = _LUMINANCE
    return red * picture[0] + green * picture[1] + blue * picture[2]


def in_order(palette: Tensor) -> Tensor:
    """Colours (3, n), dark before light."""
    return palette[:, luminance(palette).argsort()].contiguous()


def palette_for(light: Tensor, palette: Tensor, whole: Tensor | None = None) -> Tensor:
    """The colours (3, n') that a content of that luminance (H, W) is to get, of a style's (3, n), dark before light.

    Args:
        whole: luminance of the whole content, if ``light`` is that of an area: it decides how far the palette moves,
            because a sky may be light in a picture of ordinary lightness.
    """
    mean = float((light if whole is None else whole).mean())
    wanted = min(max(0.5, mean - _REACH), mean + _REACH)
    if wanted == 0.5:
        return palette
    blend = (wanted - 0.5) / (mean - 0.5)
    values = light.flatten()[:: -(-light.numel() // _SAMPLE)].sort().values
    ranks = torch.lerp(torch.linspace(0, 1, len(values), dtype=light.dtype, device=light.device), values, blend)
    return palette[:, (ranks * (palette.shape[1] - 1)).round().long()]


def aim(light: Tensor, palette: Tensor, whole: Tensor | None = None) -> Tensor:
    """The luminance to aim at, of the shape of ``light``, for a content of that luminance and a palette of `palette_for`.

    Args:
        whole: luminance whose mean and deviation count; None for all of ``light``.
    """
    there = luminance(palette)
    whole = light if whole is None else whole
    steepness = (there.std(correction=0) / whole.std(correction=0).clamp_min(1e-4)).clamp_max(_STEEPEST)
    return ((light - whole.mean()) * steepness + there.mean()).clamp(there.min(), there.max())
