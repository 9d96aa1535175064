"""What was tried to break a run, and what came of it; makes docs/faults.md.

    python benchmarks/stops.py --kills 200 --signals 100 --out results
    python benchmarks/small_memory.py --out results
    python benchmarks/fuzz.py --files 1000000 --jobs 2 --out results
    python benchmarks/faults.py --results results --out docs
    python benchmarks/faults.py --from-data

What the folder of results lacks stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from common import DOCS, from_data_option, machine, out_option
from pages import read_data, table, write_data, write_page

NAME = "faults"
NOT_YET = "The million files are not yet read to the end."


def gathered(results: Path, old: dict[str, Any]) -> dict[str, Any]:
    """The data of the page, from what the three benchmarks have written into a folder."""
    data = {"facts": {"machine": machine()}, "stops": {}, "memory": [], "fuzz": {}, "fuzz faults": [], **old}
    for part, name in ("stops", "stops"), ("memory", "small_memory"), ("fuzz", "fuzz"):
        file = results / f"{name}.json"
        if file.is_file():
            data[part] = json.loads(file.read_text(encoding="utf-8"))
    if "facts" in data["fuzz"]:
        data["fuzz"], data["fuzz faults"] = data["fuzz"]["facts"], data["fuzz"]["faults"]
    return data


def stops_table(stops: dict[str, dict[str, int]]) -> str:
    rows = [(name, sum(ends.values()), _listed(ends)) for name, ends in stops.items()]
    return table(["Stopped by", "moments", "what came of it"], rows)


def _listed(ends: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(ends.items(), key=lambda end: -end[1]))


def memory_table(rows: Sequence[Sequence[str]]) -> str:
    """A line for each picture, a column for each limit."""
    limits, names = list(dict.fromkeys(row[0] for row in rows)), list(dict.fromkeys(row[1] for row in rows))
    ends = {(limit, name): _shortly(how) for limit, name, how in rows}
    lines = [[f"`{name}`", *(ends[limit, name] for limit in limits)] for name in names]
    return table(["", *limits], lines)


def _shortly(how: str) -> str:
    """How a run ended, in a few words."""
    folder = re.match(r"(\d+) stylized, \d+ already there, (\d+) failed", how)
    if folder is not None:
        return f"{folder[1]} made, {folder[2]} refused"
    return how if how == "result" or how.startswith("fault") else "one line"


def fuzz_table(facts: dict[str, Any]) -> str:
    return table(["", ""], [(name, f"{value:,}") for name, value in facts.items()]) if facts else NOT_YET


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--results", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of results.")
@out_option
@from_data_option
def main(results: Path | None, out: Path | None, from_data: bool) -> None:
    out = out or DOCS
    data = read_data(out / f"{NAME}.json") if from_data or (out / f"{NAME}.json").is_file() else {}
    if results is not None and not from_data:
        data = gathered(results, data)
    if not data:
        raise click.UsageError("--results: is missing; name the folder that the benchmarks have written into")
    write_data(out / f"{NAME}.json", data)
    marks = {
        "machine": data["facts"]["machine"],
        "stops": stops_table(data["stops"]),
        "memory": memory_table(data["memory"]),
        "fuzz": fuzz_table(data["fuzz"]),
    }
    write_page(out, NAME, marks)


if __name__ == "__main__":
    main()
