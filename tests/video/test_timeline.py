"""What is asked of each frame: shares that change, and masks that move."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_files import write_film
from helpers import picture
from PIL import Image

from styleshuffle.errors import PictureError
from styleshuffle.images import Picture
from styleshuffle.video.changes import clear_of, same_regions, turning
from styleshuffle.video.fields import styles_of
from styleshuffle.video.film import Facts
from styleshuffle.video.timeline import Timeline, open_mask, shares_at, strengths_of

FACTS = Facts((64, 48), 4, Fraction(1, 25), Fraction(25))


@pytest.mark.parametrize(
    ("part", "expected"), [(0, (1, 0)), (0.25, (0.5, 0.5)), (0.5, (0, 1)), (0.75, (0.125, 0.875)), (1, (0.25, 0.75))]
)
def test_shares_change_evenly_from_step_to_step(part: float, expected: tuple[float, float]) -> None:
    assert shares_at([(5, 0), (0, 2), (1, 3)], part) == pytest.approx(expected)


def test_the_last_frame_has_the_last_shares() -> None:
    timeline = Timeline(3, ((1, 0), (0, 1)))
    frame = np.zeros((4, 4, 3), np.uint8)
    assert [timeline.asked(frame, number).shares for number in range(4)] == [(1, 0), (0.5, 0.5), (0, 1), (0, 1)]
    assert Timeline(1, ((1, 0), (0, 1))).asked(frame, 0).shares == (1, 0)
    assert Timeline(3).asked(frame, 1).shares is None


def bright(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames that grow brighter by 50 levels."""
    return [np.full((height, width, 3), 50 * number, np.uint8) for number in range(count)]


def test_a_film_and_a_folder_give_each_frame_its_mask(tmp_path: Path) -> None:
    film = write_film(tmp_path / "mask.mp4", bright(5))
    (tmp_path / "masks").mkdir()
    for number, pixels in enumerate(bright(4)):
        Image.fromarray(pixels).save(tmp_path / f"masks/m{number}.png")
    for path in film, tmp_path / "masks":
        mask = open_mask(str(path), FACTS)
        for number in (0, 0, 1, 3):
            assert mask.at(number).rgb.mean() == pytest.approx(50 * number, abs=3)
        with pytest.raises(ValueError, match="frame 2 of a mask comes before 3"):
            mask.at(2)


@pytest.mark.parametrize("kind", ["film", "folder", "picture"])
def test_masks_are_read_within_the_limits(tmp_path: Path, kind: str) -> None:
    film, still = write_film(tmp_path / "mask.mp4", bright(4)), picture(tmp_path / "mask.png", "white", (64, 48))
    (tmp_path / "masks").mkdir()
    for number, pixels in enumerate(bright(4)):
        Image.fromarray(pixels).save(tmp_path / f"masks/m{number}.png")
    path = {"film": film, "folder": tmp_path / "masks", "picture": still}[kind]
    open_mask(str(path), FACTS, max_pixels=64 * 48 * 50)
    with pytest.raises(PictureError, match="64 x 48"):
        open_mask(str(path), FACTS, max_pixels=1000)


def test_a_picture_is_the_mask_of_all_frames(tmp_path: Path) -> None:
    mask = open_mask(str(picture(tmp_path / "mask.png", "white", (32, 24))), FACTS)
    strengths = strengths_of(mask, (16, 12))
    assert strengths(0) is strengths(900)
    assert strengths(0).shape == (12, 16)
    assert strengths(0).min() == 1


def test_strengths_follow_the_frames(tmp_path: Path) -> None:
    strengths = strengths_of(open_mask(str(write_film(tmp_path / "mask.mp4", bright(4))), FACTS), (64, 48))
    assert [round(float(strengths(number).mean()), 1) for number in (1, 3)] == [0.2, 0.6]


def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    short = write_film(tmp_path / "short.mp4", bright(3))
    with pytest.raises(
        PictureError, match=r"short\.mp4: has 3 frames, but the film has 4; give the mask a frame for each"
    ):
        open_mask(str(short), FACTS)
    wide = write_film(tmp_path / "wide.mp4", bright(4, 48, 96))
    with pytest.raises(PictureError, match=r"wide\.mp4: is 96 x 48, but its picture is 64 x 48"):
        open_mask(str(wide), FACTS)


def test_a_damaged_frame_of_a_mask_is_refused(tmp_path: Path) -> None:
    for number, pixels in enumerate(bright(4)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    mask = open_mask(str(tmp_path), FACTS)
    with pytest.raises(PictureError, match="is damaged at frame 3"):
        mask.at(3)


def test_a_place_that_comes_into_another_region_is_seen() -> None:
    before, after = np.zeros((32, 48, 3), np.uint8), np.zeros((32, 48, 3), np.uint8)
    before[:, 20:], after[:, 30:] = 255, 255
    still, moving = np.zeros((32, 48, 2), np.float32), np.full((32, 48, 2), (-10, 0), np.float32)
    same = same_regions(after, before, still)
    assert same[:, 20:30].max() == 0
    assert same[:, :14].min() == same[:, 36:].min() == 1
    assert same_regions(after, before, moving).min() == 1
    after[:, 31:], after[:, 30] = 255, 0  # a line of a pixel, as rounding makes it
    assert same_regions(after, before, moving).min() == 1


def test_places_turn_only_to_a_style_that_grows_more() -> None:
    before, after = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 1, 0, 1]], np.uint8)
    assert turning(before, after, (0.6, 0.4), (0.5, 0.5)).tolist() == [[False, True, False, False]]
    assert not turning(before, after, (0.5, 0.5), (0.5, 0.5)).any()


def test_nothing_is_cleared_without_places() -> None:
    assert clear_of(np.zeros((8, 8), bool)).min() == 1


def test_a_style_that_takes_alone_is_everywhere() -> None:
    assert (styles_of({}, [1], (4, 6, 3)) == 1).all()


def test_a_mask_goes_along_with_its_frame() -> None:
    class Numbered:
        name = "mask"

        def at(self, number: int) -> Picture:
            return Picture(np.full((4, 4, 3), number, np.uint8))

    asked = Timeline(9, mask=Numbered()).asked(np.zeros((4, 4, 3), np.uint8), 7)
    assert asked.mask is not None
    assert asked.mask.rgb.max() == 7
