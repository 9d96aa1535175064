"""Stylize every content in every style at 512 x 512, show all in one sheet, and print the mean measures.

    python benchmarks/pairs.py --contents photos/ --styles paintings/ --vgg19 vgg19.safetensors --sheet sheet.png

The contents themselves, not stylized, are measured too, for pairs are not equally hard. Pictures are cropped to their
middle square and resized. The measures are those of `styleshuffle.evaluation.measures`, on VGG-19
with reflected borders (Caffe weights, .safetensors or .pth with torchvision's names), or on the compact encoder.
"""

from __future__ import annotations

import ast
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from pictures import sheet, square
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.images import READABLE
from styleshuffle.networks.vgg import load_compact, load_vgg19

SIDE = 512
MEASURES = tuple(Measures.__dataclass_fields__)


def picture_files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that can be read as pictures."""
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in READABLE)


@click.command()
@click.option("--contents", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--styles", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--content-pattern", default="*", show_default=True, help="Which files of --contents.")
@click.option("--style-pattern", default="*", show_default=True, help="Which files of --styles.")
@click.option("--pairs", type=int, help="Draw so many pairs, each picture once, instead of all with all.")
@click.option("--vgg19", type=click.Path(path_type=Path), help="Measure on VGG-19 from this file.")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), help="Write all pictures here.")
@click.option("--thumbnail", default=256, show_default=True, help="Side of a picture in the sheet.")
@click.option("--set", "settings", multiple=True, help="A setting, or encoder, weights, decoder, as name=value.")
@click.option("--no-measures", is_flag=True)
def main(
    contents: Path,
    styles: Path,
    content_pattern: str,
    style_pattern: str,
    pairs: int | None,
    vgg19: Path | None,
    sheet_file: Path | None,
    thumbnail: int,
    settings: tuple[str, ...],
    no_measures: bool,
) -> None:
    content_paths, style_paths = picture_files(contents, content_pattern), picture_files(styles, style_pattern)
    chosen = {name: _value(value) for name, value in (setting.split("=") for setting in settings)}
    stylizer = Stylizer(**chosen)
    judge = load_vgg19(vgg19) if vgg19 else load_compact()
    judge = judge.to(memory_format=torch.channels_last)
    stylized: list[Measures] = []
    unstylized: list[Measures] = []
    seconds: list[float] = []

    def stylize(content_path: Path, style_path: Path) -> tuple[Tensor, Tensor, Tensor]:
        content, style = square(content_path, SIDE), square(style_path, SIDE)
        start = time.perf_counter()
        output = stylizer.apply(content, stylizer.prepare(style))
        seconds.append(time.perf_counter() - start)
        if not no_measures:
            stylized.append(measure(judge, output, content, style))
            unstylized.append(measure(judge, content, content, style))
        return content, style, output

    rows: list[Sequence[Tensor | None]] = []
    if pairs:
        draw = random.Random(0)
        drawn = zip(draw.sample(content_paths, pairs), draw.sample(style_paths, pairs), strict=True)
        rows += [stylize(*pair) for pair in drawn]
    else:
        rows.append([None, *(square(path, SIDE) for path in style_paths)])
        for content_path in content_paths:
            outputs = [stylize(content_path, style_path)[2] for style_path in style_paths]
            rows.append([square(content_path, SIDE), *outputs])
    if sheet_file:
        sheet(rows, thumbnail).save(sheet_file)
    for title, measures in (("contents", unstylized), ("results", stylized)):
        if measures:
            means = (f"{name} {statistics.fmean(getattr(pair, name) for pair in measures):.3f}" for name in MEASURES)
            print(f"{title:<8}", *means, sep="  ")
    print(f"pairs {len(seconds)}  seconds {statistics.median(seconds):.2f}")


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)  # 8, 0.02, or 0.4,0.3,0.8,0.9
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    main()
