"""The coarse-to-fine loop: from the features of content and style to the picture, level by level.

At each level: move the content's features to the style's colours (mean and covariance), match every patch to a patch of
the style, vote for new features, blend; then decode to the next finer level. The features go through the decoder chain,
not through pixels: re-encoding a decoded picture at each level costs an encoding and loses what the picture cannot show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .matching import Field, counted, refine, upsample
from .moments import transfer
from .reshuffle import StyleLevel, match_first, style_level, vote
from .settings import Settings

# Relative time of a turn by position, as measured at 512 x 512 on a CPU, for an honest progress bar.
_COST = {4: 107.0, 3: 5.0, 2: 5.5, 1: 0.8}


@dataclass(frozen=True)
class Progress:
    """Where a picture stands.

    Attributes:
        fraction: share of the work that is done, about in proportion to time, 0 to 1.
        stage: what was finished: "relu4_1", ..., "decode", "refine".
        level: 4 for relu4_1, ..., 0 for the picture.
        features: of the level just finished, (C, H, W); the picture (3, H, W) at the end, RGB, in [0, 1].
        field: who went where at this level, if matching was part of it.
        votes: what the style puts there, (C, H, W), before it is blended with the content.
    """

    fraction: float
    stage: str
    level: int
    features: Tensor | None = None
    field: Field | None = None
    votes: Tensor | None = None


def prepare_style(features: dict[int, Tensor], settings: Settings) -> dict[int, StyleLevel]:
    """What is computed once for a style, from its features (C, H, W) by level."""
    return {
        level: style_level(
            features[level], settings.at("patch_sizes", level), settings.descriptor_channels, _matches(level, settings)
        )
        for level in settings.levels
    }


def recoloured(content: Tensor, style: StyleLevel, settings: Settings) -> Tensor:
    """Content features (C, H, W) as they are blended in: with the style's mean and covariance, or as they are."""
    share = min(1.0, 4 * settings.strength) if settings.recolour else 0.0
    return torch.lerp(content, transfer(content, style.moments), share) if share else content


def _matches(level: int, settings: Settings) -> bool:
    """Whether a level has a matching of its own; relu1_1 follows relu2_1's: its patches hold too little to match by."""
    return level > 1 or level == settings.levels[0]


def shuffle(
    content: dict[int, Tensor], style: dict[int, StyleLevel], decoder: Callable[[Tensor, int], Tensor], settings: Settings
) -> Iterator[Progress]:
    """Stylize, yielding after each turn of each level; the last one holds the picture.

    `Settings.faded` gives what the content weighs at the strength that is set; at 0 the content comes back.

    Args:
        content: features (C, H, W) of the content by level.
        style: from `prepare_style` with the same settings.
        decoder: the `Decoder` that belongs to the encoder of both, or an `Inverter`.
    """
    turns = {level: settings.at("turns", level) for level in settings.levels}
    costs = {level: turns[level] * _COST[level] * content[level][0].numel() for level in settings.levels}
    total, spent = sum(costs.values()), 0.0
    current, field = None, None
    counting = settings.matching == "counts"
    for level in settings.levels:
        own, patterns = content[level], style[level]
        blend = settings.faded(settings.at("encoder_blends", level))
        weight = settings.faded(settings.at("content_weights", level))
        base = own if current is None else torch.lerp(current, own, blend)
        target = recoloured(base, patterns, settings)
        query = target
        for turn in range(turns[level]):
            if level == settings.levels[0]:
                field = match_first(query, patterns, settings.usage_penalty, settings.seed, counting, field)
            else:
                if turn == 0:
                    field = upsample(field, tuple(own.shape[1:]), patterns.grid)
                if counting:
                    field = counted(field, settings.usage_penalty, settings.at("patch_sizes", level))
                if patterns.describer is not None:
                    field = refine(field, patterns.describer(query), patterns.descriptors)
            votes = vote(patterns, field, settings.at("patch_sizes", level))
            query = torch.lerp(votes, target, weight)
            spent += costs[level] / turns[level]
            yield Progress(0.99 * spent / total, f"relu{level}_1", level, query, field, votes)
        current = decoder(query[None], level)[0]
    for level in range(settings.levels[-1] - 1, 0, -1):
        current = decoder(current[None], level)[0]
    yield Progress(1.0, "decode", 0, current.clamp(0, 1))
