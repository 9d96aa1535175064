"""``styleshuffle`` as a process: quick refusals, signals, terminals and closed pipes."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from helpers import colour, environment, files, picture, truncated

from styleshuffle.jobs.claims import PATTERN

HEAVY = {"torch", "torchvision"}
LIBRARIES = HEAVY | {"numpy", "PIL", "tqdm", "scipy"}


@pytest.mark.parametrize(
    ("args", "code", "unwanted"),
    [
        (["--help"], 0, LIBRARIES),
        (["--version"], 0, LIBRARIES),
        (["content.png", "style.png", "-o", "out.png", "--sise", "3"], 2, LIBRARIES),
        (["content.png", "style.png", "-o", "out.png", "--size", "3"], 2, LIBRARIES),
        (["none.png", "style.png", "-o", "out.png"], 1, HEAVY),
        (["damaged.png", "style.png", "-o", "out.png"], 1, HEAVY),
        (["content.png", "damaged.png", "-o", "out.png"], 1, HEAVY),
        (["content.png", "style.png", "-o", "content.png"], 1, HEAVY),
        (["content.png", "style.png", "-o", "none/out.png"], 1, HEAVY),
        (["folder", "style.png", "-o", "results"], 0, HEAVY),  # all finished: nothing to do
    ],
)
def test_help_and_refusals_do_not_wait_for_torch(here: Path, args: list[str], code: int, unwanted: set[str]) -> None:
    truncated("damaged.png")
    picture("folder/a.png"), picture("results/a.png")
    script = (
        "import sys\nfrom styleshuffle.commands.stylize import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(code, sorted({unwanted!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, env=environment())
    assert done.stdout.splitlines()[-1] == f"{code} []"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_module_entry_shows_help(flag: str) -> None:
    command = [sys.executable, "-m", "styleshuffle", flag]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: styleshuffle [OPTIONS] CONTENT STYLE")
    assert done.stderr == ""


# ------------------------------------------------------------------------------------ terminals, signals and closed pipes


DRIVER = """
import os, signal, sys
import fake_stylizer
from styleshuffle.commands.stylize import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit its being ignored

def ready_and_wait(*ignored):
    os.write({ready}, b"x")
    os.read({hold}, 1)  # until the signal comes

{setup}
main(sys.argv[1:])
"""

DURING_WORK = "fake_stylizer.install_fake(ready_and_wait)"

DURING_WRITE = "fake_stylizer.install_fake(); os.fsync = ready_and_wait"  # the draft lies beside the target

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and terminals")


@posix
@pytest.mark.parametrize("setup", [DURING_WORK, DURING_WRITE])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("content", ["content.png", "."])
def test_signals_end_quietly_with_nothing_half_written(
    here: Path, number: signal.Signals, code: int, setup: str, content: str
) -> None:
    picture("out.png", "white")
    Path("out").mkdir()
    before = files(".")
    ready, told = os.pipe()
    waits, hold = os.pipe()
    script = DRIVER.format(ready=told, hold=waits, setup=setup)
    target = "out" if content == "." else "out.png"
    process = subprocess.Popen(
        [sys.executable, "-c", script, content, "style.png", "-o", target, "--overwrite"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[told, waits], env=environment(),
    )  # fmt: skip
    os.close(told)
    try:
        assert os.read(ready, 1) == b"x"
        if setup == DURING_WRITE:
            assert len([name for name in files(".") if not fnmatch(Path(name).name, PATTERN)]) == len(before) + 1
        process.send_signal(number)
        if content == "." and setup == DURING_WRITE:
            os.write(hold, b"x")  # a thread writes the results of a folder; it finishes its file
        output = process.communicate(timeout=60)
    finally:
        process.kill()
        for end in (ready, waits, hold):
            os.close(end)
    assert (process.returncode, output) == (code, (b"", b""))
    whole = ["out/content.png"] if content == "." and setup == DURING_WRITE else []
    assert files(".") == sorted(before + whole) and colour("out.png") == (255, 255, 255)
    assert [colour(path) for path in whole] == [(0, 255, 255)] * len(whole)


def spawn(*args: str, setup: str = "fake_stylizer.install_fake()", **options: Any) -> subprocess.Popen[bytes]:
    script = DRIVER.format(ready=1, hold=0, setup=setup)
    return subprocess.Popen([sys.executable, "-c", script, *args], env=environment(), **options)


@posix
def test_a_closed_pipe_ends_quietly(here: Path) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    process = spawn("content.png", "style.png", "-o", "-", stdout=writable, stderr=subprocess.PIPE)
    os.close(writable)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_an_error(here: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = spawn("content.png", "style.png", "-o", "-", stdout=full, stderr=subprocess.PIPE)
        line = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert line.startswith("styleshuffle: error: <stdout>: ") and "No space left" in line and line.count("\n") == 1


def on_a_terminal(*args: str, **options: Any) -> tuple[int, str]:
    """Exit code and stderr of a run whose stderr (and stdin and stdout, unless given) is a terminal."""
    import fcntl
    import termios

    leader, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = spawn(*args, **{"stdin": terminal, "stdout": terminal, "stderr": terminal, **options})
    os.close(terminal)
    shown = b""
    try:
        while some := os.read(leader, 4096):
            shown += some
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(leader)
    return process.wait(timeout=60), shown.decode()


@posix
def test_a_bar_on_a_terminal_and_only_there(here: Path) -> None:
    code, shown = on_a_terminal("content.png", "style.png", "-o", "out.png")
    assert code == 0
    assert "loading" in shown and "content.png   0%|" in shown
    code, shown = on_a_terminal("content.png", "style.png", "-o", "quiet.png", "-q")
    assert (code, shown) == (0, "")
    process = spawn("content.png", "style.png", "-o", "piped.png", stderr=subprocess.PIPE)
    assert b"%" not in process.communicate(timeout=60)[1]


@posix
def test_a_terminal_is_neither_read_nor_written_as_a_picture(here: Path) -> None:
    code, shown = on_a_terminal("content.png", "style.png", "-o", "-")
    assert code == 2 and "name a file" in shown
    code, shown = on_a_terminal("-", "style.png", "-o", "out.png")
    assert code == 2 and "standard input is a terminal" in shown
