"""The private folder of the server: files with an owner, bounded in number, bytes and age."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .limits import Limits
from .refusals import Refusal


@dataclass
class Entry:
    """Files that belong together.

    Attributes:
        id: what clients call it; it cannot be guessed.
        page: that it belongs to; "" where it belongs to none.
        what: that the files hold; None until it is known.
        files: paths in the private folder.
        bytes: of the files; while they are written, as many as they may become.
        used: when it was last asked for.
        holders: jobs that need it.
    """

    id: str
    page: str
    what: Any = None
    files: list[Path] = field(default_factory=list)
    bytes: int = 0
    used: float = 0
    holders: int = 0


class Shelf:
    """Entries by id. Where room is short, what was not asked for longest makes room; what jobs hold stays.

    All methods may be called from any thread.

    Args:
        limits: see `Limits`.
        clock: seconds that never go back.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        # for this user only; it also goes if the program ends without `close`
        self._temporary = tempfile.TemporaryDirectory(prefix="styleshuffle-web-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        self._limits, self._clock = limits, clock
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}

    def close(self) -> None:
        """Delete the folder and all that is in it."""
        with self._lock:
            self._entries = {}
        self._temporary.cleanup()

    def new(self, page: str, bytes: int, suffixes: Iterable[str]) -> Entry:
        """A held entry with paths for files that are still to be written. `settle` or `drop` ends the writing.

        Args:
            bytes: that the files may have together.
            suffixes: of the files.

        Raises:
            Refusal: there is no room, because jobs hold all that is there.
        """
        with self._lock:
            self._make_room(bytes)
            id = secrets.token_urlsafe(16)
            files = [self.folder / f"{id}{suffix}" for suffix in suffixes]
            entry = self._entries[id] = Entry(id, page, None, files, bytes, self._clock(), 1)
            return entry

    def grow(self, entry: Entry, bytes: int) -> None:
        """A held entry takes this many more bytes.

        Raises:
            Refusal: as for `new`.
        """
        with self._lock:
            self._make_room(bytes, entries=0)
            entry.bytes += bytes

    def settle(self, entry: Entry, what: Any) -> None:
        """The files of a new entry are written: count their true bytes, and let go of it."""
        with self._lock:
            entry.bytes = sum(file.stat().st_size for file in entry.files if file.exists())
            entry.what = what
            self._let_go(entry)

    def get(self, id: str) -> Entry:
        """An entry that is settled.

        Raises:
            Refusal: there is none, or there is none any more.
        """
        with self._lock:
            entry = self._entries.get(id)
            if entry is None or entry.what is None:
                raise Refusal(404, "this picture is not here, or not any more; send it again")
            entry.used = self._clock()
            return entry

    def hold(self, ids: Iterable[str]) -> list[Entry]:
        """Entries that stay until `release`.

        Raises:
            Refusal: one of them is not there; then none is held.
        """
        with self._lock:
            entries = [self.get(id) for id in ids]
            for entry in entries:
                entry.holders += 1
            return entries

    def release(self, entries: Iterable[Entry]) -> None:
        with self._lock:
            for entry in entries:
                self._let_go(entry)

    def drop(self, id: str) -> None:
        """Delete an entry, now, or as soon as no job holds it."""
        with self._lock:
            entry = self._entries.pop(id, None)
            if entry is not None and not entry.holders:
                _delete(entry)

    def drop_page(self, page: str) -> None:
        """Delete all that belongs to a page."""
        with self._lock:
            for entry in [entry for entry in self._entries.values() if entry.page == page]:
                self.drop(entry.id)

    def sweep(self) -> None:
        """Delete what nobody asked for in a long time."""
        with self._lock:
            oldest = self._clock() - self._limits.idle_seconds
            for entry in [entry for entry in self._entries.values() if entry.used < oldest and not entry.holders]:
                self.drop(entry.id)

    @contextlib.contextmanager
    def writing(self, page: str, bytes: int, suffixes: Iterable[str]) -> Iterator[Entry]:
        """As `new`; an error in the block deletes the entry."""
        entry = self.new(page, bytes, suffixes)
        try:
            yield entry
        except BaseException:
            with self._lock:
                self._entries.pop(entry.id, None)
                _delete(entry)
            raise

    def _make_room(self, bytes: int, entries: int = 1) -> None:
        self.sweep()
        idle = sorted((entry for entry in self._entries.values() if not entry.holders), key=lambda entry: entry.used)
        while len(self._entries) + entries > self._limits.kept_files or self._bytes() + bytes > self._limits.kept_bytes:
            if not idle:
                raise Refusal(503, "the server keeps as many pictures as it may; try again later", wait=10)
            self.drop(idle.pop(0).id)

    def _bytes(self) -> int:
        return sum(entry.bytes for entry in self._entries.values())

    def _let_go(self, entry: Entry) -> None:
        entry.holders -= 1
        if not entry.holders and entry.id not in self._entries:
            _delete(entry)


def _delete(entry: Entry) -> None:
    for file in entry.files:
        file.unlink(missing_ok=True)
