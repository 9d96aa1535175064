"""``styleshuffle`` in several processes at once: as workers of torchrun, and as plain runs on the same folders.

The workers are started as torchrun starts them, with its variables in their environment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import colour, environment, files, picture

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs locks of files (flock)"),
]

DRIVER = """
import os, sys
import fake_stylizer
from styleshuffle.commands.stylize import main

def note(content):
    os.write({log}, f"{{os.environ.get('RANK')}}\\n".encode())
    {during}

fake_stylizer.install_fake(note)
main(sys.argv[1:])
"""


@pytest.fixture
def folder(here: Path) -> Path:
    for name in "abcdef":
        picture(f"photos/{name}.png")
    return here


@contextmanager
def started(
    rank: int | None, during: str, *arguments: str, world: int = 2, port: int = 0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process, and the end of a pipe that tells when it begins a picture."""
    told, log = os.pipe()
    place = {} if rank is None else {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(log=log, during=during), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environment(), **place}, pass_fds=[log],
    )  # fmt: skip
    os.close(log)
    try:
        yield process, told
    finally:
        process.kill()
        process.communicate()
        os.close(told)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


COMMAND = ("photos", "style.png", "-o", "out")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and all that a process has said."""
    stdout, stderr = process.communicate(timeout=120)
    assert stdout == ""
    return process.returncode, stderr


def begun(told: int) -> int:
    """How many pictures a process that has ended had begun."""
    said = b""
    while some := os.read(told, 4096):
        said += some
    return said.count(b"\n")


def test_workers_share_a_folder_and_only_the_first_speaks(folder: Path) -> None:
    Path("photos/bad.png").write_text("no picture")
    port = free_port()
    with started(0, "", *COMMAND, port=port) as (first, _), started(1, "", *COMMAND, port=port) as (second, _):
        assert ended(second) == (0, "")
        code, said = ended(first)
    error, summary = said.splitlines()
    assert code == 1 and error.startswith(f"styleshuffle: error: {Path('photos/bad.png')}: ")
    assert summary == "6 stylized, 0 already there, 1 failed"
    assert files("out") == [f"{name}.png" for name in "abcdef"]


def test_killing_a_worker_loses_nothing(folder: Path) -> None:
    port = free_port()
    with (
        started(0, "sys.stdin.read()", *COMMAND, port=port) as (first, _),
        started(1, "sys.stdin.read()", *COMMAND, port=port) as (second, at_work),
    ):
        assert os.read(at_work, 1) == b"1"  # it works on a picture, and has claimed another
        second.kill()
        second.wait(timeout=60)
        code, said = ended(first)  # closes its standard input, so it begins to work
    assert (code, said) == (0, "6 stylized, 0 already there, 0 failed\n")
    assert files("out") == [f"{name}.png" for name in "abcdef"]
    assert [colour(Path("out") / name) for name in files("out")] == [(0, 255, 255)] * 6


def test_when_the_first_worker_dies_the_others_say_so_in_one_line(folder: Path) -> None:
    """Its process holds the store here; under torchrun another does."""
    port = free_port()
    with (
        started(0, "sys.stdin.read()", *COMMAND, port=port) as (first, _),
        started(1, "sys.stdin.read()", *COMMAND, port=port) as (second, at_work),
    ):
        assert os.read(at_work, 1)
        first.kill()
        first.wait(timeout=60)
        code, said = ended(second)
    assert code == 1 and said.startswith("styleshuffle: error: worker 1: cannot reach the other workers through ")
    assert said.count("\n") == 1
    with started(None, "", *COMMAND) as (after, _):
        assert ended(after)[0] == 0
    assert files("out") == [f"{name}.png" for name in "abcdef"]


def test_workers_without_a_plan_end_with_the_first(folder: Path) -> None:
    Path("empty").mkdir()
    port = free_port()
    command = ("empty", "style.png", "-o", "out")
    with started(0, "", *command, port=port) as (first, _), started(1, "", *command, port=port) as (second, _):
        code, said = ended(first)
        assert code == 1 and said.startswith("styleshuffle: error: empty: no picture in this folder")
        assert ended(second) == (0, "")


def test_a_single_picture_is_made_once(folder: Path) -> None:
    command = ("content.png", "style.png", "-o", "out.png")
    with started(1, "", *command) as (second, told):
        assert ended(second) == (0, "") and begun(told) == 0
    with started(0, "", *command) as (first, told):
        assert ended(first)[0] == 0 and begun(told) == 1


def test_two_plain_runs_share_the_work(folder: Path) -> None:
    """Each works on a picture before the other goes on, so both have to meet the other's claims."""
    with (
        started(None, "sys.stdin.read()", *COMMAND) as (first, first_at_work),
        started(None, "sys.stdin.read()", *COMMAND) as (second, second_at_work),
    ):
        assert os.read(first_at_work, 1) and os.read(second_at_work, 1)
        assert first.stdin is not None
        first.stdin.close()
        first.stdin = None
        code, said = ended(second)
        assert (code, ended(first)[0]) == (0, 0)
        begun_by_both = begun(first_at_work) + begun(second_at_work)
    assert begun_by_both == 6
    assert "failed" in said and files("out") == [f"{name}.png" for name in "abcdef"]


def test_a_plain_run_takes_up_what_a_killed_one_leaves(folder: Path) -> None:
    with started(None, "sys.stdin.read()", *COMMAND) as (first, at_work):
        assert os.read(at_work, 1)
        with started(None, "", *COMMAND) as (second, second_at_work):
            assert os.read(second_at_work, 1)
            first.send_signal(signal.SIGKILL)
            assert ended(second) == (0, "6 stylized, 0 already there, 0 failed\n")
    assert files("out") == [f"{name}.png" for name in "abcdef"]
