"""Our matching beside that of the paper's authors, on three sample pairs; makes docs/authors.md.

    python benchmarks/authors.py --out docs
    python benchmarks/authors.py --from-data

Three ways: `styleshuffle.settings.AUTHORS`, the program that the authors released, as settings; the same with prices in
place of its counting; and our defaults.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from common import DOCS, command_options, from_data_option, machine, out_option
from pages import read_data, table, write_data, write_page
from pictures import sample, sheet
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.losses import usage_deviation
from styleshuffle.evaluation.measures import measure
from styleshuffle.networks.vgg import load_compact
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.nnf import usage
from styleshuffle.settings import AUTHORS

PAIRS = (("cat", "swirling_night"), ("astronaut", "autumn_avenue"), ("coffee", "stained_glass"))
DEFAULTS = Settings()
WAYS = {
    "the authors' program": AUTHORS,
    "the same, with prices": replace(AUTHORS, matching="prices", usage_penalty=DEFAULTS.usage_penalty),
    "our defaults": DEFAULTS,
}
COLUMNS = ("used", "uneven", "cfsd", "gram", "coherence", "completeness", "swd")


@torch.inference_mode()
def stylize(settings: Settings, content: Tensor, style: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The picture (1, 3, H, W), and its figures: seconds, how style patches are used at relu4_1, and the measures."""
    stylizer = Stylizer(settings, device="cpu")
    turns: list[Turn] = []
    start = time.perf_counter()
    picture = stylizer.apply(content, stylizer.prepare(style), watch=turns.append)
    seconds = time.perf_counter() - start
    nnf = [turn.nnf for turn in turns if turn.level == 4][-1]
    use = {"used": float((usage(nnf) > 0).float().mean()), "uneven": usage_deviation(nnf)}
    return picture, {"seconds": seconds, **use, **asdict(measure(load_compact(), picture, content, style))}


def run(size: int) -> tuple[dict[str, Any], list[list[Tensor]]]:
    """Data of the page, and the pictures of each pair: content, style, and the result of each way."""
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    pictures = []
    for content_name, style_name in PAIRS:
        content, style = sample(f"content/{content_name}", size), sample(f"style/{style_name}", size)
        row = [content, style]
        for way, settings in WAYS.items():
            picture, measured = stylize(settings, content, style)
            figures[way].append(measured)
            row.append(picture)
        pictures.append(row)
    seconds = {way: fmean(measured["seconds"] for measured in figures[way]) for way in WAYS}
    facts = {
        "size": size,
        "machine": machine(),
        "options": command_options(AUTHORS, DEFAULTS),
        "our_usage_penalty": DEFAULTS.usage_penalty,
        "palette": DEFAULTS.palette,
        "refine": DEFAULTS.refine_steps(learned=True),
    }
    ways = [
        {"way": way, "time": seconds[way] / min(seconds.values())}
        | {column: fmean(measured[column] for measured in figures[way]) for column in COLUMNS}
        for way in WAYS
    ]
    return {"facts": facts, "pairs": PAIRS, "ways": ways}, pictures


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts = data["facts"]
    rows = [[way["way"], f"{way['time']:.1f}", *(f"{way[column]:.3f}" for column in COLUMNS)] for way in data["ways"]]
    return {
        "pairs": str(len(data["pairs"])),
        "size": str(facts["size"]),
        "machine": facts["machine"],
        "table": table(["", "time", *COLUMNS], rows),
        "pictures": "; ".join(["content", "style", *(way["way"] for way in data["ways"])]),
        "options": facts["options"],
        "our_usage_penalty": f"{facts['our_usage_penalty']:g}",
        "palette": f"{facts['palette']:g}",
        "refine": str(facts["refine"]),
    }


def draw(pictures: Sequence[Sequence[Tensor]], path: Path) -> None:
    """A row for each pair."""
    sheet(pictures, 300).save(path, quality=88)


@click.command()
@click.option("--size", default=512, show_default=True, type=click.IntRange(64), help="Long side of contents and styles.")
@out_option
@from_data_option
def main(size: int, out: Path | None, from_data: bool) -> None:
    """Compare the authors' program with ours."""
    out = out or (DOCS if from_data else None)
    if from_data and out:
        data = read_data(out / "authors.json")
    else:
        data, pictures = run(size)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            draw(pictures, out / "authors.jpg")
    values = marks(data)
    click.echo(values["table"])
    if out:
        write_data(out / "authors.json", data)
        write_page(out, "authors", values)


if __name__ == "__main__":
    main()
