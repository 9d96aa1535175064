"""Settings in TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from styleshuffle import Settings, SettingsError
from styleshuffle.settings import AUTHORS, PLAIN
from styleshuffle.settings_files import read_settings, write_settings


@pytest.mark.parametrize(
    "settings", [Settings(), PLAIN, AUTHORS, Settings(size=64, style_scale=(1.0, 0.5), style_weights=(7, 3), tone=1e-05)]
)
def test_settings_come_back(tmp_path: Path, settings: Settings) -> None:
    write_settings(tmp_path / "s.toml", settings)
    assert Settings(**read_settings(tmp_path / "s.toml")) == settings


def test_a_file_may_name_a_few_and_write_hyphens(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        '# mine\nstrength = 1\nusage-penalty = 0.5\nturns = [2, 1, 1]\ncolours = "content"\n'
    )
    expected = {"strength": 1, "usage_penalty": 0.5, "turns": (2, 1, 1), "colours": "content"}
    assert read_settings(tmp_path / "s.toml") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strenght = 1", "strenght: no such setting; did you mean strength?"),
        ("strength = 3", "strength: 3 is out of range; use 0 to 1"),
        ("strength = '1'", "strength: '1' is out of range"),
        ("[strength]\nx = 1", "strength: {'x': 1} is out of range"),
        ("strength 3", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path / "s.toml")
    assert str(caught.value).startswith(f"{tmp_path / 's.toml'}: ") and expected in str(caught.value)


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("mine")
    with pytest.raises(FileExistsError):
        write_settings(tmp_path / "s.toml", Settings())
    assert (tmp_path / "s.toml").read_text() == "mine"
    write_settings(tmp_path / "s.toml", Settings(), overwrite=True)
    assert read_settings(tmp_path / "s.toml")["strength"] == 0.5
