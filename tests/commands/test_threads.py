"""How torch's threads wait: the commands shorten it, unless the user has set it, and before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import environment

from styleshuffle.commands.threads import SPIN_COUNT, spin_briefly

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
    spin_briefly()
    assert not set(NAMES) & set(os.environ)
