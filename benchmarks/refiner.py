"""Refinement by the network beside refinement by Adam: the loss that both lower, the measures of the pictures, the time.

    python benchmarks/refiner.py --images pictures/ --styles pictures/ \
        --content-pattern 'photo_*' --style-pattern 'art_*' --vgg19 vgg19.safetensors

The pairs are of the pictures that `styleshuffle-train refiner` holds out with the same folders, patterns, --holdout and
--seed, cropped to their middle square and resized. The loss is that of `styleshuffle.reshuffle.targets`, at the targets
of the feed-forward picture. The measures are those of `styleshuffle.evaluation.measures`, of the finished pictures, on
VGG-19 with reflected borders, or on the compact encoder. Times are medians of all steps of a picture; with one thread
they are processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import copy
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from pictures import sheet, square
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.measures import Measures, measure_features, measure_pixels
from styleshuffle.networks.vgg import VGG, load_compact, load_vgg19
from styleshuffle.reshuffle.targets import loss_of
from styleshuffle.training.pairs import split_pairs

MEASURES = tuple(Measures.__dataclass_fields__)
_FOLDER = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass
class Way:
    """A way to refine, and what was measured of it."""

    name: str
    stylizer: Stylizer
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)

    def row(self) -> str:
        means = (statistics.fmean(getattr(single, name) for single in self.measures) for name in MEASURES)
        figures = (statistics.fmean(self.losses), *means)
        return " | ".join([f"| {self.name}", *map("{:.3f}".format, figures), f"{statistics.median(self.seconds):.2f} |"])


@torch.inference_mode()
def measure_pair(ways: list[Way], content: Tensor, style: Tensor, judge: VGG) -> list[Tensor]:
    """Refine a pair in all ways; the finished pictures, (1, 3, H, W)."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    plain = ways[0].stylizer
    prepared = plain.prepare(style)
    draft, targets = plain.draft(content, prepared)
    levels = sorted(judge.channels)
    own, painted = judge(content, [4]), judge(style, levels)
    pictures = []
    for way in ways:
        again = copy.copy(targets)  # a rematch sets them anew
        again.features, again.nnfs = dict(targets.features), dict(targets.nnfs)
        start = clock()
        *_, refined = draft, *way.stylizer.refined(draft, again)
        way.seconds.append(clock() - start)
        way.losses.append(float(loss_of(targets.residuals(plain.encoder(refined[None], targets.levels)))))
        picture = way.stylizer.apply(content, prepared)
        pixels = measure_pixels(picture, content, style)
        way.measures.append(measure_features(judge(picture, levels), own, painted, pixels))
        pictures.append(picture)
    return pictures


def _numbers(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    return [int(number) for number in value.split(",")]


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
@click.option("--learned", default="1,2,3,4", callback=_numbers, help="Numbers of steps, of which the first are learned.")
@click.option("--adam", default="2,4,6", callback=_numbers, help="Numbers of Adam's steps.")
@click.option("--vgg19", type=_FILE, help="Measure on VGG-19 from this file.")
@click.option("--threads", default=1, help="Of torch.")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), help="Write all pictures here, a row a pair.")
def main(pairs: int, size: int, threads: int, vgg19: Path | None, sheet_file: Path | None, **options: Any) -> None:
    torch.set_num_threads(threads)
    patterns = (options["content_pattern"], options["style_pattern"])
    _, held_out = split_pairs(options["images"], options["styles"], patterns, options["holdout"], options["seed"])
    draw = random.Random(0)
    contents, styles = (draw.sample(list(paths), len(paths)) for paths in held_out)
    ways = [Way("fed forward", Stylizer(device="cpu", refine=0))]
    for steps in options["adam"]:
        ways.append(Way(f"Adam, {steps}", Stylizer(device="cpu", optimizer="adam", refine=steps)))
    for steps in options["learned"]:
        ways.append(Way(f"learned, {steps}", Stylizer(device="cpu", refine=steps, refiner=options["refiner"])))
    judge = (load_vgg19(vgg19) if vgg19 else load_compact()).to(memory_format=torch.channels_last)
    rows = []
    for number in range(pairs):
        content, style = (square(paths[number % len(paths)], size) for paths in (contents, styles))
        rows.append([content, style, *measure_pair(ways, content, style, judge)])
    if sheet_file:
        sheet(rows, size).save(sheet_file)
    print("| steps | loss |", " | ".join(MEASURES), "| seconds |")
    print("|---|---|" + "---|" * (len(MEASURES) + 1))
    for way in ways:
        print(way.row())


if __name__ == "__main__":
    main()
