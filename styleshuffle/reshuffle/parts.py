"""Match a part of a picture as it would be matched within the whole.

A part decides nothing of its own that neighbouring parts could decide in another way, or a seam would show: the prices of
the style's patches, and the mean and deviation that features are normalised with, come from the whole picture, from a
smaller version of it. What is left looks only at a position's surroundings.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..settings import LevelSettings, Settings
from .areas import Areas
from .descriptors import Spread, spread_of
from .guide import Guide
from .matching import EXACT, improve, match_first, picked, settled
from .nnf import NNF, Grid, grid_of, upsample
from .style import StyleLevel, pool, pool_map
from .supply import Supply


class PartMatcher:
    """Makes the fields of parts, in place of `match_turn`.

    Args:
        whole: features (C, H, W) of the whole picture, made smaller, by level.
        style: from `prepare_style`.
        settings: whose first level is searched over all pairs.
        areas: of the whole.
    """

    def __init__(
        self, whole: dict[int, Tensor], style: dict[int, StyleLevel], settings: Settings, areas: Areas | None = None
    ) -> None:
        first = settings.levels[0]
        self.spreads: dict[tuple[int, int], Spread] = {}
        for level, features in whole.items():
            self.spreads[level, 1] = spread_of(features)
        patterns = style[first]
        self.factors = [1]
        while patterns.features[0].numel() > EXACT * self.factors[0] ** 2:
            self.factors.insert(0, 2 * self.factors[0])
        self.prices: dict[int, Tensor] = {}
        self.keys: dict[int, Tensor] = {}
        self.supplies: dict[int, Supply | None] = {}
        grid = grid_of(whole[first])
        aim = _on(patterns.light, grid)  # prices are for a picture whose lightness is like the style's
        takes = None if areas is None else areas.takes_on(grid)
        prices = match_first(whole[first], patterns, settings.usage_penalty, aim=aim, takes=takes).prices
        for factor in self.factors:
            self.spreads[first, factor] = spread_of(pool(whole[first], factor))
            self.prices[factor] = pool(prices[None], factor)[0]
            self.keys[factor], self.supplies[factor] = patterns.pooled_index(factor)

    def __call__(
        self,
        features: Tensor,
        style: StyleLevel,
        nnf: NNF | None,
        here: LevelSettings,
        first_turn: bool,
        settings: Settings,
        guide: Guide,
    ) -> NNF:
        """The field of a part. Arguments: see `match_turn`."""
        grid = grid_of(features)
        aim, bond = guide.aim_on(grid), guide.bond_on(grid, settings.contiguity)
        takes = guide.takes_on(grid)
        if nnf is None:
            return self._first(features, style, here.level, aim, bond, takes)
        nnf = upsample(nnf, grid, style.grid, style.boxes)
        if not here.matches:
            return nnf
        _, descriptors = style.index()
        query = style.query(features, aim, takes, spread=self.spreads[here.level, 1])
        nnf = improve(nnf, query, descriptors, rounds=1, bond=bond)
        return settled(nnf, query, descriptors, style.supply, takes)

    def _first(
        self,
        features: Tensor,
        style: StyleLevel,
        level: int,
        aim: Tensor | None,
        bond: Tensor | None,
        takes: Tensor | None,
    ) -> NNF:
        nnf: NNF | None = None
        for factor in self.factors:
            small, own, key = pool(features, factor), picked(takes, factor), self.keys[factor]
            query = style.query(small, pool_map(aim, factor), own, spread=self.spreads[level, factor])
            prices, supply = self.prices[factor], self.supplies[factor]
            boxes = None if supply is None else supply.several
            if nnf is None:
                match = torch.addmm(prices.flatten(), query, key.T).argmax(1)
                nnf = NNF(match.view(grid_of(small)), prices, boxes)
            else:
                nnf = upsample(nnf, grid_of(small), (prices.shape[0], prices.shape[1]), boxes)
                nnf = improve(nnf, query, key, rounds=1, bond=bond if factor == 1 else None)
            nnf = settled(nnf, query, key, supply, own)
        assert nnf is not None  # there is a factor at least
        return nnf


def _on(values: Tensor | None, grid: Grid) -> Tensor | None:
    return None if values is None else F.interpolate(values[None, None], grid, mode="area")[0, 0]
