"""What all commands share: messages on stderr, progress bars and exit codes.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line is wrong; 130 stopped by
Ctrl-C; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from ..devices import is_out_of_memory
from ..errors import MemoryShortage, PictureError, SettingsError, StyleShuffleError, one_line
from ..files import errno_of, reason_of
from ..progress import Progress
from . import signals
from .native import NativeMessages
from .process import set_up

_NAMED = re.compile(r"`([a-z][a-z0-9_]*)`")


def listing(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes))


def in_options(text: str) -> str:
    """An error message for the command line: the settings that it names become options.

    The library writes the names of settings in backquotes, and a `SettingsError` begins with the name and a colon.
    """
    text = _with_options(text)
    name, colon, rest = text.partition(":")
    return f"{option_name(name)}{colon}{rest}" if name.isidentifier() and name.islower() else text


def _with_options(text: str) -> str:
    return _NAMED.sub(lambda match: option_name(match[1]), text)


def option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


# --------------------------------------------------------------------------------------------------------- messages


class Console:
    """All messages for the user: on stderr, each on its own line, and never inside a progress bar."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.native = NativeMessages()
        self._print: Callable[[str], None] = lambda line: click.echo(line, err=True)

    def error(self, error: BaseException, name: str = "") -> None:
        """Report an error. `name` is the picture, for errors that do not name it themselves."""
        self._line(f"styleshuffle: error: {_explained(error, name)}")
        if self.verbose and not isinstance(error, StyleShuffleError):
            self._print("".join(traceback.format_exception(error)).rstrip())

    def picture_error(self, error: BaseException, name: str) -> None:
        """Report an error of a picture in a folder; the message names the picture."""
        if isinstance(error, MemoryShortage):
            error = PictureError(f"{name}: {in_options(str(error))}")
        self.error(error, name)

    def warn(self, text: str) -> None:
        if not self.quiet:
            self._line(f"styleshuffle: warning: {_with_options(text)}")

    def note(self, text: str) -> None:
        if not self.quiet:
            self._line(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self._line(text)

    def _line(self, text: str) -> None:
        """Print text that may hold file names, which can contain line breaks and escape sequences."""
        self.tell_native()
        self._print(one_line(text))

    def tell_native(self) -> None:
        """Show what libraries have printed by themselves."""
        for line in self.native.taken():
            if not self.quiet:
                self._print(one_line(f"styleshuffle: warning: a library says: {line}"))

    @contextlib.contextmanager
    def bar(self, total: float) -> Iterator[Bar]:
        """A progress bar. It stays hidden if stderr is not a terminal."""
        from tqdm import tqdm

        shown = self._print
        with tqdm(
            desc="loading",
            total=max(total, 1),
            file=sys.stderr,
            disable=True if self.quiet or sys.stderr is None else None,  # None hides it if stderr is not a terminal
            leave=False,
            smoothing=0,  # estimate the remaining time from the whole run, because steps differ much
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
    """Progress over all pictures, in any unit of work. The clock starts with the first picture."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._started = False
        self._before, self._work = 0.0, 1.0

    def start(self, name: str, before: float = 0, work: float = 1) -> None:
        """Begin a picture: `before` is the work done so far, `work` that of the picture."""
        self._bar.set_description_str(one_line(name, max(12, _terminal_columns() // 3)), refresh=False)
        if not self._started:
            self._bar.reset()  # the time to load the networks does not count
        self._started, self._before, self._work = True, before, work
        self.move_to(0)

    def move_to(self, fraction: float) -> None:
        signals.raise_lost()
        self._bar.update(self._before + fraction * self._work - self._bar.n)

    def show(self, progress: Progress) -> None:
        """Show the progress of the current picture."""
        self.move_to(progress.fraction)


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError, AttributeError):  # stderr is no terminal, or closed
        return 80


def _explained(error: BaseException, name: str) -> str:
    """The message of an error, on one line."""
    if isinstance(error, SettingsError):
        return in_options(str(error))
    if isinstance(error, StyleShuffleError):
        return _with_options(str(error))
    prefix = f"{name}: " if name else ""
    if is_out_of_memory(error):
        return f"{prefix}out of memory; give a smaller --size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or name or 'system'}: {reason_of(error)}; run with -v for the traceback"
    return f"{prefix}{type(error).__name__}: {reason_of(error)}; run with -v for the traceback"


# ------------------------------------------------------------------------------------------ the command and its errors


@contextlib.contextmanager
def _safe_usage() -> Iterator[None]:
    """Usage errors quote what the user wrote, which may hold escape sequences; show it on a safe line."""
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(one_line(error.format_message()), error.ctx) from None


class Commands(click.Group):
    """A group of commands, with safe usage errors."""

    def main(self, *args: Any, **options: Any) -> Any:
        _print_anything()
        return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _safe_usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _safe_usage():
            return super().invoke(ctx)


class Command(click.Command):
    """A command that ends with an exit code and, if it fails, a one-line message."""

    def main(self, *args: Any, **options: Any) -> Any:
        _print_anything()
        return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _safe_usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        set_up(bounded=bool(ctx.params.get("memory")))
        console = ctx.obj = Console(ctx.params["quiet"], ctx.params["verbose"])
        try:
            with signals.raising(), console.native, warnings.catch_warnings(), _safe_usage():
                if not console.verbose:
                    warnings.simplefilter("ignore")  # warnings of libraries are for developers
                try:
                    result = super().invoke(ctx)
                finally:
                    console.tell_native()
                signals.raise_lost()
                return result
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except MemoryShortage as error:  # one line: the way to write the command is not at fault
            console.error(error)
            ctx.exit(2)
        except SettingsError as error:
            raise click.UsageError(in_options(str(error)), ctx) from None
        except Exception as error:
            if errno_of(error) == errno.EPIPE:
                _forget_stdout()
            else:
                console.error(error, ctx.params["content"])
            ctx.exit(1)


def _print_anything() -> None:
    """Escape what the terminal's encoding lacks, instead of ending the run by an error."""
    for stream in sys.stdout, sys.stderr:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """Send stdout nowhere: its reader is gone, and Python would report that when it flushes stdout at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
