"""How near do rounded weights come? Training at Q_x(x) in 2 to 8 bits beside full precision, with one worker and four.

    python benchmarks/weight_bits.py --out docs
    python benchmarks/weight_bits.py --quick
    python benchmarks/weight_bits.py --from-data

As recalled, quantized Adam converges to a neighbourhood of a stationary point, whose size goes with |x - Q_x(x)|. A
decoder from relu2_1 to the picture is trained by `QuantizedAdam`, alpha_t = eta / sqrt(t), gradients unrounded: all that
differs is the weights. They are rounded with a scale of its own for every tensor, and with the paper's fixed range 0.5.
Four workers serve a part each, and Q_x(x) is what comes down. At the end: the gradient of the loss of all training crops
at Q_x(x), which is how near to a stationary point the network is that devices run; held-out PSNR there and at x.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
import weight_bits_report
from common import DOCS, check_matplotlib, from_data_option, machine, out_option
from pages import read_data, write_data, write_page
from reconstruction import Task, images_option, load_task, prepare, process_group, psnr, shared_folder
from torch import Tensor
from torch.multiprocessing import spawn
from tqdm import tqdm

from styleshuffle.optim import QuantizedAdam
from styleshuffle.optim.rounding import PAPER_RANGE

BITS = (2, 3, 4, 6, 8)
BATCH, RATE = 4, 0.006
LAST, MEASURED = 0.2, 4  # share of the steps at the end that is measured, and how often


@dataclass(frozen=True)
class Run:
    """One training; no bits are full precision, no range a scale of its own for every tensor."""

    workers: int
    bits: int | None
    fixed_range: float | None
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """Means over the measurements at the end.

    Attributes:
        gradient: norm of the gradient of the mean loss of all training crops, at Q_x(x).
        distance: |x - Q_x(x)| over |x|.
        psnr, psnr_exact: of held-out crops, in dB, at Q_x(x) and at x.
        down: bytes that come down to a worker a step.
    """

    gradient: float
    distance: float
    psnr: float
    psnr_exact: float
    down: int


def outcomes(runs: Sequence[Run], folder: Path, steps: int, processes: int, name: str) -> list[Outcome]:
    """Runs of one worker side by side; those of several workers one after the other."""
    spawn(_work, (folder, runs, steps, processes, name), processes)
    by_process = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    if runs[0].workers > 1:
        return [Outcome(**row) for row in by_process[0]]
    return [Outcome(**by_process[index % processes][index // processes]) for index in range(len(runs))]


def _work(rank: int, folder: Path, runs: Sequence[Run], steps: int, processes: int, name: str) -> None:
    task = load_task(folder)
    if runs[0].workers > 1:
        with process_group(folder / name, rank, processes):
            done = [asdict(train(run, task, rank, steps)) for run in tqdm(runs, name, disable=rank > 0)]
    else:
        done = [asdict(train(run, task, 0, steps)) for run in tqdm(runs[rank::processes], name, disable=rank > 0)]
    (folder / f"{rank}.json").write_text(json.dumps(done))


def train(run: Run, task: Task, rank: int, steps: int) -> Outcome:
    """One worker's part of a run."""
    net = deepcopy(task.networks[run.seed])
    optimizer = QuantizedAdam(
        net.parameters(),
        RATE,
        gradient_bits=None,
        weight_bits=run.bits,
        weight_range=run.fixed_range,
        server=run.workers > 1,
    )
    random = torch.Generator().manual_seed(1000 * run.seed + rank)
    measured = {steps - round(index * LAST * steps / MEASURED) for index in range(MEASURED)}
    found: list[tuple[float, float, float, float]] = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        net(*task.batch(BATCH, random)).backward()
        optimizer.step()
        if step in measured:
            found.append(_measured(net, optimizer, task, rank))
    means = [statistics.mean(values) for values in zip(*found, strict=True)]
    return Outcome(*means, optimizer.protocol_bytes.down)


def _measured(net: Any, optimizer: QuantizedAdam, task: Task, rank: int) -> tuple[float, float, float, float]:
    """On rank 0; the others only give it the exact weights that they serve."""
    if rank:
        with optimizer.full_precision():
            return 0.0, 0.0, 0.0, 0.0
    shown = _flat(net)
    crops = len(task.training[0])
    optimizer.zero_grad()
    for features, pictures in zip(task.training[0].split(64), task.training[1].split(64), strict=True):
        (net(features, pictures) * (len(features) / crops)).backward()
    squared = sum(float(parameter.grad.square().sum()) for parameter in net.parameters())
    at_shown = psnr(task.error(net))
    with optimizer.full_precision():
        exact = _flat(net)
        at_exact = psnr(task.error(net))
    return squared**0.5, float((exact - shown).norm() / exact.norm()), at_shown, at_exact


def _flat(net: Any) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


@dataclass(frozen=True)
class Setup:
    """What the command line says; see `main`."""

    steps: int
    seeds: int
    workers: int
    cores: int
    crops: int
    bits: tuple[int, ...]


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    """Data of the page: facts, and a row for each run."""
    rows = []
    for workers in (1, setup.workers):
        runs = [Run(workers, None, None, seed) for seed in range(setup.seeds)]
        runs += [
            Run(workers, bits, fixed, seed)
            for fixed in (None, PAPER_RANGE)
            for bits in setup.bits
            for seed in range(setup.seeds)
        ]
        done = outcomes(runs, folder, setup.steps, setup.cores if workers == 1 else workers, f"{workers} workers")
        rows += [asdict(run) | asdict(outcome) for run, outcome in zip(runs, done, strict=True)]
    facts = {"machine": machine(), "batch": BATCH, "rate": RATE, "last": LAST}
    return {"facts": facts | asdict(setup), "runs": rows}


@click.command(context_settings={"show_default": True})
@images_option
@click.option("--steps", default=600, type=click.IntRange(20), help="Steps of each run.")
@click.option("--seeds", default=2, type=click.IntRange(1), help="Runs of each setting.")
@click.option("--workers", default=4, type=click.IntRange(2), help="Several workers: how many.")
@click.option("--cores", default=2, type=click.IntRange(1), help="Runs of one worker side by side.")
@click.option("--crops", default=1024, type=click.IntRange(256), help="Crops to train on.")
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help="A few short runs.")
def main(images: tuple[Path, ...], out: Path | None, from_data: bool, quick: bool, **settings: Any) -> None:
    """Print how near to a stationary point rounded weights come."""
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "weight_bits.json")
    else:
        settings["bits"] = BITS
        if quick:
            settings |= {"steps": 60, "seeds": 1, "bits": (2, 4, 8), "crops": 256}
        start = time.monotonic()
        with shared_folder(prepare(images, 2, settings["crops"], 64, settings["seeds"])) as folder:
            data = measure(Setup(**settings), folder)
        data["facts"] |= {"minutes": (time.monotonic() - start) / 60, "quick": quick}
    marks = weight_bits_report.marks(data)
    click.echo(f"{marks['table']}\n\n{marks['verdicts']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "weight_bits.json", data)
        write_page(out, "weight_bits", marks)
        weight_bits_report.draw(data, out / "weight_bits.png")


if __name__ == "__main__":
    main()
