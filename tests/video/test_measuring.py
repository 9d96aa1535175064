"""The warp error on films of known motion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from film_files import panning, texture

from styleshuffle.errors import PictureError
from styleshuffle.video.film import Frame
from styleshuffle.video.measuring import certain, warp_error, warp_errors


def film(pixels: list[np.ndarray]) -> Iterator[Frame]:
    return iter([Frame(rgb, number, 1) for number, rgb in enumerate(pixels)])


def test_whole_steps_have_no_error_and_flicker_is_counted_in_full() -> None:
    before, after = panning(2, 48, 64, step=2)
    flow = np.zeros((48, 64, 2), np.float32)
    flow[..., 0] = 2
    counts = np.zeros((48, 64), bool)
    counts[:, :60] = True
    assert warp_error(after, before, flow, counts) == pytest.approx(0, abs=1e-6)
    half = np.full((48, 64, 3), 0.5, np.float32)
    assert warp_error(half + 0.1, half, 0 * flow, counts) == pytest.approx(0.1, abs=1e-6)
    assert warp_error(half, half, flow, np.zeros((48, 64), bool)) == 0


def test_flicker_is_worse_than_motion() -> None:
    moving = panning(4, 48, 96, step=2)
    flickering = [
        np.clip(frame.astype(int) + 20 * (number % 2), 0, 255).astype(np.uint8) for number, frame in enumerate(moving)
    ]
    own, same, worse = warp_errors(film(moving), [film(moving), film(flickering)])
    assert own == same
    assert own < 0.01
    assert worse == pytest.approx(20 / 255, abs=0.01)


def test_cuts_do_not_count() -> None:
    cut = [texture(48, 64, 1), texture(48, 64, 2)]
    assert warp_errors(film(cut), []) == [0]


def test_results_of_another_length_are_refused() -> None:
    frames = panning(3, 32, 48)
    with pytest.raises(PictureError, match="different numbers of frames"):
        warp_errors(film(frames), [film(frames[:2])])


def test_places_beside_uncertain_places_do_not_count() -> None:
    there = np.zeros((40, 40, 2), np.float32)
    back = there.copy()
    back[20, 20] = 9
    sure = certain(there, back)
    assert not sure[18:23, 18:23].any()
    assert sure[8, 8]
