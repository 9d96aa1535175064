"""What users read: messages with the names of options, and a bar that moves with the work."""

from __future__ import annotations

import pytest

from styleshuffle.commands.console import Console, in_options
from styleshuffle.errors import MemoryShortage, PictureError


def test_the_bar_advances_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remaining time is honest if the bar's position is the share of the work, whatever the pictures' sizes."""
    with Console(quiet=True, verbose=False).bar(100) as bar:
        positions = []

        def update(step: float) -> None:
            bar._bar.n += step
            positions.append(bar._bar.n)

        monkeypatch.setattr(bar._bar, "update", update)
        for before, work in ((0, 20), (20, 80)):
            bar.start("x", before, work)
            bar.move_to(0.5)
            bar.move_to(1)
    assert positions == [0, 10, 20, 20, 60, 100]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("strength: 2 is out of range; use 0 to 1", "--strength: 2 is out of range; use 0 to 1"),
        ("work_size: too large; lower `work_size` or `size`", "--work-size: too large; lower --work-size or --size"),
        ("content: a is no folder: name one", "--content: a is no folder: name one"),
        ("photo.png: no content; give a smaller `size`", "photo.png: no content; give a smaller --size"),
        ("in/photo: no content of this name", "in/photo: no content of this name"),
        ("No space left: delete `Files`", "No space left: delete `Files`"),
    ],
)
def test_settings_that_a_message_names_become_options(message: str, shown: str) -> None:
    assert in_options(message) == shown


def test_a_picture_that_is_too_large_is_named_before_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    error = MemoryShortage("work_size: needs about 9.0 GiB of 4.0; lower `work_size` or `size`")
    Console(quiet=True, verbose=False).picture_error(error, "a.png")
    line = "a.png: --work-size: needs about 9.0 GiB of 4.0; lower --work-size or --size"
    assert capsys.readouterr().err == f"styleshuffle: error: {line}\n"


@pytest.mark.parametrize(
    ("quiet", "verbose", "heard"),
    [(False, False, ["warning: w", "n"]), (True, False, []), (False, True, ["warning: w", "n", "d"])],
)
def test_errors_are_always_heard_and_the_rest_as_asked(
    capsys: pytest.CaptureFixture[str], quiet: bool, verbose: bool, heard: list[str]
) -> None:
    console = Console(quiet, verbose)
    console.error(PictureError("e"))
    console.warn("w")
    console.note("n")
    console.detail("d")
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("styleshuffle: ") for line in lines] == ["error: e", *heard]
