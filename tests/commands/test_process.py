"""What the commands set up before torch is imported, unless the user has: waiting threads, and freed memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import environment

from styleshuffle.commands.process import SPIN_COUNT, set_up

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")

SCRIPT = """
import builtins, os, sys
from importlib import import_module
real = builtins.__import__

def told(name, *rest):
    if name == "torch" or name.startswith("torch."):
        print("torch", os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
        sys.stdout.flush()
        os._exit(0)
    return real(name, *rest)

builtins.__import__ = told
import_module(sys.argv[1]).main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("stylize", ["content.png", "style.png", "-o", "out.png"]),
        ("stylize", [".", "style.png", "-o", "out"]),
        ("evaluate", ["content.png", "--content", "content.png", "--style", "style.png"]),
        ("train", ["decoder", "--images", ".", "--run", "out"]),
    ],
)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, f"torch {SPIN_COUNT} None"),
        ({"GOMP_SPINCOUNT": "17"}, "torch 17 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "torch None ACTIVE"),
    ],
)
def test_each_command_sets_it_before_torch(
    here: Path, module: str, arguments: list[str], given: dict[str, str], expected: str
) -> None:
    kept = {name: value for name, value in environment().items() if name not in NAMES}
    command = [sys.executable, "-c", SCRIPT, f"styleshuffle.commands.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**kept, **given})
    assert done.stdout.strip() == expected, done.stderr


def test_it_is_left_alone_once_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.setattr("styleshuffle.commands.process.keep_freed", lambda: True)
    set_up()
    assert not set(NAMES) & set(os.environ)


FAULTS = """
import resource
from styleshuffle.commands import process
process._AMPLE = {ample}
process.set_up(bounded={bounded})
b"1" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"1" * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can keep freed memory")
@pytest.mark.parametrize(
    ("given", "ample", "bounded", "kept"),
    [
        ({}, 0, False, True),
        ({}, 2**60, False, False),
        ({}, 0, True, False),
        ({"MALLOC_MMAP_THRESHOLD_": "1000000"}, 0, False, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1000000"}, 0, False, False),
    ],
)
def test_freed_memory_is_kept_where_there_is_enough_and_the_user_says_nothing_else(
    given: dict[str, str], ample: int, bounded: bool, kept: bool
) -> None:
    command = [sys.executable, "-c", FAULTS.format(ample=ample, bounded=bounded)]
    faults = int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment() | given).stdout)
    assert (faults < 100) == kept
