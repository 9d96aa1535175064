"""Files: written whole or not at all, told apart under any name, and named on one safe line.

That pictures keep these promises, `tests/images/test_writing.py` checks.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from helpers import files

from styleshuffle.files import errno_of, identity, one_line, reason_of, written_whole

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, links and names")


# ---------------------------------------------------------------------------------------------------- writing


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with written_whole(target) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new" and files(tmp_path) == ["a.bin"]


def test_an_old_file_is_there_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with written_whole(str(target)) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new" and files(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [{}, {"a.bin": b"old"}])
def test_an_error_in_the_block_leaves_all_as_it_was(
    tmp_path: Path, before: dict[str, bytes], error: type[BaseException]
) -> None:
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error), written_whole(tmp_path / "a.bin") as file:
        file.write(b"half of it")
        raise error
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with written_whole(target, overwrite=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), written_whole(target, overwrite=False) as file:
        file.write(b"second")
    assert target.read_bytes() == b"first" and files(tmp_path) == ["a.bin"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "none" / "a.bin"):
        pytest.fail("the block must not begin")
    assert files(tmp_path) == []


@posix
def test_a_new_file_has_the_usual_permissions_and_a_replaced_one_keeps_its_own(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    before = os.umask(0o027)
    try:
        with written_whole(target):
            pass
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640
    target.chmod(0o600)
    with written_whole(target):
        pass
    assert target.stat().st_mode & 0o777 == 0o600


@posix
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("deep/a.bin")
    with written_whole(tmp_path / "link.bin") as file:
        file.write(b"new")
    assert (tmp_path / "link.bin").is_symlink() and (tmp_path / "deep" / "a.bin").read_bytes() == b"new"
    assert files(tmp_path) == ["deep/a.bin", "link.bin"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_system_without_links_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with written_whole(tmp_path / "a.bin", overwrite) as file:
        file.write(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new" and files(tmp_path) == ["a.bin"]


# ------------------------------------------------------------------------------------------------- telling files apart


@posix
def test_a_file_is_the_same_under_all_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Path(name).touch()
    os.link("a.png", "hard.png")
    os.symlink("a.png", "soft.png")
    names = ["a.png", Path("a.png"), tmp_path / "a.png", "./a.png", "hard.png", "soft.png"]
    assert len({identity(name) for name in names}) == 1
    assert identity("b.png") != identity("a.png") and identity(".") == identity(tmp_path)


@pytest.mark.parametrize("name", ["none.png", "none/a.png", "", "a\0b.png"])
def test_what_is_no_file_has_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert identity(name) is None


# ---------------------------------------------------------------------------------------------------------- one line


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
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "No space left on device"),
        (OSError("encoder error -2"), "encoder error -2"),
        (ValueError("first\n   second line "), "first second line"),
        (ValueError("bad name \x1b[31m"), r"bad name \x1b[31m"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


def test_the_systems_error_number_is_found_at_the_root() -> None:
    root = OSError(errno.ENOSPC, "full")
    wrapped, context = ValueError("outer"), ValueError("outer")
    wrapped.__cause__ = RuntimeError("middle")
    wrapped.__cause__.__context__ = root
    context.__context__ = root
    assert [errno_of(error) for error in (root, wrapped, context)] == [errno.ENOSPC] * 3
    assert [errno_of(error) for error in (None, ValueError("x"))] == [None, None]
