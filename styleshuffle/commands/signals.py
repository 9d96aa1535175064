"""Ctrl-C, SIGTERM and a closed terminal end a command quietly: with 130, 143 or 129, and nothing half-written.

While a command starts, it has written nothing, so such a signal ends the process at once: an exception could get lost in
the import of a library, or show a traceback of it. While the command works, the signal raises an exception, which removes
unfinished files on its way. This file imports nothing slow, so that the signals are taken early.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], None]

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_CLEAR_LINE = b"\r\x1b[K"  # of a progress bar

_received: list[int] = []


def _end(number: int, frame: FrameType | None) -> None:
    try:
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _CLEAR_LINE)
    finally:
        os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise _exception(number)


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def take_early() -> None:
    """From here on the signals end the process at once. Signals that are ignored (by nohup) stay so."""
    _install(_end)


def ignore_late() -> None:
    """From here on the signals are ignored: all is done, the exit code is known, and Python only has to end.

    Python gives up its handlers while it ends, so a signal then would kill the process with another exit code.
    """
    for number in _install(_end):
        signal.signal(number, signal.SIG_IGN)


def raise_lost() -> None:
    """Raise the exception of a signal again, if a library has swallowed it."""
    if _received:
        raise _exception(_received[0])


class ending_at_once:
    """Within the block the signals end the process at once: nothing may be half-written there."""

    handler: Handler = staticmethod(_end)

    def __enter__(self) -> None:
        self._before = _install(self.handler)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class raising(ending_at_once):
    """Within the block SIGINT raises KeyboardInterrupt, and the other signals raise SystemExit."""

    handler: Handler = staticmethod(_raise)

    def __enter__(self) -> None:
        _received.clear()
        self._hook, sys.unraisablehook = sys.unraisablehook, _quiet_hook
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        sys.unraisablehook = self._hook
        _received.clear()


def _quiet_hook(unraisable: sys.UnraisableHookArgs) -> None:
    """An exception of a signal that fell into a destructor is not shown; `raise_lost` raises it again."""
    if not (_received and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit)):
        sys.__unraisablehook__(unraisable)


def _install(handler: Handler) -> dict[int, Any]:
    """Take the signals, except those that the program that started us ignores or that somebody else has taken."""
    free = (signal.SIG_DFL, signal.default_int_handler, _end, _raise)
    before = {number: signal.getsignal(number) for number in _NUMBERS if signal.getsignal(number) in free}
    try:
        for number in before:
            signal.signal(number, handler)
    except ValueError:  # not the main thread, which alone can take signals
        return {}
    return before
