"""Colours kept: conversions with known answers, hue and saturation of the content, lightness of the result."""

from __future__ import annotations

import pytest
import torch
from helpers import sample_image, sample_tensor
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.measures import measure
from styleshuffle.images import read
from styleshuffle.networks.vgg import VGG
from styleshuffle.reshuffle.colours import (
    from_oklab,
    lightness_of,
    shown,
    to_oklab,
    with_colours_of,
    with_light_of,
)

RED = (0.62796, 0.22486, 0.12585)  # Ottosson's table for sRGB
BLUE = (0.45201, -0.03246, -0.31153)


def noise(seed: int, size: tuple[int, int] = (9, 11)) -> Tensor:
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))


def hue_apart(one: Tensor, other: Tensor, least_chroma: float = 0.02) -> Tensor:
    """Angles in degrees between the hues of two pictures, where both have any."""
    (_, a, b), (_, c, d) = to_oklab(one), to_oklab(other)
    coloured = (torch.hypot(a, b) > least_chroma) & (torch.hypot(c, d) > least_chroma)
    angle = torch.atan2(a * d - b * c, a * c + b * d).abs().rad2deg()
    return angle[coloured]


@pytest.mark.parametrize(
    ("rgb", "oklab"), [((1, 1, 1), (1, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((1, 0, 0), RED), ((0, 0, 1), BLUE)]
)
def test_known_colours(rgb: tuple[float, ...], oklab: tuple[float, ...]) -> None:
    colour = torch.tensor(rgb).float()[:, None]
    assert to_oklab(colour)[:, 0].tolist() == pytest.approx(oklab, abs=2e-4)


def test_there_and_back() -> None:
    picture = noise(0)
    assert torch.allclose(from_oklab(to_oklab(picture)), picture, atol=1e-4)


def test_hue_is_the_contents_and_lightness_the_results() -> None:
    result, content = noise(1), noise(2)
    mixed = with_colours_of(result, content)
    assert torch.allclose(to_oklab(mixed)[0], to_oklab(result)[0], atol=1e-3)
    assert hue_apart(mixed, content).max() < 0.1
    assert mixed.min() >= 0 and mixed.max() <= 1


def test_a_picture_keeps_its_own_colours() -> None:
    picture = noise(3)
    assert torch.allclose(with_colours_of(picture, picture), picture, atol=1e-3)


def test_shade_has_the_same_saturation() -> None:
    red = torch.tensor([0.7, 0.2, 0.2])[:, None, None].expand(3, 2, 2)
    grey = torch.full((3, 2, 2), 0.15)
    light, a, b = to_oklab(with_colours_of(grey, red))[:, 0, 0].tolist()
    whole, there_a, there_b = to_oklab(red)[:, 0, 0].tolist()
    assert (a / light, b / light) == pytest.approx((there_a / whole, there_b / whole), rel=0.01)


def test_a_colour_that_no_screen_shows_loses_only_saturation() -> None:
    wild = torch.tensor([0.9, 0.3, 0.2])[:, None]
    picture = shown(wild)
    light, a, b = to_oklab(picture)[:, 0].tolist()
    assert light == pytest.approx(0.9, abs=1e-3) and a / b == pytest.approx(1.5, rel=0.01) and 0 < a < 0.3
    assert picture.max() == pytest.approx(1, abs=2e-3)  # as saturated as a screen can


def test_lightness_is_grey_and_as_light() -> None:
    picture = noise(4)
    grey = lightness_of(picture)
    assert (grey.amax(0) - grey.amin(0)).max() < 1e-3
    assert torch.allclose(to_oklab(grey)[0], to_oklab(picture)[0], atol=1e-3)


def test_light_takes_mean_and_deviation_of_the_content() -> None:
    result, content = 0.45 + 0.1 * noise(5), 0.2 + 0.2 * noise(6)
    moved, there = to_oklab(with_light_of(result, content))[0], to_oklab(content)[0]
    assert (float(moved.mean()), float(moved.std())) == pytest.approx((float(there.mean()), float(there.std())), rel=0.01)


@pytest.fixture(scope="module")
def results() -> dict[str, Tensor]:
    """A picture in each way of `colours`."""
    content, style = (sample_image(f"{name}.jpg", (128, 96)) for name in ("content/coffee", "style/swirling_night"))
    made = {}
    for colours in ("style", "content", "luminance"):
        made[colours] = read(Stylizer(device="cpu", colours=colours).set_style(style).stylize(content)).tensor()
    return made


@pytest.mark.parametrize("colours", ["content", "luminance"])
def test_the_hue_of_a_stylized_picture_is_the_photographs(results: dict[str, Tensor], colours: str) -> None:
    content = sample_tensor("content/coffee.jpg", (128, 96))[0]
    result = results[colours][0]
    saturated = ((1 - content.amin(0) / content.amax(0).clamp_min(1e-3)) > 0.1) & (result.amax(0) > 0.1)
    assert saturated.float().mean() > 0.5
    assert hue_apart(result[:, saturated], content[:, saturated], 0.01).mean() < 5
    assert hue_apart(results["style"][0][:, saturated], content[:, saturated], 0.01).mean() > 40


def test_content_colours_keep_the_light_of_the_strokes(results: dict[str, Tensor], encoder: VGG) -> None:
    light = to_oklab(results["content"][0])[0] - to_oklab(results["style"][0])[0]
    assert light.abs().mean() < 0.01
    content, style = (sample_tensor(f"{n}.jpg", (128, 96)) for n in ("content/coffee", "style/swirling_night"))
    greys = [lightness_of(picture[0])[None] for picture in (results["content"], results["style"], content, style)]
    kept, plain = (measure(encoder, grey, *greys[2:]).coherence for grey in greys[:2])
    assert abs(kept - plain) < 0.02


def test_enlarged_results_have_the_colours_of_the_whole_photograph() -> None:
    content, style = (sample_image(f"{name}.jpg", (128, 96)) for name in ("content/coffee", "style/swirling_night"))
    result = read(Stylizer(device="cpu", colours="content", work_size=48).set_style(style).stylize(content)).tensor()
    assert hue_apart(result[0], read(content).tensor()[0]).mean() < 5
