"""Stop a run over a folder at many moments, by kill -9, Ctrl-C and SIGTERM, and look at what is left.

    python benchmarks/stops.py --kills 200 --signals 100

Each run stylizes a folder of small pictures. After a kill the same command runs again: all results must be the same
bytes as those of a run that nobody stopped, and no other file may be left. After Ctrl-C and SIGTERM the exit code must be
that of the signal (or 0, if the run was finished before), nothing may be printed, and no other file may be left at once.
Kills hit a copy of a process that has torch loaded, so that they fall into the work and the writing; signals hit whole
processes, from their start on. The exit code is 1 if any promise is broken.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
from common import SAMPLES
from PIL import Image

PICTURES = ("astronaut.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg")
SIDE = 64


def make_folder(root: Path) -> None:
    """A folder of small photographs, one in a subfolder, and a style."""
    (root / "in" / "deep").mkdir(parents=True)
    for index, name in enumerate(PICTURES):
        place = root / "in" / ("deep" if index == 0 else "") / name
        with Image.open(SAMPLES / "content" / name) as image:
            image.resize((SIDE, SIDE)).convert("RGB").save(place.with_suffix(".png"))
    shutil.copy(SAMPLES / "style" / "stained_glass.jpg", root / "style.jpg")


def arguments(root: Path) -> list[str]:
    return [str(root / "in"), str(root / "style.jpg"), "-o", str(root / "out")]


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def is_draft(name: str) -> bool:
    return Path(name).name.startswith(".")


# -------------------------------------------------------------------------------------------------------------- a run


def forked(root: Path) -> int:
    """Start a copy of this process that runs the command; returns its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with open(root / "said", "wb") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from styleshuffle.commands.stylize import main

        main(arguments(root))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    finally:
        os._exit(code)


def started(root: Path) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own."""
    command = [sys.executable, "-m", "styleshuffle", *arguments(root)]
    said = open(root / "said", "wb")  # noqa: SIM115 - the child writes into it
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stdout=said, stderr=said, env=environment)


def code_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ------------------------------------------------------------------------------------------------------------ the trials


def kill_at(moment: float, root: Path, whole: dict[str, bytes]) -> list[str]:
    """Kill a run at a moment and run it again; returns what went wrong."""
    shutil.rmtree(root / "out", ignore_errors=True)
    child = forked(root)
    wait_until(moment, lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    os.kill(child, signal.SIGKILL)
    code_of(child)
    faults = []
    left = contents(root / "out")
    results = {name: content for name, content in left.items() if not is_draft(name)}
    if any(whole.get(name) != content for name, content in results.items()):
        faults.append("half a file")
    code = code_of(forked(root))
    if code != 0:
        faults.append(f"the next run ended with {code}")
    after = contents(root / "out")
    if any(map(is_draft, after)):
        faults.append("leftovers after the next run")
    if {name: content for name, content in after.items() if not is_draft(name)} != whole:
        faults.append("other results after the next run")
    kind = "killed before the first result" if not results else "killed between results"
    kind = "killed while writing" if len(left) > len(results) else kind
    return faults or [kind if len(results) < len(whole) else "finished before"]


def signal_at(moment: float, number: int, root: Path, whole: dict[str, bytes]) -> list[str]:
    """Send a signal to a run at a moment; returns what went wrong."""
    shutil.rmtree(root / "out", ignore_errors=True)
    process = started(root)
    wait_until(moment, lambda: process.poll() is not None)
    process.send_signal(number)
    code, said = process.wait(), (root / "said").read_text()
    left = contents(root / "out")
    if code in (0, 128 + number) and left == whole:
        return ["finished before"]
    faults = [] if code == 128 + number else [f"exit code {code}"]
    faults += [f"printed {said.strip().splitlines()[-1]!r}"] if said else []
    faults += ["half a file"] if any(whole.get(name) != content for name, content in left.items()) else []
    return faults or ["stopped quietly"]


GOOD = ("killed before the first result", "killed between results", "killed while writing")
GOOD += ("finished before", "stopped quietly")


def trials(count: int, seconds: float, trial: Callable[[float], list[str]]) -> Counter[str]:
    """Do a trial at so many moments, spread evenly over the time that a run takes."""
    chance, tally = random.Random(0), Counter[str]()
    for index in range(count):
        tally.update(trial(seconds * (index + chance.random()) / count))
    return tally


def timed(work: Callable[[], object]) -> float:
    """The shortest time of three, in seconds: moments after the end of a run show nothing."""
    times = []
    for _ in range(3):
        before = time.monotonic()
        work()
        times.append(time.monotonic() - before)
    return min(times)


def wait_until(moment: float, ended: Callable[[], bool]) -> None:
    """Wait so many seconds, or until the run has ended by itself."""
    due = time.monotonic() + moment
    while time.monotonic() < due and not ended():
        time.sleep(min(0.002, max(0.0, due - time.monotonic())))


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--kills", default=200, help="How many runs to kill.")
@click.option("--signals", default=100, help="How many runs to send Ctrl-C, and how many SIGTERM.")
@click.option("--early", default=0.02, help="When the first signal comes, in seconds: Python itself has to start first.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write stops.json into.")
def main(kills: int, signals: int, early: float, out: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_folder(root)
        os.environ["OMP_NUM_THREADS"] = "1"  # copies of this process have no threads
        seconds = timed(lambda: (shutil.rmtree(root / "out", ignore_errors=True), started(root).wait()))
        whole = contents(root / "out")
        if len(whole) != len(PICTURES):
            raise click.ClickException((root / "said").read_text())
        tallies = {}
        for name, number in ("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM):
            late = seconds - early
            tallies[name] = trials(signals, late, lambda at, n=number: signal_at(early + at, n, root, whole))
        import styleshuffle.stylizer  # noqa: F401 - for the copies

        seconds = timed(lambda: (shutil.rmtree(root / "out"), code_of(forked(root))))
        tallies["kill -9"] = trials(kills, seconds, lambda at: kill_at(at, root, whole))
    broken = False
    for name, tally in tallies.items():
        click.echo(f"{name}: {tally.total()} moments: " + ", ".join(f"{n} {what}" for what, n in tally.most_common()))
        broken = broken or any(what not in GOOD for what in tally)
    if out is not None:
        (out / "stops.json").write_text(json.dumps(tallies, indent=1) + "\n")
    if broken:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
