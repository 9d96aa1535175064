"""Which picture goes where: from the paths that a user names to a list of jobs.

Nothing here prints, writes or decodes; a plan is a function of what lies on the disk, so the same folder gives the same
names every time, and that is what makes a second run a resume.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .images import READABLE, WRITABLE


@dataclass(frozen=True)
class Job:
    """One picture to stylize."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """What there is to do in a folder; every list is in the order of the walk.

    Attributes:
        jobs: what is still to be done.
        finished: jobs whose result is there already.
        clashes: jobs whose result would replace a picture of the input, or the style.
        unlisted: folders that cannot be listed, each with the reason.
        style_left_out: the style lies in the folder and is not stylized itself.
    """

    jobs: tuple[Job, ...]
    finished: tuple[Job, ...]
    clashes: tuple[Job, ...]
    unlisted: tuple[tuple[Path, str], ...]
    style_left_out: bool


def plan_folder(content: Path, output: Path, style: Path, overwrite: bool = False) -> Plan:
    """Plan a folder: its pictures, sorted, subfolders kept, without `output`, the style and whatever is hidden.

    Args:
        content: the folder to stylize; links to folders in it are not followed, since they can lead in circles.
        output: where the results go; it may lie inside `content` and need not exist.
        style: the style picture.
        overwrite: do again what is finished.
    """
    unlisted: list[tuple[Path, str]] = []
    found = list(_pictures(content, identity(output), unlisted))
    style_file = identity(style)
    sources = [source for source in found if style_file is None or identity(source) != style_file]
    taken = {identity(source) for source in sources} | {style_file}
    jobs, finished, clashes = [], [], []
    for source, name in zip(sources, target_names([source.relative_to(content) for source in sources]), strict=True):
        job = Job(source, output / name)
        there = job.target.exists()
        if there and identity(job.target) in taken - {None}:
            clashes.append(job)
        elif there and not overwrite:
            finished.append(job)
        else:
            jobs.append(job)
    return Plan(tuple(jobs), tuple(finished), tuple(clashes), tuple(unlisted), len(sources) < len(found))


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
    """The name of the result of one picture: its own, with .png for a suffix that cannot be written."""
    return source if source.suffix.lower() in WRITABLE else source.with_suffix(".png")


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from every other one, however it is named; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _pictures(root: Path, left_out: tuple[int, int] | None, unlisted: list[tuple[Path, str]]) -> Iterator[Path]:
    """Files under `root` named like pictures, folder by folder, each sorted; broken links too, to be told of."""

    def note(error: OSError) -> None:
        unlisted.append((Path(error.filename), error.strerror or str(error)))

    for folder, subfolders, files in os.walk(root, onerror=note):
        here = Path(folder)
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and (left_out is None or identity(here / name) != left_out)
        )
        for name in sorted(files):
            file = here / name
            if name.startswith(".") or file.suffix.lower() not in READABLE:
                continue
            if file.is_file() or not file.exists():
                yield file


def _folded(path: Path) -> str:
    return path.as_posix().casefold()
