"""Ctrl-C and SIGTERM, taken as a wish: the step is finished and a checkpoint written before the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(SystemExit):
    """The end of a run that was asked to stop, after its checkpoint."""


class Stopping:
    """Whether a signal asked to stop.

    Attributes:
        signal: its number; 0 if there was none.
    """

    def __init__(self) -> None:
        self.signal = 0

    def asked(self) -> bool:
        return self.signal != 0


@contextmanager
def stopping() -> Iterator[Stopping]:
    """In this context the first signal only asks to stop; a second one ends the process as before.

    Signals that are ignored (by nohup) stay so, and only a main thread can take them.
    """
    wish = Stopping()

    def take(number: int, frame: FrameType | None) -> None:
        wish.signal = number
        restore()

    names = ("SIGINT", "SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, take)
    try:
        yield wish
    finally:
        restore()
