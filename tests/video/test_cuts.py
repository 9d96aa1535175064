"""Cuts from shot to shot, and motion that is no cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from film_files import panning, texture
from helpers import SAMPLES
from PIL import Image

from styleshuffle.video.cuts import is_cut
from styleshuffle.video.film import Frame
from styleshuffle.video.shots import groups

NAMES = ("content/cat", "content/coffee", "content/astronaut", "style/swirling_night")


def shot(name: str) -> np.ndarray:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB").resize((96, 72)))


def test_pictures_that_are_joined_are_a_cut() -> None:
    for first, second in pairwise(NAMES):
        assert is_cut(shot(first), shot(second))


@pytest.mark.parametrize("name", NAMES)
def test_a_moving_camera_is_no_cut(name: str) -> None:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        first = np.asarray(image.convert("RGB").resize((96, 72), box=(0, 0, 400, 300)))
        second = np.asarray(image.convert("RGB").resize((96, 72), box=(16, 8, 416, 308)))
    assert not is_cut(first, second)


def test_a_lighter_frame_is_no_cut() -> None:
    frame = texture(48, 64)
    assert not is_cut(frame, np.clip(frame.astype(int) + 20, 0, 255).astype(np.uint8))


def test_groups_end_at_cuts_and_are_short() -> None:
    pixels = panning(5) + panning(3, seed=9)
    frames = [Frame(rgb, number, 1) for number, rgb in enumerate(pixels)]
    made = list(groups(iter(frames), None, 3))
    assert [[frame.time for frame in group.frames] for group in made] == [[0, 1, 2], [3, 4], [5, 6, 7]]
    assert [group.fresh for group in made] == [True, False, True]
    made = list(groups(iter(frames[2:5]), frames[1].rgb, 8))
    assert [group.fresh for group in made] == [False]


def test_groups_hold_few_frames() -> None:
    asked = 0

    def endless():
        nonlocal asked
        frame = texture(16, 16)
        while True:
            asked += 1
            yield Frame(frame, asked, 1)

    coming = groups(endless(), None, 4)
    for number in range(1, 4):
        next(coming)
        assert asked <= 4 * number + 1
