"""What libraries print by themselves: libtiff about damaged files, OpenMP about threads. It goes through the console."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import Any

_SHOWN = 3  # lines at a time; a damaged TIFF can make one for each row
_LARGEST = 2**20


class NativeMessages:
    """Within the block, what is written to file descriptor 2 is collected, while `sys.stderr` stays where it was.

    So a message of a library in C cannot break a progress bar or send escape sequences to the terminal. If stderr is not
    that file, as in a test, nothing is collected.
    """

    def __init__(self) -> None:
        self._file: Any = None
        self._seen = 0

    def __enter__(self) -> NativeMessages:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if sys.stderr.fileno() == 2:
                self._begin()
        return self

    def _begin(self) -> None:
        sys.stderr.flush()
        file = tempfile.TemporaryFile()  # noqa: SIM115
        self._before, terminal = sys.stderr, os.dup(2)
        sys.stderr = open(  # noqa: SIM115 - closed at the end of the block
            terminal, "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1
        )
        os.dup2(file.fileno(), 2)
        self._file = file

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            ours, sys.stderr = sys.stderr, self._before
            ours.flush()
            os.dup2(ours.fileno(), 2)
            ours.close()
            self._file.close()
            self._file = None

    def taken(self) -> list[str]:
        """The lines since the last time; of many only the first few, and how many more there are."""
        if self._file is None or os.fstat(self._file.fileno()).st_size == self._seen:
            return []
        text = os.pread(self._file.fileno(), _LARGEST, self._seen).decode(errors="backslashreplace")
        self._seen = os.fstat(self._file.fileno()).st_size
        if self._seen > _LARGEST:
            os.ftruncate(self._file.fileno(), 0)
            os.lseek(self._file.fileno(), 0, os.SEEK_SET)
            self._seen = 0
        lines = [line for line in text.splitlines() if line.strip()]
        more = len(lines) - _SHOWN
        return lines[:_SHOWN] + ([f"... and {more} more such lines"] if more > 0 else [])
