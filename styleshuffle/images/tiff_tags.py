"""Directories of tags, as TIFF files and EXIF data have them (TIFF revision 6.0, section 2; BigTIFF is read too).

Values stay the bytes that they were, in the byte order of their file. So tags that nobody here knows keep their type and
value, on the way from one file to another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q"}
SHORT, LONG, RATIONAL, UNDEFINED, IFD = 3, 4, 5, 7, 13

_MOST_BYTES = 64 * 2**20  # of the values of a directory; more is damage or malice
_MOST_DIRECTORIES = 64

EXIF_IFD, GPS_IFD, INTEROP_IFD, SUB_IFDS = 0x8769, 0x8825, 0xA005, 330
MAKER_NOTE = 0x927C
_CHILDREN = (EXIF_IFD, GPS_IFD, INTEROP_IFD)


@dataclass(frozen=True)
class Entry:
    """The value of a tag.

    Attributes:
        kind: the number of its type: 3 is SHORT, 4 is LONG.
        count: how many values there are.
        data: the values, in the byte order of the file.
        offset: where the data began in the file; None if it lay in the directory itself.
    """

    kind: int
    count: int
    data: bytes
    offset: int | None = None


@dataclass
class Directory:
    """Tags with their values, and the directories that hang on tags (EXIF, GPS, interoperability).

    Attributes:
        order: "<" or ">", the byte order of all values.
        entries: by tag, without the tags in `children`.
        children: by the tag that points to them.
        next: where the next directory lies in the file; 0 if there is none.
        offset: where this directory lies in the file.
    """

    order: str
    entries: dict[int, Entry] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)
    next: int = 0
    offset: int = 0

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The numbers of a tag; () if there are none."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (*_CODES, 5, 10):
            return ()
        if entry.kind in (5, 10):
            parts = struct.unpack(f"{self.order}{2 * entry.count}{'L' if entry.kind == 5 else 'l'}", entry.data)
            return tuple(above / below if below else 0.0 for above, below in zip(parts[::2], parts[1::2], strict=True))
        return struct.unpack(f"{self.order}{entry.count}{_CODES[entry.kind]}", entry.data)

    def integers(self, tag: int) -> tuple[int, ...]:
        return tuple(int(number) for number in self.numbers(tag))

    def integer(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return next(iter(self.integers(tag)), default)

    def data(self, tag: int) -> bytes | None:
        """The bytes of a tag; None if the directory does not have it."""
        entry = self.entries.get(tag)
        return None if entry is None else entry.data

    def put(self, tag: int, kind: int, values: Sequence[int]) -> None:
        """Set whole numbers of the type SHORT or LONG."""
        self.entries[tag] = Entry(kind, len(values), struct.pack(f"{self.order}{len(values)}{_CODES[kind]}", *values))

    def put_bytes(self, tag: int, data: bytes, kind: int = UNDEFINED) -> None:
        self.entries[tag] = Entry(kind, len(data), data)


class TagFile:
    """A file that begins with the header of a TIFF.

    Raises:
        ValueError: it does not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        file.seek(0)
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
        if order is None or version not in (42, 43):
            raise ValueError("no header of a TIFF")
        self.order, self.big = order, version == 43
        if self.big and len(head) < 16:
            raise ValueError("cut short in its header")
        self._pointer = f"{order}Q" if self.big else f"{order}L"  # how offsets and counts are written
        self.first: int = struct.unpack(self._pointer, head[8:16] if self.big else head[4:8])[0]

    def directories(self) -> Iterator[Directory]:
        """The chain of directories: the pages of a TIFF, or an EXIF's picture and its thumbnail."""
        seen: set[int] = set()
        offset = self.first
        while offset and offset not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(offset)
            directory = self.directory(offset)
            yield directory
            offset = directory.next

    def directory(self, offset: int) -> Directory:
        """The directory at an offset, with those that hang on it. Values that lie outside the file are left out.

        Raises:
            ValueError: the file ends inside the directory.
        """
        found = self._plain(offset)
        parents = [found]
        while parents:
            parent = parents.pop()
            for tag in _CHILDREN:
                pointer = parent.integer(tag, 0)
                parent.entries.pop(tag, None)
                if pointer and parent is not found and tag != INTEROP_IFD:
                    continue  # EXIF and GPS hang on the main directory only
                if pointer:
                    try:
                        parent.children[tag] = self._plain(pointer)
                    except ValueError:
                        continue
                    if tag == EXIF_IFD:
                        parents.append(parent.children[tag])
        return found

    def _plain(self, offset: int) -> Directory:
        count = self._unpack(offset, "Q" if self.big else "H")[0]
        size = 20 if self.big else 12
        start = offset + (8 if self.big else 2)
        if count > 65535:
            raise ValueError("a directory of too many tags")
        table = self._bytes(start, count * size)
        directory, budget = Directory(self.order, offset=offset), _MOST_BYTES
        for at in range(0, len(table), size):
            tag, kind = struct.unpack(f"{self.order}HH", table[at : at + 4])
            middle = at + (12 if self.big else 8)
            number = struct.unpack(self._pointer, table[at + 4 : middle])[0]
            value = table[middle : at + size]
            length = _SIZES.get(kind, 0) * number
            budget -= length
            if not length or budget < 0:
                continue
            if length <= len(value):
                directory.entries.setdefault(tag, Entry(kind, number, value[:length]))
                continue
            place = struct.unpack(self._pointer, value)[0]
            try:
                directory.entries.setdefault(tag, Entry(kind, number, self._bytes(place, length), place))
            except ValueError:
                continue
        try:
            directory.next = self._unpack(start + len(table), "Q" if self.big else "L")[0]
        except ValueError:
            directory.next = 0
        return directory

    def _unpack(self, offset: int, code: str) -> tuple[int, ...]:
        return struct.unpack(self.order + code, self._bytes(offset, struct.calcsize("=" + code)))

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset >= 2**62:
            raise ValueError("an offset beyond the end of the file")
        self.file.seek(offset)
        data = self.file.read(length)
        if len(data) != length:
            raise ValueError("cut short")
        return data


def build(directory: Directory) -> bytes:
    """A TIFF header and a directory with those that hang on it; nothing follows it.

    The maker note of a camera stays where it was, if there is room, because some hold offsets from the beginning.
    """
    layout = _Layout(_maker_note(directory))
    layout.put(directory)
    return layout.bytes()


def _maker_note(directory: Directory) -> Entry | None:
    exif = directory.children.get(EXIF_IFD)
    return None if exif is None else exif.entries.get(MAKER_NOTE)


class _Layout:
    """Bytes that directories are put into, one after the other, around a maker note that keeps its place."""

    def __init__(self, note: Entry | None) -> None:
        self.content = bytearray(8)
        pinned = note is not None and note.offset is not None and 8 <= note.offset < 2**20
        self.note = note if pinned else None
        self.end = 8

    def bytes(self) -> bytes:
        return bytes(self.content)

    def put(self, directory: Directory) -> int:
        """Put a directory down; returns its offset."""
        order, tags = directory.order, sorted({*directory.entries, *directory.children})
        start = self._room(2 + 12 * len(tags) + 4)
        if start == 8 or self.content[:2] == b"\0\0":
            self.content[:8] = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", start)
        table = struct.pack(f"{order}H", len(tags))
        for tag in tags:
            if tag in directory.children:
                table += struct.pack(f"{order}HHLL", tag, LONG, 1, self.put(directory.children[tag]))
                continue
            entry = directory.entries[tag]
            head = struct.pack(f"{order}HHL", tag, entry.kind, entry.count)
            short = len(entry.data) <= 4
            table += head + (entry.data.ljust(4, b"\0") if short else struct.pack(f"{order}L", self._place(entry)))
        self.content[start : start + len(table)] = table
        return start

    def _place(self, entry: Entry) -> int:
        if entry is self.note and entry.offset is not None:
            start = entry.offset
            self._grow(start + len(entry.data))
        else:
            start = self._room(len(entry.data))
        self.content[start : start + len(entry.data)] = entry.data
        return start

    def _room(self, length: int) -> int:
        """Where that many bytes are free; they belong to the caller now."""
        start = self.end + self.end % 2
        if self.note is not None and self.note.offset is not None:
            low, high = self.note.offset, self.note.offset + len(self.note.data)
            if start < high and start + length > low:
                start = high + high % 2
        self.end = start + length
        self._grow(self.end)
        return start

    def _grow(self, length: int) -> None:
        self.content.extend(bytes(max(0, length - len(self.content))))
