"""Our matching beside that of the paper's authors, on three sample pairs at 512 pixels; writes docs/authors.md.

    python benchmarks/authors.py --out docs/authors.jpg

Three ways: `styleshuffle.settings.AUTHORS`, the program that the authors released, as settings; the same with prices in
place of its counting; and our defaults.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from looks import sheet
from torch import Tensor

from styleshuffle import Progress, Settings, Stylizer
from styleshuffle.evaluation.losses import usage_deviation
from styleshuffle.evaluation.measures import measure
from styleshuffle.images import read
from styleshuffle.networks.vgg import load_compact
from styleshuffle.reshuffle.nnf import usage
from styleshuffle.settings import AUTHORS

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PAIRS = (("cat", "swirling_night"), ("astronaut", "autumn_avenue"), ("coffee", "stained_glass"))
WAYS = {
    "the authors' program": AUTHORS,
    "the same, with prices": replace(AUTHORS, matching="prices", usage_penalty=Settings().usage_penalty),
    "our defaults": Settings(),
}


def picture(kind: str, name: str, size: int) -> Tensor:
    found = read(SAMPLES / kind / f"{name}.jpg")
    scale = size / max(found.size)
    return found.tensor((round(found.size[0] * scale), round(found.size[1] * scale)))


@torch.inference_mode()
def run(settings: Settings, content: Tensor, style: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The picture, and what is known about how it came to be."""
    stylizer, steps = Stylizer(settings, device="cpu"), []
    began = time.perf_counter()
    result = stylizer.apply(content, stylizer.prepare(style), steps.append)
    seconds = time.perf_counter() - began
    first = [step for step in steps if step.level == 4][-1]
    return result, {"seconds": seconds, **of_field(first), **asdict(measure(load_compact(), result, content, style))}


def of_field(step: Progress) -> dict[str, float]:
    return {"used": float((usage(step.field) > 0).float().mean()), "uneven": usage_deviation(step.field)}


@click.command()
@click.option("--size", default=512, show_default=True, help="Long side of contents and styles.")
@click.option("--out", default="docs/authors.jpg", show_default=True, type=click.Path(path_type=Path))
def main(size: int, out: Path) -> None:
    """Compare and write the table (.md) and the sheet."""
    rows: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    results: list[list[Tensor | None]] = []
    for content_name, style_name in PAIRS:
        content, style = picture("content", content_name, size), picture("style", style_name, size)
        made = []
        for way, settings in WAYS.items():
            result, facts = run(settings, content, style)
            rows[way].append(facts)
            made.append(result)
        results.append([content, style, *made])
    sheet(results, 300).save(out, quality=88)
    fastest = min(fmean(row["seconds"] for row in found) for found in rows.values())
    names = ["used", "uneven", "cfsd", "gram", "coherence", "completeness", "swd"]
    lines = [
        "| | time | " + " | ".join(names) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for way, found in rows.items():
        ratio = fmean(row["seconds"] for row in found) / fastest
        figures = " | ".join(f"{fmean(row[name] for row in found):.3f}" for name in names)
        lines.append(f"| {way} | {ratio:.1f} | {figures} |")
    page = _PAGE.format(
        table="\n".join(lines), size=size, cores=os.cpu_count(), torch=torch.__version__, picture=out.name
    )
    out.with_suffix(".md").write_text(page, encoding="utf-8")
    click.echo("\n".join(lines))


_PAGE = """# Our matching beside the authors'

    python benchmarks/authors.py --out docs/authors.jpg

Means over three sample pairs at {size} pixels, on {cores} CPU cores, torch {torch}, compact encoder; lower is better in
all columns but `used`. `time` is relative to the fastest. `used` is the share of style patches that are used at relu4_1
after the last turn, `uneven` how far their use is from equal use (total variation, 0 to 1); the other columns are those
of `styleshuffle-eval`.

{table}

![content, style, the authors' program, the same with prices, our defaults]({picture})

From left: content, style, the authors' program, the same with prices, our defaults.

The first two look alike: prices use more of the style's patches, and more evenly, at the same time and the same measures.
What makes the difference to the eye is the blend. Raw content features at half weight mute the colours, faces dissolve,
and averaged votes at three levels without a fourth are soft; our defaults keep eyes, glass and letters.

- **The authors' program** is their release of May 2018 as settings (`styleshuffle.settings.AUTHORS`, or
  `--matching counts --no-recolour --levels 4,3,2 --patch-sizes 3,5,5,3 --turns 5,5,5,1 --usage-penalty 0.05
  --content-weights 0.5,0.5,0.5,0.5 --encoder-blends 0,0,0,0 --refine 0`): each use of a style patch so far costs
  lambda / R^2, and the raw content features are blended in by half. Left out are its random search, which makes it differ
  from run to run (ours compares all pairs at relu4_1 and searches locally from there on), its network (ours is the
  compact one), and its fixed size.
- **With prices** instead of counting, lambda as in our defaults and all else the same, the result no longer depends on
  the order in which positions are visited.
- **Our defaults** differ in what is blended (content moved to the style's colours, part of it the encoder's own), in the
  number of turns, in the fourth level, relu1_1, and in what is done to the decoded picture (its palette, and four steps
  of refinement).
"""

if __name__ == "__main__":
    main()
