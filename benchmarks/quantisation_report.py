"""What docs/quantisation.md says about the data of `quantisation.py`: the table, figures in the text, and the chart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pages import table

TORCH, GENERIC, QUANTIZED = "torch Adam", "GenericAdam", "QuantizedAdam"
SAME = 0.1  # dB: smaller differences do not count


@dataclass(frozen=True)
class Setting:
    """How to train; ``None`` bits are float32."""

    optimizer: str
    rate: float
    gradient_bits: int | None = None
    weight_bits: int | None = None
    feedback: bool = False

    @property
    def name(self) -> str:
        """What is sent, in words."""
        return f"{_bits(self.gradient_bits)} up, {_bits(self.weight_bits)} down"


def _bits(bits: int | None) -> str:
    return "float32" if bits is None else f"{bits} bits"


@dataclass(frozen=True)
class Point:
    """All seeds of one setting.

    Attributes:
        psnr, psnr_quantised: means, in dB, with the weights in full precision and as they are trained with.
        differences: for each seed, PSNR above that of `GenericAdam`.
        up, down, sent, device: bytes a step and worker; the last is a median.
        milliseconds: median time of a step.
    """

    setting: Setting
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


def points(data: dict[str, Any]) -> list[Point]:
    """The runs by setting."""
    grouped: dict[Setting, list[dict[str, Any]]] = {}
    for run in data["runs"]:
        grouped.setdefault(Setting(**{field.name: run[field.name] for field in fields(Setting)}), []).append(run)
    reference = {run["seed"]: run["psnr"] for run in data["runs"] if run["optimizer"] == GENERIC}
    measured = []
    for setting, runs in grouped.items():
        values = {name: [run[name] for run in runs] for name in runs[0]}
        measured.append(
            Point(
                setting,
                statistics.mean(values["psnr"]),
                statistics.mean(values["psnr_quantised"]),
                [run["psnr"] - reference[run["seed"]] for run in runs],
                values["up"][0],
                values["down"][0],
                values["sent"][0],
                None if None in values["device"] else statistics.median_low(values["device"]),
                statistics.median(values["milliseconds"]),
            )
        )
    return measured


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, measured = data["facts"], points(data)
    float32 = next(point for point in measured if point.setting.optimizer == GENERIC)
    tried = {
        name: ", ".join(f"{value:.2f} dB with {float(rate):g}" for rate, value in by_rate.items())
        for name, by_rate in facts["tried"].items()
    }
    etas = {point.setting.optimizer: point.setting.rate for point in measured if point.setting.optimizer != QUANTIZED}
    titles = ["optimiser", "gradient", "weights", "feedback", "PSNR", "above GenericAdam (by seed)"]
    titles += ["protocol up, bytes", "down", "up, times fewer", "sent to others", "on the device", "ms a step"]
    return {
        "machine": facts["machine"],
        "minutes": f"{facts['minutes']:.0f}",
        "level": f"relu{facts['level']}_1",
        "side": f"{facts['side']} x {facts['side']}",
        "workers": str(facts["workers"]),
        "batch": str(facts["batch"]),
        "steps": f"{facts['steps']:,}",
        "seeds": str(facts["seeds"]),
        "warm_up": f"{facts['warm_up']:.0%}",
        "cool_down": f"{facts['cool_down']:.0%}",
        "etas": " and ".join(f"{rate:g} for {name}" for name, rate in etas.items()),
        "tried": "\n".join(f"- {name}: {values}" for name, values in tried.items()),
        "table": table(titles, [_cells(point, float32) for point in measured]),
        "verdicts": "\n".join(f"- {verdict}" for verdict in _verdicts(measured, float32)),
    }


def _cells(point: Point, float32: Point) -> list[str]:
    """A row of the table."""
    setting = point.setting
    return [
        setting.optimizer + ("" if setting.optimizer == QUANTIZED else ", DDP"),
        _bits(setting.gradient_bits),
        _bits(setting.weight_bits),
        "" if setting.gradient_bits is None else "yes" if setting.feedback else "no",
        f"{point.psnr:.2f}",
        f"{point.difference:+.2f} ({', '.join(f'{difference:+.2f}' for difference in point.differences)})",
        f"{point.up:,}",
        f"{point.down:,}",
        f"{float32.up / point.up:.1f}",
        f"{point.sent:,.0f}",
        "unknown" if point.device is None else f"{point.device:,.0f}",
        f"{point.milliseconds:.0f}",
    ]


def _verdicts(measured: Sequence[Point], float32: Point) -> list[str]:
    """What the table says, a sentence each."""
    quantised = [point for point in measured if point.setting.gradient_bits]
    fed = [point for point in quantised if point.setting.feedback]
    lines = []
    for title, some in (
        (f"Not more than {SAME} dB below GenericAdam", [point for point in fed if point.difference >= -SAME]),
        (f"More than {SAME} dB below it", [point for point in fed if point.difference < -SAME]),
    ):
        names = "; ".join(f"{point.setting.name} ({point.difference:+.2f} dB)" for point in some)
        lines.append(f"{title}, with feedback: {names or 'none'}.")
    losses = []
    for point in fed:
        without = next(other for other in quantised if other.setting == replace(point.setting, feedback=False))
        losses.append(f"{without.psnr - point.psnr:+.2f} dB for {point.setting.name}")
    lines.append(f"Without feedback, compared with feedback: {'; '.join(losses)}.")
    fewer = [
        f"{float32.up / point.up:.1f} times for {point.setting.name}" for point in fed if not point.setting.weight_bits
    ]
    lines.append(f"Fewer bytes up than float32: {'; '.join(fewer)}.")
    coded = [
        f"{point.psnr_quantised - point.psnr:+.3f} dB for {point.setting.name}"
        for point in measured
        if point.setting.weight_bits and (point.setting.feedback or not point.setting.gradient_bits)
    ]
    lines.append(f"With the quantised weights, compared with those in full precision: {'; '.join(coded)}.")
    return [*lines, _worth(min(fed, key=lambda point: point.sent), float32)]


def _worth(fewest: Point, float32: Point) -> str:
    """From which speed of the network on the fewest bytes save time."""
    saved, added = float32.sent - fewest.sent, fewest.milliseconds - float32.milliseconds
    if added > 0:
        worth = f"saves time where a worker sends less than {saved / added / 1000:.0f} MB a second"
    else:
        worth = "is not slower even here, where sending costs next to nothing"
    return (
        f"{fewest.setting.name}: {fewest.milliseconds:.0f} ms a step, GenericAdam {float32.milliseconds:.0f} ms, and "
        f"{saved:,.0f} bytes less to send: it {worth}."
    )


def draw(data: dict[str, Any], path: Path) -> None:
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
        for point in points(data):
            colour, marker, name = _look(point.setting)
            hollow = point.setting.gradient_bits is not None and not point.setting.feedback
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


def _look(setting: Setting) -> tuple[str, str, str]:
    """Colour by what is sent up, shape by what comes down, and a name."""
    if setting.optimizer != QUANTIZED:
        return {TORCH: "0.6", GENERIC: "black"}[setting.optimizer], "D", f"{setting.optimizer}, DDP"
    colour = {None: "tab:blue", 4: "tab:green", 3: "tab:orange", 2: "tab:red"}[setting.gradient_bits]
    back = "" if setting.gradient_bits is None or setting.feedback else ", no feedback"
    return colour, "s" if setting.weight_bits else "o", setting.name + back
