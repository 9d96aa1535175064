"""Means in windows, the guided filter, and evening: exact small cases and properties."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleshuffle.reshuffle.evening import Evener, axes_of
from styleshuffle.reshuffle.filters import box_mean, gaussian, local_variance
from styleshuffle.reshuffle.guided import guided_filter
from styleshuffle.reshuffle.moments import moments


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def halves(height: int = 64, width: int = 64) -> Tensor:
    """Black to the left, white to the right, (3, H, W)."""
    return (torch.arange(width) >= width // 2).float().expand(3, height, width).clone()


def test_a_box_mean_is_over_what_there_is() -> None:
    row = torch.tensor([[[1.0, 2.0, 6.0, 3.0]]])
    assert torch.allclose(box_mean(row, 1), torch.tensor([[[1.5, 3.0, 11 / 3, 4.5]]]))
    assert torch.allclose(box_mean(noise(2, 5, 7), 9), noise(2, 5, 7).mean((1, 2), keepdim=True).expand(2, 5, 7))


def test_a_gaussian_keeps_constants_and_the_mean_of_what_lies_inside() -> None:
    assert torch.allclose(gaussian(torch.full((3, 9, 11), 0.3), 2), torch.tensor(0.3))
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 1
    blurred = gaussian(point, 2)
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    assert float(blurred.max()) == pytest.approx(1 / (2 * torch.pi * 4), rel=0.02)


def test_local_variance_is_known() -> None:
    checks = (torch.arange(8) % 2).float().expand(2, 8, 8)  # two channels of 0 and 1 in turns
    assert torch.allclose(local_variance(checks, 8), torch.tensor(0.5))
    assert torch.allclose(local_variance(checks + 1000, 8), torch.tensor(0.5), atol=1e-4)


@pytest.mark.parametrize("radius", [1, 3, 16])
def test_a_guided_filter_keeps_what_is_linear_in_the_guide(radius: int) -> None:
    guide = gaussian(noise(1, 64, 64), 3) * 8
    values = torch.cat([3 * guide - 1, torch.full_like(guide, 0.7)])
    assert float((guided_filter(values, guide, radius, 1e-6) - values).abs().max()) < 0.1
    assert torch.allclose(guided_filter(values, guide, radius, 1e-6)[1], torch.tensor(0.7), atol=1e-4)


def test_a_guided_filter_is_a_mean_where_the_guide_is_flat() -> None:
    values = noise(1, 32, 32)
    filtered = guided_filter(values, torch.full((1, 32, 32), 0.5), 3, 1e-3)
    assert torch.allclose(filtered, box_mean(box_mean(values, 3), 3), atol=1e-5)


def test_evening_takes_clouds_and_keeps_strokes_and_edges() -> None:
    content = halves(128, 128)
    rows = torch.arange(128.0)[:, None]
    clouds = 0.2 * torch.sin(2 * torch.pi * rows / 40).expand(3, 128, 128)  # over more than a stroke
    strokes = 0.1 * torch.sin(2 * torch.pi * rows / 3).expand(3, 128, 128)
    evener = Evener(content)
    left = slice(8, 56)
    for part, low, high in ((clouds, 0, 0.3), (strokes, 0.95, 1.05)):
        evened = evener.picture(content + part, 1.0) - content
        share = evened[:, 16:-16, left].std() / part[:, 16:-16, left].std()
        assert low <= float(share) < high
    assert float((evener.picture(content, 1.0) - content).abs().max()) < 0.05
    assert torch.equal(evener.picture(content + clouds, 0.0), content + clouds)


def test_evening_of_a_share_lies_in_between() -> None:
    evener, picture = Evener(noise(3, 48, 40)), noise(3, 48, 40, seed=1)
    all_, half = evener.picture(picture, 1.0), evener.picture(picture, 0.5)
    assert torch.allclose(half, (picture + all_) / 2, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (8, 8), (64, 48)])
def test_evened_features_have_the_styles_deviation(height: int, width: int) -> None:
    content = noise(3, height * 4, width * 4)
    style = gaussian(noise(32, 40, 40, seed=2), 1) * torch.linspace(1, 4, 32)[:, None, None]
    rows = gaussian(noise(32, height, width, seed=3), 1).flatten(1).T.contiguous()
    axes = axes_of(moments(style))
    evened = Evener(content).features(rows, height, axes, 1.0)
    assert evened.shape == rows.shape
    assert torch.allclose(evened.mean(0), style.mean((1, 2)), atol=0.05)
    gained = (evened - evened.mean(0)).square().mean() / (rows - rows.mean(0)).square().mean()
    wanted = style.var((1, 2)).mean() / rows.var(0).mean()
    assert float(gained) == pytest.approx(min(float(wanted), 9), rel=0.5)
    assert torch.allclose(Evener(content).features(rows, height, axes, 0.0), rows, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0, 30.0])
def test_a_style_of_one_value_has_axes(level: float) -> None:
    axes = axes_of(moments(torch.full((256, 8, 8), level)))
    assert axes.directions.isfinite().all() and float(axes.deviation.max()) < 1e-3


def test_evening_is_relative_to_the_size() -> None:
    content, picture = halves(64, 64), gaussian(noise(3, 64, 64, seed=5), 3)
    large = [x.repeat_interleave(4, 1).repeat_interleave(4, 2) for x in (content, picture)]
    small = Evener(content).picture(picture, 1.0)
    enlarged = Evener(large[0]).picture(large[1], 1.0)
    assert float((enlarged[:, 2::4, 2::4] - small).abs().mean()) < 0.15 * float((small - picture).abs().mean())
