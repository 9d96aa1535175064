"""What all commands share: messages on stderr, progress bars, exit codes, and the end by Ctrl-C.

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
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from ..devices import is_out_of_memory
from ..errors import MemoryShortage, PictureError, SettingsError, StyleShuffleError
from ..files import errno_of, one_line, reason_of
from ..progress import Progress

_NAMED = re.compile(r"`([a-z][a-z0-9_]*)`")


def listing(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes))


def in_options(text: str) -> str:
    """The message of an error as a user of the command line needs it: an option for each setting that it names.

    The library writes names of settings in backquotes, and a `SettingsError` begins with the name and a colon.
    """
    text = _NAMED.sub(lambda match: option_name(match[1]), text)
    name, colon, rest = text.partition(":")
    return f"{option_name(name)}{colon}{rest}" if name.isidentifier() and name.islower() else text


def option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


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

    def picture_error(self, error: BaseException, name: str) -> None:
        """What went wrong with a picture of several, where the error itself may not say which."""
        if isinstance(error, MemoryShortage):
            error = PictureError(f"{name}: {in_options(str(error))}")
        self.error(error, name)

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
        self._print(one_line(text))

    @contextlib.contextmanager
    def bar(self, total: float) -> Iterator[Bar]:
        """A bar on a terminal, else one that shows nothing."""
        from tqdm import tqdm

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
        self._started = False
        self._before, self._work = 0.0, 1.0

    def start(self, name: str, before: float = 0, work: float = 1) -> None:
        """Begin a picture that is `work` of the total, after `before`."""
        self._bar.set_description_str(one_line(name), refresh=False)
        if not self._started:
            self._bar.reset()  # loading the networks says nothing about how long a picture takes
        self._started, self._before, self._work = True, before, work
        self.move_to(0)

    def move_to(self, fraction: float) -> None:
        self._bar.update(self._before + fraction * self._work - self._bar.n)

    def show(self, progress: Progress) -> None:
        """Take up the progress of the picture that was begun."""
        self.move_to(progress.fraction)


def _explained(error: BaseException, name: str) -> str:
    """What went wrong, on one line."""
    if isinstance(error, SettingsError):
        return in_options(str(error))
    if isinstance(error, StyleShuffleError):
        return _NAMED.sub(lambda match: option_name(match[1]), str(error))
    prefix = f"{name}: " if name else ""
    if is_out_of_memory(error):
        return f"{prefix}out of memory; give a smaller --size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or name or 'system'}: {reason_of(error)}; run with -v for the traceback"
    return f"{prefix}{type(error).__name__}: {reason_of(error)}; run with -v for the traceback"


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
            raise click.UsageError(in_options(str(error)), ctx) from None
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
