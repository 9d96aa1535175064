"""Which pictures of a folder to stylize, by patterns of their names. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Selection:
    """Patterns of names such as ``*.jpg`` or ``holiday/*``, by which pictures of a folder are taken or left out.

    A pattern with a slash is compared with the path below the folder, any other with the name alone. Upper and lower case
    count as the same. ``*`` stands for anything, ``?`` for one character, ``[ab]`` for one of these.

    Attributes:
        include: only what fits one of them is taken; () takes all.
        exclude: what fits one of them is left out.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: Path) -> bool:
        """Whether a picture with this path below the folder is taken."""
        wanted = not self.include or any(_fits(path, pattern) for pattern in self.include)
        return wanted and not any(_fits(path, pattern) for pattern in self.exclude)


ALL = Selection()


def _fits(path: Path, pattern: str) -> bool:
    text = path.as_posix() if "/" in pattern else path.name
    return fnmatchcase(text.casefold(), pattern.casefold())
