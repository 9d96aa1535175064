"""Regions of content and styles are paired by colour; what has no partner is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from styleshuffle import Settings, SettingsError
from styleshuffle.guides import join_regions, read_styles
from styleshuffle.images import read_regions
from styleshuffle.images.masks import Regions
from styleshuffle.reshuffle.supply import ANYWHERE

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def striped(*colours: tuple[int, int, int]) -> Regions:
    """Columns of four pixels of each colour."""
    return read_regions(np.repeat(np.array(colours, np.uint8)[None], 8, 0).repeat(4, 1))


def test_equal_colours_of_all_styles_have_one_number() -> None:
    joined = join_regions([striped(RED, GREEN), striped(BLUE, RED)])
    assert joined.count == 3
    first, second = joined.indices([(8, 8), (8, 8)])
    assert first[0, 0] == second[0, -1] and first[0, -1] != second[0, 0]


def test_areas_take_from_the_region_of_their_colour() -> None:
    joined = join_regions([striped(RED, GREEN)])
    areas = joined.areas(striped(GREEN, RED), (16, 4), "refuse")
    takes, (index,) = areas.takes_on((4, 16)), joined.indices([(8, 8)])
    assert takes[0, 0] == index[0, -1] and takes[0, -1] == index[0, 0]


def test_a_colour_without_partner_is_named() -> None:
    joined = join_regions([striped(RED, GREEN)])
    with pytest.raises(SettingsError, match=r"^mask: no style has a region of the colour #0000ff; paint it on both"):
        joined.areas(striped(RED, GREEN, BLUE), (12, 8), "refuse")
    with pytest.raises(SettingsError, match=r"^style_mask: the content has no region of the colour #00ff00; paint"):
        joined.areas(striped(RED), (12, 8), "refuse")


def test_unmatched_any_lets_it_take_from_anywhere() -> None:
    areas = join_regions([striped(RED, GREEN)]).areas(striped(RED, BLUE), (8, 8), "any")
    assert areas.takes_on((8, 8))[0, -1] == ANYWHERE and areas.takes_on((8, 8))[0, 0] >= 0


def test_the_order_of_the_styles_does_not_matter_and_weight_0_leaves_out() -> None:
    one, two, three = (np.full((8, 8, 3), grey, np.uint8) for grey in (10, 20, 30))
    chosen = read_styles([one, two, three], [1, 2, 0], None).chosen(Settings())
    turned = read_styles([three, two, one], [0, 2, 1], None).chosen(Settings())
    assert chosen.shares == turned.shares and sorted(chosen.shares) == pytest.approx([1 / 3, 2 / 3])
    assert [picture.rgb[0, 0, 0] for picture in chosen.pictures] == [picture.rgb[0, 0, 0] for picture in turned.pictures]


def test_each_style_has_its_own_scale() -> None:
    pictures = [np.full((8, 16, 3), grey, np.uint8) for grey in (10, 20)]
    chosen = read_styles(pictures, None, None).chosen(Settings(style_scale=(1.0, 0.5)))
    assert sorted(chosen.sizes(200)) == [(100, 50), (200, 100)]


@pytest.mark.parametrize(
    ("weights", "scale", "expected"),
    [
        ((1, 2, 3), 1.0, r"^style_weights: \(1, 2, 3\) has 3 values; give 2"),
        ((0, 0), 1.0, "^style_weights: .* leaves out all styles"),
        ((-1, 1), 1.0, "^style_weights: -1 is out of range"),
        ((1, 2), (1.0, 1.0, 1.0), "^style_scale: .* has 3 values; give 2"),
    ],
)
def test_lists_of_another_length_are_refused(weights: tuple[float, ...], scale: object, expected: str) -> None:
    pictures = [np.full((8, 8, 3), grey, np.uint8) for grey in (10, 20)]
    with pytest.raises(SettingsError, match=expected):
        read_styles(pictures, weights, None).chosen(Settings(style_scale=scale))
