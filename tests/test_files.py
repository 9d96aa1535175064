"""Files: written whole or not at all, and told apart under any name.

That pictures keep these promises, `tests/images/test_writing.py` checks.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from helpers import environment, files, raising

from styleshuffle.files import (
    check_writable,
    clear_leftovers,
    errno_of,
    identity,
    on_read_only_disk,
    reason_of,
    stays_inside,
    written_whole,
)

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


@posix
def test_nobody_else_can_read_what_will_replace_a_private_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with written_whole(target) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    with written_whole(tmp_path / "new.bin") as file:
        assert os.fstat(file.fileno()).st_mode & 0o400


@pytest.mark.parametrize("name", ["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])
def test_a_disk_that_cannot_sync_still_gets_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    number = getattr(errno, name)
    monkeypatch.setattr(os, "fsync", raising(OSError(number, os.strerror(number))))
    with written_whole(tmp_path / "a.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new" and files(tmp_path) == ["a.bin"]


def test_a_disk_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raising(OSError(errno.EIO, os.strerror(errno.EIO))))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), written_whole(tmp_path / "a.bin"):
        pass
    assert files(tmp_path) == []


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path)
    assert files(tmp_path) == []
    with pytest.raises(OSError):
        check_writable(tmp_path / "none")


# ------------------------------------------------------------------------------------------ what killed processes leave


def killed_while_writing(target: Path) -> None:
    script = f"""
import os, signal
from styleshuffle.files import written_whole
with written_whole({str(target)!r}) as file:
    file.write(b"half of it")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], env=environment())
    assert done.returncode == -signal.SIGKILL


@posix
def test_the_next_file_in_the_folder_removes_what_a_killed_process_has_left(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    killed_while_writing(tmp_path / "a.bin")
    assert len(files(tmp_path)) == 2 and (tmp_path / "a.bin").read_bytes() == b"old"
    with written_whole(tmp_path / "b.bin"):
        pass
    assert files(tmp_path) == ["a.bin", "b.bin"]


@posix
def test_the_file_of_a_running_process_stays(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a.bin") as file:
        clear_leftovers(tmp_path)
        script = f"from styleshuffle.files import *; clear_leftovers({str(tmp_path)!r})"
        subprocess.run([sys.executable, "-c", script], check=True, env=environment())
        file.write(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new" and files(tmp_path) == ["a.bin"]


@posix
def test_only_leftovers_are_removed(tmp_path: Path) -> None:
    """Not files of others, and nothing through links, pipes and folders that are called like a leftover."""
    kept = ["photo.png", ".styleshuffle-notes", "x.styleshuffle-1.tmp"]
    for name in kept:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ".styleshuffle-link.tmp").symlink_to("photo.png")
    (tmp_path / ".styleshuffle-folder.tmp").mkdir()
    os.mkfifo(tmp_path / ".styleshuffle-pipe.tmp")
    (tmp_path / ".styleshuffle-0.tmp").write_bytes(b"left")
    before = sorted(os.listdir(tmp_path))
    clear_leftovers(tmp_path)
    assert set(before) - set(os.listdir(tmp_path)) == {".styleshuffle-0.tmp"}
    assert all((tmp_path / name).read_bytes() == b"mine" for name in kept)
    clear_leftovers(tmp_path / "none")


# ------------------------------------------------------------------------------------------------- telling files apart


@posix
def test_links_out_of_a_folder_are_seen(tmp_path: Path) -> None:
    for folder in ("out/deep", "out2"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "out" / "inner").symlink_to("deep")
    (tmp_path / "out" / "outer").symlink_to("../out2")
    (tmp_path / "out" / "file.png").symlink_to("../none.png")
    out = tmp_path / "out"
    assert all(stays_inside(out, out / name) for name in ("a.png", "deep/a.png", "inner/a.png", "none/a.png"))
    assert not any(stays_inside(out, out / name) for name in ("outer/a.png", "file.png", "../out2/a.png", "../a.png"))


def test_a_read_only_disk_is_told_from_a_folder_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not on_read_only_disk(tmp_path) and not on_read_only_disk(tmp_path / "none")
    state = types.SimpleNamespace(f_flag=os.ST_RDONLY | 2)
    monkeypatch.setattr(os, "statvfs", lambda folder: state)
    assert on_read_only_disk(tmp_path)


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


# ----------------------------------------------------------------------------------------------------- why it failed


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
