"""Claims: which process works on which picture of a folder, so that several runs on the same folder share the work.

A claim is an empty hidden file in the output folder that its process keeps locked (``flock``). The system takes the lock
away when the process ends, however it ends. So a claim never outlives its process: a claim file that nobody holds locked
is a leftover, and anybody may delete it. On NFS a lock holds for all machines.

Names of claim files match `PATTERN`; no other file has such a name. Where files cannot be locked (some network disks,
Windows), claims hold nothing off, and two runs at once both do all of the work.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PATTERN = ".styleshuffle-claim-*.lock"
"""Matches the names of claim files."""


class Claim:
    """The right to make a picture; held until `release`, until nobody has this object, or until the process ends.

    Attributes:
        holds: whether it holds other processes off.
    """

    def __init__(self, path: Path | None = None, descriptor: int = -1) -> None:
        self._path, self._descriptor = path, descriptor

    @property
    def holds(self) -> bool:
        return self._path is not None

    def release(self) -> None:
        """Give the claim back; its file goes. A second call does nothing."""
        path, self._path = self._path, None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is locked: who waits for the lock sees that the file has gone
            os.close(self._descriptor)

    def __del__(self) -> None:  # a signal can come before the claim has got to its holder
        self.release()


class Claims:
    """The claims on the pictures of an output folder. As a context, it clears the folder at the end.

    Args:
        folder: the output folder; all claim files lie directly in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def take(self, target: Path, wait: bool = False) -> Claim | None:
        """Claim a picture; None if another process, or another claim of this one, has it.

        Args:
            target: the file of the result, in the folder or below it.
            wait: wait until no other process has the claim; a signal can end that. Who waits should hold no claims that
                others can wait for.
        """
        if fcntl is None:
            return Claim()
        path = self.folder / _name(os.path.relpath(target, self.folder))
        while True:
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            except OSError:
                return Claim()  # the folder takes no files: writing the result will say why
            try:
                locked = _lock(descriptor, wait)
                if locked and _is_at(descriptor, path):
                    return Claim(path, descriptor)
            except OSError:  # a disk without locks
                with contextlib.suppress(OSError):
                    path.unlink()
                os.close(descriptor)
                return Claim()
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if not locked:
                return None

    def clear(self) -> None:
        """Delete the claim files that processes have left which are no more."""
        for path in self.folder.glob(PATTERN) if fcntl is not None else ():
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    if _lock(descriptor, wait=False) and _is_at(descriptor, path):
                        path.unlink()
                finally:
                    os.close(descriptor)


def _name(target: str) -> str:
    """The name of the claim file: a hash, because a longer name may be too long for the disk."""
    return PATTERN.replace("*", hashlib.sha256(os.fsencode(target)).hexdigest()[:24])


def _lock(descriptor: int, wait: bool) -> bool:
    """Lock a file; False if another process has locked it.

    Raises:
        OSError: files cannot be locked here.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file still has this name: its last holder may have deleted it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
