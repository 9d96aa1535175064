"""Write TIFF files: RGB or grey, 8 or 16 bits a channel, with metadata.

Pillow writes no RGB of 16 bits. Here a file is a directory of tags and strips of differences between neighbours, packed
by deflate (TIFF revision 6.0; Adobe's technical note 2), which all editors read.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from .tiff_tags import LONG, RATIONAL, SHORT, Directory, Entry, build

_STRIP = 2**20  # bytes of a strip, about
_LARGEST = 2**32 - 2**16


def encoded(
    pixels: np.ndarray,
    base: Directory | None = None,
    blocks: Mapping[int, bytes | None] | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A TIFF file of (H, W, 1) grey, (H, W, 3) RGB or either with alpha, uint8 or uint16.

    Args:
        base: a directory that describes the photograph, such as that of EXIF data; its byte order becomes the file's.
        blocks: other metadata by tag.
        dpi: resolution, if the base has none.

    Raises:
        ValueError: the file would have 4 GiB or more.
    """
    page = Directory("<") if base is None else Directory(base.order, dict(base.entries), dict(base.children))
    height, width, channels = pixels.shape
    alpha, bits = channels % 2 == 0, 8 * pixels.dtype.itemsize
    rows = max(1, min(height, _STRIP // (width * channels * pixels.dtype.itemsize)))
    strips = [_packed(pixels[top : top + rows], page.order) for top in range(0, height, rows)]
    page.put(256, LONG, [width])
    page.put(257, LONG, [height])
    page.put(258, SHORT, [bits] * channels)
    page.put(259, SHORT, [8])  # deflate
    page.put(262, SHORT, [2 if channels > 2 else 1])  # RGB, or grey where zero is black
    page.put(277, SHORT, [channels])
    page.put(278, LONG, [rows])
    page.put(279, LONG, [len(strip) for strip in strips])
    page.put(284, SHORT, [1])
    page.put(317, SHORT, [2])  # differences
    if alpha:
        page.put(338, SHORT, [2])  # colours are not multiplied with it
    for tag, block in (blocks or {}).items():
        if block is not None:
            page.put_bytes(tag, block, kind=1 if tag == 700 else 7)
    if dpi is not None and 282 not in page.entries:
        for tag, number in zip((282, 283), dpi, strict=True):
            ratio = np.array([round(number * 1000), 1000], f"{page.order}u4").tobytes()
            page.entries[tag] = Entry(RATIONAL, 1, ratio)
        page.put(296, SHORT, [2])
    page.put(273, LONG, [0] * len(strips))
    start = len(build(page))
    start += start % 2
    if start + sum(map(len, strips)) > _LARGEST:
        raise ValueError("it would have 4 GiB or more")
    page.put(273, LONG, list(accumulate((len(strip) for strip in strips[:-1]), initial=start)))
    return b"".join([build(page).ljust(start, b"\0"), *strips])


def _packed(rows: np.ndarray, order: str) -> bytes:
    values = rows.astype(rows.dtype.newbyteorder("="))
    values[:, 1:] = rows[:, 1:] - rows[:, :-1]
    return zlib.compress(values.astype(f"{order}u{rows.dtype.itemsize}").tobytes(), 6)
