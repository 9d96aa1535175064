"""Tiles cover a picture, agree where they meet, and leave no seam."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from styleshuffle.tiles import lay, numbered, spans, steps_between, tiles


@pytest.mark.parametrize(("length", "side", "halo"), [(1000, 256, 32), (33, 256, 32), (512, 256, 96), (257, 256, 64)])
def test_spans_cover_the_length_without_gaps_and_keep_their_halo(length: int, side: int, halo: int) -> None:
    found = spans(length, side, halo)
    assert found[0].first == 0 and found[-1].last == length
    for before, after in pairwise(found):
        assert before.last == after.first
    for span in found:
        assert span.start % 32 == 0 and span.first - span.start >= min(halo, span.first)
        assert span.stop - span.last >= min(halo, length - span.last) and span.stop <= length


def test_a_picture_laid_together_from_its_own_tiles_is_the_picture() -> None:
    picture = torch.rand(3, 200, 330, generator=torch.Generator().manual_seed(0))
    result = torch.empty_like(picture)
    for tile in tiles(200, 330, side=128, halo=24):
        lay(result, tile, tile.of(picture), blend=16)
    assert torch.allclose(result, picture, atol=1e-6)


def test_tiles_that_differ_fade_into_each_other() -> None:
    result = torch.full((1, 40, 300), float("nan"))
    for number, tile in enumerate(tiles(40, 300, side=128, halo=32)):
        lay(result, tile, torch.full((1, 40, tile.columns.stop - tile.columns.start), float(number % 2)), blend=16)
    steps = (result[0, :, 1:] - result[0, :, :-1]).abs()
    assert bool(result.isfinite().all()) and float(result.max()) == 1 and float(steps.max()) <= 1 / 16 + 1e-6


def test_bytes_are_rounded() -> None:
    (tile,) = tiles(2, 2, side=64, halo=8)
    result = torch.zeros(1, 2, 2, dtype=torch.uint8)
    lay(result, tile, torch.tensor([[[0.4, 0.6], [254.6, 1.0]]]), blend=8)
    assert result[0].tolist() == [[0, 1], [255, 1]]


@pytest.mark.parametrize(
    ("small", "large", "sides"), [(512, 512, [512]), (512, 1000, [1000]), (512, 4096, [1024, 2048, 4096])]
)
def test_no_step_more_than_doubles_a_side(small: int, large: int, sides: list[int]) -> None:
    assert steps_between(small, large) == sides
    odd = [small, *steps_between(small, 2 * large + 1)]
    assert odd[-1] == 2 * large + 1 and all(b <= 2 * a for a, b in pairwise(odd))


def test_shares_rise_to_all_of_the_work() -> None:
    shares = [share for share, _ in numbered(tiles(300, 300, side=128, halo=16))]
    assert shares == sorted(shares) and shares[-1] == 1
