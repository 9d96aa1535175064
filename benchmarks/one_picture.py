"""Stylize one picture in this process and print its times and memory as JSON; other benchmarks run this as a new process.
The process is set up as the commands do it.

python benchmarks/one_picture.py samples/content/astronaut.jpg samples/style/swirling_night.jpg --size 512
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from common import peak_memory

from styleshuffle.commands.process import set_up

if TYPE_CHECKING:
    from styleshuffle import Progress, Stylizer
    from styleshuffle.images import Picture


class Stages:
    """The seconds of each stage of a picture, by the calls of its progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        self.end(progress.stage)

    def end(self, stage: str) -> None:
        """The stage that began when the one before it ended is over."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


def measured(stylizer: Stylizer, style: Path, content: Path, repeat: int, warm_up: bool) -> dict[str, Any]:
    """Times in seconds: with the style, with the style prepared, by stage, and of reading and writing the file."""
    from styleshuffle.images import read, write

    picture, read_seconds = timed(lambda: read(content))

    def with_style() -> Picture:
        return stylizer.set_style(style).render(picture)

    def by_stage() -> dict[str, float]:
        stages = Stages()
        stylizer.render(picture, stages)
        stages.end("finish")
        return stages.seconds

    if warm_up:
        with_style()
    result, first = timed(with_style)
    styled = [first, *(timed(with_style)[1] for _ in range(repeat - 1))]
    stages = [by_stage() for _ in range(repeat)]
    with tempfile.TemporaryDirectory() as folder:
        _, write_seconds = timed(lambda: write(result, Path(folder) / "result.jpg"))
    return {
        "size": list(result.size),
        "read": read_seconds,
        "with style": statistics.median(styled),
        "prepared": statistics.median(sum(seconds.values()) for seconds in stages),
        "stages": {name: statistics.median(seconds[name] for seconds in stages) for name in stages[0]},
        "write": write_seconds,
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What a piece of work returns, and the seconds that it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


@click.command()
@click.argument("content", type=click.Path(exists=True, path_type=Path))
@click.argument("style", type=click.Path(exists=True, path_type=Path))
@click.option("--size", default=512, type=click.IntRange(32), help="Long side of the result.")
@click.option("--repeat", default=1, type=click.IntRange(1), help="Runs that the medians are of.")
@click.option("--warm-up", is_flag=True, help="Stylize once before.")
@click.option("--threads", type=click.IntRange(1), help="Threads of torch; default: as torch chooses.")
@click.option("--device", default="cpu")
def main(content: Path, style: Path, size: int, repeat: int, warm_up: bool, threads: int | None, device: str) -> None:
    """Print the times (seconds) and the memory (bytes) of a picture, as JSON."""
    start = time.perf_counter()
    set_up()
    import torch

    from styleshuffle import Stylizer

    if threads:
        torch.set_num_threads(threads)
    imported = peak_memory()
    stylizer = Stylizer(size=size, device=device)
    facts = {"load": time.perf_counter() - start, "threads": torch.get_num_threads(), "imported": imported}
    facts |= measured(stylizer, style, content, repeat, warm_up)
    click.echo(json.dumps(facts | {"peak": peak_memory()}))


if __name__ == "__main__":
    main()
