"""Keep a few values that are costly to make, for all threads together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The values that were made last, by key. Threads that ask for the same value make it once and share it.

    Args:
        most: how many values are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: dict[Key, Value] = {}
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key; made if it is not there, in the place of the oldest. Only one thread makes at a time."""
        with self._lock:
            if key not in self._values:
                while len(self._values) >= self.most:
                    self._values.pop(next(iter(self._values)))
                self._values[key] = make()
            return self._values[key]

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
