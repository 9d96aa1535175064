"""``--grid``: every content in every style or over a setting's values, results that stay, and a sheet of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from fake_stylizer import FakeStylizer
from helpers import files, invoke, picture, raising
from PIL import Image

from styleshuffle.commands import stylize as cli
from styleshuffle.errors import PictureError

run = partial(invoke, cli.main)


@pytest.fixture
def folders(here: Path) -> Path:
    """Two contents and two styles, in folders."""
    for name in ("photos/a.png", "photos/sub/b.png", "styles/x.png", "styles/y.png"):
        picture(name)
    return here


def test_every_content_in_every_style(folders: Path, fake: type[FakeStylizer]) -> None:
    result = run("photos", "styles", "-o", "out", "--grid", "sheet.png", "--style-scale", "0.5")
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["x/a.png", "x/sub/b.png", "y/a.png", "y/sub/b.png"]
    assert "sheet.png: 2 x 2 pictures\n4 stylized, 0 already there, 0 failed" in result.stderr
    assert [made.settings.style_scale for made in fake.made] == [0.5, 0.5]
    with Image.open("sheet.png") as sheet:
        reds = sum(count for count, colour in sheet.convert("RGB").getcolors() if colour == (255, 0, 0))
        cyans = sum(count for count, colour in sheet.convert("RGB").getcolors() if colour == (0, 255, 255))
    assert reds == 4 * 16 * 8 and cyans == 4 * 16 * 8  # two styles and two contents; four results, inverted


def test_each_result_has_its_own_recipe(folders: Path, fake: type[FakeStylizer]) -> None:
    assert run("photos", "styles", "-o", "out", "--grid", "sheet.png").exit_code == 0
    assert run("--recipe", "out/y/sub/b.png").stdout == "styleshuffle photos/sub/b.png styles/y.png -o b.png\n"


def test_styles_one_by_one_have_their_own_scale_and_mask(folders: Path, fake: type[FakeStylizer]) -> None:
    options = ["--style-scale", "1,0.5", "--mask", "m.png", "--style-mask", "m.png", "--style-mask", "n.png"]
    picture("m.png"), picture("n.png")
    result = run("content.png", "styles/x.png", "styles/y.png", "-o", "out", "--grid", "sheet.png", *options)
    assert result.exit_code == 0, result.stderr
    assert [(made.settings.style_scale, made.style_masks) for made in fake.made] == [(1, ("m.png",)), (0.5, ("n.png",))]


def test_a_sweep_has_a_column_for_each_value(folders: Path, fake: type[FakeStylizer]) -> None:
    result = run("content.png", "style.png", "-o", "out", "--grid", "sheet.png", "--sweep", "strength=.2,1")
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["strength-0.2/content.png", "strength-1.0/content.png"]
    assert [made.settings.strength for made in fake.made] == [0.2, 1.0]


def test_a_sweep_may_mix_styles_and_go_over_words(folders: Path, fake: type[FakeStylizer]) -> None:
    arguments = ("content.png", "styles/x.png", "styles/y.png", "-o", "out", "--grid", "sheet.png")
    result = run(*arguments, "--style-weights", "7,3", "--sweep", "colours=style,content")
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["colours-content/content.png", "colours-style/content.png"]
    assert [len(made.styles) for made in fake.made] == [2, 2]
    assert run(*arguments, "--sweep", "recolour=on,off").exit_code == 0
    assert "recolour-off/content.png" in files("out")


def test_the_same_command_continues_and_renews_the_sheet(folders: Path, fake: type[FakeStylizer]) -> None:
    arguments = ("photos", "styles", "-o", "out", "--grid", "sheet.png")
    assert run(*arguments).exit_code == 0
    Path("out/x/a.png").unlink()
    sheet = Path("sheet.png").read_bytes()
    again = run(*arguments)
    assert again.exit_code == 0 and "1 stylized, 3 already there, 0 failed" in again.stderr
    assert Path("sheet.png").read_bytes() == sheet


def test_a_picture_that_is_no_sheet_is_not_replaced(folders: Path, fake: type[FakeStylizer]) -> None:
    picture("sheet.png", "white")
    refused = run("photos", "styles", "-o", "out", "--grid", "sheet.png")
    assert refused.exit_code == 1 and "sheet.png: exists already; set --overwrite" in refused.stderr
    assert not fake.made
    assert run("photos", "styles", "-o", "out", "--grid", "sheet.png", "--overwrite").exit_code == 0


def test_a_picture_that_fails_leaves_its_place_empty(folders: Path, fake: type[FakeStylizer]) -> None:
    fake.before = staticmethod(
        lambda content: raising(PictureError("a: is odd; draw it anew"))() if len(fake.contents) == 1 else None
    )
    result = run("photos", "styles", "-o", "out", "--grid", "sheet.png")
    assert result.exit_code == 1 and "3 stylized, 0 already there, 1 failed" in result.stderr
    assert Path("sheet.png").is_file()


def test_styles_of_one_name_have_folders_of_their_own(folders: Path, fake: type[FakeStylizer]) -> None:
    picture("more/X.png")
    assert run("content.png", "styles", "more", "-o", "out", "--grid", "sheet.png").exit_code == 0
    assert files("out") == ["X-2/content.png", "x/content.png", "y/content.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("photos", "styles", "-o", "out.png"), 2, "so name a folder"),
        (("-", "styles", "-o", "out"), 2, "a picture from standard input has no name"),
        (("photos", "empty", "-o", "out"), 1, "empty: no picture in this folder; name a style"),
        (("empty", "styles", "-o", "out"), 1, "empty: no picture in this folder; name a picture"),
        (("photos", "styles", "-o", "out", "--style-scale", "1,1,1"), 2, "--style-scale: 3 for 2 styles"),
    ],
)
def test_what_gives_no_sheet_is_refused(
    folders: Path, fake: type[FakeStylizer], arguments: tuple[str, ...], code: int, expected: str
) -> None:
    Path("empty").mkdir()
    result = run(*arguments, "--grid", "sheet.png")
    assert result.exit_code == code and expected in result.stderr and not fake.made


def test_a_folder_of_styles_without_a_sheet_is_refused(folders: Path, fake: type[FakeStylizer]) -> None:
    result = run("photos", "styles", "-o", "out")
    assert result.exit_code == 1 and "styles: is a folder; add --grid sheet.png" in result.stderr
