"""The coarse-to-fine loop: from the features of content and style to the picture, level by level.

At each level: move the content's features to the style's colours (mean and covariance), match every patch to a patch of
the style, vote for new features, blend; then decode to the next finer level. The features go through the decoder chain,
not through pixels: re-encoding a decoded picture at each level costs an encoding and loses what the picture cannot show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .decoder import Decoder
from .matching import Field, refine, upsample
from .moments import transfer
from .reshuffle import StyleLevel, match_first, style_level, vote
from .settings import Settings

# Time of a stage by position (matching all pairs: by pair), in arbitrary units, for the progress bar.
_COST = {4: 55.0, 3: 24.0, 2: 10.0, 1: 3.0}


@dataclass(frozen=True)
class Progress:
    """Where a picture stands.

    Attributes:
        fraction: share of the work that is done, about in proportion to time, 0 to 1.
        stage: what was finished: "encode", "relu4_1", ..., "decode".
        features: of the level just finished, (C, H, W); the picture (3, H, W) at the end, RGB, in [0, 1].
        field: who went where at this level, if matching was part of it.
    """

    fraction: float
    stage: str
    features: Tensor | None = None
    field: Field | None = None


@dataclass(frozen=True)
class Knobs:
    """What the one knob `strength` stands for.

    Attributes:
        content_weight: alpha, the share of content in each blend.
        encoder_blend: how much of that content is the encoder's own instead of the coarser level's result.
        colour: how far the content's features are moved to the style's mean and covariance.
    """

    content_weight: float
    encoder_blend: float
    colour: float


def knobs(settings: Settings) -> Knobs:
    """Strength s as content weight, encoder blend and colour; at 0 the content comes back, at 1 style rules."""
    s = settings.strength
    weight, blend = 1 - s, 1 - s
    return Knobs(
        content_weight=weight if settings.content_weight is None else settings.content_weight,
        encoder_blend=blend if settings.encoder_blend is None else settings.encoder_blend,
        colour=min(1.0, 4 * s),
    )


def prepare_style(features: dict[int, Tensor], settings: Settings) -> dict[int, StyleLevel]:
    """What is computed once for a style, from its features (C, H, W) by level."""
    return {
        level: style_level(features[level], patch, settings.descriptor_channels, 2 * settings.descriptor_channels)
        for level, patch in zip(settings.levels, settings.patch_sizes, strict=True)
    }


def shuffle(content: dict[int, Tensor], style: dict[int, StyleLevel], decoder: Decoder, settings: Settings) -> Iterator[Progress]:
    """Stylize, yielding after each turn of each level; the last one holds the picture.

    Args:
        content: features (C, H, W) of the content by level.
        style: from `prepare_style` with the same settings.
        decoder: the chain that belongs to the encoder of both.
    """
    knob = knobs(settings)
    costs = [turns * _COST[level] * content[level][0].numel() for level, turns in zip(settings.levels, settings.turns, strict=True)]
    total, spent = sum(costs), 0.0
    current, field = None, None
    for level, patch, turns, cost in zip(settings.levels, settings.patch_sizes, settings.turns, costs, strict=True):
        own = content[level]
        base = own if current is None else torch.lerp(current, own, knob.encoder_blend)
        target = torch.lerp(base, transfer(base, style[level].moments), knob.colour)
        query = target
        for _ in range(turns):
            if field is None:
                field = match_first(query, style[level], settings.usage_penalty)
            elif field.content != tuple(own.shape[1:]):
                field = upsample(field, tuple(own.shape[1:]), style[level].grid)
                field = refine(field, style[level].describer(query), style[level].descriptors)
            else:
                field = refine(field, style[level].describer(query), style[level].descriptors)
            query = torch.lerp(vote(style[level], field, patch), target, knob.content_weight)
            spent += cost / turns
            yield Progress(0.99 * spent / total, f"relu{level}_1", query, field)
        current = decoder(query[None], level)[0]
    for level in range(settings.levels[-1] - 1, 0, -1):
        current = decoder(current[None], level)[0]
    yield Progress(1.0, "decode", current.clamp(0, 1))
