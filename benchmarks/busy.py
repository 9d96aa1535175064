"""Time of a picture on a busy machine against an idle one, by how torch's threads wait for each other.

    python benchmarks/busy.py
    python benchmarks/busy.py --size 512 --repeat 3 --out docs

Beside the picture runs a program in a busy loop for each core, so the picture can have half of the machine: 2.0 times the
idle time is the best there is. Each time is of a new process, because libgomp reads how its threads wait when torch is
imported. The settings take turns.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Any

import click
from common import SAMPLES, busy_loops, fresh_process, machine, out_option
from pages import table
from performance import record

from styleshuffle.commands.process import SPIN_COUNT

CONTENT, STYLE = SAMPLES / "content" / "astronaut.jpg", SAMPLES / "style" / "swirling_night.jpg"


def settings(counts: tuple[int, ...]) -> dict[str, dict[str, str]]:
    """Ways in which threads wait, by name: the variables that set them."""
    own = {f"GOMP_SPINCOUNT={count}": {"GOMP_SPINCOUNT": str(count)} for count in counts}
    return {
        "as torch does": {"GOMP_SPINCOUNT": "300000"},
        **own,
        "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    }


def measure(size: int, repeat: int, runs: int, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Median seconds of a picture with its style, idle and beside busy loops."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ways = settings(counts)
    seconds: dict[str, dict[int, list[float]]] = {name: {0: [], cores: []} for name in ways}
    for _ in range(runs):
        for name, variables in ways.items():
            for loops in (0, cores):
                with busy_loops(loops):
                    picture = fresh_process(
                        "one_picture.py", CONTENT, STYLE, "--size", size, "--repeat", repeat, "--warm-up",
                        environment=variables,
                    )  # fmt: skip
                seconds[name][loops].append(picture["with style"])
    return [
        {"setting": name, "idle": statistics.median(times[0]), "busy": statistics.median(times[cores])}
        for name, times in seconds.items()
    ]


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of them."""
    lines = [
        [row["setting"], f"{row['idle']:.2f} s", f"{row['busy']:.2f} s", f"{row['busy'] / row['idle']:.1f}"]
        for row in rows
    ]
    said = table(["Threads wait", "idle", "beside a busy loop on each core", "times as long"], lines)
    return (
        f"{facts['size']} x {facts['size']} on {facts['machine']}; the commands set GOMP_SPINCOUNT={facts['set']}. "
        f"Measured by `{facts['command']}`.\n\n{said}"
    )


@click.command(context_settings={"show_default": True})
@click.option("--size", default=512, type=click.IntRange(32), help="Long side of the picture.")
@click.option("--repeat", default=3, type=click.IntRange(1), help="Pictures of a process, of which the median counts.")
@click.option("--runs", default=3, type=click.IntRange(1), help="Processes for each setting, of which the median counts.")
@click.option("--spin", multiple=True, default=(30000, 3000, 300), type=click.IntRange(0), help="GOMP_SPINCOUNT to try.")
@out_option
def main(size: int, repeat: int, runs: int, spin: tuple[int, ...], out: Path | None) -> None:
    """Print how much longer a picture takes on a busy machine."""
    facts = {
        "size": size,
        "machine": machine(),
        "set": SPIN_COUNT,
        "command": f"python benchmarks/busy.py --size {size} --repeat {repeat} --runs {runs}",
    }
    rows = measure(size, repeat, runs, spin)
    click.echo(section(facts, rows))
    if out:
        record(out, "busy", facts, rows)


if __name__ == "__main__":
    main()
