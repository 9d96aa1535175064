"""The vote of overlapping patches: known answers, and what it never leaves."""

from __future__ import annotations

import itertools

import pytest
import torch
from features import identity, level_of, noise

from styleshuffle.reshuffle.nnf import NNF
from styleshuffle.reshuffle.voting import vote


@pytest.mark.parametrize("patch", [1, 3, 5])
@pytest.mark.parametrize("grid", [(9, 9), (6, 11), (1, 12), (12, 1), (2, 2)])
def test_the_vote_of_a_field_that_moves_nothing_is_the_style_itself(grid: tuple[int, int], patch: int) -> None:
    features = noise(4, *grid)
    assert float((vote(level_of(features), identity(*grid), patch) - features).abs().max()) < 1e-6


def test_single_positions_vote_for_just_their_match() -> None:
    features = noise(3, 5, 4)
    match = torch.randint(20, (6, 7), generator=torch.Generator().manual_seed(1))
    voted = vote(level_of(features), NNF(match, torch.zeros(5, 4)), 1)
    assert torch.equal(voted, features.flatten(1)[:, match.flatten()].view(3, 6, 7))


def test_inner_positions_vote_for_the_mean_of_their_overlapping_patches() -> None:
    features = noise(3, 8, 9)
    random = torch.Generator().manual_seed(1)
    y, x = torch.randint(1, 7, (6, 7), generator=random), torch.randint(1, 8, (6, 7), generator=random)
    voted = vote(level_of(features), NNF(y * 9 + x, torch.zeros(8, 9)), 3)
    for row, column in itertools.product(range(1, 5), range(1, 6)):
        around = itertools.product((-1, 0, 1), repeat=2)
        found = [features[:, y[row + v, column + u] - v, x[row + v, column + u] - u] for v, u in around]
        assert torch.allclose(voted[:, row, column], torch.stack(found).mean(0), atol=1e-5)


def test_a_permuted_style_has_the_styles_gram_matrix() -> None:
    """The method's claim: reshuffled features, patch 1, every one used once, lose nothing of the global style."""
    features = noise(5, 6, 8)
    match = torch.randperm(48, generator=torch.Generator().manual_seed(2)).view(6, 8)
    flat = vote(level_of(features), NNF(match, torch.zeros(6, 8)), 1).flatten(1)
    assert torch.allclose(flat @ flat.T, features.flatten(1) @ features.flatten(1).T, atol=1e-4)


@pytest.mark.parametrize("patch", [3, 5])
def test_votes_stay_within_the_styles_range_at_every_border(patch: int) -> None:
    features = noise(4, 5, 6)
    for corner in (0, 5, 24, 29):
        voted = vote(level_of(features), NNF(torch.full((4, 7), corner), torch.zeros(5, 6)), patch)
        assert voted.shape == (4, 4, 7)
        assert (voted.amax((1, 2)) <= features.amax((1, 2)) + 1e-6).all()
        assert (voted.amin((1, 2)) >= features.amin((1, 2)) - 1e-6).all()
