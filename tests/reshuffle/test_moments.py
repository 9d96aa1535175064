"""Moments of features, and the map that gives features another picture's."""

from __future__ import annotations

import pytest
import torch
from features import noise

from styleshuffle.reshuffle.moments import match_moments, moments


def test_moments_of_a_known_case() -> None:
    found = moments(torch.tensor([[[0.0, 2.0]], [[1.0, 5.0]]]))
    assert found.mean.tolist() == [1, 3]
    assert found.covariance.tolist() == [[1, 2], [2, 4]]


@pytest.mark.parametrize("seed", range(3))
def test_transferred_features_have_the_styles_mean_and_covariance(seed: int) -> None:
    mix = noise(6, 6, seed=seed + 20)
    content = noise(6, 20, 15, seed=seed) * torch.linspace(0.3, 3, 6)[:, None, None] + 4
    style = moments(torch.einsum("ij,jhw->ihw", mix, noise(6, 11, 18, seed=seed + 10)) - 1)
    moved = moments(match_moments(content, style))
    assert torch.allclose(moved.mean, style.mean, atol=1e-4)
    assert float((moved.covariance - style.covariance).norm() / style.covariance.norm()) < 0.01


def test_transfer_of_one_channel_scales_and_shifts() -> None:
    content = noise(1, 8, 8)
    style = moments(7 + 3 * noise(1, 9, 5, seed=1))
    expected = (content - content.mean()) * (style.covariance[0, 0].sqrt() / content.std(correction=0)) + style.mean[0]
    assert torch.allclose(match_moments(content, style), expected, atol=1e-3)


def test_transfer_to_its_own_moments_changes_nothing() -> None:
    features = torch.einsum("ij,jhw->ihw", noise(6, 6, seed=1), noise(6, 16, 16)) + 2
    assert torch.allclose(match_moments(features, moments(features)), features, atol=0.01 * float(features.std()))


def test_transfer_moves_features_less_than_whitening_and_colouring_does() -> None:
    """The optimal map, against another one to the same moments (by Cholesky factors)."""
    content = torch.einsum("ij,jhw->ihw", noise(5, 5, seed=1), noise(5, 16, 16))
    style = moments(torch.einsum("ij,jhw->ihw", noise(5, 5, seed=3), noise(5, 16, 16, seed=4)) + 1)
    own = moments(content)
    other = torch.linalg.cholesky(style.covariance) @ torch.linalg.inv(torch.linalg.cholesky(own.covariance))
    coloured = (other @ (content.flatten(1) - own.mean[:, None]) + style.mean[:, None]).view_as(content)
    least = match_moments(content, style)
    assert float((least - content).square().mean()) < 0.95 * float((coloured - content).square().mean())


def test_known_content_moments_give_the_same_as_found_ones() -> None:
    content, style = noise(4, 9, 9), moments(noise(4, 8, 8, seed=1))
    assert torch.equal(match_moments(content, style, moments(content)), match_moments(content, style))


def test_constant_and_degenerate_features_give_finite_ones() -> None:
    constant, lively = torch.full((4, 6, 6), 0.3), noise(4, 6, 6)
    one_direction = noise(1, 6, 6).expand(4, 6, 6)
    zero = torch.zeros(4, 6, 6)
    for content in (constant, lively, one_direction, zero):
        for style in (constant, lively, one_direction, zero):
            moved = match_moments(content, moments(style))
            assert moved.isfinite().all()
            assert torch.allclose(moved.mean((1, 2)), style.mean((1, 2)), atol=1e-3)
    flat = lively.mean((1, 2), keepdim=True).expand(4, 6, 6)
    assert torch.allclose(match_moments(constant, moments(lively)), flat, atol=1e-3)
    assert torch.allclose(match_moments(lively, moments(constant)), constant, atol=1e-2)
