"""Flat places get the contrast of the style's strokes, other places and coarse colours stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleshuffle.reshuffle.brushwork import fine_contrast, with_brushwork
from styleshuffle.reshuffle.filters import blurred, gaussian


def stripes(contrast: float, height: int = 96, width: int = 128) -> Tensor:
    """A grey picture with stripes of three pixels."""
    return 0.5 + contrast * torch.sin(2 * torch.pi * torch.arange(float(height)) / 3)[:, None].expand(3, height, width)


def test_strokes_reach_the_style_where_the_content_is_flat_and_only_there() -> None:
    flat = torch.zeros(96, 128)
    flat[:, :64] = 1
    picture, style = stripes(0.06), stripes(0.1)
    brushed = with_brushwork(picture, fine_contrast(style), flat, 1.0)
    before, after, wanted = (float(x[:, 8:-8, :56].std()) for x in (picture, brushed, style))
    assert before < 0.65 * wanted and after == pytest.approx(wanted, rel=0.15)
    assert torch.equal(brushed[..., 64:], picture[..., 64:])


def test_strokes_that_are_strong_enough_stay_as_they_are() -> None:
    picture = stripes(0.1)
    assert torch.allclose(with_brushwork(picture, fine_contrast(stripes(0.05)), torch.ones(96, 128), 1.0), picture)


def test_a_share_of_nothing_changes_nothing_and_weak_strokes_are_at_most_doubled() -> None:
    picture, everywhere = stripes(0.01), torch.ones(96, 128)
    assert torch.equal(with_brushwork(picture, 0.3, everywhere, 0.0), picture)
    gained = fine_contrast(with_brushwork(picture, 0.3, everywhere, 1.0)) / fine_contrast(picture)
    assert 1.5 < gained <= 2.0


def test_coarse_colours_stay() -> None:
    ramp = torch.linspace(0, 1, 128).expand(3, 96, 128) + stripes(0.03) - 0.5
    brushed = with_brushwork(ramp, fine_contrast(stripes(0.1)), torch.ones(96, 128), 1.0)
    assert float((gaussian(brushed, 6) - gaussian(ramp, 6)).abs().max()) < 0.01


@pytest.mark.parametrize("sigma", [1.5, 4.0, 12.0, 30.0])
def test_a_blur_on_a_coarser_grid_is_nearly_the_gaussian(sigma: float) -> None:
    picture = torch.rand(3, 160, 200, generator=torch.Generator().manual_seed(0))
    exact, coarse = (blur(picture, sigma)[:, 40:-40, 40:-40] for blur in (gaussian, blurred))
    assert float((coarse - exact).square().mean().sqrt()) < 0.25 * float(exact.std())
