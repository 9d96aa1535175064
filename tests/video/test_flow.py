"""Motion between frames of known motion, and values moved along it."""

from __future__ import annotations

import numpy as np
import pytest
from film_files import panning, texture

from styleshuffle.video.flow import doubled, flow_between, grey, likeness, moved, moved_finely, returns, trust


def test_a_shift_is_seen_as_a_shift() -> None:
    first, second = panning(2, 64, 96, step=3)
    flow = flow_between(grey(second), grey(first))
    assert np.median(flow[..., 0]) == pytest.approx(3, abs=0.1)
    assert np.abs(np.median(flow[..., 1])) < 0.1


def test_what_stands_still_has_no_flow() -> None:
    frame = texture(40, 40)
    noisy = np.clip(frame + np.random.default_rng(1).integers(-1, 2, frame.shape), 0, 255).astype(np.uint8)
    assert not flow_between(grey(frame), grey(frame)).any()
    assert np.abs(flow_between(grey(frame), grey(noisy))).mean() < 0.01


def test_tiny_frames_have_a_flow() -> None:
    frame = texture(5, 7)
    assert flow_between(grey(frame), grey(frame)).shape == (5, 7, 2)


def test_a_finer_grid_holds_what_was_there_and_waves_between() -> None:
    places = np.arange(64, dtype=np.float32)
    wave = np.sin(2 * np.pi * 0.3 * places)[None, :, None].repeat(64, 0).repeat(3, 2)
    fine = doubled(wave)
    assert np.array_equal(fine[::2, ::2], wave)
    between = np.sin(2 * np.pi * 0.3 * (places + 0.5))
    assert fine[64, 1::2, 0][26:38] == pytest.approx(between[26:38], abs=0.02)


def test_nothing_moves_without_flow() -> None:
    values = texture(32, 32).astype(np.float32)
    still = np.zeros((32, 32, 2), np.float32)
    assert np.array_equal(moved_finely(doubled(values), still), values)
    assert np.array_equal(moved(values, still), values)


def test_half_a_pixel_and_back_keeps_the_detail() -> None:
    values = texture(64, 64).astype(np.float32)
    half = np.full((64, 64, 2), 0.5, np.float32)
    back = moved_finely(doubled(moved_finely(doubled(values), half)), -half)
    assert np.abs(back - values)[26:-26, 26:-26].max() < 1.5


def test_what_comes_into_view_is_not_trusted() -> None:
    before, after = panning(2, 64, 96, step=8)
    there, back = flow_between(grey(after), grey(before)), flow_between(grey(before), grey(after))
    sure = trust(likeness(after, moved(before.astype(np.float32), there)), there, back)
    assert sure[:, -6:].max() == 0
    assert sure[8:-8, 8:-24].mean() > 0.95


def test_a_changed_place_does_not_look_alike() -> None:
    frame = texture(64, 64)
    changed = frame.copy()
    changed[20:40, 20:40] = 255 - changed[20:40, 20:40] // 4
    alike = likeness(changed, frame)
    assert alike[26:34, 26:34].max() < 0.2
    assert alike[:10].min() == 1
    still = np.zeros((64, 64, 2), np.float32)
    assert returns(still, still).all()
