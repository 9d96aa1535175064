"""Whole films: what is kept when a run stops, and that it goes on to the same film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from film_files import panning, texture, write_film

from styleshuffle.errors import PictureError
from styleshuffle.images import Picture
from styleshuffle.video import painting
from styleshuffle.video.anchors import AnchorPainter
from styleshuffle.video.encoding import encoding_for
from styleshuffle.video.film import FilmSettings, Frame
from styleshuffle.video.painting import FilmResult, over_film, paint_film
from styleshuffle.video.reading import FilmFile
from styleshuffle.video.work import Kept, Work


class Inverting:
    """Paints colours inverted, with a grain that differs from picture to picture in a known way."""

    device = "cpu"

    def render(self, content: Picture, **ignored: object) -> Picture:
        grain = texture(*content.rgb.shape[:2], seed=int(content.rgb.sum()) % 1000).astype(np.float32) / 2550
        return Picture(np.clip(1 - content.rgb / np.float32(255) + grain, 0, 1).astype(np.float32))


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 frames of two shots. Work is kept every 6 frames."""
    monkeypatch.setattr(painting, "STRETCH", 6)
    return write_film(tmp_path / "film.mp4", panning(13) + panning(7, seed=8), sound=0.3)


def paint(film: Path, target: Path, stop: int | None = None, resume: bool = False) -> Work:
    """Paint a film, up to a frame."""
    source = FilmFile(film)
    encoding = encoding_for(".mp4", FilmSettings(), source.facts, source.facts.size)
    work = Work(target, {"film": film.name}, resume)

    def progress(done: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    painter = AnchorPainter(Inverting())  # type: ignore[arg-type]
    result = FilmResult(target, encoding, source.facts, film, overwrite=True)
    try:
        paint_film(source, painter, result, work, 4, progress)
    except KeyboardInterrupt:
        assert work.leave()
    return work


def test_a_stopped_run_goes_on_to_the_same_film(film: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    made = paint(film, whole)
    assert made.kept.frames == 20
    assert made.kept.cuts == [13]
    stopped = paint(film, part, stop=15)
    assert not part.exists()
    assert stopped.kept.frames == 8
    assert paint(film, part, resume=True).kept.frames == 20
    assert part.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_a_run_without_resume_begins_anew(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.mp4"
    paint(film, target, stop=15)
    assert Work(target, {"film": film.name}, resume=False).kept == Kept()


def test_other_settings_do_not_go_on(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.mp4"
    paint(film, target, stop=15)
    with pytest.raises(PictureError, match=r"part\.mp4: its unfinished work was made with another film; leave out"):
        Work(target, {"film": "another"}, resume=True)


def test_a_run_that_stops_at_once_leaves_nothing(film: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "part.mp4", {}, resume=False)
    assert not work.leave()
    assert not list(tmp_path.glob(".*"))


def test_a_masked_place_shows_the_film() -> None:
    strengths = np.zeros((4, 6), np.float32)
    strengths[:, 3:] = 1
    finish = over_film(lambda number: strengths * number)
    made = finish(1, Frame(np.full((4, 6, 3), 51, np.uint8), 0, 1), np.full((4, 6, 3), 0.75, np.float32))
    assert made[:, :3].mean() == pytest.approx(0.2)
    assert made[:, 3:].mean() == pytest.approx(0.75)
