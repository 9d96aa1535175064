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
from .descriptors import Spread, spread_of
from .guide import Guide
from .matching import EXACT, improve, match_first
from .nnf import NNF, Grid, grid_of, upsample
from .style import StyleLevel, mostly


class PartMatcher:
    """Makes the fields of parts, in place of `match_turn`.

    Args:
        whole: features (C, H, W) of the whole picture, made smaller, by level.
        style: from `prepare_style`.
        settings: whose first level is searched over all pairs.
    """

    def __init__(self, whole: dict[int, Tensor], style: dict[int, StyleLevel], settings: Settings) -> None:
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
        describer, descriptors = patterns.index()
        aim = patterns.light  # prices are for a picture whose lightness is like the style's
        prices = match_first(whole[first], patterns, settings.usage_penalty, aim=_on(aim, grid_of(whole[first]))).prices
        for factor in self.factors:
            self.spreads[first, factor] = spread_of(pooled(whole[first], factor))
            self.prices[factor] = pooled(prices[None], factor)[0]
            light = None if patterns.light is None else pooled(patterns.light[None], factor)[0]
            shown = None if patterns.shown is None else mostly(pooled(patterns.shown[None].float(), factor)[0])
            self.keys[factor] = (
                descriptors if factor == 1 else describer(pooled(patterns.features, factor), light=light, shown=shown)
            )

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
        if nnf is None:
            return self._first(features, style, here.level, aim, bond)
        nnf = upsample(nnf, grid, style.grid)
        if not here.matches:
            return nnf
        describer, descriptors = style.index()
        query = describer(features, aim, spread=self.spreads[here.level, 1])
        return improve(nnf, query, descriptors, rounds=1, bond=bond)

    def _first(self, features: Tensor, style: StyleLevel, level: int, aim: Tensor | None, bond: Tensor | None) -> NNF:
        describer, _ = style.index()
        nnf: NNF | None = None
        for factor in self.factors:
            small = pooled(features, factor)
            light = None if aim is None else pooled(aim[None], factor)[0]
            query, prices = describer(small, light, spread=self.spreads[level, factor]), self.prices[factor]
            if nnf is None:
                match = torch.addmm(prices.flatten(), query, self.keys[factor].T).argmax(1)
                nnf = NNF(match.view(grid_of(small)), prices)
            else:
                nnf = upsample(nnf, grid_of(small), (prices.shape[0], prices.shape[1]))
                nnf = improve(nnf, query, self.keys[factor], rounds=1, bond=bond if factor == 1 else None)
        assert nnf is not None  # there is a factor at least
        return nnf


def pooled(features: Tensor, factor: int) -> Tensor:
    """Means of features (C, H, W) over cells of that side; cells at the border may be smaller."""
    return F.avg_pool2d(features[None], factor, ceil_mode=True)[0] if factor > 1 else features


def _on(values: Tensor | None, grid: Grid) -> Tensor | None:
    return None if values is None else F.interpolate(values[None, None], grid, mode="area")[0, 0]
