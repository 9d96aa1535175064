"""Throughput of many small pictures on 1, 2 and 4 workers of torchrun, and what the death of a worker costs.

    python benchmarks/many.py --pictures 100
    python benchmarks/many.py --pictures 10000 --workers 1,2,4 --out docs

Each worker computes on one core. The rate is taken between the first result and the last; the start is given apart. With
as many workers as cores, or more, the best rate there is is that of one worker times the cores; the share of it that is
missing is lost to the workers' talking and to waiting for the slowest.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import ROOT, SAMPLES, machine, out_option
from pages import table
from performance import record
from PIL import Image

STYLE = SAMPLES / "style" / "swirling_night.jpg"


def contents(folder: Path, count: int, side: int) -> None:
    """Small pictures of soft random blots, in subfolders of a thousand."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"{number // 1000:02}"
        place.mkdir(parents=True, exist_ok=True)
        blots = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        blots.resize((side, side), Image.Resampling.BICUBIC).save(place / f"{number % 1000:03}.jpg", quality=90)


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def command(photos: Path, output: Path) -> list[str]:
    return ["-m", "styleshuffle", str(photos), str(STYLE), "-o", str(output), "--device", "cpu"]


def results(output: Path) -> list[Path]:
    return [path for path in output.rglob("*.jpg") if not path.name.startswith(".")]


def under_torchrun(workers: int, photos: Path, output: Path) -> None:
    """Stylize with workers that torchrun starts."""
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
    done = subprocess.run(
        [sys.executable, *run, *command(photos, output)], env=environment(), capture_output=True, text=True
    )
    if done.returncode:
        raise click.ClickException(f"{workers} workers: exit code {done.returncode}: {done.stderr[-500:]}")


def with_a_death(workers: int, photos: Path, output: Path, total: int) -> None:
    """Start the workers one by one, as other launchers do, and kill one when a third of the results are there."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    place = {"WORLD_SIZE": str(workers), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, *command(photos, output)], env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **place),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for rank in range(workers)
    ]  # fmt: skip
    while len(results(output)) < total // 3 and started[0].poll() is None:
        time.sleep(0.2)
    started[-1].send_signal(signal.SIGKILL)
    codes = [process.wait() for process in started]
    if any(codes[:-1]):
        raise click.ClickException(f"the workers that were not killed ended with {codes[:-1]}")


def measured(workers: int, count: int, photos: Path, run: Callable[[Path], None]) -> dict[str, Any]:
    """The seconds of a run, and the results a second between the first and the last."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "results"
        began = time.time()
        run(output)
        seconds = time.time() - began
        made = sorted(path.stat().st_mtime for path in results(output))
        left = [path for path in output.rglob(".*") if path.is_file()]
    if len(made) != count or left:
        raise click.ClickException(f"{workers} workers: {len(made)} results of {count}, {len(left)} files left over")
    rate = (len(made) - 1) / max(made[-1] - made[0], 1e-9)
    return {"workers": workers, "seconds": seconds, "start": made[0] - began, "rate": rate}


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of them."""
    lines = []
    for row in rows:
        best = rows[0]["rate"] / rows[0]["workers"] * min(row["workers"], facts["cores"])
        lost = "" if row["killed"] else f"{1 - row['rate'] / best:.0%}"
        name = f"{row['workers']}" + (", one of them killed after a third" if row["killed"] else "")
        lines.append([name, f"{row['seconds']:.0f} s", f"{row['start']:.1f} s", f"{row['rate']:.2f}", lost])
    titles = ["Workers", "all pictures", "of it the start", "pictures a second", "time lost"]
    return (
        f"{facts['pictures']:,} pictures of {facts['side']} x {facts['side']} on {facts['machine']}, one "
        f"thread for each worker. No result was lost, and no file was left over. Measured by "
        f"`{facts['command']}`.\n\n{table(titles, lines)}"
    )


@click.command(context_settings={"show_default": True})
@click.option("--pictures", default=100, type=click.IntRange(10), help="How many pictures.")
@click.option("--side", default=64, type=click.IntRange(32), help="Their side.")
@click.option("--workers", default="1,2,4", help="Numbers of workers.")
@click.option("--death/--no-death", default=True, help="Also kill one of the most workers.")
@out_option
def main(pictures: int, side: int, workers: str, death: bool, out: Path | None) -> None:
    """Print the throughput of many small pictures."""
    numbers = [int(number) for number in workers.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        contents(photos, pictures, side)
        for number in numbers:
            row = measured(number, pictures, photos, lambda output, n=number: under_torchrun(n, photos, output))
            rows.append(row | {"killed": False})
            click.echo(f"{number} workers: {row['seconds']:.0f} s, {row['rate']:.2f} pictures a second", err=True)
        if death and max(numbers) > 1:
            most = max(numbers)
            row = measured(most, pictures, photos, lambda output: with_a_death(most, photos, output, pictures))
            rows.append(row | {"killed": True})
    facts = {
        "pictures": pictures,
        "side": side,
        "machine": machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "command": f"python benchmarks/many.py --pictures {pictures} --side {side} --workers {workers}",
    }
    click.echo(section(facts, rows))
    if out:
        record(out, "many", facts, rows)


if __name__ == "__main__":
    main()
