"""Which r is best on real networks? Generic Adam with theta_t = 1 - a / t^r beside Adam, AMSGrad and RMSProp.

    python benchmarks/r_sweep.py --out docs
    python benchmarks/r_sweep.py --quick
    python benchmarks/r_sweep.py --from-data

Three trainings (see `small_jobs.py`). All optimisers take alpha_t = eta / sqrt(t), so they differ only in what they
divide by: generic Adam has a = 0.01 + 0.99 r, as in `counterexample.py`, so r = 0 is Adam with theta = 0.99 and without
bias correction. Every optimiser takes the eta that is best for it, by the loss of the first seed on held-out data.

Runs go side by side, one a core, with one thread each.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import r_sweep_report
import torch
from common import DOCS, check_matplotlib, from_data_option, machine, out_option
from pages import read_data, write_data, write_page
from reconstruction import Task, images_option, load_task, shared_folder
from small_jobs import NAMES, SAYS, task
from torch import Tensor
from torch.multiprocessing import spawn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from styleshuffle.optim import GenericAdam

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
BATCHES = {"decoder": 4, "encoder": 4, "digits": 16}
RATES = {"decoder": (0.003, 0.006, 0.012), "encoder": (0.006, 0.012, 0.024), "digits": (0.005, 0.01, 0.02)}
LAST = 0.1  # share of the steps at the end over which the held-out loss is averaged
MEASURED = 10  # measurements of the held-out loss in that share


@dataclass(frozen=True)
class Run:
    """One training of a job."""

    optimizer: str
    rate: float
    seed: int = 0


def optimizers() -> dict[str, Callable[[Iterable[Tensor], float], Optimizer]]:
    """How to make each of them."""
    made: dict[str, Callable[[Iterable[Tensor], float], Optimizer]] = {
        f"generic Adam, r = {r:g}": lambda params, rate, r=r: GenericAdam(params, rate, r=r, a=0.01 + 0.99 * r)  # type: ignore[misc]
        for r in EXPONENTS
    }
    made["Adam, theta = 0.99"] = lambda params, rate: torch.optim.Adam(params, rate, betas=(0.9, 0.99))
    made["Adam, theta = 0.999"] = lambda params, rate: torch.optim.Adam(params, rate, betas=(0.9, 0.999))
    made["AMSGrad, theta = 0.999"] = lambda params, rate: torch.optim.Adam(params, rate, amsgrad=True)
    made["RMSProp, theta = 0.99"] = lambda params, rate: torch.optim.RMSprop(params, rate, momentum=0.9)
    return made


def losses(runs: Sequence[Run], folder: Path, batch: int, steps: int, processes: int, name: str) -> list[float]:
    """The held-out loss at the end of each run."""
    spawn(_work, (folder, runs, batch, steps, processes, name), processes)
    by_process = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    return [by_process[index % processes][index // processes] for index in range(len(runs))]


def _work(rank: int, folder: Path, runs: Sequence[Run], batch: int, steps: int, processes: int, name: str) -> None:
    some = load_task(folder)
    warnings.simplefilter("ignore", UserWarning)  # r = 0 does not fulfil the condition: that is the point
    done = [train(run, some, batch, steps) for run in tqdm(runs[rank::processes], name, disable=rank > 0)]
    (folder / f"{rank}.json").write_text(json.dumps(done))


def train(run: Run, some: Task, batch: int, steps: int) -> float:
    """The mean held-out loss over the last steps."""
    net = deepcopy(some.networks[run.seed])
    rate = run.rate * (1 - 0.9 if run.optimizer.startswith("RMSProp") else 1)  # its momentum adds up, Adam's averages
    optimizer = optimizers()[run.optimizer](net.parameters(), rate)
    if not isinstance(optimizer, GenericAdam):
        scheduler = LambdaLR(optimizer, lambda done: (done + 1) ** -0.5)
    random = torch.Generator().manual_seed(1000 + run.seed)
    measured = {steps - round(index * LAST * steps / MEASURED) for index in range(MEASURED)}
    found = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        net(*some.batch(batch, random)).backward()
        optimizer.step()
        if not isinstance(optimizer, GenericAdam):
            scheduler.step()
        if step in measured:
            found.append(some.error(net))
    return statistics.mean(found)


@dataclass(frozen=True)
class Setup:
    """What the command line says; see `main`."""

    steps: int
    seeds: int
    crops: int
    cores: int
    rates: int


def measure(setup: Setup, folders: Sequence[Path]) -> dict[str, Any]:
    """Data of the page: facts, and a row for each run with its job and its loss."""
    rows = []
    for name in NAMES:
        rates = RATES[name][: setup.rates] if setup.rates > 1 else RATES[name][1:2]
        with shared_folder(task(name, folders, setup.crops, setup.seeds)) as folder:

            def trained(runs: list[Run], folder: Path = folder, name: str = name) -> list[dict[str, Any]]:
                done = losses(runs, folder, BATCHES[name], setup.steps, setup.cores, name)
                return [{"job": name, **asdict(run), "loss": loss} for run, loss in zip(runs, done, strict=True)]

            tried = trained([Run(optimizer, rate) for optimizer in optimizers() for rate in rates])
            best = {
                optimizer: min((row for row in tried if row["optimizer"] == optimizer), key=lambda row: row["loss"])[
                    "rate"
                ]
                for optimizer in optimizers()
            }
            rows += tried
            others = [Run(optimizer, best[optimizer], seed) for seed in range(1, setup.seeds) for optimizer in best]
            if others:
                rows += trained(others)
    facts = {"machine": machine(), "batches": BATCHES, "says": SAYS, "last": LAST}
    return {"facts": facts | asdict(setup), "runs": rows}


@click.command(context_settings={"show_default": True})
@images_option
@click.option("--steps", default=1000, type=click.IntRange(50), help="Steps of each run.")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Runs with the best eta.")
@click.option("--crops", default=1024, type=click.IntRange(300), help="Crops to train the decoder and the encoder on.")
@click.option("--cores", default=2, type=click.IntRange(1), help="Runs side by side.")
@click.option("--rates", default=3, type=click.IntRange(1, 3), help="Etas to try.")
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help="Short runs with one eta and one seed.")
def main(images: tuple[Path, ...], out: Path | None, from_data: bool, quick: bool, **settings: Any) -> None:
    """Print the held-out losses of all optimisers on three jobs."""
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "r_sweep.json")
    else:
        if quick:
            settings |= {"steps": 100, "seeds": 1, "crops": 300, "rates": 1}
        start = time.monotonic()
        data = measure(Setup(**settings), images)
        data["facts"] |= {"minutes": (time.monotonic() - start) / 60, "quick": quick}
    marks = r_sweep_report.marks(data)
    click.echo(f"{marks['tables']}\n\n{marks['verdicts']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "r_sweep.json", data)
        write_page(out, "r_sweep", marks)
        r_sweep_report.draw(data, out / "r_sweep.png")


if __name__ == "__main__":
    main()
