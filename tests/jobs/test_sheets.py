"""Contact sheets: sizes that follow the pictures, and labels that fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import picture

from styleshuffle.errors import PictureError
from styleshuffle.jobs.sheets import Head, Row, draw_sheet


def test_cells_are_as_large_as_the_results(tmp_path: Path) -> None:
    large, small = picture(tmp_path / "large.png", size=(900, 600)), picture(tmp_path / "small.png", size=(60, 40))
    sheet = draw_sheet([Row(large, (small, None)), Row(large, (small, small))], [Head("one"), Head("two")])
    assert sheet.width == 8 + 3 * (60 + 8)
    assert sheet.height == 8 + 2 * 40 + 3 * (15 + 8 + 8)  # no pictures in the heads


def test_each_line_is_as_high_as_its_highest_picture(tmp_path: Path) -> None:
    flat, tall = picture(tmp_path / "flat.png", size=(60, 10)), picture(tmp_path / "tall.png", size=(20, 60))
    heights = [draw_sheet([Row(flat, (result,))], [Head("a")]).height for result in (flat, tall)]
    assert heights[1] - heights[0] == 50


def test_labels_stay_in_their_cells(tmp_path: Path) -> None:
    own = picture(tmp_path / "photo.png", "white", size=(80, 60))
    sheet = draw_sheet([Row(own, (own,))], [Head("a label that is far too long for a cell " * 9)]).convert("L")
    left, _, right, _ = sheet.point(lambda value: 255 * (value < 128)).crop((0, 0, sheet.width, 30)).getbbox()
    assert left >= 8 + 80 + 8 and right <= sheet.width - 8


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    clear = picture(tmp_path / "clear.png", (255, 0, 0, 0), (60, 40), "RGBA")
    sheet = draw_sheet([Row(clear, (clear,))], [Head("")])
    assert (255, 0, 0) not in {colour for _, colour in sheet.getcolors(10**6)}


def test_a_sheet_of_specks_is_refused(tmp_path: Path) -> None:
    own = picture(tmp_path / "photo.png")
    with pytest.raises(PictureError, match="1 x 900 pictures do not fit; make several sheets"):
        draw_sheet([Row(own, (None,) * 900)], [Head("")] * 900)
