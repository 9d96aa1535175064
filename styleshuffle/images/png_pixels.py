"""The pixels of PNG files with 16 bits a channel.

Pillow unpacks such files, but keeps 8 bits of each channel of RGB. Unpacked twice, once for the high bytes and once for
the low ones, they are whole, and no further library is needed. Writing is simple enough to do here: filtered rows, packed
by zlib (W3C, "Portable Network Graphics", third edition, sections 9 and 10).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image, ImageFile

from .png_chunks import SIGNATURE, PngFile, chunk
from .samples import Samples

_GREY_ALPHA, _RGB, _RGB_ALPHA = 4, 2, 6
_LOW_BYTES = {_GREY_ALPHA: "RGBA", _RGB: "RGB;16L", _RGB_ALPHA: "RGBA;16L"}
BYTES_A_PIXEL = 40  # of memory while a deep file is read, measured and rounded up
_ROWS = 2**22  # bytes filtered at a time


def is_deep(png: PngFile) -> bool:
    """Whether Pillow alone would lose half of the bits."""
    return png.depth == 16 and png.colour_type in _LOW_BYTES


def with_low_bytes(image: ImageFile.ImageFile, png: PngFile) -> ImageFile.ImageFile:
    """A newly opened image of a deep file, made to unpack the low bytes of its channels.

    An image of grey with alpha gets four channels: the high and the low byte of the grey, and those of the alpha.
    """
    image.tile = [tile._replace(args=_LOW_BYTES[png.colour_type]) for tile in image.tile]
    return image


def joined(high: Image.Image, low: Image.Image, png: PngFile) -> Samples:
    """The pixels of a file that was unpacked twice."""
    lows = np.array(low).astype(np.uint16)
    if png.colour_type == _GREY_ALPHA:
        return Samples((lows[..., :1] << 8) | lows[..., 1:2], of_16_bits((lows[..., 2] << 8) | lows[..., 3]))
    values = (np.array(high).astype(np.uint16) << 8) | lows
    if png.colour_type == _RGB_ALPHA:
        return Samples(np.ascontiguousarray(values[..., :3]), of_16_bits(values[..., 3]))
    key = high.info.get("transparency")
    if isinstance(key, tuple):
        return Samples(values, np.where((values == key).all(-1), 0, 255).astype(np.uint8))
    return Samples(values, None)


def of_16_bits(alpha: np.ndarray) -> np.ndarray:
    """uint16 as the nearest uint8."""
    return ((alpha.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def encoded(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, 1) grey, (H, W, 2) grey with alpha, (H, W, 3) RGB or (H, W, 4) RGB with alpha."""
    height, width, channels = pixels.shape
    header = struct.pack(">LLBBBBB", width, height, 16, {1: 0, 2: _GREY_ALPHA, 3: _RGB, 4: _RGB_ALPHA}[channels], 0, 0, 0)
    packer = zlib.compressobj(6)
    parts = [SIGNATURE, chunk(b"IHDR", header)]
    above = np.zeros((1, width * channels * 2), np.uint8)
    step = max(1, _ROWS // (width * channels * 2))
    for top in range(0, height, step):
        rows = pixels[top : top + step].astype(">u2").view(np.uint8).reshape(-1, width * channels * 2)
        data = packer.compress(_filtered(rows, np.concatenate([above, rows[:-1]]), 2 * channels).tobytes())
        above = rows[-1:]
        if data:
            parts.append(chunk(b"IDAT", data))
    return b"".join([*parts, chunk(b"IDAT", packer.flush()), chunk(b"IEND", b"")])


def _filtered(rows: np.ndarray, above: np.ndarray, pixel: int) -> np.ndarray:
    """Each row as what a filter leaves of it, with the filter's number in front: the one with the smallest sum.

    Args:
        pixel: bytes of a pixel.
    """
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, pixel:], corner[:, pixel:] = rows[:, :-pixel], above[:, :-pixel]
    choices = {0: rows, 1: rows - left, 2: rows - above, 4: rows - _paeth(left, above, corner)}
    sums = np.stack([abs(choice.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64) for choice in choices.values()])
    best = sums.argmin(0)
    result = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    for number, (kind, choice) in enumerate(choices.items()):
        chosen = best == number
        result[chosen, 0] = kind
        result[chosen, 1:] = choice[chosen]
    return result


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Of the three neighbours the one nearest to ``left + above - corner``."""
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_left, to_above, to_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    second = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, second)
