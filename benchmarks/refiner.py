"""Learned steps of refinement beside Adam's: the loss they lower, the measures of the pictures, and time and memory.

    python benchmarks/refiner.py --images pictures/ --styles pictures/ \
        --content-pattern 'photo_*' --style-pattern 'art_*' --vgg19 vgg19.safetensors

Pairs are of the pictures that `styleshuffle-train refiner` holds out at the same folders, patterns, --holdout and --seed.
They are cropped to their middle square, resized, and fed forward once; then all kinds of steps start from there.
Measures are those of `styleshuffle.evaluation.measures`, on VGG-19 with reflected borders, or on the compact encoder.
Times are medians, of all steps of a picture; if --threads is 1, they are processor time, which other work hardly
touches.
"""

from __future__ import annotations

import copy
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from pictures import sheet, square
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.networks.refiner import load_compact_refiner, load_refiner
from styleshuffle.networks.vgg import VGG, load_compact, load_vgg19
from styleshuffle.reshuffle.refinement import refine_by_gradient, refine_by_network
from styleshuffle.reshuffle.targets import Targets, loss_of
from styleshuffle.training.pairs import split_pairs

FIELDS = tuple(Measures.__dataclass_fields__)
_FOLDER = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass
class Way:
    """A number of steps of one kind, and what was measured of it."""

    name: str
    take: Callable[[Tensor, Targets], Iterator[Tensor]]
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)

    def row(self) -> str:
        means = (statistics.fmean(getattr(one, name) for one in self.measures) for name in FIELDS)
        figures = (statistics.fmean(self.losses), *means)
        return " | ".join([f"| {self.name}", *(f"{value:.3f}" for value in figures), self.time(), ""]).rstrip()

    def time(self) -> str:
        return f"{statistics.median(self.seconds):.2f}"


def ways(stylizer: Stylizer, file: Path | None, learned: list[int], by_gradient: list[int]) -> list[Way]:
    encoder = stylizer.encoder
    refiner = load_compact_refiner(encoder) if file is None else load_refiner(encoder, file)
    refiner.to(memory_format=torch.channels_last)

    def network(steps: int) -> Callable[[Tensor, Targets], Iterator[Tensor]]:
        return lambda picture, targets: refine_by_network(picture, encoder, targets, steps, refiner)

    def adam(steps: int) -> Callable[[Tensor, Targets], Iterator[Tensor]]:
        return lambda picture, targets: refine_by_gradient(picture, encoder, targets, steps)

    nothing = Way("fed forward", lambda picture, targets: iter(()))
    return [
        nothing,
        *(Way(f"Adam, {steps} steps", adam(steps)) for steps in by_gradient),
        *(Way(f"learned, {steps} steps", network(steps)) for steps in learned),
    ]


@torch.inference_mode()
def measure_pair(
    stylizer: Stylizer, all_ways: list[Way], content: Tensor, style: Tensor, judge: VGG, clock: Callable[[], float]
) -> list[Tensor]:
    """Refine one pair in all ways; the pictures, (1, 3, H, W)."""
    picture, targets = stylizer.draft(content, stylizer.prepare(style))
    pictures = []
    for way in all_ways:
        own = copy.copy(targets)  # for a rematch sets them anew
        own.features, own.nnfs = dict(targets.features), dict(targets.nnfs)
        start = clock()
        *_, result = picture, *way.take(picture, own)
        way.seconds.append(clock() - start)
        way.losses.append(float(loss_of(targets.residuals(stylizer.encoder(result[None], targets.levels)))))
        way.measures.append(measure(judge, result[None], content, style))
        pictures.append(result[None])
    return pictures


@click.command(context_settings={"show_default": True})
@click.option("--images", required=True, type=_FOLDER)
@click.option("--styles", required=True, type=_FOLDER)
@click.option("--content-pattern", default="*", help="Which files of --images are contents.")
@click.option("--style-pattern", default="*", help="Which files of --styles are styles.")
@click.option("--holdout", default=60)
@click.option("--seed", default=1, help="Of the training.")
@click.option("--pairs", default=20, help="How many pairs to draw.")
@click.option("--size", default=512, help="Side of all pictures, a multiple of 8.")
@click.option("--refiner", type=_FILE, help="A trained refiner; default: the bundled one.")
@click.option("--learned", default="1,2,3", help="Numbers of learned steps.")
@click.option("--gradient", default="2,4,6,12", help="Numbers of Adam's steps.")
@click.option("--vgg19", type=_FILE, help="Measure on VGG-19 from this file.")
@click.option("--threads", default=1, help="Of torch; more than one is timed by the clock.")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), help="Write all pictures here, a row a pair.")
def main(
    images: Path,
    styles: Path,
    content_pattern: str,
    style_pattern: str,
    holdout: int,
    seed: int,
    pairs: int,
    size: int,
    refiner: Path | None,
    learned: str,
    gradient: str,
    vgg19: Path | None,
    threads: int,
    sheet_file: Path | None,
) -> None:
    torch.set_num_threads(threads)
    _, (contents, paintings) = split_pairs(images, styles, (content_pattern, style_pattern), holdout, seed)
    draw = random.Random(0)
    drawn = [draw.sample(list(paths), len(paths)) for paths in (contents, paintings)]
    stylizer = Stylizer(device="cpu", refine=0)
    judge = (load_vgg19(vgg19) if vgg19 else load_compact()).to(memory_format=torch.channels_last)
    all_ways = ways(stylizer, refiner, *([int(one) for one in text.split(",")] for text in (learned, gradient)))
    rows = []
    for number in range(pairs):
        content, style = (square(paths[number % len(paths)], size) for paths in drawn)
        made = measure_pair(
            stylizer, all_ways, content, style, judge, time.process_time if threads == 1 else time.perf_counter
        )
        rows.append([content, style, *made])
    if sheet_file:
        sheet(rows, size).save(sheet_file)
    print("| | loss |", " | ".join(FIELDS), "| seconds |")
    print("|---|" + "---|" * (len(FIELDS) + 2))
    for way in all_ways:
        print(way.row())


if __name__ == "__main__":
    main()
