"""What quantised communication costs in quality, and saves in bytes, when a decoder is trained on several workers.

    python benchmarks/quantisation.py --out docs
    python benchmarks/quantisation.py --quick
    python benchmarks/quantisation.py --redraw --out docs

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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch
from acceleration import (
    PICTURES,
    Job,
    check_out,
    in_parallel,
    job_in_folder,
    job_of,
    machine,
    prepare,
    process_group,
    psnr,
    read_results,
    write_page,
    write_results,
)
from torch.multiprocessing import spawn
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from styleshuffle.errors import StyleShuffleError
from styleshuffle.optim import GenericAdam
from styleshuffle.optim.quantized_adam import QuantizedAdam

LEVEL = 3
TORCH, GENERIC, QUANTIZED = "torch Adam", "GenericAdam", "QuantizedAdam"
BITS, WEIGHT_BITS = (4, 3, 2), 8
RATES = (0.006,)  # a larger one gains up to 0.1 dB, but runs that should be alike then differ by as much
WARM_UP, COOL_DOWN = 0.2, 0.25  # shares of the steps; without them runs that should be alike differ by some 0.1 dB
SAME = 0.1  # dB: smaller differences do not count
LOOPBACK, DEVICES = "lo", Path("/proc/net/dev")


@dataclass(frozen=True)
class Plan:
    steps: int
    batch: int
    workers: int
    seeds: int
    rates: tuple[float, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """One training; ``None`` bits are float32."""

    optimizer: str
    rate: float
    seed: int = 0
    gradient_bits: int | None = None
    weight_bits: int | None = None
    feedback: bool = False


def all_runs(torch_rate: float, rate: float, seeds: int, all_bits: Sequence[int]) -> list[Run]:
    runs = []
    for seed in range(seeds):
        runs += [Run(TORCH, torch_rate, seed), Run(GENERIC, rate, seed)]
        for weights in (None, WEIGHT_BITS):
            runs.append(Run(QUANTIZED, rate, seed, None, weights))
            runs += [Run(QUANTIZED, rate, seed, bits, weights, back) for bits in all_bits for back in (True, False)]
    return runs


# ---------------------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Outcome:
    """What rank 0 found.

    Attributes:
        psnr: of the held-out crops after the last step, with the weights in full precision.
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


def outcomes(runs: Sequence[Run], folder: Path, plan: Plan, name: str) -> list[Outcome]:
    """Train: all workers go through all runs."""
    spawn(_work, (folder, runs, plan, name), plan.workers)
    return [Outcome(**found) for found in json.loads((folder / f"{name}.json").read_text())]


def _work(rank: int, folder: Path, runs: Sequence[Run], plan: Plan, name: str) -> None:
    job = job_of(folder)
    with (
        process_group(folder / name, rank, plan.workers),
        tqdm(total=len(runs) * plan.steps, desc=name, disable=rank > 0) as bar,
    ):
        found = [asdict(train(run, job, rank, plan, bar)) for run in runs]
    if rank == 0:
        (folder / f"{name}.json").write_text(json.dumps(found))


def train(run: Run, job: Job, rank: int, plan: Plan, bar: tqdm) -> Outcome:
    """One worker's part of a run."""
    net = deepcopy(job.nets[run.seed])
    parameters, others = list(net.parameters()), plan.workers - 1
    quantized = None
    if run.optimizer == QUANTIZED:
        optimizer = quantized = QuantizedAdam(
            parameters,
            run.rate,
            gradient_bits=run.gradient_bits,
            weight_bits=run.weight_bits,
            error_feedback=run.feedback,
        )
        model = net
    else:
        optimizer = (GenericAdam if run.optimizer == GENERIC else torch.optim.Adam)(parameters, run.rate)
        model = in_parallel(net)
    scheduler = LambdaLR(optimizer, lambda done: step_size(run, done + 1, plan.steps))
    random = torch.Generator().manual_seed(1000 * run.seed + rank)
    times: list[float] = []
    for step in range(1, plan.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(*job.batch(plan.batch, random)).backward()
        optimizer.step()
        scheduler.step()
        times.append(time.perf_counter() - start)
        if step == 1:  # in which the workers also meet
            handed, passed = quantized.bytes_sent if quantized else 0, device_bytes()
        bar.update()
    if quantized:
        up, down, _ = quantized.protocol_bytes
        sent = others * (quantized.bytes_sent - handed) / (plan.steps - 1)
    else:
        up = down = 4 * sum(parameter.numel() for parameter in parameters)
        sent = 2 * others / plan.workers * up  # of a ring
    device = None if passed is None else (device_bytes() - passed) / (plan.steps - 1) / plan.workers
    with quantized.full_precision() if quantized else nullcontext():
        full = psnr(job.error(net))
    return Outcome(full, psnr(job.error(net)), up, down, sent, device, 1000 * statistics.median(times))


def step_size(run: Run, step: int, steps: int) -> float:
    """What eta is multiplied by; the division by sqrt(t) is GenericAdam's and QuantizedAdam's own."""
    factor = min(1, step / (WARM_UP * steps), (1 + steps - step) / (COOL_DOWN * steps))
    return factor / math.sqrt(step) if run.optimizer == TORCH else factor


def device_bytes() -> int | None:
    """Sent on the loopback device since the machine was started, if the system says so."""
    if DEVICES.is_file():
        for line in DEVICES.read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == LOOPBACK:
                return int(numbers.split()[8])
    return None


# ------------------------------------------------------------------------------------------------------- all the runs


def measure(plan: Plan, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts, and a row for each run with what came out."""
    tuning = [Run(optimizer, rate) for optimizer in (TORCH, GENERIC) for rate in plan.rates]
    tuned = list(zip(tuning, outcomes(tuning, folder, plan, "tuning"), strict=True))
    tried = {
        optimizer: {run.rate: found.psnr for run, found in tuned if run.optimizer == optimizer}
        for optimizer in (TORCH, GENERIC)
    }
    best = [max(found, key=found.__getitem__) for found in tried.values()]
    runs = all_runs(*best, plan.seeds, plan.bits)
    found = outcomes(runs, folder, plan, "training")
    rows = [asdict(run) | asdict(outcome) for run, outcome in zip(runs, found, strict=True)]
    return {"tried": tried, "machine": machine(), **asdict(plan)}, rows


@dataclass(frozen=True)
class Point:
    """All seeds of one setting; numbers are means, ``differences`` those in PSNR to `GenericAdam` of the same seed."""

    run: Run
    psnr: float
    psnr_quantised: float
    differences: list[float]
    up: int
    down: int
    sent: float
    device: float | None
    milliseconds: float

    @property
    def difference(self) -> float:
        return statistics.mean(self.differences)


def points(rows: Sequence[dict[str, Any]]) -> list[Point]:
    grouped: dict[Run, list[dict[str, Any]]] = {}
    for row in rows:
        bits = [row[name] and int(row[name]) for name in ("gradient_bits", "weight_bits")]
        key = Run(row["optimizer"], row["rate"], 0, *bits, row["feedback"] in (True, "True"))
        grouped.setdefault(key, []).append(row)
    reference = {row["seed"]: row["psnr"] for row in rows if row["optimizer"] == GENERIC}
    found = []
    for run, some in grouped.items():
        of = {name: [row[name] for row in some] for name in some[0]}
        found.append(
            Point(
                run,
                statistics.mean(of["psnr"]),
                statistics.mean(of["psnr_quantised"]),
                [row["psnr"] - reference[row["seed"]] for row in some],
                int(some[0]["up"]),
                int(some[0]["down"]),
                some[0]["sent"],
                None if None in of["device"] else statistics.median_low(of["device"]),
                statistics.median(of["milliseconds"]),
            )
        )
    return found


# ----------------------------------------------------------------------------------------------------------- the page


def report(facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: what was run, the table, and what it says."""
    found = points(rows)
    float32 = next(point for point in found if point.run.optimizer == GENERIC)
    lines = [
        f"{facts['machine']}; {facts['minutes']:.0f} minutes. {facts['workers']} workers, {facts['batch']} crops a step "
        f"each, {facts['steps']} steps, mean of {facts['seeds']} seeds. PSNR of seed 0 by eta:",
        "",
    ]
    for name, by_rate in facts["tried"].items():
        tried = ", ".join(f"{value:.2f} dB at {float(rate):g}" for rate, value in by_rate.items())
        lines.append(f"- {name}: {tried}")
    lines += [
        "",
        "| optimiser | gradient | weights | feedback | PSNR | above GenericAdam (by seed) | protocol up, bytes | down "
        "| up, times fewer | sent to others | on the device | ms a step |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for point in found:
        cells = [
            point.run.optimizer + ("" if point.run.optimizer == QUANTIZED else ", DDP"),
            _bits(point.run.gradient_bits),
            _bits(point.run.weight_bits),
            "" if point.run.gradient_bits is None else "yes" if point.run.feedback else "no",
            f"{point.psnr:.2f}",
            f"{point.difference:+.2f} ({', '.join(f'{some:+.2f}' for some in point.differences)})",
            f"{point.up:,}",
            f"{point.down:,}",
            f"{float32.up / point.up:.1f}",
            f"{point.sent:,.0f}",
            "unknown" if point.device is None else f"{point.device:,.0f}",
            f"{point.milliseconds:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "![PSNR over bytes and time](quantisation.png)", ""]
    return "\n".join(lines + [f"- {line}" for line in _verdicts(found, float32)])


def _bits(bits: int | None) -> str:
    return "float32" if bits is None else f"{bits} bits"


def _name(run: Run) -> str:
    return f"{_bits(run.gradient_bits)} up, {_bits(run.weight_bits)} down"


def _verdicts(found: Sequence[Point], float32: Point) -> list[str]:
    quantised = [point for point in found if point.run.gradient_bits]
    fed = [point for point in quantised if point.run.feedback]
    lines = []
    for what, some in (
        (f"Not more than {SAME} dB below GenericAdam", [point for point in fed if point.difference >= -SAME]),
        (f"More than {SAME} dB below it", [point for point in fed if point.difference < -SAME]),
    ):
        names = "; ".join(f"{_name(point.run)} ({point.difference:+.2f} dB)" for point in some)
        lines.append(f"{what}, with feedback: {names or 'none'}.")
    losses = []
    for point in fed:
        without = next(other for other in quantised if other.run == replace(point.run, feedback=False))
        losses.append(f"{without.psnr - point.psnr:+.2f} dB for {_name(point.run)}")
    lines.append(f"Without feedback, compared with feedback: {'; '.join(losses)}.")
    fewer = [f"{float32.up / point.up:.1f} times for {_name(point.run)}" for point in fed if not point.run.weight_bits]
    lines.append(f"Fewer bytes up than float32: {'; '.join(fewer)}.")
    coded = [
        f"{point.psnr_quantised - point.psnr:+.3f} dB for {_name(point.run)}"
        for point in found
        if point.run.weight_bits and (point.run.feedback or not point.run.gradient_bits)
    ]
    lines.append(f"With the quantised weights, compared with those in full precision: {'; '.join(coded)}.")
    fewest = min(fed, key=lambda point: point.sent)
    saved, added = float32.sent - fewest.sent, fewest.milliseconds - float32.milliseconds
    if added > 0:
        worth = f"saves time where a worker sends less than {saved / added / 1000:.0f} MB a second"
    else:
        worth = "is not slower even here, where sending costs next to nothing"
    lines.append(
        f"{_name(fewest.run)}: {fewest.milliseconds:.0f} ms a step, GenericAdam {float32.milliseconds:.0f} ms, and "
        f"{saved:,.0f} bytes less to send: it {worth}."
    )
    return lines


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """PSNR over bytes by protocol, bytes sent, and time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    axes_of = {
        "protocol: kB up and down a step and worker": lambda point: (point.up + point.down) / 1000,
        "kB sent to other workers a step and worker": lambda point: point.sent / 1000,
        "ms a step": lambda point: point.milliseconds,
    }
    for axes, (label, x) in zip(panels, axes_of.items(), strict=True):
        for point in points(rows):
            colour, marker, name = _look(point.run)
            hollow = point.run.gradient_bits is not None and not point.run.feedback
            axes.plot(
                x(point),
                point.psnr,
                marker,
                color=colour,
                label=name,
                markerfacecolor="white" if hollow else colour,
                markersize=8,
                linestyle="none",
            )
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        if "kB" in label:
            axes.set_xscale("log")
            ticks = [tick for tick in (50, 100, 200, 500, 1000, 2000) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.minorticks_off()
    panels[0].set_ylabel("PSNR of held-out crops, dB")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _look(run: Run) -> tuple[str, str, str]:
    """Colour by what is sent up, shape by what comes down, and a name."""
    if run.optimizer != QUANTIZED:
        return {TORCH: "0.6", GENERIC: "black"}[run.optimizer], "D", f"{run.optimizer}, DDP"
    colour = {None: "tab:blue", 4: "tab:green", 3: "tab:orange", 2: "tab:red"}[run.gradient_bits]
    back = "" if run.gradient_bits is None or run.feedback else ", no feedback"
    return colour, "s" if run.weight_bits else "o", _name(run) + back


PAGE = """# What quantised communication costs and saves

    python benchmarks/quantisation.py --out docs

The decoder from relu3_1 to the picture (segments 3, 2 and 1 of the chain, in whitened coordinates) learns from crops of
32 x 32 pixels of the sample pictures; the PSNR is that of crops of other pictures. All runs take equally many steps, with
alpha_t = eta / sqrt(t), warmed up over the first fifth of them and cooled down to 0 over the last quarter: without that,
the PSNR of runs that should be alike differs by some 0.1 dB. Torch's Adam and `GenericAdam` take the mean of the workers'
gradients, in float32, by DistributedDataParallel, each with the best eta of those to try; `QuantizedAdam` has the eta of
`GenericAdam`.

RESULTS

**The bytes** are those of a step and a worker. Up and down are the protocol of Chen, Shen, Huang and Liu
(arXiv:2004.14180), with a parameter server. Sent to others is what really leaves a worker: here nothing comes down, each
worker gives every other one what it would send up, while DistributedDataParallel passes the gradients round a ring,
2 (N - 1) / N times their size for N workers. On the device is what Linux counted on the loopback device, divided by the
number of workers: with headers, and with what other programs sent meanwhile.

**8 bits of weights** save nothing here, for no weights are sent; they show what the protocol would cost in quality where
a server sends them. The PSNR is that of the weights in full precision (`QuantizedAdam.full_precision`).

**The time** is that of workers on one machine, where sending costs little: coding and decoding show, the saving does not.
"""


@click.command(context_settings={"show_default": True})
@click.option(
    "--images",
    multiple=True,
    default=PICTURES,
    show_default="the sample pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures; may be given several times.",
)
@click.option("--steps", default=500, type=click.IntRange(10), help="Steps of each run.")
@click.option("--batch", default=4, type=click.IntRange(1), help="Crops a step and worker.")
@click.option("--workers", default=2, type=click.IntRange(2), help="Number of workers.")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Runs of each setting, whose mean counts.")
@click.option(
    "--rate", "rates", multiple=True, default=RATES, type=click.FloatRange(0, min_open=True), help="Eta to try."
)
@click.option("--bits", multiple=True, default=BITS, type=click.IntRange(2, 4), help="Bits of a gradient.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the page, figure and CSV file.")
@click.option("--redraw", is_flag=True, help="Make page and figure again from the CSV file in --out.")
@click.option("--quick", is_flag=True, help="A few short runs, a minute.")
def main(images: tuple[Path, ...], out: Path | None, redraw: bool, quick: bool, **settings: Any) -> None:
    """Print PSNR, bytes and time of training with quantised and with float32 communication."""
    check_out(out, redraw)
    if redraw:
        facts, rows = read_results(out / "quantisation.csv")
    else:
        if quick:
            settings |= {"steps": 100, "seeds": 1, "rates": (0.006,), "bits": (2,)}
        start = time.monotonic()
        try:
            with job_in_folder(prepare(images, LEVEL, 1024, 64, settings["seeds"])) as folder:
                facts, rows = measure(Plan(**settings), folder)
        except StyleShuffleError as error:
            raise click.ClickException(str(error)) from None
        facts["minutes"] = (time.monotonic() - start) / 60
    results = report(facts, rows)
    click.echo(results)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        if not redraw:
            write_results(out / "quantisation.csv", facts, rows)
        draw(rows, out / "quantisation.png")
        write_page(out / "quantisation.md", PAGE, results)


if __name__ == "__main__":
    main()
