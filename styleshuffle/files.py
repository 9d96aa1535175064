"""Files: write them as a whole or not at all, tell them apart under any name, and name them on a safe line."""

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
    """A binary file to write into. When the block ends without an error, the file takes the place of `path`.

    The file is written under a hidden name beside `path` and then renamed. After an error or Ctrl-C an existing file is
    unchanged and no other file is left. A new file has the usual permissions, a replaced file keeps its own. A link is
    followed.

    Args:
        path: the file to write; its folder exists.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists, and `overwrite` is not set.
        OSError: the file cannot be written; for example, the disk is full.
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
    """Give the draft its final name in a single step; without `overwrite`, only if no file has that name."""
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
    """What identifies a file under any name (device and inode); None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def one_line(text: object) -> str:
    """Text that is safe to print on one line of a terminal: characters that are not printable are escaped."""
    plain = os.fsdecode(text) if isinstance(text, bytes | os.PathLike) else str(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


def reason_of(error: BaseException) -> str:
    """The message of an exception, on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return one_line(said or type(error).__name__)


def errno_of(error: BaseException | None) -> int | None:
    """The system's error number that caused an exception; None if the cause is not the system."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None
