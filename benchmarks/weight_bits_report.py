"""What docs/weight_bits.md says about the data of `weight_bits.py`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import table


@dataclass(frozen=True)
class Point:
    """All seeds of one setting; means."""

    workers: int
    bits: int | None
    fixed_range: float | None
    gradient: float
    distance: float
    psnr: float
    psnr_exact: float
    down: int

    @property
    def scale(self) -> str:
        return "" if self.bits is None else "a tensor" if self.fixed_range is None else f"fixed, {self.fixed_range:g}"


def points(data: dict[str, Any]) -> list[Point]:
    """The runs by setting, in their order."""
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in data["runs"]:
        grouped.setdefault((run["workers"], run["bits"], run["fixed_range"]), []).append(run)
    names = ("gradient", "distance", "psnr", "psnr_exact")
    return [
        Point(*key, *(statistics.mean(run[name] for run in runs) for name in names), runs[0]["down"])
        for key, runs in grouped.items()
    ]


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, measured = data["facts"], points(data)
    titles = ["workers", "weights", "scale", "down, bytes", "distance", "gradient", "PSNR at Q_x(x)", "PSNR at x"]
    seeds = facts["seeds"]
    return {
        "note": "**These are figures of a quick run, which shows no more than the form.** " if facts["quick"] else "",
        "machine": facts["machine"],
        "minutes": f"{facts['minutes']:.0f}",
        "steps": f"{facts['steps']:,}",
        "seeds": f"mean of {seeds} seeds" if seeds > 1 else "one seed",
        "batch": str(facts["batch"]),
        "rate": f"{facts['rate']:g}",
        "last": f"{facts['last']:.0%}",
        "workers": str(facts["workers"]),
        "table": table(titles, [_cells(point) for point in measured]),
        "verdicts": "\n".join(f"- {verdict}" for verdict in _verdicts(measured)),
    }


def _cells(point: Point) -> list[str]:
    bits = "float32" if point.bits is None else f"{point.bits} bits"
    distance = "" if point.bits is None else f"{point.distance:.3f}"
    gradient = f"{point.gradient:.4f}"
    cells = [str(point.workers), bits, point.scale, f"{point.down:,}", distance, gradient, f"{point.psnr:.2f}"]
    return [*cells, f"{point.psnr_exact:.2f}"]


def _verdicts(measured: Sequence[Point]) -> list[str]:
    """How the gradient's norm goes with the distance, a sentence for each line of points."""
    said = []
    for workers in dict.fromkeys(point.workers for point in measured):
        full = next(point for point in measured if point.workers == workers and point.bits is None)
        for scale in ("a tensor", "fixed, 0.5"):
            line = [point for point in measured if point.workers == workers and point.scale == scale]
            times = ", ".join(f"{point.gradient / full.gradient:.2f} times with {point.bits} bits" for point in line)
            losses = ", ".join(f"{point.psnr - full.psnr:+.2f} dB" for point in line)
            name = f"{workers} worker{'s' if workers > 1 else ''}, scale {scale}"
            said.append(f"{name}: the gradient is {times}, as large as with full precision; PSNR {losses}.")
    return said


def draw(data: dict[str, Any], path: Path) -> None:
    """The gradient and the PSNR at Q_x(x) over bits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    measured = points(data)
    colours = {1: "tab:blue", max(point.workers for point in measured): "tab:orange"}
    for workers, colour in colours.items():
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        full = next(point for point in measured if point.workers == workers and point.bits is None)
        for axes, value in ((left, full.gradient), (right, full.psnr)):
            axes.axhline(value, color=colour, linewidth=1, linestyle=":", label=f"{name}, float32")
        for scale, marker in (("a tensor", "o-"), ("fixed, 0.5", "s--")):
            line = [point for point in measured if point.workers == workers and point.scale == scale]
            bits, label = [point.bits for point in line], f"{name}, scale {scale}"
            left.plot(bits, [point.gradient for point in line], marker, color=colour, label=label)
            right.plot(bits, [point.psnr for point in line], marker, color=colour)
    left.set(xlabel="bits of the weights", ylabel="norm of the gradient at Q_x(x)", yscale="log")
    right.set(xlabel="bits of the weights", ylabel="PSNR of held-out crops at Q_x(x), dB")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
