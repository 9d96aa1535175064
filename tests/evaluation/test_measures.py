"""The measures: zero where they must be, known values, and that each sees the fault it is there for."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from styleshuffle.evaluation.measures import Measures, measure, measure_features
from styleshuffle.networks.vgg import VGG


def picture(seed: int, height: int = 64, width: int = 64, detail: int = 8) -> Tensor:
    coarse = torch.rand((1, 3, height // detail, width // detail), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def stripes(colours: tuple[tuple[float, ...], tuple[float, ...]], across: bool, side: int = 64) -> Tensor:
    """Bars 8 wide in two colours."""
    on = (torch.arange(side) // 4 % 2).float().view(1, 1, 1, side).expand(1, 1, side, side)
    on = on.transpose(2, 3) if across else on
    low, high = (torch.tensor(colour).view(1, 3, 1, 1) for colour in colours)
    return low + (high - low) * on


PIXELS = {"swd": 0.25, "smoke": 0.1, "brushwork": 0.5, "halo": 0.2}
RED, BLUE = ((0.9, 0.1, 0.1), (0.4, 0.0, 0.0)), ((0.1, 0.2, 0.9), (0.8, 0.9, 1.0))


def test_a_content_measured_against_itself_has_lost_no_structure(encoder: VGG) -> None:
    content = picture(0)
    assert measure(encoder, content, content, picture(1)).cfsd == pytest.approx(0, abs=1e-5)


def test_a_style_measured_against_itself_is_fully_in_style(encoder: VGG) -> None:
    style = picture(1, 64, 80)
    found = measure(encoder, style, picture(0), style)
    assert found.gram == 0 and found.swd == 0
    assert found.coherence == pytest.approx(0, abs=1e-4) and found.completeness == pytest.approx(0, abs=1e-4)
    assert found.cfsd > 0.01


def test_another_picture_is_worse_in_every_measure(encoder: VGG) -> None:
    found = measure(encoder, picture(2), picture(0), picture(1)).as_dict()
    assert list(found) == ["cfsd", "gram", "coherence", "completeness", "swd", "smoke", "brushwork", "halo"]
    assert all(found[name] > 1e-3 for name in ("cfsd", "gram", "coherence", "completeness", "swd"))


def test_structure_is_lost_little_by_little(encoder: VGG) -> None:
    content, other = picture(0), picture(5)
    found = [measure(encoder, torch.lerp(content, other, part), content, other).cfsd for part in (0, 0.25, 0.6, 1)]
    assert found == sorted(found) and found[-1] > 2 * found[1]


def test_one_half_of_a_style_is_coherent_but_not_complete(encoder: VGG) -> None:
    """Wash-out: every patch is one of the style's, and half of the style's patches are nowhere."""
    red, blue = stripes(RED, across=False), stripes(BLUE, across=True)
    half = measure(encoder, torch.cat([red, red], 3), picture(0, 64, 128), torch.cat([red, blue], 3))
    assert half.coherence < 0.1
    assert half.completeness > 3 * half.coherence
    both = measure(encoder, torch.cat([blue, red], 3), picture(0, 64, 128), torch.cat([red, blue], 3))
    assert both.completeness < 0.5 * half.completeness


def test_coherence_and_completeness_are_each_others_mirror(encoder: VGG) -> None:
    """Of features with the same mean, what one is to the other the other is to the one."""
    one = {level: torch.randn(1, 6, 9, 9, generator=torch.Generator().manual_seed(level)) for level in (1, 2, 3, 4)}
    other = {level: x.flip(3).roll(2, 2) for level, x in one.items()}
    there, back = measure_features(one, one, other, PIXELS), measure_features(other, one, one, PIXELS)
    assert there.coherence == pytest.approx(back.completeness, abs=1e-5)
    assert there.completeness == pytest.approx(back.coherence, abs=1e-5)


def test_gram_of_scaled_features_is_known() -> None:
    random = torch.Generator().manual_seed(0)
    style = {level: torch.rand(1, 5, 8, 8, generator=random) + 0.1 for level in (1, 2, 3, 4)}
    output = {level: 2 * x for level, x in style.items()}
    assert measure_features(output, style, style, PIXELS).gram == pytest.approx(3, rel=1e-5)  # |4 G - G| / |G|
    order = torch.randperm(64, generator=random)
    shuffled = {level: x.flatten(2)[:, :, order].view_as(x) for level, x in style.items()}
    assert measure_features(shuffled, style, style, PIXELS).gram == pytest.approx(0, abs=1e-5)


def test_the_given_measures_of_pixels_are_handed_through() -> None:
    features = {level: torch.rand(1, 5, 8, 8) for level in (1, 2, 3, 4)}
    found = measure_features(features, features, features, PIXELS)
    assert isinstance(found, Measures) and {name: getattr(found, name) for name in PIXELS} == PIXELS


def test_colour_distance_of_constant_pictures_is_known(encoder: VGG) -> None:
    def distance(colour: tuple[float, float, float], other: tuple[float, float, float], side: int = 32) -> float:
        flat = [torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, s, 32) for c, s in ((colour, 32), (other, side))]
        return measure(encoder, flat[0], flat[0], flat[1]).swd

    # the mean of |d . v| over directions d all round is |v| / 2; 64 directions come within a sixth of it
    black, white, red = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0)
    assert distance(black, white) == pytest.approx(math.sqrt(3) / 2, rel=1 / 6)
    assert distance(black, red) == pytest.approx(1 / 2, rel=1 / 6)
    assert distance(white, black) == pytest.approx(distance(black, white), rel=1e-5)
    assert distance(black, (0.5, 0.5, 0.5)) == pytest.approx(distance(black, white) / 2, rel=1e-5)
    assert distance(black, white, side=48) == pytest.approx(distance(black, white), rel=1e-5)


def test_colour_distance_does_not_see_where_the_colours_are(encoder: VGG) -> None:
    style = picture(1)
    order = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(0))
    scattered = style.flatten(2)[:, :, order].view_as(style)
    found = measure(encoder, scattered, style, style)
    assert found.swd == pytest.approx(0, abs=1e-6)
    assert found.gram > 0.1 and found.coherence > 0.05


@pytest.mark.parametrize("constant", ["output", "content", "style", "all"])
def test_constant_pictures_have_finite_measures(encoder: VGG, constant: str) -> None:
    names = ("output", "content", "style")
    pictures = [torch.full((1, 3, 40, 48), 0.5) if constant in (name, "all") else picture(3, 40, 48) for name in names]
    assert all(math.isfinite(value) for value in measure(encoder, *pictures).as_dict().values())
