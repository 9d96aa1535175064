"""Recipes: text and back, the command that makes a result again, and no path from the root of the disk."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import picture

from styleshuffle import Settings, SettingsError
from styleshuffle.commands.stylize import main
from styleshuffle.recipes import Ingredient, Recipe, ingredient, options_of, recipe_from_json, sha256_of

FULL = Recipe(
    Ingredient("photos/ä b.jpg", "0" * 64),
    (Ingredient("-x.png", "1" * 64), Ingredient("b.png", "2" * 64)),
    Settings(strength=0.8, levels=(4, 3), recolour=False, style_scale=(1.0, 0.5), style_weights=(7, 3)),
    (("mask", Ingredient("m.png", "3" * 64)), ("style_mask", Ingredient("s.png")), ("style_mask", Ingredient("t.png"))),
    {"encoder": "vgg19"},
    "9.9",
)


@pytest.mark.parametrize("recipe", [FULL, Recipe(Ingredient("-"), (Ingredient("s.png", "0"),))])
def test_a_recipe_comes_back_from_ascii(recipe: Recipe) -> None:
    assert recipe.to_json().isascii() and "\n" not in recipe.to_json()
    assert recipe_from_json(recipe.to_json()) == recipe


def test_the_command_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = FULL.command("out.png")
    assert words[:6] == ["styleshuffle", "photos/ä b.jpg", "./-x.png", "b.png", "-o", "out.png"]
    parsed = main.make_context("styleshuffle", words[1:]).params
    assert parsed["style_mask"] == ("s.png", "t.png") and parsed["mask"] == "m.png" and parsed["encoder"] == "vgg19"
    assert Settings(**{name: parsed[name] for name in vars(FULL.settings)}) == FULL.settings


def test_only_what_differs_from_the_defaults_is_an_option() -> None:
    assert options_of(Settings()) == []
    assert options_of(Settings(size=64, recolour=False, turns=(2, 1, 1))) == [
        "--size", "64", "--turns", "2,1,1", "--no-recolour",
    ]  # fmt: skip


def test_paths_from_the_root_are_cut_to_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = picture(tmp_path / "deep" / "cat.png")
    monkeypatch.chdir(tmp_path)
    assert ingredient(file) == Ingredient("cat.png", sha256_of(file))
    assert ingredient(os.path.join("deep", "cat.png")).path == "deep/cat.png"
    assert ingredient("-") == Ingredient("-", None)


def test_a_missing_or_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture("cat.png")
    own = ingredient("cat.png")
    assert own.check() is None and Ingredient("-").check() is None
    picture("cat.png", "blue")
    assert own.check() == "cat.png: has changed since; the result will differ"
    Path("cat.png").unlink()
    assert own.check() == "cat.png: no such file here; go to the folder where the result was made"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "1"}', FULL.to_json().replace("path", "place")])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^recipe: cannot be understood"):
        recipe_from_json(text)


@pytest.mark.parametrize("change", [{"new_dial": 1}, {"strength": 7}])
def test_a_recipe_of_another_version_is_refused_with_its_version(change: dict[str, object]) -> None:
    data = json.loads(replace(FULL, version="7.5").to_json())
    data["settings"].update(change)
    with pytest.raises(SettingsError, match=r"was written by version 7\.5, whose settings differ"):
        recipe_from_json(json.dumps(data))
