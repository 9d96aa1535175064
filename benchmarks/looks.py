"""Stylize every content in every style at 512 x 512, show all in one sheet, and print the mean measures.

    python benchmarks/looks.py --contents photos/ --styles paintings/ --vgg19 vgg19.safetensors --sheet sheet.png

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
from PIL import Image, ImageOps
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.images import READABLE, read, to_pil
from styleshuffle.networks.vgg import load_compact, load_vgg19

SIDE = 512
FIELDS = tuple(Measures.__dataclass_fields__)


def square(path: Path, side: int = SIDE) -> Tensor:
    """The middle square of a picture, (1, 3, side, side) in [0, 1]."""
    picture = ImageOps.fit(read(path).pil().convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    return read(picture).tensor()


def pictures(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in READABLE)


def sheet(rows: Sequence[Sequence[Tensor | None]], side: int) -> Image.Image:
    """A grid of pictures."""
    page = Image.new("RGB", (len(rows[0]) * side, len(rows) * side), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            if picture is not None:
                page.paste(to_pil(picture).resize((side, side), Image.Resampling.LANCZOS), (x * side, y * side))
    return page


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
    content_paths, style_paths = pictures(contents, content_pattern), pictures(styles, style_pattern)
    chosen = {name: _value(value) for name, value in (one.split("=") for one in settings)}
    stylizer = Stylizer(**chosen)
    judge = load_vgg19(vgg19) if vgg19 else load_compact()
    judge = judge.to(memory_format=torch.channels_last)
    found: list[Measures] = []
    unstylized: list[Measures] = []
    seconds: list[float] = []

    def one(content_path: Path, style_path: Path) -> tuple[Tensor, Tensor, Tensor]:
        content, style = square(content_path), square(style_path)
        start = time.perf_counter()
        output = stylizer.apply(content, stylizer.prepare(style))
        seconds.append(time.perf_counter() - start)
        if not no_measures:
            found.append(measure(judge, output, content, style))
            unstylized.append(measure(judge, content, content, style))
        return content, style, output

    if pairs:
        draw = random.Random(0)
        drawn = zip(draw.sample(content_paths, pairs), draw.sample(style_paths, pairs), strict=True)
        rows = [one(*pair) for pair in drawn]
    else:
        rows = [[None, *(square(path) for path in style_paths)]]
        for content_path in content_paths:
            outputs = [one(content_path, style_path)[2] for style_path in style_paths]
            rows.append([square(content_path), *outputs])
    if sheet_file:
        sheet(rows, thumbnail).save(sheet_file)
    for what, measures in (("contents", unstylized), ("results", found)):
        if measures:
            means = (f"{name} {statistics.fmean(getattr(one, name) for one in measures):.3f}" for name in FIELDS)
            print(f"{what:<8}", *means, sep="  ")
    print(f"pairs {len(seconds)}  seconds {statistics.median(seconds):.2f}")


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)  # 8, 0.02, or 0.4,0.3,0.8,0.9
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    main()
