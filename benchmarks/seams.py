"""Compare a large result made in tiles with the same result made in a single tile.

    python benchmarks/seams.py --out docs

The difference picture shows 20 times the difference around grey, so that the border of a tile would be seen. A single
tile of 2048 x 2048 takes about 9 GiB.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from common import SAMPLES, machine, out_option
from pages import table
from performance import record
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from torch import Tensor

CONTENT, STYLE = SAMPLES / "content" / "astronaut.jpg", SAMPLES / "style" / "swirling_night.jpg"
STRETCH = 20
_SHOWN = 768  # side of the difference picture in pixels


def paintings(side: int, tiles: list[int]) -> dict[int, Tensor]:
    """The result (3, side, side), uint8, by the side of the tiles it is made in."""
    import numpy as np

    from styleshuffle import Stylizer
    from styleshuffle.enlarging import Enlarger
    from styleshuffle.images import Picture, read
    from styleshuffle.reshuffle.guide import Wishes

    with Image.open(CONTENT) as image:
        content = Picture(np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)))
    stylizer = Stylizer(device="cpu")
    work = min(side, stylizer.settings.work_size)
    own, style = content.tensor((work, work)), stylizer.prepare(read(STYLE).tensor((work, work)))
    painting = stylizer.apply(own, style)[0]
    enlarger = Enlarger(stylizer, style, painting, own, Wishes())
    return {tile: enlarger.enlarged(painting, content, (side, side), tile=tile) for tile in tiles}


def psnr(result: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures."""
    error = float((result.float() - other.float()).square().mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def stretched(result: Tensor, other: Tensor) -> Image.Image:
    """`STRETCH` times the difference around middle grey."""
    difference = (STRETCH * (result.float() - other.float()) + 128).clamp(0, 255).byte()
    return Image.fromarray(difference.permute(1, 2, 0).numpy())


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of them."""
    lines = [[f"{row['tile']} x {row['tile']}", f"{row['psnr']:.1f} dB", f"{row['most']}"] for row in rows]
    titles = ["Tiles, halos included", "against a single tile", "largest difference, of 255"]
    said = f"A result of {facts['side']} x {facts['side']} on {facts['machine']}. Measured by `{facts['command']}`."
    return f"{said}\n\n{table(titles, lines)}"


@click.command(context_settings={"show_default": True})
@click.option("--side", default=2048, type=click.IntRange(128), help="Side of the result.")
@click.option("--tiles", default="1024,512", help="Sides of tiles, halos included.")
@out_option
def main(side: int, tiles: str, out: Path | None) -> None:
    """Print how far tiled results are from a result in a single tile."""
    sides = [int(tile) for tile in tiles.split(",")]
    results = paintings(side, [2 * side, *sides])
    whole = results.pop(2 * side)
    rows = [
        {"tile": tile, "psnr": psnr(result, whole), "most": int((result.int() - whole.int()).abs().max())}
        for tile, result in results.items()
    ]
    facts = {
        "side": side,
        "machine": machine(),
        "command": f"python benchmarks/seams.py --side {side} --tiles {tiles}",
    }
    click.echo(section(facts, rows))
    if out:
        record(out, "seams", facts, rows)
        shown = stretched(results[sides[0]], whole).resize((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
        shown.save(out / "seams.jpg", quality=90)


if __name__ == "__main__":
    main()
