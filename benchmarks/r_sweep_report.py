"""What docs/r_sweep.md says about the data of `r_sweep.py`."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import table

GENERIC = "generic Adam, r = "


@dataclass(frozen=True)
class Point:
    """All seeds of an optimiser on a job, with its best eta."""

    optimizer: str
    rate: float
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        return statistics.mean(self.losses)


def points(data: dict[str, Any], job: str) -> list[Point]:
    """The optimisers in the order in which they were run."""
    runs = [run for run in data["runs"] if run["job"] == job]
    measured = []
    for optimizer in dict.fromkeys(run["optimizer"] for run in runs):
        own = [run for run in runs if run["optimizer"] == optimizer]
        best = min((run for run in own if run["seed"] == 0), key=lambda run: run["loss"])["rate"]
        losses = tuple(run["loss"] for run in own if run["rate"] == best)
        measured.append(Point(optimizer, best, losses))
    return measured


def jobs(data: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(run["job"] for run in data["runs"]))


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts = data["facts"]
    parts = []
    for job in jobs(data):
        rows = [
            [
                point.optimizer,
                f"{point.rate:g}",
                f"{point.loss:.4g}",
                f"{min(point.losses):.4g} to {max(point.losses):.4g}",
            ]
            for point in points(data, job)
        ]
        title = f"**{job.capitalize()}**: {facts['says'][job]}; batch {facts['batches'][job]}."
        parts.append(f"{title}\n\n{table(['optimiser', 'best eta', 'held-out loss', 'by seed'], rows)}")
    seeds = facts["seeds"]
    return {
        "note": "**These are figures of a quick run, which shows no more than the form.** " if facts["quick"] else "",
        "machine": facts["machine"],
        "minutes": f"{facts['minutes']:.0f}",
        "steps": f"{facts['steps']:,}",
        "seeds": f"mean of {seeds} seeds" if seeds > 1 else "one seed",
        "rates": f"the best of {facts['rates']} etas" if facts["rates"] > 1 else "the same eta",
        "last": f"{facts['last']:.0%}",
        "tables": "\n\n".join(parts),
        "verdicts": "\n".join(f"- {_verdict(job, points(data, job))}" for job in jobs(data)),
    }


def _verdict(job: str, measured: list[Point]) -> str:
    """The order of the losses, in a sentence."""
    generic = sorted((point for point in measured if point.optimizer.startswith(GENERIC)), key=lambda point: point.loss)
    others = sorted(
        (point for point in measured if not point.optimizer.startswith(GENERIC)), key=lambda point: point.loss
    )
    best = min(measured, key=lambda point: point.loss)
    r = [point.optimizer.removeprefix(GENERIC) for point in generic]
    last = f"r = 1 at {_of(generic, '1').loss / best.loss:.2f}"
    first = f"r = {r[0]} is at {generic[0].loss / best.loss:.2f} times that"
    return (
        f"{job}: from the lowest loss up, r = {', '.join(r)}. The lowest loss of all is that of {best.optimizer}; "
        f"{first}, {last}, and {others[0].optimizer} at {others[0].loss / best.loss:.2f}."
    )


def _of(generic: list[Point], r: str) -> Point:
    return next(point for point in generic if point.optimizer == GENERIC + r)


def draw(data: dict[str, Any], path: Path) -> None:
    """Held-out loss over r, beside the other optimisers as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    colours = ["tab:gray", "tab:orange", "tab:green", "tab:red"]
    for axes, job in zip(figure.subplots(1, 3), jobs(data), strict=True):
        measured = points(data, job)
        generic = [point for point in measured if point.optimizer.startswith(GENERIC)]
        r = [float(point.optimizer.removeprefix(GENERIC)) for point in generic]
        axes.plot(r, [point.loss for point in generic], "o-", color="tab:blue", label="generic Adam")
        for x, point in zip(r, generic, strict=True):
            axes.plot([x] * len(point.losses), point.losses, ".", color="tab:blue", alpha=0.4, markersize=4)
        others = [point for point in measured if point not in generic]
        for point, colour in zip(others, colours, strict=True):
            axes.axhline(point.loss, color=colour, linestyle="--", linewidth=1, label=point.optimizer)
        axes.set(title=job, xlabel="r")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("held-out loss")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
