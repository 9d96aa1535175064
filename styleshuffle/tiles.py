"""Cut a picture into tiles that overlap, and lay them together again without a seam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """A stretch of a picture along one side, in pixels.

    Attributes:
        start, stop: what is worked on, halo included.
        first, last: what is laid into the result; neighbours share `blend` pixels of it.
    """

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """A tile of a picture: its rows and columns."""

    rows: Span
    columns: Span

    def of(self, picture: Tensor) -> Tensor:
        """The part (..., h, w) of a picture (..., H, W) that is worked on, a view."""
        return picture[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]


def spans(length: int, side: int, halo: int, multiple: int = 32) -> list[Span]:
    """Stretches of about a side, halos included, that cover a length.

    Args:
        multiple: of which the starts are, so that all tiles agree on the grids of pooled features.
    """
    if length <= side:
        return [Span(0, length, 0, length)]
    inner = max(multiple, (side - 2 * halo) // multiple * multiple)
    count = -(-length // inner)
    found = []
    for number in range(count):
        first, last = number * inner, min(length, (number + 1) * inner)
        start, stop = max(0, (first - halo) // multiple * multiple), min(length, last + halo)
        found.append(Span(start, stop, first, last))
    return found


def tiles(height: int, width: int, side: int, halo: int) -> list[Tile]:
    """Tiles of about a side, halos included, that cover a picture, row by row."""
    return [Tile(rows, columns) for rows in spans(height, side, halo) for columns in spans(width, side, halo)]


def lay(result: Tensor, tile: Tile, part: Tensor, blend: int) -> None:
    """Lay the worked part (C, h, w) of a tile into a result (C, H, W).

    Over the first `blend` pixels of its rows and columns the tile fades in over what its neighbours above and to the left
    have laid there, so tiles go row by row, and each lays `blend` pixels more than its own to the right and below.
    """
    rows, columns = tile.rows, tile.columns
    height, width = result.shape[1:]
    bottom, right = min(height, rows.last + blend, rows.stop), min(width, columns.last + blend, columns.stop)
    own = part[:, rows.first - rows.start : bottom - rows.start, columns.first - columns.start : right - columns.start]
    there = result[:, rows.first : bottom, columns.first : right]
    weight = _fade(bottom - rows.first, blend if rows.first else 0, own)[:, None]
    weight = weight * _fade(right - columns.first, blend if columns.first else 0, own)
    faded = torch.where(weight < 1, torch.lerp(there.to(own), own, weight), own)  # what is not laid yet may be NaN
    there.copy_(faded if result.is_floating_point() else faded.round())


def _fade(length: int, blend: int, like: Tensor) -> Tensor:
    """Weights from near 0 to 1 over `blend` pixels, then 1."""
    if not blend:
        return like.new_ones(length)
    return ((torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / blend).clamp_max_(1)


def steps_between(small: int, large: int) -> list[int]:
    """Long sides on the way from a small to a large, each at most twice the side before; the last is the large side."""
    sides = [large]
    while sides[0] > 2 * small:
        sides.insert(0, -(-sides[0] // 2))
    return sides


def numbered(tiles: list[Tile]) -> Iterator[tuple[float, Tile]]:
    """The tiles, each with the share of all pixels that is done when it is done."""
    total = sum(_pixels(tile) for tile in tiles)
    done = 0
    for tile in tiles:
        done += _pixels(tile)
        yield done / total, tile


def _pixels(tile: Tile) -> int:
    return (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start)
