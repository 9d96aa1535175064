"""`styleshuffle-web`: how soon a change of a dial shows, what a crowd of clients leaves behind, and how the page looks;
makes docs/web.md with its screenshots.

    python benchmarks/web.py --out docs
    python benchmarks/web.py --out docs --only screenshots
    python benchmarks/web.py --from-data

It needs ``pip install 'styleshuffle[test]'``, and Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Any

import click
from common import DOCS, SAMPLES, from_data_option, machine, median_seconds, out_option
from pages import read_data, table, write_data, write_page
from web_clients import STYLES, Client, busy, crowd, in_this_process, running
from web_pictures import WIDTHS, chromium, next_preview, painted_page, screenshots, turn

PARTS = ("dials", "ratio", "crowd", "screenshots")
SIDE = 384
_NOT_MEASURED = "(Not measured yet: this needs an idle machine.)"


def dials(repeat: int) -> list[dict[str, Any]]:
    """Seconds from a change of a dial to the new preview in the browser, idle and beside a busy process."""
    rows = []
    with running() as server, chromium() as page:
        painted_page(page, server.url)
        for beside in (False, True):
            with busy() if beside else contextlib.nullcontext():
                next_preview(page, lambda: turn(page, "strength", 0.3))
                strengths = [0.31 + 0.6 * number / repeat for number in range(repeat)]
                times = [next_preview(page, lambda value=value: turn(page, "strength", value)) for value in strengths]
            rows.append({"busy": beside, "changes": repeat, "median": statistics.median(times), "worst": max(times)})
    return rows


def ratio(repeat: int) -> dict[str, float]:
    """A preview through the server beside the same picture by the library, in one process and in turns; medians in
    seconds."""
    from styleshuffle import Stylizer

    style = SAMPLES / "style" / f"{STYLES[0].removeprefix('sample-')}.jpg"
    content = SAMPLES / "content" / "cat.jpg"
    stylizer = Stylizer(size=SIDE).set_style(style)
    with in_this_process() as server:
        client = Client(server, "measured")
        works = {"library": lambda: stylizer.stylize(content), "server": lambda: client.preview({})}
        return median_seconds(works, repeat)


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, gathered = data["facts"], data["crowd"]
    rows = [
        [
            "beside a busy process" if row["busy"] else "alone",
            row["changes"],
            f"{row['median']:.2f} s",
            f"{row['worst']:.2f} s",
        ]
        for row in data.get("dials", [])
    ]
    ends = [[end, count] for end, count in sorted(gathered["ends"].items())]
    change = gathered["memory_after"] / gathered["memory_before"] - 1
    return {
        "machine": facts["machine"],
        "side": str(SIDE),
        "dials": table(["", "changes", "median", "worst"], rows)
        if rows
        else "(Not measured yet: this needs an idle machine.)",
        "ratio": f"{data['ratio']['server'] / data['ratio']['library']:.2f}",
        "jobs": str(gathered["jobs"]),
        "clients": str(gathered["clients"]),
        "crowd_side": str(gathered["side"]),
        "ends": table(["End", "jobs"], ends),
        "before": f"{gathered['memory_before'] / 2**20:.0f}",
        "after": f"{gathered['memory_after'] / 2**20:.0f}",
        "change": f"{100 * change:+.0f}",
        "files": str(gathered["files_left"]),
        **{name: f"{width} x {height}" for name, (width, height) in WIDTHS.items()},
    }


@click.command()
@click.option("--repeat", default=20, show_default=True, type=click.IntRange(2), help="Changes of a dial.")
@click.option("--jobs", default=500, show_default=True, type=click.IntRange(1), help="Jobs of the crowd.")
@click.option("--clients", default=8, show_default=True, type=click.IntRange(1), help="Clients of the crowd.")
@click.option("--side", default=128, show_default=True, type=click.IntRange(128, 1024), help="Long side of its pictures.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure only this; the rest stays as it was.")
@out_option
@from_data_option
def main(
    repeat: int, jobs: int, clients: int, side: int, only: tuple[str, ...], out: Path | None, from_data: bool
) -> None:
    """Measure the page."""
    out = out or (DOCS if from_data else None)
    old = read_data(out / "web.json") if out and (from_data or only) else {}
    data: dict[str, Any] = {**old}
    parts = () if from_data else only or PARTS
    if parts:
        data["facts"] = {"machine": machine()}
    if "dials" in parts:
        data["dials"] = dials(repeat)
    if "ratio" in parts:
        data["ratio"] = ratio(repeat)
    if "crowd" in parts:
        with running() as server:
            data["crowd"] = crowd(server, jobs, clients, side)
    if "screenshots" in parts and out:
        out.mkdir(parents=True, exist_ok=True)
        with running() as server, chromium() as page:
            screenshots(page, server.url, out)
    for name in ("dials", "ratio", "crowd"):
        click.echo(f"{name}: {data.get(name)}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "web.json", data)
        write_page(out, "web", marks(data))


if __name__ == "__main__":
    main()
