"""Halos along edges go; edges, brushwork and thin lines stay."""

from __future__ import annotations

import torch
from torch import Tensor

from styleshuffle.reshuffle.filters import gaussian
from styleshuffle.reshuffle.rims import rims

SIZE = 256


def edge() -> Tensor:
    """Luminance (1, H, W) of a soft edge from dark to light."""
    return gaussian((torch.arange(SIZE) >= SIZE // 2).float().expand(1, SIZE, SIZE), 1) * 0.6 + 0.2


def with_rims(guide: Tensor, strength: float) -> Tensor:
    """A picture (3, H, W) with a dark rim on one side of the edge and a bright rim on the other."""
    return (guide + strength * (guide - gaussian(guide, 5))).expand(3, SIZE, SIZE)


def test_rims_on_both_sides_of_an_edge_are_halved() -> None:
    guide = edge()
    picture = with_rims(guide, 0.5)
    result = picture - rims(picture, guide)
    near, far = [SIZE // 2 + d for d in (-4, -3, 3, 4)], [SIZE // 2 + d for d in (-14, -13, 13, 14)]
    excess = [(x - guide)[:, 32:-32] for x in (picture, result)]
    before, after = (float((x[..., near] - x[..., far]).abs().mean()) for x in excess)
    assert after < 0.6 * before


def test_an_edge_without_rims_stays() -> None:
    guide = edge()
    picture = torch.stack([guide[0], 1 - guide[0], 0.5 * guide[0]])
    assert float(rims(picture, guide).abs().max()) < 0.02


def test_brushwork_that_has_nothing_to_do_with_the_edge_stays() -> None:
    guide, random = edge(), torch.Generator().manual_seed(0)
    picture = guide + 0.1 * torch.randn(3, SIZE, SIZE, generator=random)
    assert float(rims(picture, guide).std()) < 0.1 * 0.1


def test_a_thin_line_stays() -> None:
    guide = torch.full((1, SIZE, SIZE), 0.8)
    guide[:, :, SIZE // 2 : SIZE // 2 + 2] = 0.1
    picture = guide.expand(3, SIZE, SIZE)
    assert float(rims(picture, guide).abs().max()) < 0.05


def test_nothing_happens_where_the_content_has_no_edge() -> None:
    picture = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    assert float(rims(picture, torch.full((1, SIZE, SIZE), 0.5)).abs().max()) == 0
