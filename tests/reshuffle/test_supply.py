"""Several styles in one grid, what a content asks of each position, and fields that keep to both."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from features import noise, smooth
from torch import Tensor

from styleshuffle.reshuffle.balance import balanced
from styleshuffle.reshuffle.boxes import Boxes, stack
from styleshuffle.reshuffle.matching import improve, match_all, match_counting, settled
from styleshuffle.reshuffle.nnf import NNF, shifted, upsample
from styleshuffle.reshuffle.supply import ANYWHERE, Supply

CPU = torch.device("cpu")
TWO = stack([(4, 6), (5, 3)], 2, CPU)  # rows 0 to 3 and 4 to 8, of 10


def supply(shares: tuple[float, ...] = (0.7, 0.3), boxes: Boxes = TWO, regions: Tensor | None = None) -> Supply:
    there = boxes.style_of >= 0
    if regions is None:
        return Supply(boxes, shares, there.long() - 1)
    return Supply(boxes, shares, torch.where(there, regions, -1), int(regions.max()) + 1)


def shares_of(nnf: NNF, own: Supply) -> list[float]:
    styles = own.boxes.style_of.flatten()[nnf.match.flatten()]
    return (torch.bincount(styles, minlength=len(own.shares)) / nnf.match.numel()).tolist()


# ------------------------------------------------------------------------------------------------------------- boxes


def test_styles_lie_below_each_other_at_multiples() -> None:
    assert (TWO.grid, TWO.tops) == ((10, 6), (0, 4))
    assert TWO.style_of[:4].eq(0).all() and TWO.style_of[4:9, :3].eq(1).all()
    assert TWO.style_of[4:9, 3:].eq(-1).all() and TWO.style_of[9].eq(-1).all()
    assert TWO.finer(2).grid == (20, 12) and TWO.finer(2).pooled(2) == TWO


def test_together_repeats_edges_between_the_styles() -> None:
    one, other = noise(2, 4, 6), noise(2, 5, 3, seed=1)
    grid = TWO.together([one, other])
    assert torch.equal(grid[:, :4], one) and torch.equal(grid[:, 4:9, :3], other)
    assert torch.equal(grid[:, 9, 5], other[:, 4, 2])


def test_a_match_that_moves_stays_in_its_style() -> None:
    corner = torch.tensor([[3 * 6 + 5, 4 * 6 + 2]])  # the last place of the first style, a place in the second
    assert shifted(corner, (1, 1), TWO.grid, TWO).tolist() == [[3 * 6 + 5, 5 * 6 + 2]]
    assert shifted(corner, (-1, 0), TWO.grid, TWO).tolist() == [[2 * 6 + 5, 4 * 6 + 2]]


def test_upsampled_matches_stay_in_their_style() -> None:
    match = torch.tensor([[3 * 6 + 5, 8 * 6 + 2]])
    fine = upsample(NNF(match, torch.zeros(TWO.grid), TWO), (2, 4), (20, 12), TWO.finer(2))
    styles = TWO.finer(2).style_of.flatten()[fine.match]
    assert styles.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


# -------------------------------------------------------------------------------------------------------- what is asked


def test_mass_divides_a_share_equally_among_the_positions_of_a_style() -> None:
    mass = supply().mass(None)
    assert float(mass.mean()) == pytest.approx(1)
    assert float(mass[:4].sum() / mass.sum()) == pytest.approx(0.7)
    assert mass[:4].unique().numel() == 1 and mass[TWO.style_of < 0].eq(0).all()


def test_mass_follows_the_regions_of_the_content() -> None:
    """Left is region 0, right is 1; the second style has only region 1."""
    regions = torch.zeros(TWO.grid, dtype=torch.int64)
    regions[:4, 3:], regions[4:] = 1, 1
    own = supply(regions=regions)
    takes = torch.tensor([[0, 0, 0, 1]])
    mass = own.mass(takes) / own.mass(takes).sum()
    assert float(mass[:4, :3].sum()) == pytest.approx(0.75)
    assert float(mass[:4, 3:].sum()) == pytest.approx(0.25 * 0.7)
    assert float(mass[4:].sum()) == pytest.approx(0.25 * 0.3)


def test_what_takes_anywhere_takes_from_all_by_their_shares() -> None:
    regions = torch.zeros(TWO.grid, dtype=torch.int64)
    regions[:4, 3:], regions[4:] = 1, 1
    mass = supply(regions=regions).mass(torch.full((1, 4), ANYWHERE))
    assert torch.allclose(mass, supply().mass(None))


def test_the_wrong_region_costs_more_than_all_else_and_the_right_one_nothing() -> None:
    regions = torch.arange(3).repeat_interleave(2)[None].expand(10, 6).contiguous()
    own = supply(regions=regions)
    product = own.wishes(torch.tensor([[0, 2, ANYWHERE]])) @ own.columns().T
    there = own.regions.flatten()
    assert product[0][there == 0].eq(0).all() and (product[0][there > 0] < -900).all()
    assert product[1][there == 2].eq(0).all() and product[2].eq(0).all()


# ------------------------------------------------------------------------------------------------------------- fields


def descriptors(own: Supply) -> tuple[Tensor, Tensor, NNF]:
    """Content and style, and a first field that takes the nearest neighbour: nearly all from the first style."""
    style = F.normalize(smooth(8, *own.boxes.grid, seed=4).flatten(1).T, dim=1)
    first = style[own.boxes.style_of.flatten() == 0]
    content = F.normalize(first[torch.arange(900) % len(first)] + 0.3 * noise(900, 8, seed=5), dim=1)
    return content, style, match_all(content, style, ((30, 30), own.boxes.grid), 0.0, asked=own.asked(None))


LARGE = stack([(20, 16), (14, 12)], 2, CPU)


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.2, 0.8), (0.5, 0.5)])
def test_a_large_penalty_meets_the_shares(shares: tuple[float, ...]) -> None:
    own = supply(shares, LARGE)
    content, style, loose = descriptors(own)
    field = match_all(content, style, ((30, 30), LARGE.grid), 1000.0, asked=own.asked(None))
    field = replace(field, boxes=LARGE)
    assert abs(shares_of(field, own)[0] - shares[0]) < abs(shares_of(loose, own)[0] - shares[0])
    met = balanced(field, content, style, own, None, 1000.0)
    assert shares_of(met, own) == pytest.approx(list(shares), abs=0.002)
    bonded = improve(met, content, style, bond=torch.full((30, 30), 0.5))
    assert shares_of(balanced(bonded, content, style, own, None, 1000.0), own) == pytest.approx(list(shares), abs=0.002)


def test_shares_come_nearer_as_the_penalty_grows_and_no_penalty_changes_nothing() -> None:
    own = supply((0.2, 0.8), LARGE)
    content, style, field = descriptors(own)
    field = replace(field, boxes=LARGE)
    found = [shares_of(balanced(field, content, style, own, None, penalty), own)[0] for penalty in (0, 0.001, 0.01, 0.1)]
    assert found == sorted(found, reverse=True)
    assert found[0] == shares_of(field, own)[0] and found[-1] < 0.3


def test_a_style_that_no_position_takes_gets_its_share_too() -> None:
    own = supply((0.7, 0.3), LARGE)
    content, style, field = descriptors(own)
    none = replace(field, match=torch.zeros_like(field.match), boxes=LARGE)
    assert shares_of(balanced(none, content, style, own, None, 1000.0), own) == pytest.approx([0.7, 0.3], abs=0.002)


def test_those_that_lose_least_change_first() -> None:
    """Four positions in a row: the border moves to where the second style fits better."""
    boxes = stack([(1, 4), (1, 4)], 1, CPU)
    own = supply((0.5, 0.5), boxes)
    style = torch.cat([torch.eye(2)[[0, 0, 0, 0]], torch.eye(2)[[1, 1, 1, 1]]])
    content = F.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, 0.8], [0.0, 1.0]]), dim=1)
    field = NNF(torch.tensor([[0, 1, 2, 7]]), torch.zeros(2, 4), boxes)
    assert balanced(field, content, style, own, None, 1e6).match.tolist() == [[0, 1, 6, 7]]


def test_shares_hold_within_each_region() -> None:
    regions = (torch.arange(16) >= 8).long()[None].expand(LARGE.grid[0], 16).contiguous()
    own = supply((0.6, 0.4), LARGE, regions)
    style = torch.cat([F.normalize(noise(LARGE.grid[0] * 16, 8, seed=1), dim=1), own.columns()], 1)
    takes = (torch.arange(30) >= 20).long()[None].expand(30, 30)
    content = torch.cat([F.normalize(noise(900, 8, seed=2), dim=1), own.wishes(takes)], 1)
    field = match_all(content, style, ((30, 30), LARGE.grid), 10.0, asked=own.asked(takes))
    field = balanced(replace(field, boxes=LARGE), content, style, own, takes, 10.0)
    assert not own.wrong(field.match, takes).any()
    for region in (0, 1):
        inside = replace(field, match=field.match[takes == region][None])
        assert shares_of(inside, own) == pytest.approx([0.6, 0.4], abs=0.01)


def test_counting_keeps_to_shares_and_regions_too() -> None:
    own = supply((0.7, 0.3), LARGE)
    content, style, _ = descriptors(own)
    field = match_counting(content, style, ((30, 30), LARGE.grid), 1000.0, 1, own.asked(None))
    assert shares_of(field, own) == pytest.approx([0.7, 0.3], abs=0.02)


def test_what_takes_from_the_wrong_region_takes_the_best_of_its_own() -> None:
    regions = (torch.arange(16) >= 8).long()[None].expand(LARGE.grid[0], 16).contiguous()
    own = supply((0.5, 0.5), LARGE, regions)
    style = torch.cat([F.normalize(noise(LARGE.grid[0] * 16, 8, seed=1), dim=1), own.columns()], 1)
    takes = torch.ones(5, 5, dtype=torch.int64)
    content = torch.cat([F.normalize(noise(25, 8, seed=2), dim=1), own.wishes(takes)], 1)
    wrong = NNF(torch.zeros(5, 5, dtype=torch.int64), torch.zeros(LARGE.grid), LARGE)
    field = settled(wrong, content, style, own, takes)
    scores = (content @ style.T).masked_fill(own.regions.flatten()[None] != 1, -9)
    assert torch.equal(field.match.flatten(), scores.argmax(1))
