"""What several benchmarks share: folders, times, the machine, and the options for output. It does not import torch."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
DOCS = ROOT / "docs"


def median_seconds(works: Mapping[str, Callable[[], object]], repeat: int, warm_up: int = 1) -> dict[str, float]:
    """Median time in seconds of each piece of work.

    They take turns, so that what else the machine does disturbs all alike; the first ``warm_up`` turns do not count.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-warm_up, repeat):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> str:
    """The kind of machine, and the version of torch."""
    return f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), torch {version('torch').split('+')[0]}"


def command_options(settings: Any, defaults: Any) -> str:
    """The options of the command line by which settings, a dataclass, differ from the defaults."""
    options = []
    for field in fields(settings):
        value, name = getattr(settings, field.name), field.name.replace("_", "-")
        if value != getattr(defaults, field.name):
            if isinstance(value, bool):
                options.append(f"--{name}" if value else f"--no-{name}")
            else:
                parts = value if isinstance(value, tuple) else (value,)
                options.append(
                    f"--{name} {','.join(f'{part:g}' if isinstance(part, float) else str(part) for part in parts)}"
                )
    return " ".join(options)


out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the data, the page and its figures."
)
from_data_option = click.option(
    "--from-data", is_flag=True, help="Do not measure; make the page anew from the data in --out, or else in docs."
)


def check_matplotlib(out: Path | None) -> None:
    """Refuse ``--out`` before measuring if its figures cannot be drawn."""
    if out and find_spec("matplotlib") is None:
        raise click.UsageError("--out needs matplotlib; pip install 'styleshuffle[plot]'")
