"""How light the style is to be: dark stays dark, ordinary pictures get the whole palette, a grey style gives grey."""

from __future__ import annotations

import pytest
import torch

from styleshuffle.reshuffle.palette import palette_of, within
from styleshuffle.reshuffle.structure import noise_of, structure, with_floor
from styleshuffle.reshuffle.tones import aim, in_order, luminance, palette_for


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_luminance_is_that_of_video() -> None:
    red, green, blue, white = torch.eye(3)[:, :1], torch.eye(3)[:, 1:2], torch.eye(3)[:, 2:], torch.ones(3, 1)
    found = [float(luminance(colour)) for colour in (red, green, blue, white)]
    assert found == pytest.approx([0.299, 0.587, 0.114, 1])


def test_an_ordinary_picture_gets_the_whole_palette_and_its_mean_and_deviation() -> None:
    palette, light = in_order(noise(3, 500)), noise(40, 40, seed=1)
    assert palette_for(light, palette) is palette
    there, aimed = luminance(palette), aim(light, palette)
    assert float(aimed.mean()) == pytest.approx(float(there.mean()), abs=0.01)
    assert float(aimed.std()) == pytest.approx(float(there.std()), rel=0.1)
    assert bool((aimed.flatten()[light.flatten().argsort()].diff() >= 0).all())


@pytest.mark.parametrize(
    ("level", "low", "high"), [(0.0, 0.15, 0.35), (0.1, 0.2, 0.4), (0.9, 0.6, 0.8), (1.0, 0.65, 0.85)]
)
def test_dark_and_light_pictures_keep_to_their_part_of_the_palette(level: float, low: float, high: float) -> None:
    ramp = torch.linspace(0, 1, 256).expand(3, 256).contiguous()
    light = (torch.full((64, 64), level) + 0.02 * (noise(64, 64) - 0.5)).clamp(0, 1)
    chosen = palette_for(light, ramp)
    assert low <= float(chosen.mean()) <= high
    assert low <= float(aim(light, chosen).mean()) <= high


def test_a_slight_gradient_is_not_made_steep() -> None:
    palette, light = in_order(noise(3, 500)), torch.linspace(0.48, 0.52, 64).expand(64, 64)
    aimed = aim(light, palette)
    assert float(aimed.max() - aimed.min()) < 0.11


def test_colours_are_held_within_the_palette() -> None:
    grey = noise(1, 300).expand(3, 300)
    held = within(noise(3, 16, 16), palette_of(grey[:, None]), 1.0)
    assert float((held.amax(0) - held.amin(0)).max()) < 1e-5
    picture = noise(3, 16, 16, seed=3)
    assert torch.allclose(within(picture, picture.flatten(1), 1.0), picture, atol=1e-5)
    assert torch.equal(within(picture, grey, 0.0), picture)


def test_noise_fills_up_to_the_floor_and_only_where_it_is_missing() -> None:
    flat = torch.full((3, 64, 64), 0.5)
    floored = with_floor(flat, 0.02, noise_of(64, 64, seed=0))
    assert float(floored.std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(floored[0], floored[2])  # grey
    assert torch.equal(floored, with_floor(flat, 0.02, noise_of(64, 64, seed=0)))
    assert not torch.equal(floored, with_floor(flat, 0.02, noise_of(64, 64, seed=1)))
    rough = noise(3, 64, 64)
    assert torch.equal(with_floor(rough, 0.02, noise_of(64, 64, seed=0)), rough)


def test_structure_is_where_features_change() -> None:
    features = noise(8, 1, 1).expand(8, 32, 32).clone()
    features[:, 8:16, 8:16] += noise(8, 8, 8, seed=1) * 5
    found = structure(features)
    assert found.shape == (32, 32) and float(found.min()) >= 0 and float(found.max()) <= 1
    assert float(found[8:16, 8:16].mean()) > 0.9 and float(found[20:, 20:].max()) == 0
