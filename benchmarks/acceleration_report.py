"""What docs/acceleration.md says about the data of `acceleration.py`: the table, figures in the text, and the chart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pages import table

MEAN, LOCAL = "mean gradient", "local moments"  # what several workers do
LINEAR = 0.8  # this share of a linear speed-up still counts as linear
ALIKE = 0.1  # dB by which etas may differ that are equally good


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
        """Pictures a step, of all workers."""
        return self.batch * self.workers


def points(data: dict[str, Any]) -> list[Point]:
    """The runs by setting; the first point is batch 1."""
    grouped: dict[tuple[str, int, int, float, float], list[float]] = {}
    for run in data["runs"]:
        key = (run["method"], run["workers"], run["batch"], run["rate"], run["growth"])
        grouped.setdefault(key, []).append(math.inf if run["steps"] is None else run["steps"])
    return [Point(*key, statistics.median(steps), min(steps), max(steps)) for key, steps in grouped.items()]


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, measured = data["facts"], points(data)
    first = measured[0].steps
    by_rate = {float(rate): value for rate, value in facts["by_rate"].items()}
    good = {rate: value for rate, value in by_rate.items() if value >= facts["target"] - ALIKE}
    alone = [point for point in measured if point.workers == 1 and point.batch > 1]
    same_rate = [point for point in measured if point.method == MEAN and point.growth == 0 and point.size > 1]
    spreads = [(point.high - point.low) / point.steps for point in same_rate if math.isfinite(point.steps)]
    updates = [point for point in measured if point.method == LOCAL]
    most = max((point.size for point in updates), default=0)
    return {
        "machine": facts["machine"],
        "minutes": f"{facts['minutes']:.0f}",
        "level": f"relu{facts['level']}_1",
        "side": f"{facts['side']} x {facts['side']}",
        "seeds": str(facts["seeds"]),
        "average": "mean" if facts["seeds"] == 2 else "median",
        "steps": f"{facts['steps']:,}",
        "by_rate": ", ".join(f"{value:.2f} dB with {rate:g}" for rate, value in by_rate.items()),
        "rate": f"{facts['rate']:g}",
        "target": f"{facts['target']:.2f}",
        "table": table(
            ["batch", "workers", "mean of the", "eta", "steps", "range", "times fewer", "of linear"],
            [_cells(point, first) for point in measured],
        ),
        "lines": "\n".join(f"- {_verdict(line, first)}" for line in lines(measured)),
        "root_savings": _savings([point for point in alone if point.growth == 0.5], first),
        "same_savings": _savings([point for point in alone if point.growth == 0], first),
        "good_rates": f"{min(good):g} to {max(good):g}",
        "good_within": f"{max(good.values()) - min(good.values()):.2f}",
        "spread": f"{max(spreads, default=0):.0%}",
        "most_updates": str(most),
        "updates_root": _steps([point for point in updates if point.size == most and point.growth == 0.5]),
        "updates_same": _steps([point for point in updates if point.size == most and point.growth == 0]),
    }


def _cells(point: Point, first: float) -> list[str]:
    """A row of the table."""
    mean_of = "" if point.workers == 1 else "gradients" if point.method == MEAN else "updates"
    setting = [str(point.batch), str(point.workers), mean_of, f"{point.rate:.2g}"]
    if not math.isfinite(point.steps):
        return [*setting, "not reached", "", "", ""]
    ends = [f"{end:,.0f}" if math.isfinite(end) else "not reached" for end in (point.low, point.high)]
    fewer = first / point.steps
    return [*setting, f"{point.steps:,.0f}", f"{ends[0]} to {ends[1]}", f"{fewer:.1f}", f"{fewer / point.size:.0%}"]


def _savings(some: Sequence[Point], first: float) -> str:
    """How many times fewer steps each point takes, in words."""
    return ", ".join(f"{first / point.steps:.1f} times with {point.size}" for point in some) or "not measured"


def _steps(some: Sequence[Point]) -> str:
    return ", ".join(f"{point.steps:,.0f}" for point in some) or "not measured"


def lines(measured: Sequence[Point]) -> list[list[Point]]:
    """The points that belong on one line, by batch x workers: of mini-batches with one growth, of workers in one way."""
    alone = [point for point in measured if point.workers == 1]
    together: dict[tuple[str, float], list[Point]] = {}
    for point in measured:
        if point.workers > 1:
            together.setdefault((point.method, point.growth), []).append(point)
    curves = [
        [point for point in alone if point.batch == 1 or point.growth == growth]
        for growth in sorted({point.growth for point in alone})
    ]
    for more in together.values():
        curves.append([point for point in alone if point.batch == more[0].batch and point.growth == 0] + more)
    return [sorted(curve, key=lambda point: point.size) for curve in curves]


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


def draw(data: dict[str, Any], path: Path) -> None:
    """Steps over batch x workers, both logarithmic, beside the straight line."""
    from matplotlib.figure import Figure

    measured = points(data)
    first = measured[0].steps
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    sizes = sorted({point.size for point in measured})
    axes.plot(sizes, [first / size for size in sizes], color="0.5", linestyle="--", linewidth=1, label="linear")
    colours = {(1, MEAN): "tab:blue", (2, MEAN): "tab:orange", (2, LOCAL): "tab:green"}
    for line in lines(measured):
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
    axes.set(xscale="log", yscale="log", xlabel="batch x workers", ylabel=f"steps to {data['facts']['target']:.2f} dB")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    low, high = axes.get_ylim()
    ticks = [tick * 10**power for power in range(6) for tick in (1, 2, 5) if low <= tick * 10**power <= high]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
