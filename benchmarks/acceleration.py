"""How many steps larger mini-batches and more workers save.

    python benchmarks/acceleration.py --out docs
    python benchmarks/acceleration.py --quick
    python benchmarks/acceleration.py --from-data

Trains the decoder's segments from relu2_1 to the picture, in whitened coordinates, on small crops of real pictures until
held-out crops reach a fixed PSNR, and counts the steps:

- with mini-batches of several sizes, one worker, `GenericAdam`;
- with several workers of equal batch: the mean of their gradients (DistributedDataParallel and `GenericAdam`), or the
  mean of the updates that each makes with moments of its own (`QuantizedAdam` that quantises nothing).

The PSNR to reach is what batch 1 reaches in ``--steps`` steps with the best eta of a grid. All take theta_t = 1 - 0.9 / t
and alpha_t = eta / sqrt(t), with that eta or a multiple of it: docs/acceleration.md says which, and why.

Workers are processes on this machine, with one thread each. Runs of one worker go side by side, one on each core.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import acceleration_report
import click
import torch
import torch.distributed as dist
from acceleration_report import LOCAL, MEAN
from common import DOCS, check_matplotlib, from_data_option, machine, out_option
from pages import read_data, write_data, write_page
from reconstruction import SIDE, Task, images_option, in_parallel, load_task, prepare, process_group, psnr, shared_folder
from torch import nn
from torch.multiprocessing import spawn
from torch.optim import Optimizer
from tqdm import tqdm

from styleshuffle.errors import StyleShuffleError
from styleshuffle.optim import GenericAdam
from styleshuffle.optim.quantized_adam import QuantizedAdam

LEVEL = 2
RATES = (0.003, 0.0042, 0.006, 0.0085, 0.012)
FIRST, SPACING = 16, 1.03  # held-out crops are measured at step 16, and after 3 % more steps each time
SMOOTHED = 10  # measurements, whose mean counts
PATIENCE = 1.5  # batch 1 may take this many times as many steps as it should
WASTE = 5  # any run may see this many times as many pictures as batch 1 should


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        method: MEAN or LOCAL, what the workers take the mean of.
        batch: of each worker.
        rate: eta.
        growth: which power of the batch, or for LOCAL of the number of workers, eta is multiplied by.
        most: steps after which it gives up.
        target: PSNR at which it stops.
    """

    method: str
    workers: int
    batch: int
    rate: float
    growth: float
    seed: int
    most: int
    target: float = math.inf


Curve = list[tuple[int, float]]  # steps, and the smoothed PSNR of held-out crops after them


def curves(runs: Sequence[Run], folder: Path, processes: int, name: str) -> list[Curve]:
    """Train: runs of one worker side by side; those of several workers, each on all processes, one after the other."""
    spawn(_work, (processes, folder, runs, name), processes)
    by_process = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    if runs[0].workers > 1:
        return by_process[0]
    return [by_process[index % processes][index // processes] for index in range(len(runs))]


def _work(rank: int, processes: int, folder: Path, runs: Sequence[Run], name: str) -> None:
    """What each process does."""
    task = load_task(folder)
    if runs[0].workers > 1:
        with process_group(folder / name, rank, processes):
            trained = [train(run, task, rank) for run in tqdm(runs, name, disable=rank > 0)]
    else:
        trained = [train(run, task, 0) for run in tqdm(runs[rank::processes], name, disable=rank > 0)]
    (folder / f"{rank}.json").write_text(json.dumps(trained))


def train(run: Run, task: Task, rank: int) -> Curve:
    """One worker's part of a run; rank 0 measures and says when to stop."""
    net = deepcopy(task.networks[run.seed])
    model: nn.Module
    optimizer: Optimizer
    if run.method == LOCAL:
        model, optimizer = net, QuantizedAdam(net.parameters(), run.rate, gradient_bits=None)
    else:
        model = in_parallel(net) if run.workers > 1 else net
        optimizer = GenericAdam(net.parameters(), run.rate)
    random = torch.Generator().manual_seed(1000 * run.seed + rank)
    measured = {round(FIRST * SPACING**k) for k in range(400)}
    errors: list[float] = []
    curve: Curve = []
    for step in range(1, run.most + 1):
        optimizer.zero_grad()
        model(*task.batch(run.batch, random)).backward()
        optimizer.step()
        if step in measured:
            error = torch.tensor(task.error(net) if rank == 0 else 0.0)
            if run.workers > 1:
                dist.broadcast(error, 0)
            errors.append(float(error))
            curve.append((step, psnr(statistics.mean(errors[-SMOOTHED:]))))
            if curve[-1][1] >= run.target:
                break
    return curve


def steps_to(target: float, curve: Curve) -> float | None:
    """When a curve first gets there, interpolated in log t."""
    if curve and curve[0][1] >= target:
        return curve[0][0]
    for (step, low), (later, high) in pairwise(curve):
        if low < target <= high:
            return step * (later / step) ** ((target - low) / (high - low))
    return None


def reached(curve: Curve, steps: int) -> float:
    """PSNR at the last measurement up to a step."""
    return [value for step, value in curve if step <= steps][-1]


@dataclass(frozen=True)
class Setup:
    """What the command line says; see `main`."""

    steps: int
    batches: tuple[int, ...]
    workers: tuple[int, ...]
    worker_batch: int
    growths: tuple[float, ...]
    rates: tuple[float, ...]
    seeds: int
    cores: int


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    """Data of the page: facts, and for each run of the chosen eta its settings and the steps it took, or None."""
    seeds = range(setup.seeds)
    tuning = [Run(MEAN, 1, 1, rate, 0, seed, round(PATIENCE * setup.steps)) for rate in setup.rates for seed in seeds]
    tuned = list(zip(tuning, curves(tuning, folder, setup.cores, "batch 1"), strict=True))
    by_rate = {
        rate: statistics.median(reached(curve, setup.steps) for run, curve in tuned if run.rate == rate)
        for rate in setup.rates
    }
    best = max(by_rate, key=by_rate.__getitem__)
    target = by_rate[best]

    def runs(method: str, workers: int, batch: int, growth: float) -> list[Run]:
        rate = best * (workers if method == LOCAL else batch) ** growth
        most = WASTE * setup.steps // (batch * workers)
        return [Run(method, workers, batch, rate, growth, seed, most, target) for seed in seeds]

    done = [(run, curve) for run, curve in tuned if run.rate == best]
    batches = sorted({*setup.batches, setup.worker_batch} - {1})
    alone = [run for batch in batches for growth in setup.growths for run in runs(MEAN, 1, batch, growth)]
    if alone:
        done += zip(alone, curves(alone, folder, setup.cores, "mini-batches"), strict=True)
    for workers in sorted({*setup.workers} - {1}):
        ways = ((MEAN, 0.0), (LOCAL, 0.0), (LOCAL, 0.5))
        together = [run for method, growth in ways for run in runs(method, workers, setup.worker_batch, growth)]
        done += zip(together, curves(together, folder, workers, f"{workers} workers"), strict=True)
    facts = {"target": target, "rate": best, "by_rate": by_rate, "machine": machine(), "level": LEVEL, "side": SIDE}
    rows = [{**asdict(run), "steps": steps_to(target, curve)} for run, curve in done]
    kept = ("method", "workers", "batch", "rate", "growth", "seed", "steps")
    return {"facts": facts | asdict(setup), "runs": [{name: row[name] for name in kept} for row in rows]}


@click.command(context_settings={"show_default": True})
@images_option
@click.option("--steps", default=4000, type=click.IntRange(50), help="Steps of batch 1 that make the PSNR to reach.")
@click.option("--batch", "batches", multiple=True, default=(1, 2, 4, 8, 16), type=click.IntRange(1), help="Mini-batch.")
@click.option("--workers", multiple=True, default=(1, 2, 4, 8), type=click.IntRange(1), help="Number of workers.")
@click.option("--worker-batch", default=2, type=click.IntRange(1), help="Mini-batch of each of several workers.")
@click.option(
    "--growth",
    "growths",
    multiple=True,
    default=(0.0, 0.5),
    type=click.FloatRange(0),
    help="Power of the mini-batch that eta is multiplied by.",
)
@click.option(
    "--rate", "rates", multiple=True, default=RATES, type=click.FloatRange(0, min_open=True), help="Eta to try."
)
@click.option("--seeds", default=3, type=click.IntRange(1), help="Runs of each setting, whose median counts.")
@click.option("--cores", default=2, type=click.IntRange(1), help="Runs of one worker side by side.")
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help="A few short runs, a minute.")
def main(images: tuple[Path, ...], out: Path | None, from_data: bool, quick: bool, **settings: Any) -> None:
    """Print how many steps mini-batches and workers save."""
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "acceleration.json")
    else:
        if quick:
            settings |= {"steps": 300, "batches": (1, 4), "workers": (1, 2), "rates": (0.006,), "seeds": 1}
        start = time.monotonic()
        try:
            with shared_folder(prepare(images, LEVEL, 1024, 32, settings["seeds"])) as folder:
                data = measure(Setup(**settings), folder)
        except StyleShuffleError as error:
            raise click.ClickException(str(error)) from None
        data["facts"]["minutes"] = (time.monotonic() - start) / 60
    marks = acceleration_report.marks(data)
    click.echo(f"{marks['by_rate']}\n\n{marks['table']}\n\n{marks['lines']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "acceleration.json", data)
        write_page(out, "acceleration", marks)
        acceleration_report.draw(data, out / "acceleration.png")


if __name__ == "__main__":
    main()
