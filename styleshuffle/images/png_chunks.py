"""The chunks of a PNG file (W3C, "Portable Network Graphics", third edition): what lies beside the pixels.

A long comment, a large colour profile or a wrong checksum in a text must not keep anybody from seeing the picture. So the
texts and the profile are read here, with limits of their own, and Pillow gets the file without them.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from .metadata import as_resource, iptc_of
from .splicing import Piece, Spliced, as_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_XMP = b"XML:com.adobe.xmp"
_LONGEST = 2**24  # bytes of a profile or a text, unpacked; longer texts are left out
_MOST_CHUNKS = 1_000_000
_KEPT_TEXTS, _KEPT_BYTES = 100, 2**20  # titles, comments and the like that travel to the result
_NOT_KEPT = (b"exif:", b"tiff:", b"png:", b"date:", b"Thumb::", b"signature", b"styleshuffle", b"Raw profile type ", _XMP)
"""Beginnings of names of texts that describe the file, or repeat what lies elsewhere."""


@dataclass
class PngFile:
    """A PNG file as it is read.

    Attributes:
        file: the file without its texts and profile, and without what is damaged beside the pixels.
        depth: bits a channel.
        colour_type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
        info: what the texts and the profile say, under the names that Pillow uses.
    """

    file: BinaryIO
    depth: int
    colour_type: int
    info: dict[str, Any] = field(default_factory=dict)


def open_png(file: BinaryIO) -> PngFile | None:
    """Look through a PNG file; None if it is no PNG, or if its chunks are so damaged that Pillow shall say it."""
    file.seek(0)
    head = file.read(33)
    if not head.startswith(SIGNATURE) or len(head) < 33 or head[12:16] != b"IHDR":
        return None
    png = PngFile(file, head[24], head[25])
    pieces: list[Piece] = [SIGNATURE]
    for kind, start, length in _chunks(file):
        if kind[0] & 32 and kind not in (b"fcTL", b"fdAT"):  # the lower case of its first letter: it may be left out
            content = _checked(file, kind, start, length)
            if content is None or kind in _TEXTS or kind == b"iCCP":
                with contextlib.suppress(LookupError, ValueError, zlib.error):
                    _note(png.info, kind, content or b"")
                continue
        _append(pieces, start - 8, start + length + 4)
    file.seek(0, 2)
    end = file.tell()
    last = pieces[-1]
    if isinstance(last, tuple) and last[1] > end:
        pieces[-1] = (last[0], end)
    png.file = as_file(Spliced(file, pieces))
    return png


def _append(pieces: list[Piece], start: int, end: int) -> None:
    """Add a range; one that continues the last range makes it longer."""
    last = pieces[-1]
    if isinstance(last, tuple) and last[1] == start:
        pieces[-1] = (last[0], end)
    else:
        pieces.append((start, end))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the content of each chunk, as far as there are any."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">L4s", head)
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += length + 12


def _checked(file: BinaryIO, kind: bytes, start: int, length: int) -> bytes | None:
    """The content of a chunk beside the pixels; None if it is damaged or too long."""
    if length > _LONGEST:
        return None
    file.seek(start)
    content = file.read(length + 4)
    if len(content) < length + 4 or zlib.crc32(kind + content[:-4]) != int.from_bytes(content[-4:], "big"):
        return None
    return content[:-4]


def _note(info: dict[str, Any], kind: bytes, content: bytes) -> None:
    """Keep what a text or a profile says, if anybody wants to know it."""
    keyword, _, rest = content.partition(b"\0")
    if kind == b"iCCP":
        if rest[:1] == b"\0":
            info["icc_profile"] = unpacked(rest[1:])
    elif keyword == _XMP and kind == b"iTXt":
        packed, method, rest = rest[:1], rest[1:2], rest[2:]
        text = rest.split(b"\0", 2)[2]
        info["xmp"] = unpacked(text) if packed == b"\1" and method == b"\0" else text
    elif keyword.startswith(b"Raw profile type ") and kind in (b"tEXt", b"zTXt"):
        _note_raw(info, keyword[17:].lower(), unpacked(rest[1:]) if kind == b"zTXt" else rest)
    elif kind in _TEXTS and 0 < len(keyword) < min(80, len(content)) and not keyword.startswith(_NOT_KEPT):
        _keep(info, kind, content)


def _keep(info: dict[str, Any], kind: bytes, content: bytes) -> None:
    """Keep a title, a comment and the like as it is."""
    texts = info.setdefault("png_texts", [])
    if len(texts) < _KEPT_TEXTS and len(content) + sum(len(text) for _, text in texts) <= _KEPT_BYTES:
        texts.append((kind, content))


def _note_raw(info: dict[str, Any], name: bytes, text: bytes) -> None:
    """A block that ImageMagick and others wrote as hexadecimal text: a line with the name, the length, the digits."""
    lines = text.split()
    data = bytes.fromhex(b"".join(lines[2:]).decode("ascii"))
    if name in (b"exif", b"app1") and data.startswith(b"Exif\0\0"):
        info.setdefault("exif", data)
    elif name == b"xmp" or (name == b"app1" and b"<" in data):
        info.setdefault("xmp", data.partition(b"\0")[2] if data.startswith(b"http://ns.adobe.com/xap") else data)
    elif name in (b"iptc", b"8bim"):
        info["iptc"] = iptc_of(data) or (data if data[:1] == b"\x1c" else None)


def unpacked(data: bytes, most: int = _LONGEST) -> bytes:
    """What zlib has packed.

    Raises:
        ValueError: it is longer than `most` bytes, or cut short.
        zlib.error: it is damaged.
    """
    machine = zlib.decompressobj()
    content = machine.decompress(data, most)
    if machine.unconsumed_tail or not machine.eof:
        raise ValueError("too long, or cut short")
    return content


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def profile_chunk(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile, 9))


def xmp_chunk(xmp: bytes) -> bytes:
    return chunk(b"iTXt", _XMP + b"\0\0\0\0\0" + xmp)


def iptc_chunk(iptc: bytes) -> bytes:
    """IPTC as ImageMagick and exiftool write it, because PNG has no place of its own for it."""
    data = as_resource(iptc)
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\niptc\n{len(data):8}\n{lines}\n".encode("ascii")
    return chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text, 9))


def resolution_chunk(dpi: tuple[float, float]) -> bytes:
    return chunk(b"pHYs", struct.pack(">LLB", *(min(round(number / 0.0254), 2**31 - 1) for number in dpi), 1))


def with_chunks(png: bytes, chunks: Iterable[bytes]) -> bytes:
    """A PNG file with more chunks after its header."""
    header = len(SIGNATURE) + 25
    return b"".join([png[:header], *chunks, png[header:]])
