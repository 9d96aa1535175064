"""What several benchmarks share: folders, times, the machine, and the options for output. It does not import torch."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
DOCS = ROOT / "docs"


def median_seconds(works: Mapping[str, Callable[[], object]], repeat: int, warm_up: int = 1) -> dict[str, float]:
    """Median time in seconds of each piece of work.

    They take turns, so that what else the machine does disturbs all alike; the first ``warm_up`` turns do not count.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-warm_up, repeat):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes."""
    try:  # of this program alone; the number below also holds that of the process which started it
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, the BSDs kibibytes


def fresh_process(script: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """What a script of this folder says, as JSON on its standard output, when it runs as a new process.

    Args:
        environment: variables to set; those that say how torch's threads wait are removed before.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(
        command, env={**kept, "PYTHONPATH": path, **(environment or {})}, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


@contextmanager
def busy_loops(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Other programs that want the processor all the time, for as long as the block runs."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def machine() -> str:
    """The kind of machine, and the version of torch."""
    return f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), torch {version('torch').split('+')[0]}"


def command_options(settings: Any, defaults: Any) -> str:
    """The options of the command line by which settings, a dataclass, differ from the defaults."""
    options = []
    for field in fields(settings):
        value, name = getattr(settings, field.name), field.name.replace("_", "-")
        if value != getattr(defaults, field.name):
            if isinstance(value, bool):
                options.append(f"--{name}" if value else f"--no-{name}")
            else:
                parts = value if isinstance(value, tuple) else (value,)
                options.append(
                    f"--{name} {','.join(f'{part:g}' if isinstance(part, float) else str(part) for part in parts)}"
                )
    return " ".join(options)


out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the data, the page and its figures."
)
from_data_option = click.option(
    "--from-data", is_flag=True, help="Do not measure; make the page anew from the data in --out, or else in docs."
)


def check_matplotlib(out: Path | None) -> None:
    """Refuse ``--out`` before measuring if its figures cannot be drawn."""
    if out and find_spec("matplotlib") is None:
        raise click.UsageError("--out needs matplotlib; pip install 'styleshuffle[plot]'")
