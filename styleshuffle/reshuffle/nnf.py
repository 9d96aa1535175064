"""The nearest-neighbour field (NNF): for each content position the style position whose patch it takes.

A field carries the prices of the style's patches (see `matching`), so that it can go to finer grids with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from .boxes import Boxes

Grid = tuple[int, int]
"""Height and width in positions."""


@dataclass(frozen=True)
class NNF:
    """A nearest-neighbour field with prices.

    Attributes:
        match: (H, W), int64: for each content position the row-major index of its style position.
        prices: (H', W'): what is added to the similarity with each style position.
        boxes: of several styles in that grid; None for a single style.
    """

    match: Tensor
    prices: Tensor
    boxes: Boxes | None = None

    @property
    def content(self) -> Grid:
        height, width = self.match.shape
        return height, width

    @property
    def style(self) -> Grid:
        height, width = self.prices.shape
        return height, width


def grid_of(features: Tensor) -> Grid:
    """The grid of features (C, H, W)."""
    _, height, width = features.shape
    return height, width


def upsample(nnf: NNF, content: Grid, style: Grid, boxes: Boxes | None = None) -> NNF:
    """The same field on finer grids: each position takes its parent's match, shifted as it lies in the parent.

    Args:
        boxes: of several styles on the finer grid.
    """
    row_parents, row_shifts = _parents(content[0], nnf.content[0], nnf.match.device)
    column_parents, column_shifts = _parents(content[1], nnf.content[1], nnf.match.device)
    matches = nnf.match[row_parents[:, None], column_parents[None, :]]
    row = -(-(matches // nnf.style[1]) * style[0] // nnf.style[0])
    y = row + row_shifts[:, None]
    x = -(-(matches % nnf.style[1]) * style[1] // nnf.style[1]) + column_shifts[None, :]
    y, x = held(y, x, row, style, boxes)
    match = y * style[1] + x
    prices = F.interpolate(nnf.prices[None, None], style, mode="bilinear", align_corners=False)[0, 0]
    return NNF(match, prices, boxes)


def held(y: Tensor, x: Tensor, row: Tensor, style: Grid, boxes: Boxes | None) -> tuple[Tensor, Tensor]:
    """Rows and columns of style positions, held at the border of the style that ``row`` is in; changes y and x."""
    if boxes is not None:
        return boxes.clamp(y, x, row)
    return y.clamp_(0, style[0] - 1), x.clamp_(0, style[1] - 1)


def _parents(fine: int, coarse: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Per fine position: its coarse parent, and its offset from the parent's first child."""
    positions = torch.arange(fine, device=device)
    parents = positions * coarse // fine
    first = -(-parents * fine // coarse)
    return parents, positions - first


def usage(nnf: NNF) -> Tensor:
    """How often each style position is used, (H', W'), in units of equal use (so the mean is 1)."""
    counts = torch.bincount(nnf.match.flatten(), minlength=nnf.prices.numel()).view(nnf.style)
    return counts * (nnf.prices.numel() / nnf.match.numel())


def neighbours(match: Tensor, style: Grid, boxes: Boxes | None = None) -> Iterator[Tensor]:
    """For each of four directions, what the neighbour's match proposes: its own, shifted back by the direction."""
    for dimension, step, shift in ((0, 1, (1, 0)), (0, -1, (-1, 0)), (1, 1, (0, 1)), (1, -1, (0, -1))):
        yield shifted(match.roll(step, dimension), shift, style, boxes)


def shifted(match: Tensor, shift: tuple[int, int], style: Grid, boxes: Boxes | None = None) -> Tensor:
    """Style positions moved by rows and columns, held at the border of their style."""
    row = match // style[1]
    y, x = held(row + shift[0], match % style[1] + shift[1], row, style, boxes)
    return y.mul_(style[1]).add_(x)
