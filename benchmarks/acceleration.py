"""How many steps larger mini-batches and more workers save.

    python benchmarks/acceleration.py --out docs
    python benchmarks/acceleration.py --quick
    python benchmarks/acceleration.py --redraw --out docs

Trains the decoder's segments from relu2_1 to the picture, in whitened coordinates, on small crops of real pictures until
held-out crops reach a fixed PSNR, and counts the steps:

- with mini-batches of several sizes, one worker, `GenericAdam`;
- with several workers of equal batch: the mean of their gradients (DistributedDataParallel and `GenericAdam`), or the
  mean of the updates that each makes with moments of its own (`QuantizedAdam` that quantises nothing).

The PSNR to reach is what batch 1 reaches in ``--steps`` steps with the best eta of a grid. All take theta_t = 1 - 0.9 / t
and alpha_t = eta / sqrt(t), with that eta or a multiple of it: docs/acceleration.md says which, and why.

Workers are processes on this machine, with one thread each. Runs of one worker go side by side, one a core.
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import re
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from styleshuffle.training.decoder import WhitenedDecoder
from torch import Tensor, nn
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from styleshuffle.errors import StyleShuffleError
from styleshuffle.images import READABLE, read
from styleshuffle.networks.vgg import load_compact
from styleshuffle.optim import GenericAdam
from styleshuffle.optim.quantized_adam import QuantizedAdam

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PICTURES = (SAMPLES / "content", SAMPLES / "style")
SIDE = 32  # of a crop, in pixels
MOMENTS_OF = 256  # crops whose features' mean and covariance are what whitens
HELD_OUT_EVERY = 4  # pictures

MEAN, LOCAL = "mean gradient", "local moments"
RATES = (0.003, 0.0042, 0.006, 0.0085, 0.012)
FIRST, SPACING = 16, 1.03  # held-out crops are measured at step 16, and after 3 % more steps each time
SMOOTHED = 10  # measurements, whose mean counts
PATIENCE = 1.5  # batch 1 may take this many times as many steps as it should
WASTE = 5  # any run may see this many times as many pictures as batch 1 should
LINEAR = 0.8  # this share of a linear speed-up still counts as linear


# ------------------------------------------------------------------------------------------------- what is trained
#
# quantisation.py uses this part too.


class Reconstruction(nn.Module):
    """The decoder from relu{level}_1 to the picture; returns the mean squared error."""

    def __init__(self, decoder: WhitenedDecoder, level: int) -> None:
        super().__init__()
        self.decoder, self.level = decoder, level
        for deeper in [key for key in decoder.chain.segments if int(key) > level]:
            del decoder.chain.segments[deeper]

    def forward(self, features: Tensor, pictures: Tensor) -> Tensor:
        x = features
        for level in range(self.level, 0, -1):
            x = self.decoder(x, level)
        return (x - pictures).square().mean()


@dataclass(frozen=True)
class Job:
    """What all runs share: untrained networks, one a seed, and crops as pairs of features and pictures in [0, 1]."""

    nets: list[Reconstruction]
    training: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]

    def batch(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(self.training[0]), (size,), generator=random)
        return self.training[0][chosen], self.training[1][chosen]

    @torch.no_grad()
    def error(self, net: Reconstruction) -> float:
        """Mean squared error on the crops held out."""
        return float(net(*self.held_out))


def prepare(folders: Sequence[Path], level: int, crops: int, held_out: int, seeds: int) -> Job:
    """Every fourth picture is held out; crops are spread evenly over the pictures."""
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in READABLE]
    if len(paths) < 2:
        raise click.UsageError(f"{len(paths)} pictures in all; name folders with two or more by --images")
    encoder = load_compact()
    training = random_crops([path for i, path in enumerate(paths) if i % HELD_OUT_EVERY], crops, 0)
    nets = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        nets.append(Reconstruction(WhitenedDecoder(encoder, training[:MOMENTS_OF]), level))

    @torch.no_grad()
    def pairs(some: Tensor) -> tuple[Tensor, Tensor]:
        pictures = (some.float() / 255).contiguous(memory_format=torch.channels_last)
        return torch.cat([encoder(part, [level])[level] for part in pictures.split(64)]), pictures

    return Job(nets, pairs(training), pairs(random_crops(paths[::HELD_OUT_EVERY], held_out, 1)))


def random_crops(paths: Sequence[Path], count: int, seed: int) -> Tensor:
    """Squares of one to two times SIDE, resized to SIDE: uint8 (count, 3, SIDE, SIDE)."""
    random = np.random.default_rng(seed)
    crops = []
    for index, path in enumerate(paths):
        picture = read(path).pil().convert("RGB")
        for _ in range(index, count, len(paths)):
            side = min(SIDE * random.uniform(1, 2), *picture.size)
            left, top = random.uniform(0, picture.width - side), random.uniform(0, picture.height - side)
            box = (left, top, left + side, top + side)
            crops.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)))
    return torch.from_numpy(np.stack(crops)[random.permutation(count)]).permute(0, 3, 1, 2)


@contextmanager
def job_in_folder(job: Job) -> Iterator[Path]:
    """A temporary folder with the job, where processes map it into their memory, and leave what they find."""
    with TemporaryDirectory() as folder:
        torch.save(job, Path(folder) / "job.pt")
        yield Path(folder)


def job_of(folder: Path) -> Job:
    """For a process of its own: one thread, and the job."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return torch.load(folder / "job.pt", mmap=True, weights_only=False)


@contextmanager
def process_group(store: Path, rank: int, workers: int) -> Iterator[None]:
    """The workers find each other by a file of their own."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=workers)
    try:
        yield
    finally:
        dist.destroy_process_group()


def in_parallel(net: Reconstruction) -> DistributedDataParallel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a later torch has another name for the option, 2.4 only this one
        return DistributedDataParallel(net, broadcast_buffers=False)


def psnr(error: float) -> float:
    return -10 * math.log10(error)


# ---------------------------------------------------------------------------------------------- results and their page


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), torch {torch.__version__.split('+')[0]}"


def write_results(path: Path, facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """A CSV file, with what is true of all rows as JSON in a first line that begins with #."""
    with path.open("w", newline="") as file:
        file.write(f"# {json.dumps(facts)}\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_results(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `write_results` wrote; an empty cell is None."""
    if not path.is_file():
        raise click.UsageError(f"{path}: no such results; run without --redraw first")
    with path.open(newline="") as file:
        facts = json.loads(file.readline()[1:])
        return facts, [{name: _value(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def _value(cell: str) -> float | str | None:
    try:
        return float(cell)
    except ValueError:
        return cell or None


def write_page(path: Path, page: str, results: str) -> None:
    """Put results into a page, where the word RESULTS is; of a page that is there already only they are replaced."""
    first, last = "<!-- written by the benchmark: -->", "<!-- end of what the benchmark wrote -->"
    block = f"{first}\n\n{results}\n\n{last}"
    if path.exists():
        old = path.read_text(encoding="utf-8")
        if first not in old or last not in old:
            raise click.ClickException(f"{path}: lacks '{first}' and '{last}', between which results go; remove the page")
        new = re.sub(f"{first}.*?{last}", lambda _: block, old, flags=re.DOTALL)
    else:
        new = page.replace("RESULTS", block)
    path.write_text(new, encoding="utf-8")


def check_out(out: Path | None, redraw: bool) -> None:
    if redraw and not out:
        raise click.UsageError("--redraw needs --out, the folder of the results")
    if out and find_spec("matplotlib") is None:
        raise click.UsageError("--out needs matplotlib; pip install 'styleshuffle[plot]'")


# ---------------------------------------------------------------------------------------------------------- training


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

    @property
    def size(self) -> int:
        return self.batch * self.workers


Curve = list[tuple[int, float]]  # steps, and the smoothed PSNR of held-out crops after them


def curves(runs: Sequence[Run], folder: Path, processes: int, name: str) -> list[Curve]:
    """Train: runs of one worker side by side, those of several, each as many as there are processes, one by one."""
    spawn(_work, (processes, folder, runs, name), processes)
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    if runs[0].workers > 1:
        return found[0]
    return [found[index % processes][index // processes] for index in range(len(runs))]


def _work(rank: int, processes: int, folder: Path, runs: Sequence[Run], name: str) -> None:
    """What each process does."""
    job = job_of(folder)
    if runs[0].workers > 1:
        with process_group(folder / name, rank, processes):
            found = [train(run, job, rank) for run in tqdm(runs, name, disable=rank > 0)]
    else:
        found = [train(run, job, 0) for run in tqdm(runs[rank::processes], name, disable=rank > 0)]
    (folder / f"{rank}.json").write_text(json.dumps(found))


def train(run: Run, job: Job, rank: int) -> Curve:
    """One worker's part of a run; rank 0 measures and says when to stop."""
    net = deepcopy(job.nets[run.seed])
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
        model(*job.batch(run.batch, random)).backward()
        optimizer.step()
        if step in measured:
            error = torch.tensor(job.error(net) if rank == 0 else 0.0)
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


# ------------------------------------------------------------------------------------------------------- all the runs


@dataclass(frozen=True)
class Plan:
    steps: int
    batches: tuple[int, ...]
    workers: tuple[int, ...]
    worker_batch: int
    growths: tuple[float, ...]
    rates: tuple[float, ...]
    seeds: int
    cores: int


def measure(plan: Plan, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts, and a row for each run of the chosen eta: the run, and the steps it took or None."""
    seeds = range(plan.seeds)
    tuning = [Run(MEAN, 1, 1, rate, 0, seed, round(PATIENCE * plan.steps)) for rate in plan.rates for seed in seeds]
    tuned = list(zip(tuning, curves(tuning, folder, plan.cores, "batch 1"), strict=True))
    by_rate = {
        rate: statistics.median(reached(curve, plan.steps) for run, curve in tuned if run.rate == rate)
        for rate in plan.rates
    }
    best = max(by_rate, key=by_rate.__getitem__)
    target = by_rate[best]

    def runs(method: str, workers: int, batch: int, growth: float) -> list[Run]:
        rate = best * (workers if method == LOCAL else batch) ** growth
        most = WASTE * plan.steps // (batch * workers)
        return [Run(method, workers, batch, rate, growth, seed, most, target) for seed in seeds]

    done = [(run, curve) for run, curve in tuned if run.rate == best]
    batches = sorted({*plan.batches, plan.worker_batch} - {1})
    alone = [run for batch in batches for growth in plan.growths for run in runs(MEAN, 1, batch, growth)]
    if alone:
        done += zip(alone, curves(alone, folder, plan.cores, "mini-batches"), strict=True)
    for workers in sorted({*plan.workers} - {1}):
        ways = ((MEAN, 0.0), (LOCAL, 0.0), (LOCAL, 0.5))
        together = [run for method, growth in ways for run in runs(method, workers, plan.worker_batch, growth)]
        done += zip(together, curves(together, folder, workers, f"{workers} workers"), strict=True)
    facts = {"target": target, "rate": best, "by_rate": by_rate, "machine": machine(), **asdict(plan)}
    return facts, [{**asdict(run), "steps": steps_to(target, curve)} for run, curve in done]


@dataclass(frozen=True)
class Point:
    """All seeds of one setting: the median of the steps, and their range; infinite where a run did not get there."""

    method: str
    workers: int
    batch: int
    rate: float
    growth: float
    steps: float
    low: float
    high: float

    @property
    def size(self) -> int:
        return self.batch * self.workers


def points(rows: Sequence[dict[str, Any]]) -> list[Point]:
    grouped: dict[tuple, list[float]] = {}
    for row in rows:
        key = (row["method"], int(row["workers"]), int(row["batch"]), row["rate"], row["growth"])
        grouped.setdefault(key, []).append(math.inf if row["steps"] is None else row["steps"])
    return [Point(*key, statistics.median(steps), min(steps), max(steps)) for key, steps in grouped.items()]


# ----------------------------------------------------------------------------------------------------------- the page


def report(facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: what was run, the table, and what it says."""
    found = points(rows)
    first = found[0].steps
    grid = ", ".join(f"{value:.2f} dB at {float(rate):g}" for rate, value in facts["by_rate"].items())
    lines = [
        f"{facts['machine']}; {facts['minutes']:.0f} minutes. Each number is the median of {facts['seeds']} runs.",
        f"With batch 1, the held-out crops reach after {facts['steps']:,} steps, by eta: {grid}. So eta is "
        f"{facts['rate']:g} and the PSNR to reach is {facts['target']:.2f} dB.",
        "",
        "| batch | workers | mean of the | eta | steps | range | times fewer | of linear |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for point in found:
        what = "" if point.workers == 1 else "gradients" if point.method == MEAN else "updates"
        cells = [point.batch, point.workers, what, f"{point.rate:.2g}", *_gain(point, first)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "![steps over batch x workers](acceleration.png)", "", "By batch x workers:", ""]
    lines += [f"- {_verdict(curve, first)}" for curve in _lines_of(found)]
    return "\n".join(lines)


def _gain(point: Point, first: float) -> list[str]:
    if not math.isfinite(point.steps):
        return ["not reached", "", "", ""]
    ends = [f"{end:,.0f}" if math.isfinite(end) else "not reached" for end in (point.low, point.high)]
    fewer = first / point.steps
    return [f"{point.steps:,.0f}", f"{ends[0]} to {ends[1]}", f"{fewer:.1f}", f"{fewer / point.size:.0%}"]


def _lines_of(found: Sequence[Point]) -> list[list[Point]]:
    """The points that belong on one line, by batch x workers: of mini-batches with one growth, of workers in one way."""
    alone = [point for point in found if point.workers == 1]
    ways = {(point.method, point.growth): [] for point in found if point.workers > 1}
    for point in found:
        if point.workers > 1:
            ways[point.method, point.growth].append(point)
    lines = [
        [point for point in alone if point.batch == 1 or point.growth == growth]
        for growth in sorted({point.growth for point in alone})
    ]
    for more in ways.values():
        lines.append([point for point in alone if point.batch == more[0].batch and point.growth == 0] + more)
    return [sorted(line, key=lambda point: point.size) for line in lines]


def _name(line: Sequence[Point]) -> str:
    last = line[-1]
    over = "workers" if last.method == LOCAL else "batch"
    factor = {0: "the same eta", 0.5: f"eta x sqrt({over})"}.get(last.growth, f"eta x {over}^{last.growth:g}")
    if last.workers == 1:
        return f"mini-batches, {factor}"
    return f"workers of batch {last.batch}, {'mean of gradients' if last.method == MEAN else 'mean of updates'}, {factor}"


def _verdict(line: Sequence[Point], first: float) -> str:
    """Where a line stops being straight."""
    short = [point.size for point in line if first / point.steps < LINEAR * point.size]
    straight = [point.size for point in line if point.size < min(short, default=math.inf)]
    last = line[-1]
    end = f"{first / last.steps:.1f} times fewer steps" if math.isfinite(last.steps) else "the PSNR is not reached"
    if not short:
        return f"{_name(line)}: {LINEAR:.0%} of linear or more up to {last.size}; there, {end}."
    where = f"between {straight[-1]} and {short[0]}" if straight else f"before {short[0]}"
    return f"{_name(line)}: falls below {LINEAR:.0%} of linear {where}; at {last.size}, {end}."


def draw(facts: dict[str, Any], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Steps over batch x workers, both logarithmic, beside the straight line."""
    from matplotlib.figure import Figure

    found = points(rows)
    first = found[0].steps
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    sizes = sorted({point.size for point in found})
    axes.plot(sizes, [first / size for size in sizes], color="0.5", linestyle="--", linewidth=1, label="linear")
    colours = {(1, MEAN): "tab:blue", (2, MEAN): "tab:orange", (2, LOCAL): "tab:green"}
    for line in _lines_of(found):
        last = line[-1]
        steps = np.array([point.steps for point in line])
        reach = np.array([(point.steps - point.low, point.high - point.steps) for point in line]).T
        axes.errorbar(
            [point.size for point in line],
            steps,
            np.where(np.isfinite(reach), reach, 0),
            label=_name(line),
            color=colours[min(last.workers, 2), last.method],
            linestyle="-" if last.growth == 0 else ":",
            marker="o" if last.workers == 1 else "s" if last.method == MEAN else "^",
            markersize=5,
            capsize=2,
        )
    axes.set(xscale="log", yscale="log", xlabel="batch x workers", ylabel=f"steps to {facts['target']:.2f} dB")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    low, high = axes.get_ylim()
    ticks = [tick * 10**power for power in range(6) for tick in (1, 2, 5) if low <= tick * 10**power <= high]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


PAGE = """# What mini-batches and workers save

    python benchmarks/acceleration.py --out docs

A decoder from relu2_1 to the picture (segments 2 and 1 of the chain, in whitened coordinates) learns from crops of
32 x 32 pixels of the sample pictures, until crops of other pictures reach a fixed PSNR; the loss is the mean squared
error. Generic Adam, alpha_t = eta / sqrt(t), theta_t = 1 - 0.9 / t. Several workers either take the mean of their
gradients (DistributedDataParallel and `GenericAdam`) or the mean of the updates that each makes with its own moments
(`QuantizedAdam` with `gradient_bits=None`).

RESULTS

**How the step size is scaled.** Chen, Shen, Zou and Liu (arXiv:2101.05471) say that larger mini-batches and more workers
accelerate generic Adam linearly. What this asks of eta can be seen from a bound (worked out here, not the paper's). With
B pictures a step from all workers together, a step lowers the loss by about alpha |gradient|^2 / sqrt(v) and wastes about
alpha^2 for each weight. Where noise outweighs the mean gradient, v is the variance of the noise and falls as 1 / B: the
useful part grows with sqrt(B) by itself. The best alpha = eta / sqrt(T) then has **the same eta for every B**, and the
mean squared gradient falls as 1 / sqrt(B T): B times fewer steps. As alpha_t falls during training, the same eta means
that after equally many pictures alpha is sqrt(B) times as large: the square-root rule for Adam.

Where the mean gradient outweighs the noise, a step goes as far as alpha says, whatever the batch; only a larger eta would
save steps, as far as the curvature of the loss allows. For that, eta x sqrt(batch) is run beside the same eta.

Workers with moments of their own divide by the noise of one worker's gradient, while the mean of N updates has N times
less of it. There the same bound asks for eta x sqrt(N).

**Steps are counted, not seconds.** Four workers on two cores take turns, and a larger batch takes longer. How much faster
a step gets is a question of the machine; how many are needed is not.
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
@click.option("--steps", default=4000, type=click.IntRange(50), help="Steps of batch 1 that make the PSNR to reach.")
@click.option("--batch", "batches", multiple=True, default=(1, 2, 4, 8, 16), type=click.IntRange(1), help="Mini-batch.")
@click.option("--workers", multiple=True, default=(1, 2, 4), type=click.IntRange(1), help="Number of workers.")
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
@click.option("--seeds", default=2, type=click.IntRange(1), help="Runs of each setting, whose median counts.")
@click.option("--cores", default=2, type=click.IntRange(1), help="Runs of one worker side by side.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the page, figure and CSV file.")
@click.option("--redraw", is_flag=True, help="Make page and figure again from the CSV file in --out.")
@click.option("--quick", is_flag=True, help="A few short runs, a minute.")
def main(images: tuple[Path, ...], out: Path | None, redraw: bool, quick: bool, **settings: Any) -> None:
    """Print how many steps mini-batches and workers save."""
    check_out(out, redraw)
    if redraw:
        facts, rows = read_results(out / "acceleration.csv")
    else:
        if quick:
            short = {"steps": 300, "batches": (1, 4), "workers": (1, 2), "rates": (0.006,), "seeds": 1}
            settings |= short
        start = time.monotonic()
        try:
            with job_in_folder(prepare(images, 2, 1024, 32, settings["seeds"])) as folder:
                facts, rows = measure(Plan(**settings), folder)
        except StyleShuffleError as error:
            raise click.ClickException(str(error)) from None
        facts["minutes"] = (time.monotonic() - start) / 60
    results = report(facts, rows)
    click.echo(results)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        if not redraw:
            write_results(out / "acceleration.csv", facts, rows)
        draw(facts, rows, out / "acceleration.png")
        write_page(out / "acceleration.md", PAGE, results)


if __name__ == "__main__":
    main()
