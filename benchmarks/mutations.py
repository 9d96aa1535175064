"""Change picture files at random: bytes, numbers, and the parts that a format is made of. The same seed, the same change.

A change of bytes alone seldom gets past a checksum or the first lines of a decoder. So most changes know the format: they
drop, repeat, exchange and edit whole parts (PNG chunks, JPEG segments, RIFF chunks, TIFF tags, GIF blocks, boxes of AVIF
and HEIC), and put the checksums and the lengths right again.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from seed_files import LARGE, large_file

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 1000, 4095, 9999, 16383, 32767, 32768, 65500, 65535, 10**5, 2**20)
NUMBERS += (2**24 - 1, 2**28, 2**30, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)

Parts = list[bytes]


def mutated(seeds: Mapping[str, bytes], seed: int) -> tuple[str, bytes]:
    """A changed file, and the name of the file that it comes from. One in 200 holds as many pixels as are allowed."""
    chance = random.Random(seed)
    if chance.randrange(200) == 0:
        name = chance.choice(LARGE)
        content, changes = large_file(name), chance.choice((0, 1, 1, 2))
        change = [_flip, _number, _tags, _parts]
    else:
        name = chance.choice(sorted(seeds))
        content, changes, change = seeds[name], chance.choice((1, 1, 1, 2, 2, 3, 5)), _CHANGES
    for _ in range(changes):
        content = chance.choice(change)(content, seeds, chance)
    return name, content[: max(2**22, len(seeds.get(name, content)))]


def _resized(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    """Another size where the format keeps it, in a file of which all else is good."""
    width, height = (chance.choice((*NUMBERS[:20], 40, 33, 5000, 6000)) for _ in range(2))
    for mark, skipped, form in _SIZES:
        place = content.find(mark)
        if place >= 0:
            place += skipped
            limit = 256 ** struct.calcsize(form[0] + form[-1]) - 1
            sides = (height, width) if mark.startswith(b"\xff") else (width, height)
            packed = struct.pack(form, *(min(side, limit) for side in sides))
            content = content[:place] + packed + content[place + len(packed) :]
            return _join_png(_split_png(content)) if content.startswith(b"\x89PNG") else content
    return _tags(content, seeds, chance)


# Where a format keeps its size: a mark in the file, the bytes to skip from there, and how two numbers are written.
_SIZES = (
    (b"IHDR", 4, ">2I"),
    (b"GIF8", 6, "<2H"),
    (b"\xff\xc0", 5, ">2H"),
    (b"\xff\xc2", 5, ">2H"),
    (b"ispe", 8, ">2I"),
    (b"BM", 18, "<2I"),
)


# ------------------------------------------------------------------------------------------------------ bytes and numbers


def _flip(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if changed:
            changed[_early(len(changed), chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _number(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    """Another number somewhere, mostly near the beginning, where sizes are."""
    width, value = chance.choice((1, 2, 2, 4, 4, 8)), chance.choice(NUMBERS)
    place = _early(max(1, len(content) - width), chance)
    packed = (value % 256**width).to_bytes(width, chance.choice(("big", "little")))
    return content[:place] + packed + content[place + width :]


def _cut(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _drop(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    first, last = _range(content, chance)
    return content[:first] + content[last:]


def _repeat(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    first, last = _range(content, chance)
    return content[:last] + content[first:last] * chance.choice((1, 2, 10, 100)) + content[last:]


def _noise(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    first, last = _range(content, chance)
    return content[:first] + chance.randbytes(last - first) + content[last:]


def _splice(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    other = seeds[chance.choice(sorted(seeds))]
    return content[: chance.randrange(len(content) + 1)] + other[chance.randrange(len(other)) :]


def _early(length: int, chance: random.Random) -> int:
    """A place in so many bytes; half of them lie in the first hundred."""
    return chance.randrange(min(length, chance.choice((30, 100, length, length))))


def _range(content: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(content) + 1)
    return first, min(len(content), first + chance.choice((1, 2, 4, 16, 64, 256)))


# ------------------------------------------------------------------------------------------------------------------ parts


_LONGEST_REPEAT = 2**24  # bytes: the pixels of a large file, repeated a thousand times, would not fit into memory


def _parts(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    """Drop, repeat, exchange or edit parts of the format, or put in a part of another file."""
    form = _form_of(content)
    if form is None:
        return _number(content, seeds, chance)
    split, join = form
    parts = split(content)
    if len(parts) < 2:
        return _flip(content, seeds, chance)
    index, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    kind = chance.randrange(7)
    if kind == 0:
        del parts[index]
    elif kind == 1:
        most = 1 + _LONGEST_REPEAT // max(1, len(parts[index]))
        parts[index:index] = [parts[index]] * min(most, chance.choice((1, 1, 3, 50, 1000)))
    elif kind == 2:
        parts[index], parts[other] = parts[other], parts[index]
    elif kind == 3:
        donor = seeds[chance.choice(sorted(seeds))]
        foreign = split(donor) if _form_of(donor) == form else [donor]
        parts.insert(index, chance.choice(foreign or [donor]))
    else:
        edit = chance.choice((_flip, _number, _number, _drop, _noise))
        parts[index] = edit(parts[index], seeds, chance) if parts[index] else b""
    return join(parts) if chance.random() < 0.9 else content[:8] + b"".join(parts)


def _split_png(content: bytes) -> Parts:
    """The kind and the body of each chunk."""
    parts, place = [], 8
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        parts.append(content[place + 4 : place + 8 + size])
        place += 12 + size
    return parts


def _join_png(parts: Sequence[bytes]) -> bytes:
    chunks = (struct.pack(">I", max(0, len(part) - 4)) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _split_jpeg(content: bytes) -> Parts:
    """Segments with their markers; the pixels' data stays with the marker before it."""
    places = [place for place in range(2, len(content) - 1) if content[place] == 0xFF and content[place + 1] not in _DATA]
    return [content[first:last] for first, last in pairwise([*places, len(content)])]


_DATA = {0, 0xFF, *range(0xD0, 0xD8)}  # what may follow 0xFF within the pixels' data


def _join_jpeg(parts: Sequence[bytes]) -> bytes:
    """With the lengths as they are: a wrong length is a change too."""
    return b"\xff\xd8" + b"".join(parts)


def _split_riff(content: bytes) -> Parts:
    parts, place = [], 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        parts.append(content[place : place + 4] + content[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return parts


def _join_riff(parts: Sequence[bytes]) -> bytes:
    body = b"".join(
        part[:4].ljust(4) + struct.pack("<I", max(0, len(part) - 4)) + part[4:] + bytes(len(part) % 2) for part in parts
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _split_boxes(content: bytes) -> Parts:
    """The outer boxes of AVIF, HEIC and JPEG XL."""
    parts, place = [], 0
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        size = size if size >= 8 else len(content) - place
        parts.append(content[place + 4 : place + size])
        place += size
    return parts


def _join_boxes(parts: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(part) + 4) + part for part in parts)


def _split_gif(content: bytes) -> Parts:
    """The header with its palette, then blocks, each from its introducer on."""
    start = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    places = [0, *(place for place in range(start, len(content)) if content[place] in b"!,;")]
    return [content[first:last] for first, last in pairwise([*places, len(content)])]


def _form_of(content: bytes) -> tuple[Callable[[bytes], Parts], Callable[[Sequence[bytes]], bytes]] | None:
    """How to take a file of this format to parts and put it together."""
    if content.startswith(b"\x89PNG"):
        return _split_png, _join_png
    if content.startswith(b"\xff\xd8"):
        return _split_jpeg, _join_jpeg
    if content.startswith(b"RIFF"):
        return _split_riff, _join_riff
    if content[4:8] in (b"ftyp", b"JXL "):
        return _split_boxes, _join_boxes
    if content.startswith(b"GIF8") and len(content) > 13:
        return _split_gif, b"".join
    return None


def _tags(content: bytes, seeds: Mapping[str, bytes], chance: random.Random) -> bytes:
    """Edit an entry of a directory of tags: of a TIFF, or of the EXIF data in another file."""
    starts = [content.find(mark) for mark in (b"II*\0", b"MM\0*")]
    starts = [start for start in starts if start >= 0]
    if not starts:
        return _parts(content, seeds, chance)
    start = starts[0]
    e = "<" if content[start : start + 1] == b"I" else ">"
    directory = start + int.from_bytes(content[start + 4 : start + 8], "little" if e == "<" else "big")
    count = int.from_bytes(content[directory : directory + 2], "little" if e == "<" else "big")
    place = directory + 2 + 12 * chance.randrange(max(1, min(count, 64)))
    if place + 12 > len(content):
        return _number(content, seeds, chance)
    tag, kind, number, value = struct.unpack(e + "HHII", content[place : place + 12])
    field = chance.randrange(5)
    if field == 0:
        tag = chance.choice((*_TAGS, chance.randrange(2**16)))
    elif field == 1:
        kind = chance.choice((*range(14), 16, 18, 65535))
    elif field == 2:
        number = chance.choice(NUMBERS)
    else:
        value = chance.choice((*NUMBERS, value + 1, max(0, value - 1), directory, len(content)))
    entry = struct.pack(e + "HHII", tag, kind, number % 2**32, value % 2**32)
    return content[:place] + entry + content[place + 12 :]


_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339)
_TAGS += (347, 530, 532, 700, 33723, 34377, 34665, 34675, 34853, 40965)

_CHANGES = [_flip, _number, _number, _cut, _drop, _repeat, _noise, _splice]
_CHANGES += [_resized, _parts, _parts, _parts, _parts, _tags, _tags, _tags]
