"""Twelve sample pairs before and after the votes were evened, with their measures; makes docs/looks.md.

    python benchmarks/looks.py --vgg19 vgg19.safetensors --out docs
    python benchmarks/looks.py --from-data

Before: the default of version 0.1.0 as settings. After: today's default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from common import DOCS, SAMPLES, command_options, from_data_option, machine, out_option
from pages import read_data, table, write_data, write_page
from pictures import sheet, square
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.networks.vgg import load_compact, load_vgg19
from styleshuffle.settings import PLAIN

PAIRS = (
    ("cat", "swirling_night"),
    ("astronaut", "autumn_avenue"),
    ("coffee", "stained_glass"),
    ("rocket", "swirling_night"),
    ("camera", "block_print_waves"),
    ("cat", "watercolour_lake"),
    ("coffee", "pointillist_river"),
    ("astronaut", "byzantine_mosaic"),
    ("rocket", "autumn_avenue"),
    ("camera", "pen_engraving"),
    ("astronaut", "swirling_night"),
    ("coffee", "watercolour_lake"),
)
AFTER = Settings()
BEFORE = replace(
    PLAIN,
    content_weights=(0.4, 0.4, 0.8, 0.9),
    flat_weights=(0.4, 0.4, 0.8, 0.9),
    encoder_blends=(0.7, 0.5, 0.45),
    palette=0.6,
    optimizer="adam",
)
WAYS = {"before": BEFORE, "after": AFTER}
MEASURES = tuple(Measures.__dataclass_fields__)
SHOWN, ROWS = 384, 4  # pixels of a picture in a sheet, and pairs in a sheet


def run(size: int, judge: Any, judge_name: str) -> tuple[dict[str, Any], list[list[Tensor]]]:
    """Data of the page, and the pictures of each pair: content, style, before, after."""
    stylizers = {way: Stylizer(settings, device="cpu") for way, settings in WAYS.items()}
    pairs, pictures = [], []
    for content_name, style_name in PAIRS:
        content, style = (
            square(SAMPLES / f"{kind}/{name}.jpg", size)
            for kind, name in (("content", content_name), ("style", style_name))
        )
        row = {"content": content_name, "style": style_name}
        results = []
        for way, stylizer in stylizers.items():
            results.append(stylizer.apply(content, stylizer.prepare(style)))
            row[way] = asdict(measure(judge, results[-1], content, style))
        pairs.append(row)
        pictures.append([content, style, *results])
        click.echo(f"{content_name} in {style_name}", err=True)
    facts = {
        "size": size,
        "machine": machine(),
        "judge": judge_name,
        "before": command_options(BEFORE, AFTER),
    }
    return {"facts": facts, "pairs": pairs}, pictures


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, pairs = data["facts"], data["pairs"]
    rows = []
    for number, pair in enumerate(pairs, start=1):
        for way in WAYS:
            name = f"{number}. {pair['content']}, {pair['style'].replace('_', ' ')}" if way == "before" else ""
            rows.append([name, way, *(f"{pair[way][measure_]:.3f}" for measure_ in MEASURES)])
    for way in WAYS:
        means = [fmean(pair[way][measure_] for pair in pairs) for measure_ in MEASURES]
        rows.append([f"**mean, {way}**", way, *(f"**{mean:.3f}**" for mean in means)])
    return {
        "pairs": str(len(pairs)),
        "size": str(facts["size"]),
        "machine": facts["machine"],
        "judge": facts["judge"],
        "before_options": facts["before"],
        "table": table(["pair", "", *MEASURES], rows),
    }


def draw(pictures: Sequence[Sequence[Tensor]], folder: Path) -> None:
    """A row for each pair: content, style, before, after."""
    for number, start in enumerate(range(0, len(pictures), ROWS), start=1):
        sheet(pictures[start : start + ROWS], SHOWN).save(folder / f"looks_{number}.jpg", quality=88)


@click.command()
@click.option("--size", default=512, show_default=True, type=click.IntRange(64), help="Side of the squares.")
@click.option("--vgg19", type=click.Path(path_type=Path), help="Measure on VGG-19 from this file.")
@out_option
@from_data_option
def main(size: int, vgg19: Path | None, out: Path | None, from_data: bool) -> None:
    """Show what evening changed."""
    out = out or (DOCS if from_data else None)
    if from_data and out:
        data = read_data(out / "looks.json")
    else:
        judge = load_vgg19(vgg19) if vgg19 else load_compact()
        judge = judge.to(memory_format=torch.channels_last)
        data, pictures = run(size, judge, "VGG-19" if vgg19 else "the compact encoder")
        if out:
            out.mkdir(parents=True, exist_ok=True)
            draw(pictures, out)
    values = marks(data)
    click.echo(values["table"])
    if out:
        write_data(out / "looks.json", data)
        write_page(out, "looks", values)


if __name__ == "__main__":
    main()
