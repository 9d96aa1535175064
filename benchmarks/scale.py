"""Time and memory of a picture against its pixels, from 256 x 256 on, with the time of each stage.

    python benchmarks/scale.py
    python benchmarks/scale.py --largest 8192 --out docs
    python benchmarks/scale.py --sizes 512,1024 --options "--device cuda"

Each size is a new process, which reads the picture from a file, stylizes it with and without preparing the style, and
writes it. Sizes that the memory refuses are reported and left out.
"""

from __future__ import annotations

import math
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
from common import SAMPLES, fresh_process, machine, out_option
from pages import table
from performance import record
from PIL import Image, ImageOps

CONTENT, STYLE = SAMPLES / "content" / "astronaut.jpg", SAMPLES / "style" / "swirling_night.jpg"
MEBIBYTE = 2**20
FROM = 512  # the side from which on the exponent is taken; below it, the time has a constant part


def squares(sides: list[int], folder: Path) -> dict[int, Path]:
    """The content as a square file of each side."""
    files = {}
    with Image.open(CONTENT) as content:
        for side in sides:
            files[side] = folder / f"{side}.jpg"
            ImageOps.fit(content.convert("RGB"), (side, side), Image.Resampling.BICUBIC).save(files[side], quality=95)
    return files


def measure(sides: list[int], options: list[str]) -> list[dict[str, Any]]:
    """A row for each side that the memory allows."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for side, file in squares(sides, Path(folder)).items():
            small = side <= 1024
            few = ["--repeat", 3 if small else 1, *(["--warm-up"] if small else [])]
            try:
                row = fresh_process("one_picture.py", file, STYLE, "--size", side, *few, *options)
            except subprocess.CalledProcessError as error:
                click.echo(f"{side}: ended with exit code {error.returncode}", err=True)
                continue
            rows.append({"side": side} | row)
            click.echo(f"{side}: {row['with style']:.2f} s, {row['peak'] / MEBIBYTE:.0f} MiB", err=True)
    return rows


def exponent(rows: list[dict[str, Any]], time: str = "with style") -> float | None:
    """The power of the pixels that the time grows with, by least squares from `FROM` on; None for a single size."""
    points = [(math.log(row["side"] ** 2), math.log(row[time])) for row in rows if row["side"] >= FROM]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of them."""
    lines = [
        [
            f"{row['side']} x {row['side']}",
            f"{row['with style']:.2f} s",
            f"{row['prepared']:.2f} s",
            f"{row['with style'] / row['side'] ** 2 * 1e6:.2f} s",
            f"{row['peak'] / MEBIBYTE:.0f} MiB",
            f"{(row['peak'] - row['imported']) / row['side'] ** 2:.0f}",
        ]
        for row in rows
    ]
    titles = ["Result", "style included", "style prepared", "a megapixel", "peak memory", "bytes a pixel, without torch"]
    power = exponent(rows)
    grows = "" if power is None else f" From {FROM} on, time grows with the pixels to the power of {power:.2f}."
    said = f"On {facts['machine']}, {rows[0]['threads']} threads. Measured by `{facts['command']}`.{grows}"
    return f"{said}\n\n{table(titles, lines)}"


def stages(rows: list[dict[str, Any]]) -> str:
    """A table of the seconds of each stage, style prepared, and of reading and writing the file."""
    names = list(dict.fromkeys(name for row in rows for name in row["stages"]))
    lines = [
        [
            f"{row['side']} x {row['side']}",
            f"{row['read']:.2f}",
            *(f"{row['stages'].get(name, 0):.2f}" for name in names),
            f"{row['write']:.2f}",
        ]
        for row in rows
    ]
    return table(["seconds", "read", *names, "write"], lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and peak memory against the pixels, both axes logarithmic. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    pixels = [row["side"] ** 2 / 1e6 for row in rows]
    left.loglog(pixels, [row["with style"] for row in rows], "o-", label="style included")
    left.loglog(pixels, [row["prepared"] for row in rows], "s-", label="style prepared")
    straight = [rows[-1]["with style"] * pixel / pixels[-1] for pixel in pixels]
    left.loglog(pixels, straight, "k:", linewidth=1, label="in proportion to pixels")
    left.set(xlabel="megapixels", ylabel="seconds")
    left.legend(fontsize=8)
    right.loglog(pixels, [row["peak"] / 2**30 for row in rows], "o-")
    right.set(xlabel="megapixels", ylabel="peak memory, GiB")
    for axes in left, right:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100, metadata={"Software": None})


@click.command(context_settings={"show_default": True})
@click.option("--largest", default=2048, type=click.IntRange(256), help="Largest side; the sides double from 256 on.")
@click.option("--sizes", help="Sides instead, such as 512,1024,3000.")
@click.option("--options", default="", help="More options for one_picture.py, such as --threads 1.")
@out_option
def main(largest: int, sizes: str | None, options: str, out: Path | None) -> None:
    """Print time and memory against pixels."""
    sides = [256 * 2**power for power in range(8) if 256 * 2**power <= largest]
    if sizes is not None:
        sides = [int(side) for side in sizes.split(",")]
    asked = f"--sizes {sizes}" if sizes is not None else f"--largest {largest}"
    more = f' --options "{options}"' if options else ""
    rows = measure(sides, shlex.split(options))
    if not rows:
        raise click.ClickException("no size could be measured")
    facts = {"machine": machine(), "command": f"python benchmarks/scale.py {asked}{more}"}
    click.echo(f"{section(facts, rows)}\n\n{stages(rows)}")
    if out:
        record(out, "scale", facts, rows)


if __name__ == "__main__":
    main()
