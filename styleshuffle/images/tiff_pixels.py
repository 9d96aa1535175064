"""The pixels of deep TIFF files (more than 8 bits a channel) that Pillow reduces to 8 bits or cannot read.

Pillow's libtiff unpacks the data as rows of bytes, whatever its compression. What they mean is sorted out here: the order
of bytes, differences between neighbours ("predictor"), strips and tiles, channels one by one or together, whole numbers
and floats (TIFF revision 6.0, and Adobe's technical note 3 for differences of floats). tifffile does the same, but needs
imagecodecs (45 MB installed) for the LZW that photo editors write.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

import numpy as np
from PIL import Image

from .samples import Samples
from .splicing import Piece, Spliced, as_file
from .tiff_tags import LONG, SHORT, Directory, build

_UNPACKED = (1, 5, 8, 32946, 32773, 34925, 50000)  # none, LZW, deflate (twice), PackBits, LZMA, Zstandard
_ROWS_AT_ONCE = 2**26  # bytes given to libtiff at a time
_COPIES, _RESULT_BYTES = 3, 24  # of the unpacked data; bytes a pixel


@dataclass(frozen=True)
class _Layout:
    """How the pixels lie in the file, as the tags of a page say."""

    width: int
    height: int
    samples: int
    bits: int
    kind: int  # 1 whole numbers, 2 with a sign, 3 floats
    photometric: int
    compression: int
    predictor: int
    planar: bool
    tiled: bool
    segment: tuple[int, int]  # width and height of a strip or a tile

    @property
    def colours(self) -> int:
        return 3 if self.photometric == 2 else 1

    @property
    def segments(self) -> tuple[int, int]:
        """How many of them lie below and beside each other."""
        return -(-self.height // self.segment[1]), -(-self.width // self.segment[0])

    @property
    def memory(self) -> int:
        """Bytes that it takes to read the picture, measured and rounded up."""
        down, beside = self.segments
        unpacked = down * beside * self.segment[0] * self.segment[1] * self.samples * self.bits // 8
        return _COPIES * unpacked + _RESULT_BYTES * self.width * self.height


def layout_of(page: Directory) -> _Layout | None:
    """How a page's pixels lie; None if they are left to Pillow, which reads pages of 8 bits and plain deep grey."""
    width, height, samples = page.integer(256, 0), page.integer(257, 0), page.integer(277, 1)
    bits, kinds = set(page.integers(258) or (1,)), set(page.integers(339) or (1,))
    tiled = 322 in page.entries
    rows = page.integer(323, 0) if tiled else min(page.integer(278, height), height)
    columns = page.integer(322, 0) if tiled else width
    if len(bits) != 1 or len(kinds) != 1 or min(width, height, rows, columns, samples) < 1 or samples > 16:
        return None
    layout = _Layout(
        width,
        height,
        samples,
        bits.pop(),
        kinds.pop(),
        page.integer(262, -1),
        page.integer(259, 1),
        page.integer(317, 1),
        page.integer(284, 1) == 2 and samples > 1,
        tiled,
        (columns, rows),
    )
    kinds_of_bits = {16: (1, 2, 3, 4), 32: (1, 2, 3, 4), 64: (3,)}.get(layout.bits, ())
    simple = samples == 1 and (layout.bits, layout.kind) in ((16, 1), (16, 2), (32, 3))
    known = layout.photometric in (0, 1, 2) and layout.compression in _UNPACKED and page.integer(266, 1) == 1
    if simple or not known or layout.kind not in kinds_of_bits or samples < layout.colours:
        return None
    return layout


def read_samples(file: BinaryIO, page: Directory, layout: _Layout) -> Samples:
    """The pixels of a page.

    Raises:
        ValueError, OSError: the file is damaged or cut short.
    """
    offsets, counts = (page.integers(tag) for tag in ((324, 325) if layout.tiled else (273, 279)))
    down, beside = layout.segments
    planes, channels = (layout.samples, 1) if layout.planar else (1, layout.samples)
    total = down * beside * planes
    if len(offsets) < total or (len(counts) < total and layout.compression != 1):
        raise ValueError("parts of the picture are missing")
    values = np.empty((layout.height, layout.width, layout.samples), _dtype(layout, page.order).newbyteorder("="))
    width, rows = layout.segment
    for plane in range(planes):
        first = plane * down * beside
        heights = [rows] * (down * beside)
        if not layout.tiled:
            heights[-1] = layout.height - rows * (down - 1)
        places = list(zip(offsets[first:], counts[first:] or (0,) * total, strict=False))[: down * beside]
        part = _unpacked(file, places, heights, width, channels, layout, page.order)
        if layout.tiled:
            part = part.reshape(down, beside, rows, width, channels).swapaxes(1, 2)
            part = part.reshape(down * rows, beside * width, channels)
        values[..., plane : plane + channels] = part[: layout.height, : layout.width]
    return _samples(values, layout, page)


def _dtype(layout: _Layout, order: str) -> np.dtype[np.generic]:
    return np.dtype(f"{order}{ {1: 'u', 2: 'i', 3: 'f', 4: 'u'}[layout.kind] }{layout.bits // 8}")


def _unpacked(
    file: BinaryIO,
    places: list[tuple[int, int]],
    heights: list[int],
    width: int,
    channels: int,
    layout: _Layout,
    order: str,
) -> np.ndarray:
    """The values of strips or tiles, one below the other: (rows, width, channels)."""
    row_bytes = width * channels * layout.bits // 8
    step = max(1, _ROWS_AT_ONCE // (row_bytes * heights[0]))
    parts = []
    for at in range(0, len(places), step):
        some = places[at : at + step], heights[at : at + step]
        if layout.compression == 1:
            data = b"".join(_read(file, place, row_bytes * rows) for (place, _), rows in zip(*some, strict=True))
            rows_of_bytes = np.frombuffer(data, np.uint8)
        else:
            rows_of_bytes = _by_libtiff(file, *some, row_bytes, layout.compression)
        parts.append(_values(rows_of_bytes.reshape(-1, row_bytes), width, channels, layout, order))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    data = file.read(length)
    if len(data) < length:
        raise ValueError("the file ends within the picture")
    return data


def _by_libtiff(
    file: BinaryIO, places: list[tuple[int, int]], heights: list[int], row_bytes: int, compression: int
) -> np.ndarray:
    """Unpack strips as if their rows were pixels of 8 bits."""
    channels = next(count for count in (4, 3, 1) if row_bytes % count == 0)
    page = Directory("<")
    page.put(256, LONG, [row_bytes // channels])
    page.put(257, LONG, [sum(heights)])
    page.put(258, SHORT, [8] * channels)
    page.put(259, SHORT, [compression])
    page.put(262, SHORT, [{4: 5, 3: 2, 1: 1}[channels]])  # CMYK, RGB, grey
    page.put(277, SHORT, [channels])
    page.put(278, LONG, [heights[0]])
    counts = [count for _, count in places]
    page.put(279, LONG, counts)
    page.put(273, LONG, [0] * len(counts))
    end = len(build(page))
    page.put(273, LONG, list(accumulate(counts[:-1], initial=end)))
    pieces: list[Piece] = [build(page), *((place, place + count) for place, count in places)]
    with Image.open(as_file(Spliced(file, pieces)), formats=["TIFF"]) as image:
        return np.array(image)


def _values(rows: np.ndarray, width: int, channels: int, layout: _Layout, order: str) -> np.ndarray:
    """Rows of bytes as values (rows, width, channels)."""
    size = layout.bits // 8
    if layout.predictor == 3:
        if layout.kind != 3:
            raise ValueError("differences of floats, but no floats")
        sums = np.cumsum(rows.reshape(len(rows), -1, channels), axis=1, dtype=np.uint8)
        planes = sums.reshape(len(rows), size, -1).swapaxes(1, 2)  # the highest bytes of a row come first
        return np.ascontiguousarray(planes).view(_dtype(layout, ">")).reshape(len(rows), width, channels)
    values = np.ascontiguousarray(rows).view(_dtype(layout, order)).reshape(len(rows), width, channels)
    if layout.predictor == 2:
        whole = values.view(f"{order}u{size}").astype(f"u{size}")
        return np.cumsum(whole, axis=1, dtype=whole.dtype).view(_dtype(layout, "="))
    return values


def _samples(values: np.ndarray, layout: _Layout, page: Directory) -> Samples:
    """Colours from 0 to 1, or of 16 bits, and the alpha channel."""
    colours = values[..., : layout.colours]
    extra = page.integers(338)
    alpha = None
    if layout.samples > layout.colours and (extra[:1] or (2,))[0] in (1, 2):
        alpha = _unit(values[..., layout.colours], layout, None)
    pixels: np.ndarray
    if layout.bits == 16 and layout.kind in (1, 4) and (alpha is None or extra[:1] != (1,)):
        pixels = np.ascontiguousarray(colours)
        if layout.photometric == 0:
            pixels = 65535 - pixels
    else:
        pixels = _unit(colours, layout, colours)
        if layout.photometric == 0:
            pixels = 1 - pixels
        if alpha is not None and extra[:1] == (1,):  # colours have been multiplied with the alpha
            pixels = (pixels / np.maximum(alpha, 1e-6)[..., None]).clip(0, 1).astype(np.float32)
    return Samples(pixels, None if alpha is None else (alpha * 255 + 0.5).astype(np.uint8))


def _unit(values: np.ndarray, layout: _Layout, whole: np.ndarray | None) -> np.ndarray:
    """Values as floats from 0 to 1. Where the format leaves white open, the largest of `whole` is white."""
    floats = values.astype(np.float32)
    floats[~np.isfinite(floats)] = 0
    np.maximum(floats, 0, out=floats)
    most = 0.0 if whole is None else float(floats.max())
    if layout.kind == 3:
        white = max(1.0, most)
    elif layout.bits == 16:
        white = 65535.0
    elif most >= 2**31 or whole is None:
        white = 2.0**32 - 1 if layout.kind != 2 else 2.0**31 - 1
    else:
        white = max(65535.0, most)
    floats /= np.float32(white)
    return np.minimum(floats, 1, out=floats)
