"""What quantised communication costs in quality, and saves in bytes, when a decoder is trained on several workers.

    python benchmarks/quantisation.py --out docs
    python benchmarks/quantisation.py --quick
    python benchmarks/quantisation.py --from-data

Trains the decoder's segments from relu3_1 to the picture, in whitened coordinates, on small crops of real pictures,
always with equally many steps and step sizes alpha_t = eta / sqrt(t), warmed up at first and cooled down at last:

- in float32, under DistributedDataParallel: torch's Adam and `GenericAdam`, each with the best eta of those to try;
- with `QuantizedAdam` and the eta of `GenericAdam`: gradients in float32, 4, 3 and 2 bits, with and without error
  feedback, weights in float32 and in 8 bits.

Bytes are counted three times: by the protocol, up to a parameter server and down from it; as gloo's algorithms send them
to the other workers; and, on Linux, as they pass the loopback device, with headers and whatever else passes there.
Workers are processes on this machine, with one thread each.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import quantisation_report
import torch
from common import DOCS, check_matplotlib, from_data_option, machine, out_option
from pages import read_data, write_data, write_page
from quantisation_report import GENERIC, QUANTIZED, TORCH, Setting
from reconstruction import SIDE, Task, images_option, in_parallel, load_task, prepare, process_group, psnr, shared_folder
from torch import nn
from torch.multiprocessing import spawn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from styleshuffle.errors import StyleShuffleError
from styleshuffle.optim import GenericAdam
from styleshuffle.optim.quantized_adam import QuantizedAdam

LEVEL = 3
BITS, WEIGHT_BITS = (4, 3, 2), 8
RATES = (0.006,)  # a larger one gains up to 0.1 dB, but runs that should be alike then differ by as much
WARM_UP, COOL_DOWN = 0.2, 0.25  # shares of the steps; without them runs that should be alike differ by some 0.1 dB
LOOPBACK, DEVICES = "lo", Path("/proc/net/dev")


@dataclass(frozen=True)
class Setup:
    """What the command line says; see `main`."""

    steps: int
    batch: int
    workers: int
    seeds: int
    rates: tuple[float, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """One training."""

    setting: Setting
    seed: int = 0


def all_runs(torch_rate: float, rate: float, seeds: int, all_bits: Sequence[int]) -> list[Run]:
    """Each setting with each seed."""
    settings = [Setting(TORCH, torch_rate), Setting(GENERIC, rate)]
    for weights in (None, WEIGHT_BITS):
        settings.append(Setting(QUANTIZED, rate, None, weights))
        settings += [Setting(QUANTIZED, rate, bits, weights, back) for bits in all_bits for back in (True, False)]
    return [Run(setting, seed) for seed in range(seeds) for setting in settings]


@dataclass(frozen=True)
class Outcome:
    """What rank 0 measured.

    Attributes:
        psnr: of the held-out crops after the last step, with the weights in full precision, in dB.
        psnr_quantised: with the weights that the network is trained with.
        up, down: bytes of the protocol a step and worker.
        sent: bytes a step and worker that gloo sends to other workers.
        device: bytes on the loopback device a step, divided by the number of workers; None where it is not known.
        milliseconds: median time of a step.
    """

    psnr: float
    psnr_quantised: float
    up: int
    down: int
    sent: float
    device: float | None
    milliseconds: float


def outcomes(runs: Sequence[Run], folder: Path, setup: Setup, name: str) -> list[Outcome]:
    """Train: all workers go through all runs."""
    spawn(_work, (folder, runs, setup, name), setup.workers)
    return [Outcome(**outcome) for outcome in json.loads((folder / f"{name}.json").read_text())]


def _work(rank: int, folder: Path, runs: Sequence[Run], setup: Setup, name: str) -> None:
    task = load_task(folder)
    with (
        process_group(folder / name, rank, setup.workers),
        tqdm(total=len(runs) * setup.steps, desc=name, disable=rank > 0) as bar,
    ):
        measured = [asdict(train(run, task, rank, setup, bar)) for run in runs]
    if rank == 0:
        (folder / f"{name}.json").write_text(json.dumps(measured))


def train(run: Run, task: Task, rank: int, setup: Setup, bar: tqdm) -> Outcome:
    """One worker's part of a run."""
    setting, net = run.setting, deepcopy(task.networks[run.seed])
    parameters, others = list(net.parameters()), setup.workers - 1
    model: nn.Module
    optimizer: Optimizer
    quantized = None
    if setting.optimizer == QUANTIZED:
        optimizer = quantized = QuantizedAdam(
            parameters,
            setting.rate,
            gradient_bits=setting.gradient_bits,
            weight_bits=setting.weight_bits,
            error_feedback=setting.feedback,
        )
        model = net
    else:
        optimizer = (GenericAdam if setting.optimizer == GENERIC else torch.optim.Adam)(parameters, setting.rate)
        model = in_parallel(net)
    scheduler = LambdaLR(optimizer, lambda done: step_size(setting.optimizer, done + 1, setup.steps))
    random = torch.Generator().manual_seed(1000 * run.seed + rank)
    times: list[float] = []
    for step in range(1, setup.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(*task.batch(setup.batch, random)).backward()
        optimizer.step()
        scheduler.step()
        times.append(time.perf_counter() - start)
        if step == 1:  # in which the workers also meet
            handed, passed = quantized.bytes_sent if quantized else 0, device_bytes()
        bar.update()
    if quantized:
        up, down, _ = quantized.protocol_bytes
        sent = (quantized.bytes_sent - handed) / (setup.steps - 1)
    else:
        up = down = 4 * sum(parameter.numel() for parameter in parameters)
        sent = 2 * others / setup.workers * up  # of a ring
    now = device_bytes()
    device = None if passed is None or now is None else (now - passed) / (setup.steps - 1) / setup.workers
    with quantized.full_precision() if quantized else nullcontext():
        full = psnr(task.error(net))
    return Outcome(full, psnr(task.error(net)), up, down, sent, device, 1000 * statistics.median(times))


def step_size(optimizer: str, step: int, steps: int) -> float:
    """What eta is multiplied by; the division by sqrt(t) is GenericAdam's and QuantizedAdam's own."""
    factor = min(1, step / (WARM_UP * steps), (1 + steps - step) / (COOL_DOWN * steps))
    return factor / math.sqrt(step) if optimizer == TORCH else factor


def device_bytes() -> int | None:
    """Sent on the loopback device since the machine was started, if the system says so."""
    if DEVICES.is_file():
        for line in DEVICES.read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == LOOPBACK:
                return int(numbers.split()[8])
    return None


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    """Data of the page: facts, and a row for each run with its setting and its outcome."""
    tuning = [Run(Setting(optimizer, rate)) for optimizer in (TORCH, GENERIC) for rate in setup.rates]
    tuned = list(zip(tuning, outcomes(tuning, folder, setup, "tuning"), strict=True))
    tried = {
        optimizer: {run.setting.rate: outcome.psnr for run, outcome in tuned if run.setting.optimizer == optimizer}
        for optimizer in (TORCH, GENERIC)
    }
    torch_rate, rate = (max(by_rate, key=by_rate.__getitem__) for by_rate in tried.values())
    runs = all_runs(torch_rate, rate, setup.seeds, setup.bits)
    results = zip(runs, outcomes(runs, folder, setup, "training"), strict=True)
    facts = {"tried": tried, "machine": machine(), "level": LEVEL, "side": SIDE}
    return {
        "facts": facts | {"warm_up": WARM_UP, "cool_down": COOL_DOWN} | asdict(setup),
        "runs": [asdict(run.setting) | {"seed": run.seed} | asdict(outcome) for run, outcome in results],
    }


@click.command(context_settings={"show_default": True})
@images_option
@click.option("--steps", default=500, type=click.IntRange(10), help="Steps of each run.")
@click.option("--batch", default=4, type=click.IntRange(1), help="Crops a step and worker.")
@click.option("--workers", default=2, type=click.IntRange(2), help="Number of workers.")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Runs of each setting, whose mean counts.")
@click.option(
    "--rate", "rates", multiple=True, default=RATES, type=click.FloatRange(0, min_open=True), help="Eta to try."
)
@click.option("--bits", multiple=True, default=BITS, type=click.IntRange(2, 4), help="Bits of a gradient.")
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help="A few short runs, a minute.")
def main(images: tuple[Path, ...], out: Path | None, from_data: bool, quick: bool, **settings: Any) -> None:
    """Print PSNR, bytes and time of training with quantised and with float32 communication."""
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "quantisation.json")
    else:
        if quick:
            settings |= {"steps": 100, "seeds": 1, "rates": (0.006,), "bits": (2,)}
        start = time.monotonic()
        try:
            with shared_folder(prepare(images, LEVEL, 1024, 64, settings["seeds"])) as folder:
                data = measure(Setup(**settings), folder)
        except StyleShuffleError as error:
            raise click.ClickException(str(error)) from None
        data["facts"]["minutes"] = (time.monotonic() - start) / 60
    marks = quantisation_report.marks(data)
    click.echo(f"{marks['tried']}\n\n{marks['table']}\n\n{marks['verdicts']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "quantisation.json", data)
        write_page(out, "quantisation", marks)
        quantisation_report.draw(data, out / "quantisation.png")


if __name__ == "__main__":
    main()
