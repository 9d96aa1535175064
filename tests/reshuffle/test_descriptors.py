"""Descriptors of patches: how they compare, how long they are, and that constant features are no trouble."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from features import level_of, noise, smooth

from styleshuffle.reshuffle.descriptors import fit_describer, instance_normalise
from styleshuffle.reshuffle.matching import match_first
from styleshuffle.reshuffle.voting import vote


def test_instance_normalised_features_have_mean_0_and_deviation_1_and_constant_channels_become_0() -> None:
    features = torch.cat([3 + 5 * noise(4, 9, 7), torch.full((1, 9, 7), 2.5)])
    normal = instance_normalise(features)
    assert torch.allclose(normal.mean((1, 2)), torch.zeros(5), atol=1e-5)
    assert torch.allclose(normal.std((1, 2), correction=0), torch.tensor([1.0] * 4 + [0.0]), atol=1e-5)


def test_product_of_descriptors_is_the_mean_cosine_over_the_patch() -> None:
    content, style = noise(5, 6, 7, seed=1), noise(5, 8, 6, seed=2)
    describe = fit_describer(style, 3, channels=5, length=45)
    similarity = describe(content) @ describe(style).T
    unit = [F.normalize(instance_normalise(x), dim=0) for x in (content, style)]
    for (y, x), (v, u) in itertools.product([(1, 1), (3, 4), (4, 5)], [(1, 1), (6, 4), (2, 3)]):  # inside
        window, other = unit[0][:, y - 1 : y + 2, x - 1 : x + 2], unit[1][:, v - 1 : v + 2, u - 1 : u + 2]
        cosines = (window * other).sum(0)
        assert float(similarity[y * 7 + x, v * 6 + u]) == pytest.approx(float(cosines.mean()), abs=1e-5)


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_descriptors_ignore_each_channels_brightness_and_contrast(patch: int) -> None:
    features = noise(6, 9, 11)
    describe = fit_describer(features, patch, channels=6, length=12)
    changed = features * torch.linspace(0.5, 4, 6)[:, None, None] + torch.arange(6.0)[:, None, None]
    assert torch.allclose(describe(changed), describe(features), atol=1e-4)


@pytest.mark.parametrize("grid", [(16, 16), (9, 17), (1, 20), (20, 1), (2, 2), (1, 1)])
def test_descriptors_are_as_short_as_asked_and_of_norm_at_most_1(grid: tuple[int, int]) -> None:
    features = noise(12, *grid)
    rows = fit_describer(features, 3, channels=6, length=10)(features)
    assert rows.shape == (grid[0] * grid[1], 10)
    assert float(rows.norm(dim=1).max()) <= 1 + 1e-5


def test_shorter_descriptors_order_patches_of_smooth_features_nearly_as_whole_ones_do() -> None:
    features = smooth(12, 16, 16)
    whole = fit_describer(features, 3, channels=12, length=108)(features)
    short = fit_describer(features, 3, channels=12, length=54)(features)
    assert float((whole @ whole.T - short @ short.T).abs().max()) < 0.05


def test_constant_features_have_finite_descriptors_and_matches() -> None:
    level = level_of(torch.full((4, 6, 6), 0.7))
    field = match_first(torch.full((4, 5, 5), 0.2), level, 0.3)
    assert level.descriptors.isfinite().all() and field.prices.isfinite().all()
    assert torch.allclose(vote(level, field, 3), torch.full((4, 5, 5), 0.7))
