"""Time and memory of a folder of pictures, against a command for each picture and against a plain loop.

    python benchmarks/folders.py
    python benchmarks/folders.py --pictures 12 --size 512 --out docs

The loop is what a Python program does that reads, stylizes and writes one picture after the other. Two kinds of contents
are measured: pictures of the size of the result, and photographs of a camera, which take long to read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from common import ROOT, SAMPLES, machine, out_option
from pages import table
from performance import record
from PIL import Image

CONTENT, STYLE = SAMPLES / "content" / "astronaut.jpg", SAMPLES / "style" / "swirling_night.jpg"
CAMERA = (4000, 3000)
MEBIBYTE = 2**20

LOOP = """
import sys
from pathlib import Path
from styleshuffle.commands.process import set_up
set_up()
from styleshuffle import Stylizer
from styleshuffle.images import read, write
size, style, folder, output = sys.argv[1:]
stylizer = Stylizer(size=int(size), device="cpu").set_style(style)
Path(output).mkdir()
for path in sorted(Path(folder).iterdir()):
    write(stylizer.render(read(path)), Path(output) / path.name)
"""


def contents(folder: Path, count: int, size: tuple[int, int], suffix: str) -> None:
    """Pictures that differ a little, in a new folder."""
    folder.mkdir()
    with Image.open(CONTENT) as image:
        picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    for number in range(count):
        shifted = picture.rotate(number, Image.Resampling.BICUBIC, fillcolor="grey")
        shifted.save(folder / f"{number:03}{suffix}")


def run(command: Sequence[object]) -> tuple[float, int]:
    """The seconds that a process takes, and its peak memory in bytes (0 where that is unknown)."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], env={**os.environ, "PYTHONPATH": path})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, [str(part) for part in command])
    return time.perf_counter() - start, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def ways(photos: Path, size: int, results: Path) -> dict[str, list[list[object]]]:
    """The commands of each way to stylize a folder."""
    single = ["-m", "styleshuffle", "-q", "--size", size, "--device", "cpu"]
    files = sorted(photos.iterdir())
    return {
        "a command for each picture": [[*single, file, STYLE, "-o", results / "single" / file.name] for file in files],
        "a loop in Python": [["-c", LOOP, size, STYLE, photos, results / "loop"]],
        "the folder": [[*single, photos, STYLE, "-o", results / "folder"]],
    }


def measure(count: int, size: int, repeat: int) -> list[dict[str, Any]]:
    """A row for each kind of content and each way; the best of some runs, which take turns."""
    rows = []
    kinds = {f"{size} x {size}, PNG": ((size, size), ".png"), f"{CAMERA[0]} x {CAMERA[1]}, JPEG": (CAMERA, ".jpg")}
    with tempfile.TemporaryDirectory() as temporary:
        for number, (kind, (shape, suffix)) in enumerate(kinds.items()):
            photos = Path(temporary) / f"photos {number}"
            contents(photos, count, shape, suffix)
            best: dict[str, tuple[float, int]] = {}
            for turn in range(repeat):
                results = Path(temporary) / f"results {number}.{turn}"
                (results / "single").mkdir(parents=True)
                for way, commands in ways(photos, size, results).items():
                    runs = [run(command) for command in commands]
                    seconds, peak = sum(seconds for seconds, _ in runs), max(peak for _, peak in runs)
                    best[way] = min(best.get(way, (seconds, peak)), (seconds, peak))
                check_alike(results)
            rows += [
                {"content": kind, "way": way, "seconds": seconds / count, "peak": peak}
                for way, (seconds, peak) in best.items()
            ]
    return rows


def check_alike(results: Path) -> None:
    """All ways must give the same pixels."""
    for file in (results / "folder").iterdir():
        with Image.open(file) as own, Image.open(results / "loop" / file.name) as other:
            if own.tobytes() != other.tobytes():
                raise click.ClickException(f"{file.name}: the folder and the loop differ")


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of them."""
    lines = []
    for row in rows:
        single = next(each["seconds"] for each in rows if each["content"] == row["content"])
        lines.append(
            [
                row["content"],
                row["way"],
                f"{row['seconds']:.2f} s",
                f"{row['seconds'] / single:.2f}",
                f"{row['peak'] / MEBIBYTE:.0f} MiB",
            ]
        )
    titles = ["Contents", "", "a picture", "against single commands", "peak memory"]
    return (
        f"{facts['pictures']} pictures, results of {facts['size']} pixels, on {facts['machine']}; starting and "
        f"loading are included. Measured by `{facts['command']}`.\n\n{table(titles, lines)}"
    )


@click.command(context_settings={"show_default": True})
@click.option("--pictures", default=12, type=click.IntRange(2), help="Pictures in the folder.")
@click.option("--size", default=512, type=click.IntRange(32), help="Long side of the results.")
@click.option("--repeat", default=1, type=click.IntRange(1), help="Runs, of which the best counts.")
@out_option
def main(pictures: int, size: int, repeat: int, out: Path | None) -> None:
    """Print what a picture of a folder costs."""
    command = f"python benchmarks/folders.py --pictures {pictures} --size {size} --repeat {repeat}"
    facts = {"pictures": pictures, "size": size, "machine": machine(), "command": command}
    rows = measure(pictures, size, repeat)
    click.echo(section(facts, rows))
    if out:
        record(out, "folders", facts, rows)


if __name__ == "__main__":
    main()
