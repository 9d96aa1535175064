"""The areas of a content: which grid position belongs where, and changes that leave no seam."""

from __future__ import annotations

import pytest
import torch
from features import level_of, noise
from torch import Tensor

from styleshuffle.reshuffle.areas import Areas, largest
from styleshuffle.reshuffle.evening import Evener
from styleshuffle.reshuffle.guide import Guide
from styleshuffle.reshuffle.guided import guided_filter
from styleshuffle.reshuffle.levels import recolour
from styleshuffle.reshuffle.looks import Look, contrast_of, tones_for, with_palette
from styleshuffle.reshuffle.mixing import prepare_styles
from styleshuffle.reshuffle.moments import combined, moments, steadied
from styleshuffle.reshuffle.nnf import NNF
from styleshuffle.reshuffle.supply import ANYWHERE
from styleshuffle.reshuffle.voting import vote
from styleshuffle.settings import Settings


def halves(size: tuple[int, int] = (32, 48), at: int = 24) -> Areas:
    """Left takes from region 1, right from region 0."""
    columns = torch.arange(size[1])[None].expand(size)
    return Areas((columns >= at).long(), (1, 0))


def test_a_place_belongs_to_the_area_that_has_most_of_it() -> None:
    areas = halves(at=20)
    assert areas.on((4, 6)).tolist() == [[0, 0, 0, 1, 1, 1]] * 4  # the third place is half of each, or more of the left
    assert areas.takes_on((4, 6))[0].tolist() == [1, 1, 1, 0, 0, 0]
    assert torch.allclose(areas.shares_on((4, 6)).sum(0), torch.ones(4, 6))


def test_a_small_area_keeps_a_place() -> None:
    shares = torch.tensor([[[0.9, 0.8, 0.7]], [[0.1, 0.2, 0.3]], [[0.0, 0.0, 0.0]]])
    assert largest(shares).tolist() == [[0, 0, 1]]


def test_a_change_is_made_area_by_area_and_mixed_at_the_border() -> None:
    areas, values = halves(), torch.zeros(2, 32, 48)
    changed = areas.apply(values, lambda number, inside, members: members + number)
    assert changed[:, :, :22].eq(0).all() and changed[:, :, 27:].eq(1).all()
    steps = changed[0, 0].diff()
    assert (steps >= 0).all() and steps.max() < 0.5


def test_statistics_come_from_the_inside() -> None:
    areas = halves()
    values = torch.where(areas.index == 0, 3.0, 5.0)[None].repeat(2, 1, 1)
    seen: dict[int, Tensor] = {}
    areas.apply(values, lambda number, inside, members: (seen.setdefault(number, inside), members)[1])
    assert seen[0].unique().tolist() == [3] and seen[1].unique().tolist() == [5]


def test_nothing_to_change_changes_nothing() -> None:
    values = noise(3, 16, 24)
    same = halves().apply(values, lambda number, inside, members: members)
    assert torch.allclose(same, values, atol=1e-6)


def test_parts_and_halves_are_those_of_the_whole() -> None:
    areas = halves()
    assert torch.equal(areas.halved().index, areas.index[::2, ::2])
    doubled = areas.part(range(10, 20), range(40, 60), (64, 96)).index
    assert doubled.shape == (10, 20) and doubled[:, :8].eq(0).all() and doubled[:, 8:].eq(1).all()
    assert areas.extended((40, 56)).index[35].tolist() == [0] * 24 + [1] * 32


# ------------------------------------------------------------------------------------------- what follows the areas


def test_a_filter_within_parts_does_not_mix_them() -> None:
    areas = halves((64, 64), 32)
    values = torch.where(areas.index == 0, 1.0, 5.0)[None] + 0.1 * noise(1, 64, 64)
    guide = torch.full((1, 64, 64), 0.5)  # no edge there that a filter could see
    mixed = guided_filter(values, guide, 12, 1e-3)
    apart = guided_filter(values, guide, 12, 1e-3, areas.shares_on((64, 64))[:, None])
    assert mixed[0, :, 28:36].sub(values[0, :, 28:36]).abs().max() > 1
    assert apart[0, 0, :, :31].sub(1).abs().max() < 0.1 and apart[1, 0, :, 33:].sub(5).abs().max() < 0.1


def test_evening_leaves_the_border_between_areas_alone() -> None:
    areas = halves((64, 64), 32)
    picture = torch.where(areas.index == 0, 0.2, 0.8)[None].repeat(3, 1, 1)
    flat = Evener(torch.full((3, 64, 64), 0.5))
    assert flat.picture(picture, 1.0).sub(picture).abs().max() > 0.1
    assert flat.picture(picture, 1.0, areas)[:, :, :30].sub(0.2).abs().max() < 0.02


def test_only_patches_of_the_same_region_vote() -> None:
    style = level_of(noise(2, 8, 8), 3)
    match = torch.tensor([[9, 9, 54, 54]]).repeat(4, 1)
    regions = torch.tensor([[0, 0, 1, 1]]).repeat(4, 1)
    alone = vote(style, NNF(torch.full((4, 4), 9), torch.zeros(8, 8)), 3)
    parted = vote(style, NNF(match, torch.zeros(8, 8)), 3, regions)
    assert torch.allclose(parted[:, 1, 0], alone[:, 1, 0])
    mixed = vote(style, NNF(match, torch.zeros(8, 8)), 3)
    assert not torch.allclose(mixed[:, 1, 1], parted[:, 1, 1])


def prepared(settings: Settings) -> tuple[dict, Tensor]:
    """A style whose left half (region 0) and right half (region 1) have other moments, at relu1_1 only."""
    features = noise(16, 32, 48, seed=3)
    features[:, :, 24:] = 4 + 0.5 * features[:, :, 24:]
    regions = (torch.arange(48) >= 24).long()[None].expand(32, 48)
    picture = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0))
    return prepare_styles([{1: features}], [picture], (1.0,), [regions], settings), features


def test_each_area_gets_the_moments_of_its_region() -> None:
    settings = Settings(levels=(1,), strength=0.5)
    style, features = prepared(settings)
    moved = recolour(noise(16, 32, 48, seed=9), style[1], settings, Guide(areas=halves()))
    left, right = moved[:, :, :22], moved[:, :, 27:]
    assert torch.allclose(left.mean((1, 2)), features[:, :, 24:].mean((1, 2)), atol=0.15)
    assert torch.allclose(right.mean((1, 2)), features[:, :, :24].mean((1, 2)), atol=0.15)
    assert float(left.std() / right.std()) == pytest.approx(0.5, rel=0.15)


def test_a_region_of_few_places_is_steadied_by_the_whole() -> None:
    many, few = moments(noise(4, 50, 50)), moments(noise(4, 1, 2, seed=2))
    assert torch.linalg.matrix_rank(steadied(few, 2, many).covariance) == 4
    assert torch.equal(steadied(few, 2, many).mean, few.mean)
    assert torch.allclose(steadied(many, 10**7, few).covariance, many.covariance, atol=1e-4)


def test_moments_of_parts_make_those_of_the_whole() -> None:
    features = noise(4, 6, 10)
    parts = [moments(features[:, :2]), moments(features[:, 2:])]
    whole, together = moments(features), combined(parts, [2, 4])
    assert torch.allclose(together.mean, whole.mean, atol=1e-6)
    assert torch.allclose(together.covariance, whole.covariance, atol=1e-5)


def test_colours_and_contrast_follow_the_areas() -> None:
    areas = halves()
    red, blue = (torch.rand(3, 500) * 0.1 + torch.tensor(base)[:, None] for base in ([0.8, 0, 0], [0, 0, 0.8]))
    looks = (Look(torch.cat([red, blue], 1), 0.0), Look(red, 0.1), Look(blue, 0.2))
    picture = torch.rand(3, 32, 48)
    for toned in (True, False):
        tones = tones_for(picture, looks, areas, toned)
        coloured = with_palette(picture, tones, areas, 1.0)
        assert coloured[2, :, :22].min() > 0.7 > 0.2 > coloured[0, :, :22].max()
        assert coloured[0, :, 27:].min() > 0.7 > 0.2 > coloured[2, :, 27:].max()
    contrast = contrast_of(looks, areas)
    assert contrast[0, 0] == pytest.approx(0.2) and contrast[0, -1] == pytest.approx(0.1)


def test_each_area_gets_its_own_palette_whatever_the_others_colours() -> None:
    """Also the larger area, whose statistics must not count the other's pixels."""
    areas = halves(at=34)
    picture = torch.where(areas.index == 0, 0.15, 0.85) + 0.1 * torch.rand(3, 32, 48)
    looks = tuple(Look(base + 0.2 * torch.rand(3, 900), 0.0) for base in (0.3, 0.2, 0.6))
    coloured = with_palette(picture, tones_for(picture, looks, areas, False), areas, 1.0)
    assert coloured[:, :, :32].mean() == pytest.approx(0.7, abs=0.01)
    assert coloured[:, :, 37:].mean() == pytest.approx(0.3, abs=0.01)


def test_a_light_sky_has_the_whole_palette_in_a_picture_of_ordinary_lightness() -> None:
    areas = halves()
    picture = torch.where(areas.index == 0, 0.9, 0.1).expand(3, 32, 48)
    palette = torch.linspace(0, 1, 100).repeat(3, 1)
    tones = tones_for(picture, (Look(palette, 0.0),) * 3, areas, True)
    assert all(torch.equal(own, palette) for own in tones.palettes)
    night = tones_for(0.1 * picture, (Look(palette, 0.0),) * 3, areas, True)
    assert all(own.mean() < 0.45 for own in night.palettes)


def test_an_area_that_takes_anywhere_has_the_look_of_the_whole() -> None:
    looks = (Look(torch.rand(3, 50), 0.3), Look(torch.rand(3, 50), 0.1))
    areas = Areas(torch.zeros(8, 8, dtype=torch.int64), (ANYWHERE,))
    assert torch.equal(tones_for(torch.rand(3, 8, 8), looks, areas, False).palettes[0], looks[0].palette)
