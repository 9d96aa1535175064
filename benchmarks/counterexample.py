"""A line on which Adam goes the wrong way, and which schedules put it right.

    python benchmarks/counterexample.py --out docs/counterexample.png
    python benchmarks/counterexample.py --quick

x lies in [-1, 1] and starts at 0.5. Its loss is 1010 x with probability 0.01 and -10 x otherwise, so on average 0.2 x:
the optimum is x = -1. (This kind of example is due to Reddi, Kale and Kumar, "On the convergence of Adam and beyond",
ICLR 2018; Chen, Shen, Zou and Liu, arXiv:2101.05471, use it for generic Adam.) All optimisers take the step sizes
alpha_t = 0.5 / sqrt(t) with beta = 0.9, see the same gradients and are projected back to [-1, 1] after each step:

- generic Adam with theta_t = 1 - (0.01 + 0.99 r) / t^r for several r; r = 0 is Adam without bias correction;
- Adam with a constant theta and bias correction, as in torch;
- AMSGrad, which divides by the largest v so far (Reddi et al.).

The formulas are written out here once more, for all optimisers and seeds in one array, because a million steps of an
optimiser object would take a minute each; `tests/test_generic_adam.py` lets `GenericAdam` itself run the first thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np

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


FAMILY = tuple(Variant(f"generic Adam, r = {r:g}", 0.01 + 0.99 * r, r) for r in (0, 0.25, 0.5, 0.75, 1))
ADAM = tuple(Variant(f"Adam, theta = {1 - a:g}", a, corrected=True) for a in (0.01, 0.001))
AMSGRAD = tuple(Variant(f"AMSGrad, theta = {1 - a:g}", a, amsgrad=True) for a in (0.01, 0.001))
VARIANTS = FAMILY + ADAM + AMSGRAD


def run(steps: int, seeds: int, rarity: float) -> tuple[np.ndarray, np.ndarray]:
    """All variants from the same seeds.

    Args:
        rarity: probability of the gradient that points the right way.

    Returns:
        the steps at which x was recorded, (P), and x there, (P, variants, seeds).
    """
    rng = np.random.default_rng(0)
    rare = (MEAN_SLOPE - (1 - rarity) * COMMON) / rarity
    x = np.full((len(VARIANTS), seeds), START)
    m, v, root, change = np.zeros_like(x), np.full_like(x, V_0), np.empty_like(x), np.empty_like(x)
    last = slice(-len(AMSGRAD), None)
    largest = np.zeros_like(x[last])
    recorded = np.unique(np.geomspace(1, steps, POINTS).astype(int))
    wanted, curves = set(recorded.tolist()), []
    for first in range(1, steps + 1, BLOCK):
        block = np.arange(first, min(first + BLOCK, steps + 1))
        gradients = np.where(rng.random((BLOCK, seeds)) < rarity, rare, COMMON)
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


def table(x: np.ndarray) -> str:
    """Of the final x (variants, seeds) the mean, and the range of the middle half of the seeds; Markdown."""
    lines = ["| optimiser | mean final x | middle half of the seeds |", "|---|---|---|"]
    for variant, some in zip(VARIANTS, x, strict=True):
        low, high = np.quantile(some, (0.25, 0.75))
        lines.append(f"| {variant.name} | {some.mean():+.2f} | {low:+.2f} to {high:+.2f} |")
    return "\n".join(lines)


def draw(steps: np.ndarray, x: np.ndarray, path: Path) -> None:
    """Mean x over t, one curve a variant, named at its end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    shades = {variant: (0.1, 0.75 - 0.5 * variant.r, 0.65 - 0.25 * variant.r) for variant in FAMILY}
    for variant, curve in zip(VARIANTS, x.mean(2).T, strict=True):
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
@click.option("--steps", default=1_000_000, type=click.IntRange(10), help="Steps of each run.")
@click.option("--seeds", default=64, type=click.IntRange(1), help="Runs that the means are of.")
@click.option(
    "--rarity",
    default=0.01,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability of the gradient that points the right way; the mean slope stays 0.2.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also draw x over t, as a PNG file.")
@click.option("--quick", is_flag=True, help="10,000 steps of 16 seeds, a second.")
def main(steps: int, seeds: int, rarity: float, out: Path | None, quick: bool) -> None:
    """Print where each optimiser ends on the line whose optimum is -1."""
    if out and find_spec("matplotlib") is None:
        raise click.UsageError("--out needs matplotlib; pip install 'styleshuffle[plot]'")
    if quick:
        steps, seeds = 10_000, 16
    recorded, x = run(steps, seeds, rarity)
    click.echo(f"{steps:,} steps, {seeds} seeds, probability {rarity:g}\n\n{table(x[-1])}")
    if out:
        draw(recorded, x, out)


if __name__ == "__main__":
    main()
