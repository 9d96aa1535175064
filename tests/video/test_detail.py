"""The finest detail of paint: what cannot be moved is left out, and what grows gets new detail."""

from __future__ import annotations

import numpy as np
import pytest
from film_files import texture

from styleshuffle.video.detail import movable, refreshed, roughness, up_to
from styleshuffle.video.flow import doubled, moved_finely


def noise(height: int = 64, width: int = 96) -> np.ndarray:
    """White noise, (H, W, 3), which has detail of all sizes."""
    values = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((height, width, 3))
    return values.clip(0, 1).astype(np.float32)


def there_and_back(paint: np.ndarray) -> float:
    """Mean difference of paint that was moved by half a pixel and back, away from the border."""
    half = np.full((*paint.shape[:2], 2), 0.5, np.float32)
    again = moved_finely(doubled(moved_finely(doubled(paint), half)), -half)
    return float(np.abs(again - paint)[16:-16, 16:-16].mean())


def test_movable_paint_comes_back_from_half_a_pixel() -> None:
    paint = noise()
    assert there_and_back(movable(paint)) < there_and_back(paint) / 4


def test_movable_paint_is_as_rough_as_before() -> None:
    paint = texture(64, 96).astype(np.float32) / 255
    assert movable(paint).std() == pytest.approx(paint.std(), rel=0.02)
    assert np.abs(movable(paint) - paint).mean() < 0.01


def test_paint_of_one_colour_stays() -> None:
    assert np.abs(movable(np.full((40, 40, 3), 0.3, np.float32)) - 0.3).max() < 1e-6


def test_paint_that_does_not_grow_stays() -> None:
    old, new = up_to(noise(), 0.5), noise()
    for growth in (0.0, -0.2):
        assert refreshed(old, new, np.full((64, 96), growth, np.float32), roughness(new)) is old


def test_paint_that_grows_gets_what_it_lacks() -> None:
    """Paint that has grown by a fifth has no detail above five sixths of what pixels can hold."""
    growth = np.full((64, 96), np.log(1.2), np.float32)
    growth[:, :40] = 0
    new = up_to(noise(), 0.95)
    old = up_to(noise()[::-1].copy(), 0.95 / 1.2)
    made = refreshed(old, new, growth, roughness(new))
    assert np.array_equal(made[:, :40], old[:, :40])
    inside = (slice(16, -16), slice(56, -8))
    finest = [(values - up_to(values, 0.95 / 1.2))[inside].std() for values in (old, made, new)]
    assert finest[0] < finest[2] / 3
    assert finest[1] == pytest.approx(finest[2], rel=0.3)
    assert old[inside].std() < made[inside].std() < 1.1 * new[inside].std()
