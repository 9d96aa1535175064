"""Files: written as a whole or not at all, told apart whatever they are called, and named on one safe line."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write into, which takes the place of `path` when the block ends, and only if it ends well.

    The file is written under a hidden name beside `path` and then renamed. After an error or Ctrl-C an existing file is
    as it was and nothing else is left behind. A new file has the usual permissions, a replaced one keeps its own; a link
    is followed.

    Args:
        path: the file to write; its folder exists.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists, and `overwrite` is not set.
        OSError: the disk is full, the folder cannot be written to, and the like.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".styleshuffle-{secrets.token_hex(8)}.tmp")
    try:
        with _created(draft) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, target, overwrite)
    finally:
        draft.unlink(missing_ok=True)


def _created(path: Path) -> BinaryIO:
    """A new file with the usual permissions."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b")


def _publish(draft: Path, target: Path, overwrite: bool) -> None:
    """Give the draft its final name in one step; without `overwrite`, only if no file has that name."""
    if overwrite:
        with contextlib.suppress(OSError):
            shutil.copymode(target, draft)
        os.replace(draft, target)
        return
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        if os.path.exists(target):
            raise FileExistsError(str(target)) from None
        os.replace(draft, target)


def identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """What tells a file from every other file, however it is named; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def one_line(text: object) -> str:
    """Text that is safe to print on one line of a terminal; what is not printable is escaped."""
    plain = os.fsdecode(text) if isinstance(text, bytes | os.PathLike) else str(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


def reason_of(error: BaseException) -> str:
    """What an exception says, on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return one_line(said or type(error).__name__)


def errno_of(error: BaseException | None) -> int | None:
    """The system's error number at the root of an exception; None if the system was not the cause."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None
