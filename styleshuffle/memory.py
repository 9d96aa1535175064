"""How much memory this process may still take, and how the user says how much it may have.

Three things can stop a process before the machine's memory is used up: other processes hold some of it; a control group
(of a container, a service or a batch system) may hold less than the machine; and the process may have a limit of its own
(``ulimit -v``). Linux ends a process that goes above the limit of a control group without a word.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import SettingsError

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", start=1)}
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?i?)b?", re.IGNORECASE)
LEAST = 100 * 1000**2
"""The least bound in bytes: Python and torch take several times as much before any picture."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of options of glibc's mallopt
_UNLIMITED = 2**60  # control groups of version 1 write a number near 2^63 for "no limit"


def parse_memory(amount: int | str) -> int:
    """Bytes of an amount of memory: a number of bytes, or text such as "4GB" (4 x 1000^3) or "4GiB" (4 x 1024^3).

    Raises:
        SettingsError: the amount cannot be read, or is below `LEAST`.
    """
    said = _AMOUNT.fullmatch(str(amount).strip()) if not isinstance(amount, bool) else None
    if said is None or said[2].lower() not in _UNITS:
        raise SettingsError(f"memory: {amount!r} is no amount of memory; use such as 4GB, 4GiB, 500MB or bytes")
    bytes_ = int(float(said[1]) * _UNITS[said[2].lower()])
    if bytes_ < LEAST:
        raise SettingsError(f"memory: {amount!r} is too little; use at least {LEAST // 1000**2}MB")
    return bytes_


def told_apart(needed: int, free: int) -> tuple[str, str]:
    """Both amounts of bytes in GiB, with as many digits as show that they differ."""
    for digits in 1, 2, 3:
        amounts = f"{needed / 2**30:.{digits}f} GiB", f"{free / 2**30:.{digits}f} GiB"
        if amounts[0] != amounts[1]:
            break
    return amounts


def available_memory(bound: int | None = None, root: Path = Path("/"), wanted: int | None = None) -> int | None:
    """Bytes that this process can still take; None if unknown. At most as many as are free at this moment.

    What the system can free at once, such as its cache of files, counts as free. Swap does not count: it is too slow.

    Args:
        bound: the most bytes that this process may hold in all; None is no bound.
        root: the folder that ``proc`` and ``sys`` lie in.
        wanted: if less is free, memory that this process has freed, and holds for later, is given back to the system;
            None gives it back in any case.
    """
    free = _available(bound, root)
    if free is not None and (wanted is None or free < wanted) and give_back():
        free = _available(bound, root)
    return free


def _available(bound: int | None, root: Path) -> int | None:
    amounts = [_of_machine(root), *_of_groups(root), address_space_left(root)]
    if bound is not None:
        amounts.append(bound - (resident_memory(root) or 0))
    known = [max(0, amount) for amount in amounts if amount is not None]
    return min(known, default=None)


def keep_freed() -> bool:
    """Let this process keep memory that it frees, for the next tensor. Returns whether it could: glibc alone can.

    Otherwise each block of more than 32 MB is given back to the system when it is freed. The next block then costs a
    fault for each of its pages, which takes as long as the computing when tensors are large.
    """
    return all(_of_malloc("mallopt", *option) for option in ((_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**31 - 1)))


def give_back() -> bool:
    """Give the memory that this process has freed back to the system. Returns whether there was any."""
    return _of_malloc("malloc_trim", 0)


def _of_malloc(function: str, *arguments: int) -> bool:
    """Call a function of glibc's allocator, which returns 1 if it did something; others do not have it."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(getattr(ctypes.CDLL(None), function)(*arguments))
    except (OSError, AttributeError):
        return False


def resident_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process holds now; None if unknown."""
    pages = _words(root / "proc/self/statm")
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else None


def _of_machine(root: Path) -> int | None:
    """What the machine has left; its whole memory where only that is known."""
    for line in _lines(root / "proc/meminfo"):
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def address_space_left(root: Path = Path("/")) -> int | None:
    """What ``ulimit -v`` leaves; None without such a limit."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _words(root / "proc/self/statm")
    if limit == resource.RLIM_INFINITY:
        return None
    return limit - (int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else 0)


# ------------------------------------------------------------------------------------------------------ control groups


@dataclass(frozen=True)
class _Hierarchy:
    """A tree of control groups that limits memory.

    Attributes:
        version: 1 or 2, which name their files differently.
        top: the folder where the tree is mounted.
        group: the folder of this process, `top` or below it.
    """

    version: int
    top: Path
    group: Path

    def groups(self) -> Iterator[Path]:
        """The folder of this process and those of its parents, as far as they can be seen: each can have a limit."""
        yield self.group
        for parent in self.group.parents:
            if not parent.is_relative_to(self.top):
                break
            yield parent


def _of_groups(root: Path) -> Iterator[int]:
    """What each control group of this process, and each of their parents, has left."""
    for hierarchy in _hierarchies(root):
        for group in hierarchy.groups():
            left = _left_of_version_1(group) if hierarchy.version == 1 else _left_of_version_2(group)
            if left is not None:
                yield left


def _left_of_version_1(group: Path) -> int | None:
    stat = dict(line.split() for line in _lines(group / "memory.stat") if line.count(" ") == 1)
    # the second limit is the least of all parents', even of those that a container cannot see
    limits = [_number(group / "memory.limit_in_bytes"), _count(stat, "hierarchical_memory_limit")]
    limit = min((limit for limit in limits if limit is not None and limit < _UNLIMITED), default=None)
    used = _number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    cache = (_count(stat, f"total_{kind}_file") or 0 for kind in ("active", "inactive"))
    return limit - max(0, used - sum(cache))


def _left_of_version_2(group: Path) -> int | None:
    """``memory.high`` counts as a limit too: above it the system slows the process down until it hardly moves."""
    limits = [_number(group / name) for name in ("memory.max", "memory.high")]
    limit = min((limit for limit in limits if limit is not None), default=None)
    used = _number(group / "memory.current")
    if limit is None or used is None:
        return None
    stat = dict(line.split() for line in _lines(group / "memory.stat") if line.count(" ") == 1)
    cache = (_count(stat, f"{kind}_file") or 0 for kind in ("active", "inactive"))
    return limit - max(0, used - sum(cache))


def _hierarchies(root: Path) -> Iterator[_Hierarchy]:
    """The mounted trees of control groups that can limit the memory of this process."""
    paths = {}  # by version: the path of this process's group, from the top of the whole tree
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            paths[2] = path
        elif "memory" in controllers.split(","):
            paths[1] = path
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        mount, file_system = before.split(), after.split()
        if len(mount) < 5 or len(file_system) < 3:
            continue
        version = {"cgroup": 1, "cgroup2": 2}.get(file_system[0])
        if version not in paths or (version == 1 and "memory" not in file_system[2].split(",")):
            continue
        top = root / _unescaped(mount[4]).lstrip("/")
        yield _Hierarchy(version, top, top / _below(paths[version], _unescaped(mount[3])))


def _below(path: str, mounted: str) -> str:
    """A group's path below the group that is mounted. A container may see only its own group, mounted as the top."""
    inside = os.path.relpath(path, mounted)
    return "." if inside.startswith("..") else inside


def _unescaped(path: str) -> str:
    """A path of ``mountinfo``, where spaces are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


# --------------------------------------------------------------------------------------------------------------- files


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _number(file: Path) -> int | None:
    """The number in a file of a control group; None for "max" or without the file."""
    words = _words(file)
    return int(words[0]) if words and words[0].isdecimal() else None


def _count(stat: dict[str, str], name: str) -> int | None:
    return int(stat[name]) if stat.get(name, "").isdecimal() else None
