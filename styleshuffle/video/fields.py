"""The fields of a painted frame, carried along the motion to the next frame that is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from ..reshuffle.guide import Guide
from ..reshuffle.levels import match_turn
from ..reshuffle.matching import improve
from ..reshuffle.nnf import NNF, grid_of, upsample
from ..reshuffle.style import StyleLevel
from ..settings import LevelSettings, Settings

_TRUSTED = 0.5
_SPREAD = 0.008  # of the long side: deviation of the Gaussian over which a place belongs to the style of most paint
_ROWS = 256  # positions compared with all of the style's at a time

Fields = dict[int, NNF]
"""The last field of each level."""


class CarriedMatcher:
    """Makes the fields of a frame, in place of `match_turn`: as before where the motion is trusted, new elsewhere.

    What is new pays the same prices as before, so that it takes what the whole picture leaves to it.

    Args:
        before: fields of the frame that was painted last, by level.
        flow: from the new frame to that frame, (H, W, 2) in pixels, of any size with their shape.
        trust: how far the flow is trusted, (H, W), 0 to 1.
    """

    def __init__(self, before: Fields, flow: np.ndarray, trust: np.ndarray) -> None:
        self.before, self.flow, self.trust = before, flow, trust

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
        """The field of a turn. Arguments: see `match_turn`."""
        grid, before = grid_of(features), self.before.get(here.level)
        regions = guide.areas is not None  # a place that moves into another region takes from elsewhere
        if regions or before is None or before.content != grid or before.style != style.grid:
            return match_turn(features, style, nnf, here, first_turn, settings, guide)
        match, trusted = carried(before, self.flow, self.trust)
        if nnf is None:
            start = NNF(match, before.prices, style.boxes)
        else:
            coarser = upsample(nnf, grid, style.grid, style.boxes) if first_turn else nnf
            start = replace(coarser, match=torch.where(trusted, match, coarser.match))
        if not here.matches or bool(trusted.all()):
            return start
        aim, bond = guide.aim_on(grid), guide.bond_on(grid, settings.contiguity)
        _, descriptors = style.index()
        query = style.query(features, aim, None)
        if nnf is None:
            places = (~trusted).flatten().nonzero()[:, 0]
            start.match.view(-1)[places] = _nearest(query[places], descriptors, before.prices.flatten())
        better = improve(start, query, descriptors, rounds=1, bond=bond)
        return replace(start, match=torch.where(trusted, start.match, better.match))


def carried(before: NNF, flow: np.ndarray, trust: np.ndarray) -> tuple[Tensor, Tensor]:
    """The matches (H, W) of a field after the motion, and where they are trusted."""
    height, width = before.content
    steps = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    small = torch.from_numpy(cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) * steps)
    sure = torch.from_numpy(cv2.resize(trust, (width, height), interpolation=cv2.INTER_AREA)) > _TRUSTED
    x = (torch.arange(width) + small[..., 0]).round().long()
    y = (torch.arange(height)[:, None] + small[..., 1]).round().long()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    device = before.match.device
    match = before.match[y.clamp(0, height - 1).to(device), x.clamp(0, width - 1).to(device)]
    return match, (sure & inside).to(device)


def styles_of(fields: Fields, taking: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """The number of the style that most of the paint near each place is from, (H, W) uint8, from 0.

    Args:
        taking: numbers of the styles in the order in which they lie in the fields.
        shape: of the frame.
    """
    nnf = fields[min(fields)] if fields else None
    if nnf is None or nnf.boxes is None or len(taking) == 1:
        return np.full(shape[:2], taking[0], np.uint8)
    places = nnf.boxes.style_of.flatten()[nnf.match].cpu().numpy()
    size, spread = (shape[1], shape[0]), _SPREAD * max(nnf.content)
    parts = [cv2.GaussianBlur((places == place).astype(np.float32), (0, 0), spread) for place in range(len(taking))]
    most = np.argmax([cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) for part in parts], 0)
    return np.asarray(taking, np.uint8)[most]


def _nearest(query: Tensor, descriptors: Tensor, prices: Tensor) -> Tensor:
    """For each of the descriptors (n, d) the best of the style's, with their prices."""
    return torch.cat([torch.addmm(prices, some, descriptors.T).argmax(1) for some in query.split(_ROWS)])
