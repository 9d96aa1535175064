"""Which pictures a folder holds, and what the results of them are called.

Nothing here prints, writes or decodes. The names depend on what lies on the disk and on nothing else, so a second run
gives the same names, and can go on where the first one was stopped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..files import identity
from ..images import READABLE, WRITABLE


def pictures_in(root: Path, left_out: Path | None, unlisted: list[tuple[Path, str]]) -> Iterator[Path]:
    """Files under a folder that are named like pictures, folder by folder, each sorted.

    Hidden files and folders are passed over, and so are links to folders, since they can lead in circles. A link that
    leads nowhere is given, so that it can be reported.

    Args:
        left_out: a folder in it to pass over; it need not exist.
        unlisted: takes up the folders that cannot be listed, each with the reason.
    """
    passed_over = None if left_out is None else identity(left_out)

    def note(error: OSError) -> None:
        unlisted.append((Path(error.filename), error.strerror or str(error)))

    for folder, subfolders, files in os.walk(root, onerror=note):
        here = Path(folder)
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and (passed_over is None or identity(here / name) != passed_over)
        )
        for name in sorted(files):
            file = here / name
            if name.startswith(".") or file.suffix.lower() not in READABLE:
                continue
            if file.is_file() or not file.exists():
                yield file


def target_names(sources: list[Path]) -> list[Path]:
    """The names of the results of pictures with these relative names, all different.

    A name stays what it is if its suffix can be written; otherwise the suffix becomes .png. Where that name is taken or
    wanted twice, .png is added to the whole name instead: ``a.bmp`` beside ``a.png`` becomes ``a.bmp.png``. Names that
    differ in nothing but case count as the same, because on many disks they are.
    """
    wanted = [default_name(source) for source in sources]
    count = Counter(_folded(name) for name in wanted)
    used = {_folded(source) for source in sources if default_name(source) == source}
    names = []
    for source, name in zip(sources, wanted, strict=True):
        if name != source and count[_folded(name)] > 1:
            name = source.with_name(source.name + ".png")
            number = 2
            while _folded(name) in used:
                name, number = source.with_name(f"{source.name}.{number}.png"), number + 1
        used.add(_folded(name))
        names.append(name)
    return names


def default_name(source: Path) -> Path:
    """The name of the result of a picture: its own, with .png for a suffix that cannot be written."""
    return source if source.suffix.lower() in WRITABLE else source.with_suffix(".png")


def _folded(path: Path) -> str:
    return path.as_posix().casefold()
