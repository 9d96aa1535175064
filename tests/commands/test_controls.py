"""Masks, recipes and settings files on the command line of ``styleshuffle``, and what is refused together."""

from __future__ import annotations

import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from fake_stylizer import FakeStylizer
from helpers import environment, invoke, picture, sample_image
from PIL import Image

from styleshuffle.commands import stylize as cli
from styleshuffle.images import read_recipe
from styleshuffle.settings import Settings
from styleshuffle.settings_files import read_settings

run = partial(invoke, cli.main)
PLAIN = ("content.png", "style.png", "-o", "out.png")


# ------------------------------------------------------------------------------------------------- styles and masks


def test_styles_masks_and_lists_reach_the_stylizer(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("b.png", "m.png", "sa.png", "sb.png", "k.png"):
        picture(name)
    options = "--mask m.png --style-mask sa.png --style-mask sb.png --strength-mask k.png"
    options += " --style-weights 7,3 --style-scale 1,0.5"
    result = run("content.png", "style.png", "b.png", "-o", "out.png", *options.split())
    assert result.exit_code == 0, result.stderr
    (made,) = fake.made
    assert [style.size for style in made.styles] == [(20, 10), (16, 8)]
    assert made.style_masks == ("sa.png", "sb.png")
    assert made.masks == [{"mask": Path("m.png"), "strength_mask": Path("k.png")}]
    assert made.settings == Settings(style_weights=(7, 3), style_scale=(1, 0.5))


def test_a_folder_takes_the_mask_of_each_pictures_name(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("photos/a.jpg", "photos/sub/b.png", "masks/a.png", "masks/sub/b.png"):
        picture(name)
    assert run("photos", "style.png", "-o", "out", "--strength-mask", "masks").exit_code == 0
    assert [masks["strength_mask"] for masks in fake.made[0].masks] == [Path("masks/a.png"), Path("masks/sub/b.png")]


def test_a_picture_without_its_mask_fails_and_the_others_go_on(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("photos/a[1].jpg", "photos/b.png", "masks/b.png"):
        picture(name)
    result = run("photos", "style.png", "-o", "out", "--strength-mask", "masks")
    assert result.exit_code == 1
    assert "photos/a[1].jpg: there is no mask of this name in masks; put a[1].png there" in result.stderr
    assert "1 stylized, 0 already there, 1 failed" in result.stderr


def test_masks_among_the_contents_are_not_stylized(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("photos/a.png", "photos/masks/a.png"):
        picture(name)
    assert run("photos", "style.png", "-o", "out", "--strength-mask", "photos/masks").exit_code == 0
    assert len(fake.contents) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--style-weights 7,3", "--style-weights: (7.0, 3.0) has 2 values; give 1, a value for each style"),
        ("--style-weights 0", "--style-weights: (0.0,) leaves out all styles"),
        ("--style-scale 1,1,1", "--style-scale: (1.0, 1.0, 1.0) has 3 values; give 1"),
        ("--mask m.png", "regions need masks on both sides; add --style-mask, for each STYLE"),
        ("--style-mask m.png", "regions need masks on both sides; add --mask, for CONTENT"),
        ("--mask m.png --style-mask m.png --style-mask m.png", "--style-mask: 2 for 1 styles; give one for each STYLE"),
        ("--unmatched any", "--unmatched: there are no regions; add --mask and --style-mask"),
        ("--sweep strength=.2,.5", "add --grid sheet.png"),
        ("--grid s.png --sweep strength", "names no values; write for example strength=.2,.5,.8"),
        ("--grid s.png --sweep strenght=.2", "strenght: no such setting; did you mean strength?"),
        ("--grid s.png --sweep strength=.2,7", "--strength: 7.0 is out of range; use 0 to 1"),
        ("--grid s.png --sweep seed=a", "'a' is not a number"),
        ("--grid s.png --sweep levels=4", "levels is a list"),
        ("--grid s.png --sweep seed=1,1", "has a value twice"),
        ("--grid s.png --style-weights 1", "--style-weights mixes styles"),
        ("--grid s.txt", "--grid s.txt: end it in one of"),
        ("--settings no.toml", "no.toml: these settings cannot be read (No such file or directory)"),
    ],
)
def test_what_cannot_be_meant_is_refused(here: Path, fake: type[FakeStylizer], options: str, expected: str) -> None:
    picture("m.png")
    result = run(*PLAIN[:3], "out", *options.split())
    assert result.exit_code == 2 and expected in result.stderr
    assert not fake.made and not Path("out").exists()


def test_too_many_styles_are_refused(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("content.png", *["style.png"] * 17, "-o", "out.png")
    assert result.exit_code == 2 and "17 styles; give 1 to 16" in result.stderr


def test_a_missing_mask_is_named_before_the_networks_are_loaded(here: Path, fake: type[FakeStylizer]) -> None:
    result = run(*PLAIN, "--strength-mask", "no.png")
    assert result.exit_code == 1 and "no.png: no such file" in result.stderr and not fake.made


# -------------------------------------------------------------------------------------------------- recipes, settings


def test_a_result_says_how_it_was_made_unless_told_not_to(here: Path, fake: type[FakeStylizer]) -> None:
    assert run(*PLAIN, "--strength", "0.8").exit_code == 0
    printed = run("--recipe", "out.png")
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout == "styleshuffle content.png style.png -o out.png --strength 0.8\n"
    assert run(*PLAIN, "--no-recipe", "--overwrite").exit_code == 0
    refused = run("--recipe", "out.png")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("styleshuffle: error: out.png: holds no recipe; ")


def test_a_recipe_tells_how_the_result_was_saved(here: Path, fake: type[FakeStylizer]) -> None:
    assert run(*PLAIN, "--depth", "16", "--strip", "--device", "cpu").exit_code == 0
    expected = "styleshuffle content.png style.png -o out.png --device cpu --strip --depth 16\n"
    assert run("--recipe", "out.png").stdout == expected


def test_no_path_from_the_root_is_kept(here: Path, fake: type[FakeStylizer]) -> None:
    assert run(here / "content.png", here / "style.png", "-o", here / "out.png").exit_code == 0
    assert str(here) not in Path("out.png").read_bytes().decode("latin-1")
    assert run("--recipe", here / "out.png").stdout == "styleshuffle content.png style.png -o out.png\n"


def test_a_recipe_warns_of_pictures_that_are_gone_or_changed(here: Path, fake: type[FakeStylizer]) -> None:
    assert run(*PLAIN).exit_code == 0
    picture("content.png", "blue")
    Path("style.png").unlink()
    printed = run("--recipe", "out.png")
    assert printed.exit_code == 0
    assert "content.png: has changed since" in printed.stderr and "style.png: no such file here" in printed.stderr


def test_each_picture_of_a_folder_has_its_own_recipe(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/sub/b.jpg"), picture("masks/a.png"), picture("masks/sub/b.png")
    assert run("photos", "style.png", "-o", "out", "--strength-mask", "masks").exit_code == 0
    expected = "styleshuffle photos/sub/b.jpg style.png -o b.jpg --strength-mask masks/sub/b.png\n"
    assert run("--recipe", "out/sub/b.jpg").stdout == expected


def test_a_pipe_has_a_recipe_too(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("-", "style.png", "-o", "-", input=Path("content.png").read_bytes())
    Path("out.png").write_bytes(result.stdout_bytes)
    assert run("--recipe", "out.png").stdout == "styleshuffle - style.png -o out.png\n"


def test_settings_files_are_the_defaults_of_the_options(here: Path, fake: type[FakeStylizer]) -> None:
    Path("s.toml").write_text("strength = 0.8\nseed = 4\nlevels = [4, 3]\nrecolour = false\n")
    assert run(*PLAIN, "--seed", "5", "--settings", "s.toml", "--save-settings", "all.toml").exit_code == 0
    assert fake.made[0].settings == Settings(strength=0.8, seed=5, levels=(4, 3), recolour=False)
    assert Settings(**read_settings("all.toml")) == fake.made[0].settings
    again = run(*PLAIN, "--overwrite", "--settings", "all.toml")
    assert again.exit_code == 0 and fake.made[1].settings == fake.made[0].settings


def test_saved_settings_replace_nothing_unasked(here: Path, fake: type[FakeStylizer]) -> None:
    Path("s.toml").write_text("mine")
    result = run(*PLAIN, "--save-settings", "s.toml")
    assert result.exit_code == 1 and "s.toml: exists already" in result.stderr
    assert Path("s.toml").read_text() == "mine" and not Path("out.png").exists()


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    """The real command, twice: as written, and as its own result says. It mixes styles, within regions and a mask."""
    sample_image("content/cat.jpg", (64, 48)).save(tmp_path / "my cat.png")
    for name in ("stained_glass", "pen_engraving"):
        sample_image(f"style/{name}.jpg", (64, 64)).save(tmp_path / f"{name}.png")
    for name, size in ("m", (64, 48)), ("a", (64, 64)), ("b", (32, 32)):
        Image.new("RGB", size, "blue").save(tmp_path / f"{name}.png")
        mask = Image.open(tmp_path / f"{name}.png")
        mask.paste("green", (0, size[1] // 2, *size))
        mask.save(tmp_path / f"{name}.png")
    Image.linear_gradient("L").resize((64, 48)).save(tmp_path / "k.png")
    command = "styleshuffle 'my cat.png' stained_glass.png pen_engraving.png -o out.png --style-weights 7,3"
    command += " --mask m.png --style-mask a.png --style-mask b.png --strength-mask k.png --style-scale 1,0.8"
    command += " --strength 0.8 --seed 3 --colours content --refine 1 -q"

    def done(words: list[str]) -> str:
        run = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
        )
        return run.stdout

    done(shlex.split(command))
    printed = done(["styleshuffle", "--recipe", "out.png"])
    assert read_recipe(tmp_path / "out.png")
    first = (tmp_path / "out.png").read_bytes()
    (tmp_path / "out.png").unlink()
    done(shlex.split(printed))
    assert (tmp_path / "out.png").read_bytes() == first
