"""What styleshuffle raises for input it cannot use.

Every message is a single line that names the file or the setting, the reason and the remedy. The command line shows it
unchanged, except that names of settings become options. Names of files and of tensors come from strangers, so whatever is
not printable in a message is escaped here.
"""

from __future__ import annotations

import os
import unicodedata


def one_line(text: object, longest: int | None = None) -> str:
    """Text that is safe to show on one line of a terminal.

    What is not printable is escaped: line breaks, escape sequences, and marks that turn the direction of writing.

    Args:
        longest: columns of the terminal; the middle of a longer text is left out.
    """
    plain = os.fsdecode(text) if isinstance(text, bytes | os.PathLike) else str(text)
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)
    if longest is None or columns(line) <= longest:
        return line
    head, tail = (longest - 3) - (longest - 3) // 2, (longest - 3) // 2
    return f"{_cut(line, head)}...{_cut(line[::-1], tail)[::-1]}"


def columns(line: str) -> int:
    """The width of a line on a terminal, at most: Chinese, Japanese and Korean characters take two columns."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _cut(line: str, longest: int) -> str:
    """As many of the first characters as fit into so many columns."""
    kept = line[: max(0, longest)]
    while columns(kept) > longest:
        kept = kept[:-1]
    return kept


class StyleShuffleError(Exception):
    """Base of the errors that a caller can act on."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class PictureError(StyleShuffleError):
    """A picture cannot be read or written."""


class SettingsError(StyleShuffleError, ValueError):
    """A setting is outside its range, or two settings contradict each other."""


class MemoryShortage(SettingsError):
    """A picture needs more memory than the machine has."""


class WeightsError(StyleShuffleError):
    """A file of network weights is missing, damaged or belongs to another network."""


class WorkerError(StyleShuffleError):
    """Training on several workers cannot continue: a worker is lost or differs, or its gradient is not finite."""
