"""Messages: one line each, which no name of a file can break."""

from __future__ import annotations

from pathlib import Path

import pytest

from styleshuffle.errors import PictureError, SettingsError, StyleShuffleError, WeightsError, columns, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain text", "plain text"),
        ("Zoë 日本.png", "Zoë 日本.png"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # turns the direction of what follows
        ("a\udcffb", r"a\udcffb"),  # a byte of a file's name that is no text
        (b"a\xffb", r"a\udcffb"),
        (Path("a\nb"), r"a\nb"),
        (7, "7"),
        (None, "None"),
    ],
)  # fmt: skip
def test_what_is_not_printable_is_escaped(text: object, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("text", "longest", "line"),
    [
        ("photo.png", 9, "photo.png"),
        ("a long name of a photo.png", 13, "a lon...o.png"),
        ("\n" * 9, 9, r"\n\...n\n"),
        ("日本日本日本日本.png", 12, "日本....png"),
        ("日本日本日本日本日本日本", 11, "日本...日本"),
    ],
)
def test_a_long_name_loses_its_middle(text: str, longest: int, line: str) -> None:
    assert one_line(text, longest) == line and columns(line) <= longest


@pytest.mark.parametrize("kind", [StyleShuffleError, PictureError, SettingsError, WeightsError])
def test_the_message_of_an_error_is_one_safe_line(kind: type[StyleShuffleError]) -> None:
    assert str(kind("a\nb\x1b]0;title\x07\u202e.png: no such file")) == r"a\nb\x1b]0;title\x07\u202e.png: no such file"
