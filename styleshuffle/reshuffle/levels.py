"""The coarse-to-fine loop: from the features of content and style to those of the result, level by level.

At each level: move the content's features to the style's colours (mean and covariance), match every patch to a patch of
the style, vote for new features, even the votes along the content, blend; then decode to the next finer level. The
features go through the decoder chain, not through pixels: to encode a decoded picture again at each level costs an
encoding and loses what the picture cannot show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..settings import LevelSettings, Settings
from .balance import balanced
from .guide import Guide
from .matching import counted, improve, match_first, settled
from .moments import match_moments, moments, steadied
from .nnf import NNF, grid_of, upsample
from .style import StyleLevel
from .voting import vote

DecodeStep = Callable[[Tensor, int], Tensor]
"""Features (1, C, H, W) of a level, and the level, to those of the next finer level; see `Decoder` and `Inverter`."""

_FEW = 4096  # positions of an area from which on its moments are its own

# Relative time of a turn by position, as measured at 512 x 512 on a CPU, for an honest progress bar.
_COST = {4: 107.0, 3: 5.0, 2: 5.5, 1: 0.8}


Match = Callable[[Tensor, StyleLevel, NNF | None, LevelSettings, bool, Settings, Guide], NNF]
"""Makes the field of a turn, see `match_turn`."""


@dataclass(frozen=True)
class Turn:
    """What a turn of match, vote and blend has come to.

    Attributes:
        level: 4 for relu4_1.
        features: the blend of votes and content, (C, H, W).
        votes: what the style puts there, (C, H, W), evened.
        nnf: who went where.
        share: of the work of all levels, how much is done, 0 to 1, about in proportion to time.
    """

    level: int
    features: Tensor
    votes: Tensor
    nnf: NNF
    share: float


def recolour(content: Tensor, style: StyleLevel, settings: Settings, guide: Guide | None = None) -> Tensor:
    """Content features (C, H, W) as they are blended in: with the style's mean and covariance, or as they are.

    Args:
        guide: of the content, whose areas take the moments of their regions of the style.
    """
    if not settings.recolour or not settings.strength:
        return content
    guide = guide or Guide()
    share, areas = guide.soft(settings.strength, grid_of(content)), guide.areas
    if areas is None:
        return torch.lerp(content, match_moments(content, style.moments), share)

    def moved(number: int, inside: Tensor, members: Tensor) -> Tensor:
        own = moments(inside)
        if inside.shape[1] < _FEW:
            own = steadied(own, inside.shape[1], moments(content))
        return match_moments(members, style.look(areas.takes[number])[0], own)

    return torch.lerp(content, areas.apply(content, moved), share)


def evened_vote(style: StyleLevel, nnf: NNF, patch: int, guide: Guide, evening: float) -> Tensor:
    """Votes (C, H, W), evened along the content.

    Args:
        evening: how far, from 0 to 1.
    """
    areas = guide.areas
    votes = vote(style, nnf, patch, None if areas is None else areas.on(nnf.content))
    if guide.evener is None or not evening:
        return votes
    if areas is None:
        height, width = nnf.content
        return guide.evener.features(votes.flatten(1).T, height, style.axes, evening).T.unflatten(1, (height, width))
    looks = [style.look(region)[1] for region in areas.takes]
    return guide.evener.features_by_area(votes, areas, style.axes, looks, evening)


def reshuffle(
    content: dict[int, Tensor],
    style: dict[int, StyleLevel],
    decode: DecodeStep,
    settings: Settings,
    guide: Guide | None = None,
    match: Match | None = None,
) -> Iterator[Turn]:
    """Stylize features, yielding after each turn of each level; `decode_to_picture` makes a picture of the last one.

    Args:
        content: features (C, H, W) of the content by level.
        style: from `prepare_style` with the same settings.
        decode: the `Decoder` that belongs to the encoder of both, or an `Inverter`.
        guide: of the content; its aim is for a style that was prepared with its picture.
        match: finds the fields in another way.
    """
    guide, match = guide or Guide(), match or match_turn
    costs = {level: _COST[level] * content[level][0].numel() for level in settings.levels}
    total = sum(settings.at(level).turns * cost for level, cost in costs.items())
    spent = 0.0
    coarser: Tensor | None = None
    nnf: NNF | None = None
    for level in settings.levels:
        here, patterns, own = settings.at(level), style[level], content[level]
        weight = guide.content_weight(here, grid_of(own))
        base = own if coarser is None else torch.lerp(coarser, own, guide.encoder_blend(here, grid_of(own)))
        target = recolour(base, patterns, settings, guide)
        features = target
        for turn in range(here.turns):
            nnf = match(features, patterns, nnf, here, turn == 0, settings, guide)
            votes = evened_vote(patterns, nnf, here.patch_size, guide, settings.evening)
            features = torch.lerp(votes, target, weight)
            spent += costs[level]
            yield Turn(level, features, votes, nnf, spent / total)
        if level != settings.levels[-1]:
            coarser = decode(features[None], level)[0]


def match_turn(
    features: Tensor,
    style: StyleLevel,
    nnf: NNF | None,
    here: LevelSettings,
    first_turn: bool,
    settings: Settings,
    guide: Guide,
) -> NNF:
    """The field of a turn: over all pairs at the coarsest level, elsewhere the field so far, improved nearby."""
    counting = settings.matching == "counts"
    grid = grid_of(features)
    aim, takes, bond = guide.aim_on(grid), guide.takes_on(grid), guide.bond_on(grid, settings.contiguity)
    if here.coarsest or nnf is None:
        return match_first(features, style, settings.usage_penalty, settings.seed, counting, nnf, aim, bond, takes)
    if first_turn:
        nnf = upsample(nnf, grid, style.grid, style.boxes)
    if counting:
        nnf = counted(nnf, settings.usage_penalty, here.patch_size, style.supply, takes)
    if not here.matches:
        return nnf
    _, descriptors = style.index()
    query = style.query(features, aim, takes)
    rounds = 2 if here.level > 2 else 1  # at relu2_1 the field is nearly right already, and a round is long
    nnf = settled(improve(nnf, query, descriptors, rounds, bond), query, descriptors, style.supply, takes)
    return balanced(nnf, query, descriptors, style.supply, takes, settings.usage_penalty)


def decode_to_picture(features: Tensor, level: int, decode: DecodeStep) -> Tensor:
    """The picture (3, H, W), RGB in [0, 1], of features (C, H, W) of a level."""
    x = features[None]
    for step in range(level, 0, -1):
        x = decode(x, step)
    return x[0].clamp(0, 1)
