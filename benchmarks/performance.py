"""Write docs/performance.md from what `scale.py`, `seams.py`, `busy.py`, `folders.py`, `many.py` and `gpu.py` measured.

    python benchmarks/performance.py --from-data

Each of them, given ``--out docs``, puts its figures into its own part of docs/performance.json and writes the page anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from common import DOCS, from_data_option, out_option
from pages import read_data, write_data, write_page

PARTS = ("scale", "seams", "busy", "folders", "many", "gpu")
"""The benchmarks whose figures the page shows. Each has a function `section` that makes text of its facts and rows."""


def record(out: Path, part: str, facts: Mapping[str, Any], rows: Sequence[Any]) -> None:
    """Put new figures into the data and write the page anew."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "performance.json"
    data = read_data(path) if path.is_file() else {}
    data |= {f"{part} facts": dict(facts), part: list(rows)}
    write(out, data)


def write(out: Path, data: Mapping[str, Any]) -> None:
    """Write the data, the page and its figure."""
    whole = {name: data.get(name, kind) for part in PARTS for name, kind in ((f"{part} facts", {}), (part, []))}
    write_data(out / "performance.json", whole)
    write_page(out, "performance", marks(whole))
    if whole["scale"]:
        importlib.import_module("scale").draw(whole["scale"], out / "performance.png")


def marks(data: Mapping[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    texts = {}
    for part in PARTS:
        benchmark: Any = importlib.import_module(part)
        rows = data[part]
        texts[part] = benchmark.section(data[f"{part} facts"], rows) if rows else _not_measured(part)
    scale: Any = importlib.import_module("scale")
    texts["stages"] = scale.stages(data["scale"]) if data["scale"] else _not_measured("scale")
    texts["difference"] = "![20 times the difference](seams.jpg)" if data["seams"] else ""
    texts["plot"] = "![Time and memory against pixels](performance.png)" if data["scale"] else ""
    return texts


def _not_measured(part: str) -> str:
    return f"Not measured yet: run `python benchmarks/{part}.py --out docs`."


@click.command()
@out_option
@from_data_option
def main(out: Path | None, from_data: bool) -> None:
    """Write the page anew from its data."""
    if not from_data:
        raise click.UsageError("this script measures nothing; add --from-data, or run one of those in its first line")
    out = out or DOCS
    write(out, read_data(out / "performance.json"))


if __name__ == "__main__":
    main()
