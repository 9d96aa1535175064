"""Which formats are read and written, by which suffix and which package, and how to tell them by their first bytes."""

from __future__ import annotations

import importlib.util
from typing import BinaryIO

from PIL import Image, features

from .limits import check_needed
from .refusals import refusal

_AVIF = features.check("avif") is True  # built into Pillow from 11.3 on, except on rare systems
_HEIC = importlib.util.find_spec("pillow_heif") is not None
_JXL = importlib.util.find_spec("pillow_jxl") is not None

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", *(("AVIF",) if _AVIF else ()))

READABLE = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | ({".avif"} if _AVIF else set())
    | ({".heic", ".heif", ".hif"} if _HEIC else set())
    | ({".jxl"} if _JXL else set())
)
"""Suffixes of the files that `read` understands here. `read` itself looks at the content, not at the suffix."""

WRITABLE = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    **({".avif": "AVIF"} if _AVIF else {}),
    **({".jxl": "JXL"} if _JXL else {}),
}
"""Suffix to format of the files that `write` makes here."""

ANIMATED = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP"}
"""Suffix to format of the files that `write_frames` makes."""

_EXTRAS = {"HEIC": ("heic", _HEIC), "JPEG XL": ("jxl", _JXL)}
_JXL_BEGINNINGS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_JXL_BYTES = 20  # a pixel while a picture is read, measured and rounded up
_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def names() -> str:
    """The formats that are read here, for messages."""
    known = ["JPEG", "PNG", "WebP", *["AVIF"] * _AVIF, *["HEIC"] * _HEIC, *["JPEG XL"] * _JXL]
    return ", ".join([*known, "TIFF", "BMP"]) + " or GIF"


def opened_by_extra(file: BinaryIO, name: str, max_pixels: int) -> Image.Image | None:
    """Open a picture that Pillow needs a further package for, its size checked; None for other files.

    Raises:
        PictureError: the package is not installed, or the picture has too many pixels.
    """
    file.seek(0)
    head = file.read(64)
    if head.startswith(_JXL_BEGINNINGS):
        _check_installed("JPEG XL", name)
        import pillow_jxl  # noqa: F401 - adds the format to Pillow

        size = _jxl_size(_jxl_codestream(file))
        if size is None:
            raise refusal(name, "its beginning is damaged", "get the file again, or save it again with an image editor")
        check_needed(size, _JXL_BYTES * size[0] * size[1], name, max_pixels)  # opening the image decodes it
        file.seek(0)
        return Image.open(file, formats=["JXL"])
    return None


def prepare_writing(encoding: str) -> None:
    """Load what Pillow needs to write a format."""
    if encoding == "JXL":
        import pillow_jxl  # noqa: F401


def is_heic(head: bytes) -> bool:
    """Whether a file with these first bytes is HEIC. The brand mif1 is also that of other pictures, such as AVIF."""
    if head[4:8] != b"ftyp":
        return False
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4))]
    return any(brand in _HEIC_BRANDS for brand in brands) and not {b"avif", b"avis"} & set(brands)


def check_heic(file: BinaryIO, name: str) -> bool:
    """Whether a file is HEIC.

    Raises:
        PictureError: it is, and the package that reads it is not installed.
    """
    file.seek(0)
    heic = is_heic(file.read(64))
    if heic:
        _check_installed("HEIC", name)
    return heic


def _check_installed(format: str, name: str) -> None:
    extra, installed = _EXTRAS[format]
    if not installed:
        remedy = f"run pip install 'styleshuffle[{extra}]', or save the picture as PNG or JPEG"
        raise refusal(name, f"is a {format} picture, and the package that reads them is not installed", remedy)


def _jxl_codestream(file: BinaryIO) -> bytes:
    """The first bytes of a JPEG XL codestream, in a container or without."""
    file.seek(0)
    head = file.read(12)
    if head.startswith(_JXL_BEGINNINGS[0]):
        return head[2:]
    at = 12
    for _ in range(100):
        file.seek(at)
        box = file.read(28)
        length, start = int.from_bytes(box[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(box[8:16], "big"), 16
        if box[4:8] in (b"jxlc", b"jxlp"):
            content = box[start + (4 if box[4:8] == b"jxlp" else 0) :]
            return content[2:] if content.startswith(_JXL_BEGINNINGS[0]) else b""
        if length < 8:
            break
        at += length
    return b""


def _jxl_size(codestream: bytes) -> tuple[int, int] | None:
    """(width, height) from the first bits (ISO/IEC 18181-1, SizeHeader); None if they are missing."""
    bits, at = int.from_bytes(codestream, "little"), 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return bits >> (at - count) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return (1 + take(5)) * 8 if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = take(3)
    width = height * _JXL_RATIOS[ratio][0] // _JXL_RATIOS[ratio][1] if ratio else side()
    return (width, height) if at <= 8 * len(codestream) else None
