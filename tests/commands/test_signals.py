"""Ctrl-C and SIGTERM at any time, from the first line on: quiet, and with the exit code of the signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import environment, files

from styleshuffle.commands import signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

# The signal comes when this module is looked for: within an import, whose exceptions libraries may swallow.
DRIVER = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit its being ignored

class Finder:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal({number})
                for _ in range(1000):
                    pass
            except BaseException:
                pass  # as some libraries do

sys.meta_path.insert(0, Finder())
from styleshuffle.commands.start import {command}
{command}()
"""

MODULES = ["click", "styleshuffle.settings", "styleshuffle.commands.stylize", "PIL", "numpy", "torch"]
CASES = [(module, signal.SIGINT, 130) for module in MODULES]
CASES += [(module, number, code) for module in ("click", "torch") for number, code in [(15, 143), (1, 129)]]


@pytest.mark.parametrize(("module", "number", "code"), CASES)
def test_a_signal_while_the_command_starts(here: Path, module: str, number: int, code: int) -> None:
    before = files(".")
    script = DRIVER.format(module=module, number=int(number), command="stylize")
    command = [sys.executable, "-c", script, "content.png", "style.png", "-o", "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert files(".") == before


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_all_commands_take_signals_early(here: Path, command: str) -> None:
    script = DRIVER.format(module="click", number=int(signal.SIGINT), command=command)
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ignored_signals_stay_ignored(here: Path) -> None:
    """As nohup and a shell's background jobs want it."""
    script = DRIVER.format(module="click", number=int(signal.SIGHUP), command="stylize")
    script = script.replace("class Finder", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nclass Finder")
    done = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stdout.startswith("styleshuffle ")


SWALLOWED = """
import os, signal, sys
import fake_stylizer
from styleshuffle.commands.stylize import main

signal.signal(signal.SIGINT, signal.default_int_handler)

class Gone:
    def __del__(self):  # whose exceptions Python prints and forgets
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):
            pass

fake_stylizer.install_fake(lambda picture: Gone() and None)
main(sys.argv[1:])
"""


def test_a_signal_that_falls_into_a_destructor_is_not_lost(here: Path) -> None:
    before = files(".")
    command = [sys.executable, "-c", SWALLOWED, "content.png", "style.png", "-o", "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert files(".") == before


def test_handlers_of_others_stay_and_ours_leave_no_trace() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, mine)
    try:
        with signals.raising():
            assert signal.getsignal(signal.SIGTERM) is mine
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
                signals.raise_lost()
        assert signal.getsignal(signal.SIGINT) is before[0]
    finally:
        signal.signal(signal.SIGTERM, before[1])


LATE = """
import atexit, os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

class Last:
    def __del__(self):  # when Python has given up its handlers
        os.kill(os.getpid(), {number})

sys.last_of_all = Last()
atexit.register(lambda: os.kill(os.getpid(), {number}))
from styleshuffle.commands.start import {command}
{command}()
"""


@pytest.mark.parametrize("command", ["stylize", "evaluate"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_work_changes_nothing(here: Path, number: int, command: str) -> None:
    script = LATE.format(number=int(number), command=command)
    done = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stdout.startswith("styleshuffle") and done.stderr == ""
