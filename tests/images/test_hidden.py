"""Pixels that nobody sees: filled from those that are seen."""

import numpy as np
import pytest
from picture_files import noise

from styleshuffle.images import Picture
from styleshuffle.images.hidden import filled, opaque, opaque_only


def disc(height=40, width=50, radius=12):
    """An alpha channel: an opaque disc."""
    y, x = np.ogrid[:height, :width]
    return np.where((y - 18) ** 2 + (x - 22) ** 2 <= radius**2, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 255])
def test_one_visible_colour_fills_all(scale):
    rgb = noise(40, 50) if scale == 255 else (noise(40, 50) / 255).astype(np.float32)
    colour = np.array([0.2, 0.4, 0.8]) * scale
    rgb[disc() > 0] = colour
    result = filled(rgb, disc())
    assert result.dtype == rgb.dtype
    assert abs(result - rgb[18, 22].astype(float)).max() <= (1 if scale == 255 else 1e-5)


def test_the_fill_follows_the_nearest_colours():
    rgb, alpha = np.zeros((32, 64, 3), np.uint8), np.zeros((32, 64), np.uint8)
    alpha[:, :4] = alpha[:, -4:] = 255
    rgb[:, :4], rgb[:, -4:] = (200, 0, 0), (0, 0, 200)
    result = filled(rgb, alpha).astype(int)
    assert result[16, 6, 0] > 150 and result[16, 57, 2] > 150
    assert (result[..., 0] + result[..., 2] <= 201).all() and result[..., 1].max() == 0
    assert abs(np.diff(result[16, :, 0])).max() < 60  # no hard edge


@pytest.mark.parametrize("fill", [filled, opaque_only])
def test_what_lies_beneath_makes_no_difference(fill):
    seen, alpha = noise(40, 50), disc()
    results = []
    for beneath in (0, 90, 255):
        rgb = seen.copy()
        rgb[alpha == 0] = beneath
        results.append(fill(rgb, alpha))
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    assert np.array_equal(results[0][alpha > 0], seen[alpha > 0])


def test_nothing_to_fill():
    rgb = noise()
    for alpha in (
        None,
        np.full(rgb.shape[:2], 255, np.uint8),
        np.full(rgb.shape[:2], 90, np.uint8),
        np.zeros_like(rgb[..., 0]),
    ):
        assert filled(rgb, alpha) is rgb and opaque_only(rgb, alpha) is rgb
        assert opaque(alpha) is None


def test_soft_edges_are_no_style():
    alpha = np.tile(np.array([0, 60, 200, 255, 255], np.uint8), (4, 1))
    assert opaque(alpha)[0].tolist() == [False, False, False, True, True]
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[:, 3:] = 80
    assert (opaque_only(rgb, alpha) == 80).all()
    assert filled(rgb, alpha)[0, 2, 0] == 0  # of a photograph it is seen well enough


def test_odd_sizes_and_single_rows():
    for height, width in ((1, 1), (1, 7), (7, 1), (3, 5), (17, 31)):
        alpha = np.zeros((height, width), np.uint8)
        alpha[height // 2, width // 2] = 255
        rgb = noise(max(6, height), max(6, width))[:height, :width].copy()
        assert (filled(rgb, alpha) == rgb[height // 2, width // 2]).all(-1).mean() > 0.9


def test_the_opaque_part_of_a_picture():
    rgb = noise(40, 50)
    part = Picture(rgb, disc()).opaque()
    assert part.size == (25, 25) and part.alpha.max() == 255
    square = np.zeros((40, 50), np.uint8)
    square[5:15, 10:30] = 255
    part = Picture(rgb, square).opaque()
    assert part.alpha is None and np.array_equal(part.rgb, rgb[5:15, 10:30]) and part.shown((20, 10)) is None
    assert Picture(rgb).opaque().size == (50, 40)


def test_what_is_shown_at_other_sizes():
    picture = Picture(noise(40, 50), disc())
    assert picture.shown((50, 40)).numpy().tolist() == (disc() > 0).tolist()
    small = picture.shown((25, 20))
    assert small.shape == (20, 25) and abs(float(small.float().mean()) - (disc() > 0).mean()) < 0.03
    line = np.zeros((40, 50), np.uint8)
    line[20] = 255
    shown = Picture(noise(40, 50), line).shown((50, 40))
    assert shown[16:24].all() and not shown[:16].any()  # squares that hold the thin line


def test_tensors_do_not_show_what_lies_beneath():
    alpha = disc()
    tensors = []
    for beneath in (0, 255):
        rgb = noise(40, 50)
        rgb[alpha == 0] = beneath
        tensors.append(Picture(rgb, alpha).tensor((30, 24)))
    assert (tensors[0] == tensors[1]).all()
