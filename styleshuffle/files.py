"""Files: write them as a whole or not at all, tell them apart under any name, and say why a file cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import one_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".styleshuffle-", ".tmp"
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # of disks, mostly in networks, without fsync

_cleared: set[tuple[int, int] | None] = set()


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write into. When the block ends without an error, the file takes the place of `path`.

    The file is written under a hidden name beside `path` and then renamed. After an error or Ctrl-C an existing file is
    unchanged and no other file is left. What killed processes have left in the folder is removed. A new file has the
    usual permissions; a replaced file keeps its own, and nobody else can read the new one in the meantime. A link is
    followed.

    Args:
        path: the file to write; its folder exists.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists, and `overwrite` is not set.
        OSError: the file cannot be written; for example, the disk is full.
    """
    target = Path(os.path.realpath(path))
    folder = identity(target.parent)
    if folder not in _cleared:
        _cleared.add(folder)
        clear_leftovers(target.parent)
    draft = _draft_in(target.parent)
    try:
        with _created(draft, target if overwrite else None) as file:
            yield file
            file.flush()
            _sync(file)
            if fcntl is None:
                file.close()  # Windows cannot rename an open file
            _publish(draft, target, overwrite)
    finally:
        draft.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Try to write, because permissions do not cover network disks, quotas and the rules of other systems.

    Raises:
        OSError: no file can be made in the folder.
    """
    draft = _draft_in(folder)
    try:
        _created(draft, None).close()
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def clear_leftovers(folder: Path) -> None:
    """Remove the hidden files that killed processes have left in a folder.

    A process locks the file that it writes, so those of running processes stay. Where files cannot be locked, all stay.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if _is_draft(entry.name)] if fcntl is not None else []
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            _remove_unlocked(os.path.join(folder, name))


def _draft_in(folder: Path) -> Path:
    return folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _is_draft(name: str) -> bool:
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def _remove_unlocked(path: str) -> None:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(file)


def _created(path: Path, replaced: Path | None) -> BinaryIO:
    """A new, locked file: with the permissions of the file that it will replace, or else with the usual ones."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    old = None
    if replaced is not None:
        with contextlib.suppress(OSError):
            old = os.stat(replaced)
    while True:
        file = os.fdopen(os.open(path, flags, 0o666 if old is None else 0o600), "w+b")
        try:
            if old is not None:
                _like(file, old)
            if fcntl is None or not _removed_before_locked(file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _like(file: BinaryIO, old: os.stat_result) -> None:
    """Give a file the owner, if that is allowed, and the permissions of another."""
    with contextlib.suppress(OSError, AttributeError):
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
    with contextlib.suppress(OSError, AttributeError):
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))


def _removed_before_locked(file: BinaryIO) -> bool:
    """Lock a new file; whether another process has taken it for a leftover before that."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a disk without locks, where nobody removes leftovers
        return False
    return os.fstat(file.fileno()).st_nlink == 0


def _sync(file: BinaryIO) -> None:
    """Have the content on the disk before the name. Some disks cannot promise that; then the name comes without it."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _publish(draft: Path, target: Path, overwrite: bool) -> None:
    """Give the draft its final name in a single step; without `overwrite`, only if no file has that name."""
    if overwrite:
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


def on_read_only_disk(folder: str | os.PathLike[str]) -> bool:
    """Whether the folder's disk takes no changes, whatever the permissions say."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):
        return False


def stays_inside(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> bool:
    """Whether a path still lies in a folder when all links are followed."""
    root = os.path.realpath(folder)
    return os.path.realpath(path).startswith(os.path.join(root, ""))


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
