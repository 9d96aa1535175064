"""A file made of pieces of another file and of bytes in between, without a copy of the pieces."""

from __future__ import annotations

import bisect
import io
from collections.abc import Sequence
from typing import BinaryIO, cast

Piece = bytes | tuple[int, int]
"""Bytes, or a range of the file: its start and its end."""


class Spliced(io.RawIOBase):
    """A file to read and seek in that consists of pieces. It reads from the file at hand, which it does not close."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + _length(piece))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._starts[-1] if size is None or size < 0 else min(self._starts[-1], self._at + size)
        parts = []
        while self._at < end:
            number = bisect.bisect_right(self._starts, self._at) - 1
            low = self._at - self._starts[number]
            piece, count = self._pieces[number], min(end, self._starts[number + 1]) - self._at
            if isinstance(piece, bytes):
                part = piece[low : low + count]
            else:
                self._file.seek(piece[0] + low)
                part = self._file.read(count)
            if not part:  # the file has become shorter
                break
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def as_file(spliced: Spliced) -> BinaryIO:
    """The same, as the type that functions for files ask for."""
    return cast(BinaryIO, spliced)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
