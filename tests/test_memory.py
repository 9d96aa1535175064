"""How much memory a process may still take, in made-up systems: machines, control groups of both versions, limits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import environment

from styleshuffle.errors import SettingsError
from styleshuffle.memory import LEAST, available_memory, parse_memory, resident_memory, told_apart

GIB = 2**30
UNLIMITED = 9223372036854771712  # what version 1 writes for "no limit"


class System:
    """A made-up ``/proc`` and ``/sys/fs/cgroup``; a machine with 64 GiB free at first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file("proc/meminfo", f"MemTotal: {100 * GIB // 1024} kB\nMemAvailable: {64 * GIB // 1024} kB\n")
        self.file("proc/self/statm", "1000000 1000 0 0 0 0 0\n")

    def file(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def version_2(self, path: str, mounted: str = "/", at: str = "/sys/fs/cgroup") -> None:
        """Put the process into a group of version 2, of which this container sees the tree from `mounted` on."""
        self.file("proc/self/cgroup", f"0::{path}\n")
        self.file("proc/self/mountinfo", f"30 23 0:28 {mounted} {at} rw - cgroup2 cgroup2 rw\n")

    def version_1(self, path: str, mounted: str = "/") -> None:
        self.file("proc/self/cgroup", f"5:cpu,cpuacct:/other\n4:memory:{path}\n1:name=systemd:/x\n0::/\n")
        self.file(
            "proc/self/mountinfo",
            f"31 30 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
            f"35 31 0:32 {mounted} /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n",
        )

    def group_2(self, group: str, limit: str, used: int, high: str = "max", cache: int = 0) -> None:
        for name, text in {
            "memory.max": limit,
            "memory.high": high,
            "memory.current": str(used),
            "memory.stat": f"anon 5\nfile {cache}\ninactive_file {cache - cache // 4}\nactive_file {cache // 4}\n",
        }.items():
            self.file(f"sys/fs/cgroup/{group}/{name}", f"{text}\n")

    def group_1(self, group: str, limit: int, used: int, cache: int = 0, of_parents: int = UNLIMITED) -> None:
        stat = (
            f"cache {cache}\ntotal_inactive_file {cache}\ntotal_active_file 0\nhierarchical_memory_limit {of_parents}\n"
        )
        for name, text in {
            "memory.limit_in_bytes": str(limit), "memory.usage_in_bytes": str(used), "memory.stat": stat,
        }.items():  # fmt: skip
            self.file(f"sys/fs/cgroup/memory/{group}/{name}", f"{text}\n")

    @property
    def available(self) -> int | None:
        return available_memory(root=self.root)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_a_machine_has_what_other_processes_leave(system: System) -> None:
    assert system.available == 64 * GIB


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (lambda s: s.group_2("a/b", str(4 * GIB), GIB), 3 * GIB),
        (lambda s: s.group_2("a/b", "max", GIB), 64 * GIB),
        (lambda s: s.group_2("a/b", str(4 * GIB), 3 * GIB, cache=2 * GIB), 3 * GIB),  # a cache of files can be freed
        (lambda s: s.group_2("a/b", str(4 * GIB), GIB, high=str(2 * GIB)), GIB),
        (lambda s: s.group_2("a/b", str(GIB), 2 * GIB), 0),
        (lambda s: s.group_2("a/b", str(100 * GIB), GIB), 64 * GIB),  # the machine has less than the group may take
        (lambda s: [s.group_2("a/b", "max", GIB), s.group_2("a", str(6 * GIB), 4 * GIB)], 2 * GIB),  # of a parent
        (lambda s: [s.group_2("a/b", str(2 * GIB), GIB), s.group_2(".", str(9 * GIB), 4 * GIB)], GIB),
        (lambda s: s.group_2("c", str(GIB), 0), 64 * GIB),  # the group of another process
        (lambda s: None, 64 * GIB),
    ],
)  # fmt: skip
def test_groups_of_version_2(system: System, fill: Callable[[System], None], expected: int) -> None:
    system.version_2("/a/b")
    fill(system)
    assert system.available == expected


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (lambda s: s.group_1("a/b", 4 * GIB, GIB), 3 * GIB),
        (lambda s: s.group_1("a/b", UNLIMITED, GIB), 64 * GIB),
        (lambda s: s.group_1("a/b", 4 * GIB, 3 * GIB, cache=2 * GIB), 3 * GIB),
        (lambda s: [s.group_1("a/b", UNLIMITED, GIB), s.group_1("a", 6 * GIB, 4 * GIB)], 2 * GIB),
        (lambda s: s.group_1("a/b", UNLIMITED, GIB, of_parents=5 * GIB), 4 * GIB),  # of a parent that cannot be seen
    ],
)
def test_groups_of_version_1(system: System, fill: Callable[[System], None], expected: int) -> None:
    system.version_1("/a/b")
    fill(system)
    assert system.available == expected


@pytest.mark.parametrize(("path", "mounted"), [("/docker/x", "/docker/x"), ("/", "/"), ("/docker/x", "/docker/y")])
def test_a_container_that_sees_its_own_group_as_the_top(system: System, path: str, mounted: str) -> None:
    system.version_1(path, mounted)
    system.group_1(".", 2 * GIB, GIB)
    assert system.available == GIB
    system.version_2(path, mounted)
    system.group_2(".", str(3 * GIB), GIB)
    assert system.available == 2 * GIB


def test_a_group_mounted_under_a_name_with_a_space(system: System) -> None:
    system.version_2("/a", at=r"/sys/fs/cgroup/my\040groups")
    system.group_2("my groups/a", str(2 * GIB), GIB)
    assert system.available == GIB


def test_files_that_hold_something_else_are_passed_over(system: System) -> None:
    system.file("proc/self/cgroup", "nonsense\n4:memory\n")
    system.file("proc/self/mountinfo", "nonsense\n1 2 3 - cgroup\n\n")
    assert system.available == 64 * GIB
    system.version_2("/a")
    for name in ("memory.max", "memory.current", "memory.stat"):
        system.file(f"sys/fs/cgroup/a/{name}", "")
    assert system.available == 64 * GIB


def test_a_bound_holds_for_all_that_the_process_has_taken(system: System) -> None:
    held = 1000 * os.sysconf("SC_PAGE_SIZE")
    assert resident_memory(system.root) == held
    assert available_memory(4 * GIB, system.root) == 4 * GIB - held
    assert available_memory(1000 * GIB, system.root) == 64 * GIB
    assert available_memory(held // 2, system.root) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS of Linux")
def test_a_limit_of_the_address_space() -> None:
    script = "from styleshuffle.memory import available_memory; print(available_memory())"
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({GIB}, {GIB}))\n{script}"
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, env=environment(), check=True)
    assert 0 < int(done.stdout) < GIB


def test_where_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf_names", {}, raising=False)
    assert available_memory(root=tmp_path) is None and resident_memory(tmp_path) is None
    assert available_memory(GIB, tmp_path) == GIB


# -------------------------------------------------------------------------------------------------- amounts as written


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (2**30, 2**30),
        (str(2**30), 2**30),
        ("4GB", 4 * 10**9),
        ("4 gb", 4 * 10**9),
        ("4G", 4 * 10**9),
        ("4GiB", 4 * 2**30),
        ("1.5GiB", 3 * 2**29),
        ("500MB", 500 * 10**6),
        ("200000KiB", 200000 * 1024),
        ("1tb", 10**12),
    ],
)
def test_amounts(amount: int | str, expected: int) -> None:
    assert parse_memory(amount) == expected


@pytest.mark.parametrize("amount", ["", "GB", "four GB", "-4GB", "4XB", "4GBs", "1e9", "nan", True, -1])
def test_what_is_no_amount_is_refused(amount: int | str) -> None:
    with pytest.raises(SettingsError, match=r"^memory: .* is no amount of memory; use such as 4GB"):
        parse_memory(amount)


@pytest.mark.parametrize("amount", [0, "1MB", LEAST - 1])
def test_too_little_is_refused(amount: int | str) -> None:
    with pytest.raises(SettingsError, match=r"^memory: .* is too little; use at least 100MB"):
        parse_memory(amount)
    assert parse_memory(LEAST) == LEAST


def test_amounts_that_differ_look_different() -> None:
    assert told_apart(8 * GIB, 4 * GIB) == ("8.0 GiB", "4.0 GiB")
    assert told_apart(int(0.61 * GIB), int(0.59 * GIB)) == ("0.61 GiB", "0.59 GiB")
    assert told_apart(GIB + 1, GIB) == ("1.000 GiB", "1.000 GiB")


FREED = """
from styleshuffle.memory import available_memory, keep_freed, resident_memory
if keep_freed():
    start = resident_memory()
    b"1" * 2**28
    assert resident_memory() > start + 2**27, "not kept"
    bound = resident_memory() + 2**20
    assert available_memory(bound, wanted=2**10) < 2**21, "given back without need"
    assert available_memory(bound, wanted=2**27) > 2**27, "not given back"
    assert resident_memory() < start + 2**27
"""


def test_memory_that_was_freed_and_kept_is_given_back_when_it_is_wanted() -> None:
    subprocess.run([sys.executable, "-c", FREED], check=True, env=environment())
