"""A contact sheet: contents down, styles or settings across, and each result where they meet."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..errors import PictureError
from ..images import read

_MOST = 16000  # pixels of a side of a sheet
_CELL = 320  # pixels of a picture's long side, where there is room
_GAP = 8
_TEXT = 15  # pixels
_LABEL = _TEXT + _GAP


@dataclass(frozen=True)
class Row:
    """A row of a sheet: a content, and its result in each column; None, or a file that is not there, is left empty."""

    content: Path
    results: tuple[Path | None, ...]


@dataclass(frozen=True)
class Head:
    """The head of a column: its label, and the style that it shows, if columns differ in their style."""

    label: str
    style: Path | None = None


def draw_sheet(rows: Sequence[Row], heads: Sequence[Head]) -> Image.Image:
    """A sheet of small pictures with labels; the heads are above, the contents on the left.

    Raises:
        PictureError: there are so many rows or columns that no picture would be seen.
    """
    side = min(_CELL, _MOST // (len(heads) + 1) - _GAP, _MOST // (len(rows) + 1) - _LABEL - _GAP)
    if side < 2 * _TEXT:
        raise PictureError(f"the sheet: {len(rows)} x {len(heads)} pictures do not fit; make several sheets")
    results = [[_small(path, side) for path in row.results] for row in rows]
    side = max((max(small.size) for line in results for small in line if small is not None), default=side)
    above = [_Cell(_small(head.style, side), head.label) for head in heads]
    lines = [[_Cell(None, ""), *above]]
    for row, own in zip(rows, results, strict=True):
        lines.append([_Cell(_small(row.content, side), row.content.stem), *(_Cell(small, "") for small in own)])
    return _drawn(lines, side)


@dataclass(frozen=True)
class _Cell:
    """A small picture and the label below it."""

    picture: Image.Image | None
    label: str


def _drawn(lines: Sequence[Sequence[_Cell]], side: int) -> Image.Image:
    """A sheet of cells that wide; each line is as high as its highest picture."""
    font = ImageFont.load_default(_TEXT)
    heights = [max(0 if cell.picture is None else cell.picture.height for cell in line) for line in lines]
    size = (_GAP + (side + _GAP) * len(lines[0]), _GAP + sum(heights) + (_LABEL + _GAP) * len(lines))
    sheet = Image.new("RGB", size, "white")
    drawing = ImageDraw.Draw(sheet)
    top = _GAP
    for line, height in zip(lines, heights, strict=True):
        for number, cell in enumerate(line):
            left = _GAP + number * (side + _GAP)
            if cell.picture is not None:
                place = left + (side - cell.picture.width) // 2, top + (height - cell.picture.height) // 2
                sheet.paste(cell.picture, place)
            label = _fitting(cell.label, font, side)
            drawing.text((left + (side - font.getlength(label)) / 2, top + height + 2), label, "black", font)
        top += height + _LABEL + _GAP
    return sheet


def _small(path: Path | None, side: int) -> Image.Image | None:
    """A picture on white, at most that large; None where there is none, or it cannot be read."""
    if path is None:
        return None
    try:
        image = read(path).pil()
    except PictureError:
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if image.mode != "RGBA":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a text as fits. Letters with accents lose them: Pillow's own font has few others."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or "?" * bool(text)
    if font.getlength(plain) <= width:
        return plain
    while plain and font.getlength(plain + "...") > width:
        plain = plain[:-1]
    return plain + "..."
