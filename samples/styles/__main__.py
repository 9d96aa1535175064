"""Make the style pictures of the samples folder.

    python samples/styles [FOLDER] [--only NAME ...]

Each picture is painted from nothing with numpy and Pillow: no photograph or artwork goes in. Each style is one file,
whose ``paint()`` returns the picture as an array (576, 720, 3) of floats; all random numbers have fixed seeds. Without
FOLDER the pictures go to ``samples/style``. They are dedicated to the public domain (CC0 1.0).

A style paints on a canvas of twice the final size (`canvas`), with fields such as noise (`fields`) and colour ramps
(`colour`). Oil pictures are rendered in strokes (`brush`): a reference picture gives the colours, a direction field the
paths of the brush; each stroke lays down colour and a height of paint, and the height is lit from one side.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import autumn_avenue
import block_print_waves
import byzantine_mosaic
import numpy as np
import pen_engraving
import pointillist_river
import stained_glass
import swirling_night
import watercolour_lake
from PIL import Image

STYLES = {
    module.__name__: module.paint
    for module in (
        autumn_avenue,
        block_print_waves,
        byzantine_mosaic,
        pen_engraving,
        pointillist_river,
        stained_glass,
        swirling_night,
        watercolour_lake,
    )
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Paint the pictures and write them as JPEG."""
    parser = argparse.ArgumentParser(prog="python samples/styles", description="Make the style pictures.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent / "style")
    parser.add_argument("--only", nargs="+", choices=STYLES, default=list(STYLES), metavar="NAME", help=", ".join(STYLES))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        picture = (STYLES[name]().clip(0, 1) * 255 + 0.5).astype(np.uint8)
        path = options.folder / f"{name}.jpg"
        Image.fromarray(picture).save(path, quality=92, optimize=True)
        print(f"{path.name}: {picture.shape[1]} x {picture.shape[0]}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
