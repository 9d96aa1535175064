"""Pictures for the benchmarks: samples, middle squares, and sheets that show many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import SAMPLES
from PIL import Image, ImageOps
from torch import Tensor

from styleshuffle.images import fit_size, read, to_pil


def sample(name: str, long_side: int, multiple: int = 1) -> Tensor:
    """A sample such as ``style/stained_glass``, (1, 3, H, W) in [0, 1]; sides are rounded down to a multiple."""
    picture = read(SAMPLES / f"{name}.jpg")
    width, height = (side // multiple * multiple for side in fit_size(picture.size, long_side))
    return picture.tensor((width, height))


def square(path: Path, side: int) -> Tensor:
    """The middle square of a picture, (1, 3, side, side) in [0, 1]."""
    return read(ImageOps.fit(read(path).pil().convert("RGB"), (side, side), Image.Resampling.LANCZOS)).tensor()


def sheet(rows: Sequence[Sequence[Tensor | None]], side: int) -> Image.Image:
    """A grid of pictures, each brought to a square; None leaves a place empty."""
    page = Image.new("RGB", (len(rows[0]) * side, len(rows) * side), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            if picture is not None:
                page.paste(to_pil(picture).resize((side, side), Image.Resampling.LANCZOS), (x * side, y * side))
    return page


def show(figure: Any, pictures: Sequence[Tensor], titles: Sequence[str]) -> None:
    """Draw pictures (1, 3, H, W) side by side into a figure of matplotlib, or a part of it."""
    for axes, picture, title in zip(figure.subplots(1, len(pictures)), pictures, titles, strict=True):
        axes.imshow(picture[0].permute(1, 2, 0).numpy(), interpolation="lanczos")
        axes.set_title(title, fontsize=10)
        axes.axis("off")
