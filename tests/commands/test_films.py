"""Films on the command line of ``styleshuffle``."""

from __future__ import annotations

import importlib.util
import json
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fake_stylizer import FakeStylizer
from film_files import panning, texture, write_film
from helpers import files, invoke, picture
from PIL import Image

from styleshuffle.commands import evaluate as evaluation
from styleshuffle.commands import stylize as cli
from styleshuffle.video.reading import FilmFile

run = partial(invoke, cli.main)


@pytest.fixture
def film(here: Path) -> Path:
    return write_film("film.mp4", panning(6), sound=0.2)


def test_a_film_becomes_a_film(here: Path, fake: type[FakeStylizer], film: Path) -> None:
    result = run("film.mp4", "style.png", "-o", "out.mp4")
    assert result.exit_code == 0, result.stderr
    assert "out.mp4: 64 x 48, 6 frames, 2 of them anchors" in result.stderr
    made, own = (next(FilmFile(path).frames()).rgb.astype(int) for path in ("out.mp4", "film.mp4"))
    assert np.abs(255 - made - own).mean() < 4
    assert FilmFile("out.mp4").facts.has_audio
    assert len(fake.contents) == 2
    assert files(here) == ["content.png", "film.mp4", "out.mp4", "style.png"]


def test_a_folder_takes_the_films_name(here: Path, fake: type[FakeStylizer], film: Path) -> None:
    assert run("film.mp4", "style.png", "-o", "out/").exit_code == 0
    assert files("out") == ["film.mp4"]


def test_frames_go_from_folder_to_folder_and_into_a_film(here: Path, fake: type[FakeStylizer]) -> None:
    Path("shot").mkdir()
    for number, pixels in enumerate(panning(3), start=8):
        Image.fromarray(pixels).save(f"shot/f{number}.png")
    assert run("shot", "style.png", "-o", "out", "--frames").exit_code == 0
    assert files("out") == ["f10.png", "f8.png", "f9.png"]
    again = run("shot", "style.png", "-o", "out", "--frames")
    assert again.exit_code == 1
    assert "out: holds frames already; add --overwrite" in again.stderr
    assert run("shot", "style.png", "-o", "out.mkv", "--frames", "--rate", "12.5").exit_code == 0
    film = FilmFile("out.mkv")
    assert [frame.time * film.facts.time_base for frame in film.frames()] == [0, Fraction(2, 25), Fraction(4, 25)]


def test_a_gif_is_a_film_only_if_the_result_is(here: Path, fake: type[FakeStylizer]) -> None:
    frames = [Image.fromarray(texture(16, 24, seed)) for seed in range(2)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=100)
    assert run("moving.gif", "style.png", "-o", "out.gif").exit_code == 0
    assert FilmFile("out.gif").facts.count == 2
    assert run("moving.gif", "style.png", "-o", "out.png").exit_code == 0
    with Image.open("out.png") as image:
        assert image.size == (24, 16)


def test_a_strength_mask_shows_the_film_itself(here: Path, fake: type[FakeStylizer], film: Path) -> None:
    picture("mask.png", "black", (64, 48))
    assert run("film.mp4", "style.png", "-o", "out.mkv", "--codec", "ffv1", "--strength-mask", "mask.png").exit_code == 0
    for made, own in zip(FilmFile("out.mkv").frames(), FilmFile("film.mp4").frames(), strict=True):
        assert np.array_equal(made.rgb, own.rgb)


def test_a_stopped_film_goes_on(
    here: Path, fake: type[FakeStylizer], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from styleshuffle.video import painting

    monkeypatch.setattr(painting, "STRETCH", 2)
    command = ("film.mp4", "style.png", "-o", "out.mp4", "--anchor-every", "1")

    def stop(content: object) -> None:
        if len(fake.contents) == 4:
            raise KeyboardInterrupt

    fake.before = staticmethod(stop)  # type: ignore[assignment]
    result = run(*command)
    assert result.exit_code == 130
    assert "out.mp4: 2 frames are kept; add --resume to go on" in result.stderr
    assert not Path("out.mp4").exists()
    fake.before = staticmethod(lambda content: None)  # type: ignore[assignment]
    refused = run(*command, "--resume", "--seed", "3")
    assert refused.exit_code == 1
    assert "its unfinished work was made with another settings" in refused.stderr
    assert run(*command, "--resume").exit_code == 0
    assert FilmFile("out.mp4").facts.count == 6
    assert not list(here.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("film.mp4 style.png -o out.jpg", 2, "-o out.jpg: CONTENT is a film; end it in one of .gif, .mkv"),
        ("film.mp4 style.png -o -", 2, "a film does not go to standard output"),
        ("film.mp4 style.png -o film.mp4 --overwrite", 1, "film.mp4: this is the content itself"),
        ("film.mp4 style.png -o there.mp4", 1, "there.mp4: exists already; add --overwrite"),
        ("film.mp4 style.png -o out.mp4 --codec vp9", 2, "--codec: a .mp4 file does not hold vp9"),
        ("film.mp4 style.png -o out.mp4 --grid s.png", 2, "--grid: a sheet shows pictures"),
        ("content.png style.png -o out.png --crf 3", 2, "are for films, and content.png is not a film"),
        ("none.mp4 style.png -o out.mp4", 1, "none.mp4: no such file; check the path"),
        ("text.mp4 style.png -o out.mp4", 1, "text.mp4: cannot be read as a film"),
        ("empty style.png -o out.mp4 --frames", 1, "empty: has no numbered frames"),
        ("film.mp4 style.png -o out.mp4 --rate x", 2, "'x' is not a number; write for example 25 or 30000/1001"),
    ],
)
def test_what_cannot_be_done_is_refused(
    here: Path, fake: type[FakeStylizer], film: Path, arguments: str, code: int, says: str
) -> None:
    Path("text.mp4").write_text("no film")
    Path("there.mp4").write_text("there")
    Path("empty").mkdir()
    result = run(*arguments.split())
    assert result.exit_code == code
    assert says in result.stderr
    assert not Path("out.mp4").exists()


def test_without_the_packages_one_line_says_so(
    here: Path, fake: type[FakeStylizer], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("styleshuffle.video.film.find_spec", lambda name: None if name == "av" else there(name))
    result = run("film.mp4", "style.png", "-o", "out.mp4")
    assert result.exit_code == 1
    assert result.stderr == ("styleshuffle: error: film.mp4: a film needs PyAV; pip install 'styleshuffle[video]'\n")


def test_films_are_measured_beside_their_content(here: Path, film: Path) -> None:
    picture("style.png", (40, 90, 160), (64, 48))
    result = invoke(evaluation.main, "film.mp4", "--content", "film.mp4", "--style", "style.png", "--json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["films"]
    assert row["cfsd"] == pytest.approx(0, abs=1e-4)
    assert 0 < row["warp"] < 0.02
    refused = invoke(evaluation.main, "a.png", "--content", "a.png", "--style", "style.png", "--beside", "b.mp4")
    assert refused.exit_code == 2
    assert "--beside is for films" in refused.stderr
