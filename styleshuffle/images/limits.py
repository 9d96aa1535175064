"""What a picture may cost: its pixels, memory and time are bounded before it is decoded.

A few bytes can claim to be an enormous picture. So its size is checked before a decoder makes room for it, and the memory
that the decoding takes is estimated from the size, the format and the kind of pixels.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import os
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from ..files import reason_of
from ..memory import available_memory, told_apart
from ..settings import MAX_PIXELS
from .profiles import matrix_profile
from .refusals import path_name, refusal

_PLAIN_BYTES = 9  # a pixel of an 8-bit picture while it is read; those of `max_pixels` bound the memory of every picture
_STREAMED_BYTES_A_PIXEL = 4
_SCANS = 16  # of a JPEG with `max_pixels`; encoders write 10 at most
_BLOCK = 2**20

# Bytes a pixel while a picture is read and converted, measured and rounded up, of
_PLAIN_MODES = ("1", "L", "P", "RGB", "RGBX")
_OTHER_BYTES = 15  # pictures with transparency, CMYK and the like
_DEEP_BYTES = 27  # 16-bit, 32-bit and float pixels
_WEBP_BYTES = {"RGB": 18, "RGBX": 18, "RGBA": 25}
_SCANS_BYTES = 11  # a JPEG of several scans: its coefficients are collected first
_PROFILE_BYTES, _WIDE_BYTES = 4, 10  # more, to convert the colours; to floats, where sRGB does not hold them

_TILE_WIDTH_TAG, _TILE_HEIGHT_TAG = 322, 323

_reading: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar("reading", default=None)
_memory: contextvars.ContextVar[int | None] = contextvars.ContextVar("memory", default=None)
_pillow_check: Callable[..., None] = getattr(Image, "_decompression_bomb_check", lambda size, *ignored, **also: None)
_truncation_lock = threading.Lock()


def _check_frame(size: tuple[int, int], *arguments: Any, **options: Any) -> None:
    """The check of sizes that Pillow's decoders call: while we read, with our limit, and else with Pillow's own."""
    reading = _reading.get()
    if reading is None:
        _pillow_check(size, *arguments, **options)
    elif min(size) >= 1:
        check_pixels(size, *reading)


# Pillow's limit is a global, on which other threads rely. So its check asks who is reading.
Image._decompression_bomb_check = _check_frame


@contextlib.contextmanager
def decoding(name: str, max_pixels: int, memory: int | None = None) -> Iterator[None]:
    """Within the block, Pillow's limit of pixels is ours, in this thread only, and truncated files are refused.

    If the program has told Pillow to accept truncated files, that is off for all threads while the block runs.

    Args:
        name: of the picture, for messages.
        memory: the most bytes that this process may hold; None is what is free.
    """
    before = _reading.set((name, max_pixels))
    memory_before = _memory.set(memory)
    try:
        with _strict() if ImageFile.LOAD_TRUNCATED_IMAGES else contextlib.nullcontext():
            yield
    finally:
        _reading.reset(before)
        _memory.reset(memory_before)


@contextlib.contextmanager
def _strict() -> Iterator[None]:
    with _truncation_lock:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def check_pixels(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Refuse a picture of this (width, height) that is empty or has too many pixels."""
    width, height = size
    if width < 1 or height < 1:
        raise refusal(name, f"is {width} x {height} pixels, so it is empty", "choose another picture")
    if width * height > max_pixels:
        reason = f"is {width} x {height}, {width * height:,} pixels, more than the limit of {max_pixels:,}"
        raise refusal(name, reason, "scale it down first, or raise `max_pixels` if you trust the file")


def check_header(file: BinaryIO, name: str, max_pixels: int) -> None:
    """Refuse a WebP file that is too large. Pillow makes room for its pixels as soon as it opens the file."""
    size = _webp_size(file.read(30))
    file.seek(0)
    if size is not None:
        check_needed(size, size[0] * size[1] * min(_WEBP_BYTES.values()), name, max_pixels)


def check_decoding(image: Image.Image, name: str, max_pixels: int, memory: int | None = None) -> None:
    """Refuse an opened picture that would take too much memory or time to decode.

    Args:
        image: opened, but not yet decoded.
        max_pixels: no picture may take more memory than an 8-bit RGB picture of so many pixels.
        memory: the most bytes that this process may hold; None is what is free.
    """
    check_pixels(image.size, name, max_pixels)
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(_TILE_WIDTH_TAG), tags.get(_TILE_HEIGHT_TAG)
    pixels = image.width * image.height
    if isinstance(width, int) and isinstance(height, int):
        pixels = max(pixels, width * height)
    scans = _scans(image)
    check_needed(image.size, pixels * max(_bytes_a_pixel(image), _SCANS_BYTES if scans > 1 else 0), name, max_pixels)
    if pixels * scans > _SCANS * max_pixels:
        raise refusal(name, f"draws its pixels {scans} times over", "save it again with an image editor")


def check_needed(size: tuple[int, int], needed: int, name: str, max_pixels: int) -> None:
    """Refuse a picture of this (width, height) that has too many pixels, or needs more bytes of memory than allowed."""
    check_pixels(size, name, max_pixels)
    allowed = _PLAIN_BYTES * max_pixels
    if needed > allowed:
        reason = (
            f"is {size[0]} x {size[1]} and takes about {needed / 1e9:.1f} GB of memory to read, more than the "
            f"{allowed / 1e9:.1f} GB that {max_pixels:,} plain pixels take"
        )
        raise refusal(name, reason, "scale it down first, or raise `max_pixels` if you trust the file")
    free = available_memory(_memory.get(), wanted=needed)
    if free is not None and needed > free:
        wanted, have = told_apart(needed, free)
        reason = f"is {size[0]} x {size[1]}: to read it needs about {wanted} of memory, but {have} are free"
        raise refusal(name, reason, "scale it down first")


def most_pixels(bytes_a_pixel: int, max_pixels: int) -> int:
    """How many pixels a picture may have whose pixels take so many bytes of memory each; see `check_needed`."""
    return min(max_pixels, _PLAIN_BYTES * max_pixels // bytes_a_pixel)


def size_of(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The (width, height) in the header of a file that Pillow can open, as it lies in the file.

    Raises:
        PictureError: too many pixels.
        Exception: whatever Pillow raises for a file that it cannot open.
    """
    with decoding(path_name(path), max_pixels), open(path, "rb") as file:
        check_header(file, path_name(path), max_pixels)
        with Image.open(file) as image:
            return image.size


def drained(stream: BinaryIO, name: str, max_pixels: int) -> io.BytesIO:
    """All that a stream still holds, up to a limit: the bytes of an uncompressed picture of `max_pixels`."""
    limit = _STREAMED_BYTES_A_PIXEL * max_pixels + _BLOCK
    content = io.BytesIO()
    try:
        while block := stream.read(_BLOCK):
            if not isinstance(block, bytes | bytearray):
                raise refusal(name, "is a text stream", "pass a binary one, such as sys.stdin.buffer")
            content.write(block)
            if content.tell() > limit:
                reason = f"holds more than {limit:,} bytes, which no picture of {max_pixels:,} pixels needs"
                raise refusal(name, reason, "scale the picture down first, or raise `max_pixels` if you trust it")
    except (OSError, ValueError) as error:
        raise refusal(name, f"cannot be read ({reason_of(error)})", "pass a stream open for reading") from error
    content.seek(0)
    return content


def _bytes_a_pixel(image: Image.Image) -> int:
    """Of memory while the image is decoded and converted."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _DEEP_BYTES
    if image.format == "WEBP":
        needed = _WEBP_BYTES.get(image.mode, max(_WEBP_BYTES.values()))
    else:
        needed = _PLAIN_BYTES if image.mode in _PLAIN_MODES else _OTHER_BYTES
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return needed
    matrix = matrix_profile(profile)
    return needed + (_PROFILE_BYTES if matrix is None or matrix.nearly_srgb else _WIDE_BYTES)


def _scans(image: Image.Image) -> int:
    """How many times a JPEG goes over its pixels, at most; 1 for other formats.

    Within the pixels' data the marker of a scan cannot appear. Within metadata it can, which does no harm: small pictures
    may have many scans.
    """
    file = getattr(image, "fp", None)
    if image.format not in ("JPEG", "MPO") or file is None:
        return 1
    place = file.tell()
    file.seek(0)
    count, last = 0, b""
    while block := file.read(_BLOCK):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(place)
    return max(1, count)


def _webp_size(header: bytes) -> tuple[int, int] | None:
    """The (width, height) of a WebP file's first 30 bytes; None if these are something else."""
    if len(header) < 30 or header[:4] != b"RIFF" or header[8:12] != b"WEBP":
        return None
    kind = header[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(header[24:27], "little"), 1 + int.from_bytes(header[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack("<I", header[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", header[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
