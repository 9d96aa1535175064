"""What docs/throttled_link.md says about the data of `throttled_link.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pages import table


def _speed(speed: int | None) -> str:
    return "no limit" if speed is None else f"{speed} Mbit/s"


def _bits(bits: int | None) -> str:
    return "float32" if bits is None else f"{bits} bits"


def _time(data: dict[str, Any], speed: int | None, bits: int | None) -> float:
    """Of a step, in ms."""
    found: float = next(run["milliseconds"] for run in data["runs"] if (run["speed"], run["bits"]) == (speed, bits))
    return found


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts = data["facts"]
    rows = [
        [
            _speed(run["speed"]),
            _bits(run["bits"]),
            f"{run['sent']:,.0f}",
            f"{run['milliseconds']:.0f}",
            f"{_time(data, run['speed'], None) / run['milliseconds']:.1f}",
        ]
        for run in data["runs"]
    ]
    real = "each in a network namespace, with `tc` limiting the link between them"
    paced = "with a paced transport: after each step a process sleeps as long as its bytes would take, without headers"
    return {
        "note": "**These are figures of a quick run, which shows no more than the form.** " if facts["quick"] else "",
        "machine": facts["machine"],
        "minutes": f"{facts['minutes']:.0f}",
        "level": f"relu{facts['level']}_1",
        "batch": str(facts["batch"]),
        "steps": str(facts["steps"]),
        "way": paced if facts["paced"] else real,
        "table": table(["link", "gradients", "sent a step, bytes", "ms a step", "times as fast as float32"], rows),
        "verdicts": "\n".join(f"- {verdict}" for verdict in _verdicts(data)),
    }


def _verdicts(data: dict[str, Any]) -> list[str]:
    speeds = list(dict.fromkeys(run["speed"] for run in data["runs"]))
    fewest = min(run["bits"] for run in data["runs"] if run["bits"] is not None)
    said = []
    for speed in speeds:
        float32, few = _time(data, speed, None), _time(data, speed, fewest)
        gain = f"{float32 / few:.1f} times as fast" if few < float32 else f"{few / float32:.1f} times as slow"
        said.append(f"{_speed(speed)}: {_bits(fewest)} take {few:.0f} ms a step, float32 {float32:.0f}: {gain}.")
    return said


def draw(data: dict[str, Any], path: Path) -> None:
    """Time of a step over the speed of the link."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    speeds = list(dict.fromkeys(run["speed"] for run in data["runs"]))
    for bits in dict.fromkeys(run["bits"] for run in data["runs"]):
        label = "float32, averaged gradients" if bits is None else f"QuantizedAdam, {bits} bits"
        axes.plot(range(len(speeds)), [_time(data, speed, bits) for speed in speeds], "o-", label=label)
    axes.set_xticks(range(len(speeds)), [_speed(speed) for speed in speeds])
    axes.set(ylabel="ms a step", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
