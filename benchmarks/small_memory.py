"""Run the command with little memory: every run must end with a result or with one line.

    python benchmarks/small_memory.py
    python benchmarks/small_memory.py --gigabytes 1 --gigabytes 2 --gigabytes 4 --out docs

Each picture is stylized under a limit of the address space (as ``ulimit -v`` sets it) and, where this process may make
one, in a control group (of Linux, version 1 or 2), which kills a process that takes too much. Among the pictures are
small files that hold enormous pictures. A folder of them goes on after each, and makes the ordinary one. The exit code is
1 if a run is killed, says more than one line, or shows a traceback.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from common import SAMPLES
from PIL import Image

GROUPS = Path("/sys/fs/cgroup")
STYLE = SAMPLES / "style" / "stained_glass.jpg"


def make_pictures(folder: Path) -> list[str]:
    """Pictures from ordinary to enormous; returns their names, and that of a folder of them."""
    with Image.open(SAMPLES / "content" / "cat.jpg") as image:
        image.resize((640, 480)).save(folder / "ordinary.jpg")
        image.resize((2000, 1500)).save(folder / "large.jpg")
    Image.new("L", (17000, 17000)).save(folder / "flat_grey.png", compress_level=1)
    Image.new("I;16", (9000, 9000)).save(folder / "flat_deep.png", compress_level=1)
    Image.new("RGBA", (16383, 9000)).save(folder / "flat.webp", lossless=True, method=0)
    Image.new("RGB", (16000, 16000)).save(folder / "flat.tif", compression="tiff_lzw")
    names = sorted(path.name for path in folder.iterdir())
    (folder / "all").mkdir()
    for name in names:
        if name != "large.jpg":
            (folder / "all" / name).hardlink_to(folder / name)
    return [*names, "all"]


@contextlib.contextmanager
def control_group(gigabytes: float) -> Iterator[Path | None]:
    """A control group with so much memory and no swap; None if this process may not make one."""
    first = GROUPS / "memory" if (GROUPS / "memory").is_dir() else GROUPS
    group = first / f"styleshuffle-{os.getpid()}"
    limit = str(round(gigabytes * 1e9))
    try:
        group.mkdir()
        if first == GROUPS:
            (group / "memory.max").write_text(limit)
            (group / "memory.swap.max").write_text("0")
        else:
            (group / "memory.limit_in_bytes").write_text(limit)
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def outcome(folder: Path, name: str, gigabytes: float, group: Path | None) -> str:
    """Stylize a picture under a limit; returns how it ended, beginning with "fault" if that broke the promise."""

    def limit() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            most = round(gigabytes * 1e9)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    shutil.rmtree(folder / "out", ignore_errors=True)
    command = [sys.executable, "-m", "styleshuffle", str(folder / name), str(STYLE), "-o", str(folder / "out") + "/"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, env=environment)
    lines, made = done.stderr.splitlines(), len([path for path in (folder / "out").rglob("*") if path.is_file()])
    said = " ".join(lines[-1:]).replace(str(folder), "...")
    if done.returncode not in (0, 1, 2) or "Traceback" in done.stderr:
        return f"fault: exit code {done.returncode}: {said}"
    if name == "all":
        good = len(lines) == 1 or (lines and lines[-1].startswith(f"{made} stylized"))
        return f"{'' if good else 'fault: '}{said}"
    if done.returncode == 0:
        return "result" if made == 1 else f"fault: {made} results"
    return f"line: {said}" if len(lines) == 1 else f"fault: {len(lines)} lines: {said}"


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--gigabytes", multiple=True, type=float, default=(1.0, 2.0, 4.0), help="Limits to try.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write small_memory.json into.")
def main(gigabytes: tuple[float, ...], out: Path | None) -> None:
    rows: list[tuple[str, str, str]] = []

    def note(limit: str, name: str, how: str) -> None:
        rows.append((limit, name, how))
        click.echo(f"{limit:22} {name:15} {how}")

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = make_pictures(folder)
        for amount in gigabytes:
            with control_group(amount) as group:
                for name in names:
                    note(f"{amount:g} GB of addresses", name, outcome(folder, name, amount, None))
                    if group is not None:
                        note(f"{amount:g} GB control group", name, outcome(folder, name, amount, group))
    if out is not None:
        (out / "small_memory.json").write_text(json.dumps(rows, indent=1) + "\n")
    if any(how.startswith("fault") for _, _, how in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
