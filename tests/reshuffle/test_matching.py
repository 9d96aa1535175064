"""Descriptors, matching and vote: small cases with known answers, and what the method promises of its fields."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from styleshuffle.reshuffle import descriptors, matching
from styleshuffle.reshuffle.descriptors import fit_describer, instance_normalise
from styleshuffle.reshuffle.matching import counted, improve, match_all, match_counting, match_first
from styleshuffle.reshuffle.nnf import NNF, upsample, usage
from styleshuffle.reshuffle.style import StyleLevel, style_level
from styleshuffle.reshuffle.voting import vote

# ----------------------------------------------------------------------------------------------------------- helpers


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smooth(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Features that vary slowly, as those of pictures do."""
    coarse = noise(1, channels, max(2, height // 4), max(2, width // 4), seed=seed)
    return F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)[0]


def identity(height: int, width: int) -> NNF:
    return NNF(torch.arange(height * width).view(height, width), torch.zeros(height, width))


def level_of(features: Tensor, patch: int = 3) -> StyleLevel:
    """Described without any shortening."""
    describe = fit_describer(features, patch, len(features), len(features) * patch**2)
    return replace(style_level(features, patch, len(features)), describer=describe, descriptors=describe(features))


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


# ------------------------------------------------------------------------------------------------------- descriptors


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


def test_blocks_of_rows_do_not_change_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    features = noise(6, 13, 10)
    describe = fit_describer(features, 5, channels=6, length=20)
    whole = describe(features)
    monkeypatch.setattr(descriptors, "_BLOCK", 30)  # three rows at a time, the last block one row
    assert torch.allclose(describe(features), whole, atol=1e-6)


def test_constant_features_have_finite_descriptors_and_matches() -> None:
    level = level_of(torch.full((4, 6, 6), 0.7))
    field = match_first(torch.full((4, 5, 5), 0.2), level, 0.3)
    assert level.descriptors.isfinite().all() and field.prices.isfinite().all()
    assert torch.allclose(vote(level, field, 3), torch.full((4, 5, 5), 0.7))


# ---------------------------------------------------------------------------------------------------------- matching


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


# -------------------------------------------------------------------------------------------------- finer grids


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


# -------------------------------------------------------------------------------------------------------------- vote


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
