"""What all commands share: messages on stderr, progress bars, exit codes, the end by Ctrl-C, and the names of devices.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line cannot be meant so; 130 and
143 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import threading
import time
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import click

from .errors import SettingsError, StyleShuffleError

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, ..., mps.")
    return value


device_option = click.option(
    "--device", default="auto", metavar="auto|cpu|cuda[:N]|mps", callback=_check_device, help="Where to compute."
)


def listing(suffixes: typing.Iterable[str]) -> str:
    return ", ".join(sorted(suffixes))


# --------------------------------------------------------------------------------------------------------- messages


class Console:
    """Everything that a user reads: on stderr, one line a message, and never through the middle of a bar."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet, self.verbose = quiet, verbose
        self._print: Callable[[str], None] = lambda line: click.echo(line, err=True)

    def error(self, error: BaseException, name: str = "") -> None:
        """What went wrong with the picture `name`; ours are errors that say so themselves."""
        self._line(f"styleshuffle: error: {_explained(error, name)}")
        if self.verbose and not isinstance(error, StyleShuffleError):
            self._print("".join(traceback.format_exception(error)).rstrip())

    def warn(self, text: str) -> None:
        if not self.quiet:
            self._line(f"styleshuffle: warning: {text}")

    def note(self, text: str) -> None:
        if not self.quiet:
            self._line(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self._line(text)

    def _line(self, text: str) -> None:
        """Print what may hold names of files, in which a line break or an escape sequence is possible."""
        self._print("".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text))

    @contextlib.contextmanager
    def bar(self, total: float) -> Iterator[Bar]:
        """A bar on a terminal, else one that shows nothing."""
        from tqdm import tqdm  # type: ignore[import-untyped]

        shown = self._print
        with tqdm(
            desc="loading",
            total=max(total, 1),
            file=sys.stderr,
            disable=True if self.quiet or sys.stderr is None else None,  # None: wherever stderr is no terminal
            leave=False,
            smoothing=0,  # the time that remains comes from the whole run; single steps differ too much
            miniters=0,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} to go",
        ) as bar:
            try:
                self._print = shown if bar.disable else lambda line: bar.write(line, file=sys.stderr)
                yield Bar(bar)
            finally:
                self._print = shown


class Bar:
    """Progress over the work of all pictures, in any unit; the clock starts with the first of them."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._began: float | None = None
        self._before, self._work = 0.0, 1.0

    def start(self, name: str, before: float = 0, work: float = 1) -> None:
        """Begin a picture that is `work` of the total, after `before`."""
        self._bar.set_description_str(name, refresh=False)
        if self._began is None:
            self._bar.reset()  # loading the networks says nothing about how long a picture takes
        self._began, self._before, self._work = time.monotonic(), before, work
        self.move_to(0)

    def move_to(self, fraction: float) -> None:
        self._bar.update(self._before + fraction * self._work - self._bar.n)

    def seconds(self) -> float:
        """Since this picture began."""
        return time.monotonic() - (self._began or 0)


def _explained(error: BaseException, name: str) -> str:
    """One line on what went wrong."""
    if isinstance(error, StyleShuffleError):
        return str(error)
    prefix = f"{name}: " if name else ""
    if is_memory(error):
        return f"{prefix}out of memory; give a smaller --size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or name or 'system'}: {error.strerror}; run with -v for the traceback"
    said = " ".join(str(error).split())
    return f"{prefix}{type(error).__name__}: {said}; run with -v for the traceback"


def is_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch says so by a RuntimeError whose text depends on the device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


def errno_of(error: BaseException | None) -> int | None:
    """The system's number for what went wrong at the root of an error, if it was the system."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _in_options(text: str) -> str:
    """The message of a `SettingsError`, with the option's name for the setting's."""
    name, colon, rest = text.partition(":")
    return f"--{name.replace('_', '-')}{colon}{rest}" if name.isidentifier() else text


# ------------------------------------------------------------------------------------------ the command and its errors


class Command(click.Command):
    """Ends every run with an exit code and, if it failed, one line; never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        console = ctx.obj = Console(ctx.params["quiet"], ctx.params["verbose"])
        try:
            with _stoppable(), warnings.catch_warnings():
                if not console.verbose:
                    warnings.simplefilter("ignore")  # those of libraries, which are for developers
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except SettingsError as error:
            raise click.UsageError(_in_options(str(error)), ctx) from None
        except Exception as error:
            if errno_of(error) == errno.EPIPE:
                _forget_stdout()
            else:
                console.error(error, ctx.params["content"])
            ctx.exit(1)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the run as Ctrl-C does: with half-written files cleaned up."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores: so be it
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _forget_stdout() -> None:
    """Nobody reads stdout any more: keep Python from complaining about that when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
