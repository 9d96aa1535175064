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


def test_a_strength_mask_that_moves_shows_the_film_frame_by_frame(
    here: Path, fake: type[FakeStylizer], film: Path
) -> None:
    Path("masks").mkdir()
    for number in range(6):
        picture(f"masks/{number}.png", "white" if number < 3 else "black", (64, 48))
    arguments = ("film.mp4", "style.png", "-o", "out.mkv", "--codec", "ffv1", "--strength-mask")
    assert run(*arguments, "masks").exit_code == 0
    shown = [
        np.array_equal(made.rgb, own.rgb)
        for made, own in zip(FilmFile("out.mkv").frames(), FilmFile("film.mp4").frames(), strict=True)
    ]
    assert shown == [False] * 3 + [True] * 3
    Path("masks/5.png").unlink()
    refused = run(*arguments, "masks", "--overwrite")
    assert refused.exit_code == 1
    assert "masks: has 5 frames, but the film has 6; give the mask a frame for each" in refused.stderr


def test_each_anchor_gets_the_mask_of_its_frame(here: Path, fake: type[FakeStylizer], film: Path) -> None:
    frames = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(6)]
    write_film("mask.mp4", frames)
    picture("style_mask.png")
    options = ("--mask", "mask.mp4", "--style-mask", "style_mask.png", "--anchor-every", "2")
    result = run("film.mp4", "style.png", "-o", "out.mp4", *options)
    assert result.exit_code == 0, result.stderr
    levels = [round(float(options["mask"].rgb.mean()) / 40) for options in fake.made[0].masks]
    assert levels == [0, 1, 3, 5]  # the first frame is an anchor too


def test_shares_change_from_the_first_frame_to_the_last(here: Path, fake: type[FakeStylizer], film: Path) -> None:
    arguments = ("film.mp4", "style.png", "content.png", "-o", "out.mp4", "--anchor-every", "1")
    result = run(*arguments, "--style-weights", "1,0:0,1")
    assert result.exit_code == 0, result.stderr
    shares = [wish["style_weights"] for wish in fake.made[0].wished]
    assert shares == [pytest.approx((1 - part, part)) for part in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    frames = run("film.mp4", "style.png", "content.png", "-o", "alone.mp4", "--alone", "--style-weights", "1,0:0,1:1,0")
    assert frames.exit_code == 0, frames.stderr
    assert [wish["style_weights"][0] for wish in fake.made[1].wished] == pytest.approx([1, 0.6, 0.2, 0.2, 0.6, 1])


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
        (
            "film.mp4 style.png content.png -o out.mp4 --style-weights 1,0:1",
            2,
            "--style-weights: (1.0,) has 1 values; give 2",
        ),
        (
            "film.mp4 style.png content.png -o out.mp4 --style-weights 1,0:0,0",
            2,
            "--style-weights: (0.0, 0.0) leaves out",
        ),
        ("film.mp4 style.png content.png -o out.mp4 --style-weights 1,0:x", 2, "'x' is not a valid float"),
        ("film.mp4 style.png -o out.mp4 --style-weights 1:1 --save-settings a.toml", 2, "no shares that change"),
        (
            "content.png style.png style.png -o out.png --style-weights 1,0:0,1",
            2,
            "content.png is not a film; give a single",
        ),
        ("empty style.png style.png -o out --style-weights 1,0:0,1", 2, "empty is not a film; give a single list"),
        ("film.mp4 style.png -o masks --frames --strength-mask masks", 1, "masks: this is the mask itself"),
        ("film.mp4 style.png -o out.mp4 --strength-mask text.mp4", 1, "text.mp4: cannot be read as a film"),
        ("film.mp4 style.png -o out.mp4 --rate x", 2, "'x' is not a number; write for example 25 or 30000/1001"),
    ],
)
def test_what_cannot_be_done_is_refused(
    here: Path, fake: type[FakeStylizer], film: Path, arguments: str, code: int, says: str
) -> None:
    Path("text.mp4").write_text("no film")
    Path("there.mp4").write_text("there")
    Path("empty").mkdir()
    picture("masks/1.jpg")
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
