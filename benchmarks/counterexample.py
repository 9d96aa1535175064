"""A line on which Adam goes the wrong way, and which schedules put it right.

    python benchmarks/counterexample.py --out docs
    python benchmarks/counterexample.py --quick
    python benchmarks/counterexample.py --from-data

x lies in [-1, 1] and starts at 0.5. Its loss is 1010 x with probability 0.01 and -10 x otherwise, so on average 0.2 x:
the optimum is x = -1. (This kind of example is due to Reddi, Kale and Kumar, "On the convergence of Adam and beyond",
ICLR 2018; Chen, Shen, Zou and Liu, arXiv:2101.05471, use it for generic Adam.) All optimisers take the step sizes
alpha_t = 0.5 / sqrt(t) with beta = 0.9, see the same gradients and are projected back to [-1, 1] after each step:

- generic Adam with theta_t = 1 - (0.01 + 0.99 r) / t^r for several r; r = 0 is Adam without bias correction;
- Adam with a constant theta and bias correction, as in torch;
- AMSGrad, which divides by the largest v so far (Reddi et al.).

All of this is run four times: as told; ten times as long; and twice with rare gradients that are less rare, and smaller,
so that the mean slope stays 0.2.

The formulas are written out here once more, for all optimisers and seeds in one array, because a million steps of an
optimiser object would take a minute each; `tests/optim/test_generic_adam.py` lets `GenericAdam` itself run the first
thousands.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import DOCS, check_matplotlib, from_data_option, out_option
from pages import read_data, table, write_data, write_page

BETA, STEP_SIZE, START, V_0 = 0.9, 0.5, 0.5, 1e-12
COMMON, MEAN_SLOPE = -10.0, 0.2
BLOCK = 10_000  # steps whose gradients and factors are made at a time
POINTS = 400  # of the curves


@dataclass(frozen=True)
class Variant:
    """theta_t = 1 - a / t^r; with Adam's bias correction, or AMSGrad's largest v, or neither."""

    name: str
    a: float
    r: float = 0.0
    corrected: bool = False
    amsgrad: bool = False


@dataclass(frozen=True)
class Run:
    """All variants, each with the same seeds; ``rarity`` is the probability of the gradient that points the right way."""

    name: str
    steps: int
    seeds: int
    rarity: float

    @property
    def rare(self) -> float:
        """The gradient that points the right way."""
        return (MEAN_SLOPE - (1 - self.rarity) * COMMON) / self.rarity


FAMILY = tuple(Variant(f"generic Adam, r = {r:g}", 0.01 + 0.99 * r, r) for r in (0, 0.25, 0.5, 0.75, 1))
ADAM = tuple(Variant(f"Adam, theta = {1 - a:g}", a, corrected=True) for a in (0.01, 0.001))
AMSGRAD = tuple(Variant(f"AMSGrad, theta = {1 - a:g}", a, amsgrad=True) for a in (0.01, 0.001))
VARIANTS = FAMILY + ADAM + AMSGRAD
RUNS = (
    Run("as told", 1_000_000, 64, 0.01),
    Run("long", 10_000_000, 32, 0.01),
    Run("less rare", 1_000_000, 64, 0.1),
    Run("common", 1_000_000, 64, 0.3),
)
QUICK = (10_000, 16)  # steps and seeds


def minimise(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Follow x: the steps at which it was recorded, (P), and x there, (P, variants, seeds)."""
    rng = np.random.default_rng(0)
    x = np.full((len(VARIANTS), run.seeds), START)
    m, v, root, change = np.zeros_like(x), np.full_like(x, V_0), np.empty_like(x), np.empty_like(x)
    last = slice(-len(AMSGRAD), None)
    largest = np.zeros_like(x[last])
    recorded = np.unique(np.geomspace(1, run.steps, POINTS).astype(int))
    wanted, curves = set(recorded.tolist()), []
    for first in range(1, run.steps + 1, BLOCK):
        block = np.arange(first, min(first + BLOCK, run.steps + 1))
        gradients = np.where(rng.random((BLOCK, run.seeds)) < run.rarity, run.rare, COMMON)
        for t, g, new, size in zip(block.tolist(), gradients, *factors(block), strict=False):
            m += np.multiply(1 - BETA, np.subtract(g, m, out=change), out=change)
            v += np.multiply(new, np.subtract(g * g, v, out=change), out=change)
            np.sqrt(v, out=root)
            root[last] = np.maximum(largest, root[last], out=largest)
            x -= np.multiply(size, np.divide(m, root, out=change), out=change)
            np.minimum(np.maximum(x, -1, out=x), 1, out=x)  # several times as fast as np.clip here
            if t in wanted:
                curves.append(x.copy())
    return recorded, np.stack(curves)


def factors(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 - theta_t, and alpha_t with the bias correction if there is one; both (steps, variants, 1)."""
    t = t[:, None, None].astype(float)
    a, r, corrected = (
        np.array([getattr(variant, name) for variant in VARIANTS])[:, None] for name in ("a", "r", "corrected")
    )
    correction = np.where(corrected, np.sqrt(1 - (1 - a) ** t) / (1 - BETA**t), 1)
    return a / t**r, STEP_SIZE / np.sqrt(t) * correction


def measure(run: Run, x: np.ndarray) -> list[dict[str, Any]]:
    """Of the final x (variants, seeds) of each variant: the mean, and the range of the middle half of the seeds."""
    rows = []
    for variant, values in zip(VARIANTS, x, strict=True):
        low, high = np.quantile(values, (0.25, 0.75)).tolist()
        rows.append({"run": run.name, "optimiser": variant.name, "mean": float(values.mean()), "low": low, "high": high})
    return rows


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, runs = data["facts"], {run["name"]: run for run in data["runs"]}
    means = {(row["run"], row["optimiser"]): row["mean"] for row in data["ends"]}

    def end(run: str, *optimisers: str) -> str:
        values = [f"{means[run, optimiser]:+.2f}" for optimiser in optimisers]
        return values[0] if len(set(values)) == 1 else f"{values[0]} to {values[-1]}"

    told, long, quarter = runs["as told"], runs["long"], FAMILY[1]
    memory = long["steps"] ** quarter.r / quarter.a
    high_r = ("generic Adam, r = 0.5", "generic Adam, r = 0.75", "generic Adam, r = 1")
    return {
        "start": f"{facts['start']:g}",
        "rare": f"{told['rare']:g}",
        "rarity": f"{told['rarity']:g}",
        "common": f"{facts['common']:g}",
        "slope": f"{facts['mean_slope']:g}",
        "step_size": f"{facts['step_size']:g}",
        "beta": f"{facts['beta']:g}",
        "steps": f"{told['steps']:,}",
        "seeds": str(told["seeds"]),
        "seconds": f"{facts['seconds']:.0f}",
        "table": end_table([row for row in data["ends"] if row["run"] == told["name"]]),
        "long_steps": f"{long['steps']:,}",
        "long_seeds": str(long["seeds"]),
        "long_adam": end("long", "Adam, theta = 0.999"),
        "long_r": end("long", *high_r[1:]),
        "half_r": end("as told", "generic Adam, r = 0.5"),
        "long_half_r": end("long", "generic Adam, r = 0.5"),
        "long_quarter_r": end("long", "generic Adam, r = 0.25"),
        "memory": f"{round(memory, -1):.0f}",
        "rare_in_memory": f"{memory * long['rarity']:.0f}",
        "long_amsgrad": end("long", "AMSGrad, theta = 0.99"),
        "less_rarity": f"{runs['less rare']['rarity']:g}",
        "less_rare": f"{runs['less rare']['rare']:g}",
        "less_high_r": end("less rare", *high_r),
        "less_r_0": end("less rare", "generic Adam, r = 0"),
        "less_quarter_r": end("less rare", "generic Adam, r = 0.25"),
        "common_rarity": f"{runs['common']['rarity']:g}",
        "common_within": f"{max(mean + 1 for (run, _), mean in means.items() if run == 'common'):.2f}",
    }


def end_table(rows: list[dict[str, Any]]) -> str:
    """Where each optimiser ends, in Markdown."""
    cells = [[row["optimiser"], f"{row['mean']:+.2f}", f"{row['low']:+.2f} to {row['high']:+.2f}"] for row in rows]
    return table(["optimiser", "mean final x", "middle half of the seeds"], cells)


def draw(steps: np.ndarray, x: np.ndarray, path: Path) -> None:
    """Mean x over t, one curve for each variant, named at its end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    shades = {variant: (0.1, 0.75 - 0.5 * variant.r, 0.65 - 0.25 * variant.r) for variant in FAMILY}
    for variant, curve in zip(VARIANTS, x.mean(2).T, strict=True):
        style: dict[str, Any]
        if variant in shades:
            style = {"color": shades[variant], "linewidth": 1 + 1.5 * variant.r}
        else:
            style = {"color": "tab:orange" if variant.corrected else "tab:purple", "linewidth": 1}
            style["linestyle"] = "--" if variant.a == 0.01 else ":"
        axes.plot(steps, curve, label=variant.name, **style)
    axes.set(xscale="log", xlim=(1, steps[-1]), ylim=(-1.05, 1.05), xlabel="step t", ylabel="x, mean of the seeds")
    axes.axhline(-1, color="0.6", linewidth=0.8)
    axes.text(1.3, -0.97, "optimum", color="0.4", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


@click.command(context_settings={"show_default": True})
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help=f"{QUICK[0]:,} steps of {QUICK[1]} seeds, seconds instead of minutes.")
def main(out: Path | None, from_data: bool, quick: bool) -> None:
    """Print where each optimiser ends on the line whose optimum is -1."""
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "counterexample.json")
    else:
        facts = {"start": START, "step_size": STEP_SIZE, "beta": BETA, "common": COMMON, "mean_slope": MEAN_SLOPE}
        data = {"facts": facts, "runs": [], "ends": []}
        for run in [Run(run.name, *QUICK, run.rarity) for run in RUNS] if quick else RUNS:
            start = time.process_time()
            steps, x = minimise(run)
            facts.setdefault("seconds", time.process_time() - start)  # of the first run
            if out and not data["runs"]:
                out.mkdir(parents=True, exist_ok=True)
                draw(steps, x, out / "counterexample.png")
            data["runs"].append(asdict(run) | {"rare": run.rare})
            data["ends"] += measure(run, x[-1])
    for run in data["runs"]:
        title = f"{run['name']}: {run['steps']:,} steps, {run['seeds']} seeds, probability {run['rarity']:g}"
        click.echo(f"{title}\n\n{end_table([row for row in data['ends'] if row['run'] == run['name']])}\n")
    if out:
        write_data(out / "counterexample.json", data)
        write_page(out, "counterexample", marks(data))


if __name__ == "__main__":
    main()
