"""Matching: small cases with known answers, and what the method promises of its nearest-neighbour fields."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from features import identity, level_of, noise, smooth
from torch import Tensor

from styleshuffle.reshuffle import matching
from styleshuffle.reshuffle.matching import counted, improve, match_all, match_counting, match_first
from styleshuffle.reshuffle.nnf import NNF, neighbours, upsample, usage


def uneven() -> tuple[Tensor, Tensor]:
    """Unit descriptors of 900 content positions, crowded around one direction, and of 300 style positions all about."""
    crowded = noise(900, 8, seed=3) + torch.tensor([2.0] + [0.0] * 7)
    return F.normalize(crowded, dim=1), F.normalize(noise(300, 8, seed=4), dim=1)


def unevenness(field: NNF) -> float:
    """Total variation between the use of the style's patches and equal use, 0 to 1."""
    return float((usage(field) - 1).abs().mean() / 2)


def score(field: NNF, content: Tensor, style: Tensor) -> float:
    index = field.match.flatten()
    return float(((content * style[index]).sum(1) + field.prices.flatten()[index]).mean())


# --------------------------------------------------------------------------------------------------------------- matching


@pytest.mark.parametrize("penalty", [0.0, 0.3, 1000.0])
@pytest.mark.parametrize("grid", [(12, 12), (7, 15), (1, 30)])
def test_a_picture_matched_with_itself_stays_where_it_is(grid: tuple[int, int], penalty: float) -> None:
    features = noise(8, *grid)
    assert torch.equal(match_first(features, level_of(features), penalty).match, identity(*grid).match)


@pytest.mark.parametrize("penalty", [0.0, 1000.0])
def test_blocks_that_changed_places_are_found_again(penalty: float) -> None:
    style = noise(8, 12, 12)
    content = style.roll((6, 6), (1, 2))  # the four quarters change places crosswise
    match = match_first(content, level_of(style), penalty).match
    expected = identity(12, 12).match.roll((6, 6), (0, 1))
    inner = [row for row in range(12) if row % 6 not in (0, 5)]  # whole patches lie inside one quarter
    assert torch.equal(match[inner][:, inner], expected[inner][:, inner])


def test_without_penalty_each_position_takes_its_nearest_neighbour() -> None:
    content, style = F.normalize(noise(77, 6, seed=1), dim=1), F.normalize(noise(40, 6, seed=2), dim=1)
    field = match_all(content, style, ((7, 11), (5, 8)), 0.0)
    brute = [max(range(40), key=lambda j, i=i: float(content[i] @ style[j])) for i in range(77)]
    assert field.match.flatten().tolist() == brute
    assert torch.equal(field.prices, torch.zeros(5, 8))


def test_the_match_is_the_largest_sum_of_similarity_and_price() -> None:
    content, style = uneven()
    field = match_all(content, style, ((30, 30), (15, 20)), 0.3)
    sums = content @ style.T + field.prices.flatten()
    assert torch.allclose(sums.gather(1, field.match.view(-1, 1))[:, 0], sums.amax(1), atol=1e-4)
    assert field.prices.unique().numel() > 1


def test_usage_evens_out_as_the_penalty_grows() -> None:
    content, style = uneven()
    grids = (30, 30), (15, 20)
    found = [unevenness(match_all(content, style, grids, penalty)) for penalty in (0, 0.01, 0.03, 0.1, 0.3, 1, 1000)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.5 and found[-1] < 0.15


@pytest.mark.parametrize(("positions", "grid"), [(900, (30, 30)), (300, (15, 20)), (1200, (30, 40))])
def test_a_large_penalty_uses_every_style_patch_about_equally_whatever_the_sizes(
    positions: int, grid: tuple[int, int]
) -> None:
    crowded, style = uneven()
    content = crowded.repeat(2, 1)[:positions]
    field = match_all(content, style, (grid, (15, 20)), 1000.0)
    loose = match_all(content, style, (grid, (15, 20)), 0.0)
    assert float(usage(field).max()) <= 5 < float(usage(loose).max())
    assert float((usage(field) == 0).float().mean()) < 0.5 * float((usage(loose) == 0).float().mean())


@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.1, 1000.0])
def test_a_field_that_starts_from_its_own_prices_is_no_less_even(penalty: float) -> None:
    content, style = uneven()
    grids = (30, 30), (15, 20)
    first = match_all(content, style, grids, penalty)
    kept = first.prices.clone()
    again = match_all(content, style, grids, penalty, first)
    assert torch.equal(first.prices, kept)
    assert unevenness(again) <= unevenness(first) + 0.01
    assert float((again.match == first.match).float().mean()) > (0.9 if penalty else 0.9999)


def test_usage_counts_in_units_of_equal_use() -> None:
    field = NNF(torch.tensor([[0, 0, 0, 5]]), torch.zeros(2, 3))
    assert usage(field).tolist() == [[4.5, 0, 0], [0, 0, 1.5]]


def test_prices_and_matches_are_the_same_bytes_each_time() -> None:
    style, content = smooth(8, 14, 9, seed=1), smooth(8, 11, 13, seed=2)
    once, again = (match_first(content, level_of(style), 0.3) for _ in range(2))
    assert torch.equal(once.match, again.match) and torch.equal(once.prices, again.prices)


def test_counting_takes_the_best_patch_less_what_its_uses_cost() -> None:
    # both positions like patch 0 best; one use costs 0.9 / 3^2 x 2 styles / 2 positions = 0.1
    style = torch.eye(2)
    content = torch.tensor([[0.6, 0.4], [0.55, 0.45 + 0.02]])
    field = match_counting(content, style, ((1, 2), (1, 2)), 0.9, patch=3)
    assert field.match.tolist() == [[0, 1]]
    assert torch.allclose(field.prices, torch.tensor([[-0.1, -0.1]]))
    assert match_counting(content, style, ((1, 2), (1, 2)), 0.0, patch=3).match.tolist() == [[0, 0]]


def test_counted_prices_are_lambda_times_use() -> None:
    field = NNF(torch.tensor([[0, 0, 1]]), torch.zeros(1, 3))
    assert torch.allclose(counted(field, 0.9, 3).prices, torch.tensor([[-0.2, -0.1, 0.0]]))


# ------------------------------------------------------------------------------------------------------------ finer grids


@pytest.mark.parametrize(("coarse", "fine"), [(1, 3), (2, 5), (3, 5), (4, 7), (5, 9), (5, 13), (33, 65), (8, 9)])
def test_identity_stays_identity_on_finer_grids_of_any_size(coarse: int, fine: int) -> None:
    field = upsample(identity(coarse, coarse + 1), (fine, 2 * fine), (fine, 2 * fine))
    assert torch.equal(field.match, identity(fine, 2 * fine).match)


def test_finer_fields_keep_blocks_of_patches_together() -> None:
    field = upsample(NNF(torch.tensor([[3, 0]]), torch.zeros(2, 2)), (2, 4), (4, 4))
    assert field.match.tolist() == [[10, 11, 0, 1], [14, 15, 4, 5]]


@pytest.mark.parametrize("style", [(3, 5), (9, 9), (17, 4), (1, 1)])
@pytest.mark.parametrize("content", [(7, 7), (13, 5), (1, 16)])
def test_finer_fields_stay_in_the_style(content: tuple[int, int], style: tuple[int, int]) -> None:
    coarse_content, coarse_style = (tuple((side + 1) // 2 for side in grid) for grid in (content, style))
    last = coarse_style[0] * coarse_style[1] - 1
    for value in (0, last):
        field = upsample(NNF(torch.full(coarse_content, value), torch.zeros(coarse_style)), content, style)
        assert (field.content, field.style) == (content, style)
        assert int(field.match.min()) >= 0 and int(field.match.max()) < style[0] * style[1]


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_refining_never_lowers_the_score_of_any_position(seed: int, penalty: float) -> None:
    style, content = level_of(smooth(6, 13, 11, seed=seed)), smooth(6, 9, 15, seed=seed + 10)
    rows = style.describer(content)
    prices = match_all(rows, style.descriptors, ((9, 15), (13, 11)), penalty).prices
    random = torch.randint(143, (9, 15), generator=torch.Generator().manual_seed(seed))
    before = NNF(random, prices)
    after = improve(before, rows, style.descriptors)

    def scores(field: NNF) -> Tensor:
        index = field.match.flatten()
        return (rows * style.descriptors[index]).sum(1) + prices.flatten()[index]

    assert (scores(after) >= scores(before)).all()
    assert score(after, rows, style.descriptors) > score(before, rows, style.descriptors) + 0.1
    assert int(after.match.min()) >= 0 and int(after.match.max()) < 143
    assert torch.equal(before.match, random)  # what was passed is left alone


def test_refining_leaves_a_perfect_field_alone_and_repairs_a_damaged_one() -> None:
    style = level_of(noise(8, 10, 12))
    perfect = identity(10, 12)
    assert torch.equal(improve(perfect, style.descriptors, style.descriptors).match, perfect.match)
    damaged = NNF(perfect.match.clone(), perfect.prices)
    damaged.match[3:5, 4:6] = 0
    assert torch.equal(improve(damaged, style.descriptors, style.descriptors).match, perfect.match)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize(("content", "style"), [((32, 32), (32, 32)), ((31, 17), (19, 40)), ((1, 60), (33, 9))])
def test_grids_too_large_for_all_pairs_are_matched_nearly_as_well(
    monkeypatch: pytest.MonkeyPatch, content: tuple[int, int], style: tuple[int, int], penalty: float
) -> None:
    level, features = level_of(smooth(6, *style, seed=1)), smooth(6, *content, seed=2)
    rows = level.describer(features)
    exact = match_first(features, level, 0.0)
    monkeypatch.setattr(matching, "EXACT", 100)
    field = match_first(features, level, penalty)
    assert (field.content, field.style) == (content, style)
    assert int(field.match.min()) >= 0 and int(field.match.max()) < style[0] * style[1]
    assert field.prices.isfinite().all()
    if penalty == 0:
        random = torch.randint(level.rows.shape[0], content, generator=torch.Generator().manual_seed(0))
        best = score(exact, rows, level.descriptors)
        worst = score(NNF(random, exact.prices), rows, level.descriptors)
        found = score(field, rows, level.descriptors)
        assert found <= best + 1e-5
        assert (found - worst) / (best - worst) > 0.75


def test_a_large_picture_matched_with_itself_stays_nearly_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    features = smooth(8, 37, 29)
    monkeypatch.setattr(matching, "EXACT", 300)
    match = match_first(features, level_of(features), 0.0).match
    assert float((match == identity(37, 29).match).float().mean()) > 0.95


def test_blocks_do_not_change_what_refining_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    style, content = level_of(smooth(6, 13, 11)), smooth(6, 9, 15, seed=5)
    rows = style.describer(content)
    field = NNF(torch.zeros(9, 15, dtype=torch.long), torch.zeros(13, 11))
    whole = improve(field, rows, style.descriptors)
    monkeypatch.setattr(matching, "_BLOCK", 16)
    assert torch.equal(improve(field, rows, style.descriptors).match, whole.match)


def continued(nnf: NNF) -> float:
    """Share of positions whose patch a neighbour continues."""
    proposals = list(neighbours(nnf.match, nnf.style))
    inside = torch.stack([proposal == nnf.match for proposal in proposals])[:, 1:-1, 1:-1]
    return float(inside.any(0).float().mean())


def test_a_bond_joins_patches_where_all_look_alike() -> None:
    random = torch.Generator().manual_seed(0)
    content, style = torch.zeros(400, 4), torch.zeros(400, 4)
    nnf = NNF(torch.randint(400, (20, 20), generator=random), torch.zeros(20, 20))
    assert continued(improve(nnf, content, style)) < 0.1
    assert continued(improve(nnf, content, style, bond=torch.zeros(20, 20))) < 0.1
    assert continued(improve(nnf, content, style, bond=torch.ones(20, 20))) > 0.9


def test_a_bond_does_not_outweigh_what_is_alike() -> None:
    rows = F.normalize(torch.randn(100, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    own = NNF(torch.randperm(100, generator=torch.Generator().manual_seed(1)).view(10, 10), torch.zeros(10, 10))
    content = rows[own.match.flatten()]
    kept = improve(own, content, rows, rounds=2, bond=torch.full((10, 10), 0.01))
    assert torch.equal(kept.match, own.match)
