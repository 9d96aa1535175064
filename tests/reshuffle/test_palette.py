"""Colours moved to another picture's distribution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleshuffle.evaluation.measures import sliced_wasserstein
from styleshuffle.reshuffle.palette import match_palette, palette_of


def noise(seed: int, side: int = 96) -> Tensor:
    return torch.rand((3, side, side), generator=torch.Generator().manual_seed(seed))


def clusters(side: int = 96) -> Tensor:
    """Two colours, 3 : 1, with a little noise: a distribution that mean and covariance do not tell."""
    low, high = torch.tensor([0.1, 0.2, 0.6]).view(3, 1, 1), torch.tensor([0.9, 0.8, 0.1]).view(3, 1, 1)
    few = torch.rand((1, side, side), generator=torch.Generator().manual_seed(5)) < 0.25
    return torch.where(few, high, low) + 0.02 * noise(6, side)


def test_all_the_way_the_colours_are_the_palettes() -> None:
    picture, style = noise(0), clusters()
    there = match_palette(picture, palette_of(style), 1)
    assert float(sliced_wasserstein(there[None], style[None])) < 0.02
    assert float(sliced_wasserstein(picture[None], style[None])) > 0.15


def test_the_share_is_that_of_the_way() -> None:
    picture, palette = noise(0), palette_of(clusters())
    there = match_palette(picture, palette, 1)
    assert torch.equal(match_palette(picture, palette, 0), picture)
    assert torch.allclose(match_palette(picture, palette, 0.25), picture + 0.25 * (there - picture), atol=1e-6)


def test_a_picture_keeps_its_own_palette() -> None:
    picture = noise(0)
    assert float((match_palette(picture, palette_of(picture), 1) - picture).abs().max()) < 0.01


def test_brighter_grey_stays_brighter() -> None:
    grey = torch.linspace(0.2, 0.6, 64 * 64).view(1, 64, 64).expand(3, -1, -1)
    style = torch.linspace(0.1, 0.9, 64 * 64).view(1, 64, 64).expand(3, -1, -1)
    assert torch.allclose(match_palette(grey, palette_of(style), 1), style, atol=0.01)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_one_colour_gives_finite_colours_and_is_taken_over(grey: float) -> None:
    flat = torch.full((3, 40, 30), grey)
    assert match_palette(flat, palette_of(noise(1)), 1).isfinite().all()
    assert torch.allclose(match_palette(noise(1), palette_of(flat), 1), torch.tensor(grey), atol=1e-4)


@pytest.mark.parametrize(("side", "colours"), [(1, 1), (2, 4), (128, 16384), (300, 15000)])
def test_palettes_are_small_and_from_everywhere(side: int, colours: int) -> None:
    palette = palette_of(torch.arange(side * side).float().expand(3, -1).view(3, side, side))
    assert palette.shape == (3, colours)
    assert float(palette.min()) == 0 and float(palette.max()) >= 0.99 * (side * side - 1)
