"""Memory while a long film is painted; says as JSON the resident memory in MiB after each hundredth of the frames.

python benchmarks/video_memory.py --frames 2000
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import click
from clips import swaying
from common import SAMPLES

from styleshuffle import Stylizer
from styleshuffle.video.anchors import AnchorPainter
from styleshuffle.video.encoding import encoding_for
from styleshuffle.video.film import Facts, FilmSettings, Frame
from styleshuffle.video.painting import FilmResult, paint_film
from styleshuffle.video.work import Work

_PERIOD = 300  # frames after which the camera is where it was


class Swaying:
    """A source of any length that holds few frames."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self.facts = Facts((width, height), count, Fraction(1, 25), Fraction(25))
        self.pixels = swaying(_PERIOD, height, width).frames

    def frames(self) -> Iterator[Frame]:
        for number in range(self.facts.count):
            yield Frame(self.pixels[number % _PERIOD], number, 1)


def resident() -> float:
    """Memory that this process holds now, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@click.command()
@click.option("--frames", default=2000, show_default=True)
@click.option("--height", default=72, show_default=True)
@click.option("--width", default=96, show_default=True)
def main(frames: int, height: int, width: int) -> None:
    """Paint a long film, and watch the memory."""
    source = Swaying(frames, height, width)
    stylizer = Stylizer(device="cpu").set_style(SAMPLES / "style/swirling_night.jpg")
    every, rows = max(1, frames // 100), []

    def watch(done: int) -> None:
        if done % every == 0:
            rows.append([done, round(resident(), 1)])

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "long.mp4"
        encoding = encoding_for(".mp4", FilmSettings(), source.facts, source.facts.size)
        result = FilmResult(target, encoding, source.facts, None, overwrite=True)
        paint_film(source, AnchorPainter(stylizer), result, Work(target, {}, resume=False), 8, watch)
    click.echo(json.dumps(rows))


if __name__ == "__main__":
    main()
