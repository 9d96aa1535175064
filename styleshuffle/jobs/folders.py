"""Plan a folder of pictures: which pictures there are to stylize, and the file that each result goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PictureError
from ..files import identity, stays_inside
from .names import PICTURE_LIKE, pictures_in, target_names
from .selection import ALL, Selection


@dataclass(frozen=True)
class Task:
    """One picture of a folder, and the file that its result goes to."""

    source: Path
    target: Path


@dataclass(frozen=True)
class FolderPlan:
    """What there is to do in a folder. Every list is sorted, folder by folder.

    Attributes:
        tasks: the pictures to stylize.
        finished: tasks whose result exists already.
        clashes: tasks whose result would replace the style or a picture of the input.
        unlisted: folders that cannot be listed, each with the reason.
        inputs_left_out: whether the folder holds a style or a mask, which is not stylized itself.
        strays: tasks whose result would leave the output folder through a link.
    """

    tasks: tuple[Task, ...]
    finished: tuple[Task, ...]
    clashes: tuple[Task, ...]
    unlisted: tuple[tuple[Path, str], ...]
    inputs_left_out: bool
    strays: tuple[Task, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is no picture to stylize and nothing to report."""
        return not (self.tasks or self.finished or self.clashes or self.unlisted or self.strays)

    @property
    def failures(self) -> int:
        """How many pictures and folders have failed before the work begins."""
        return len(self.unlisted) + len(self.clashes) + len(self.strays)

    @property
    def target_folders(self) -> set[Path]:
        """The folders that results go to, or have gone to."""
        return {task.target.parent for task in (*self.tasks, *self.finished)}


def plan_folder(
    content: Path,
    output: Path,
    inputs: Sequence[Path],
    overwrite: bool = False,
    selection: Selection = ALL,
    all_frames: bool = False,
) -> FolderPlan:
    """Plan the pictures of a folder and its subfolders. `output`, the other inputs and hidden files are left out.

    A file that looks like a picture but is of a kind that cannot be read is a task too, which fails and says why.

    Args:
        content: the folder to stylize.
        output: the folder of the results; it may lie inside `content` and need not exist.
        inputs: the styles, and masks or folders of masks.
        overwrite: also stylize pictures whose result exists.
        selection: of the pictures in the folder.
        all_frames: an animated GIF stays a GIF.
    """
    unlisted: list[tuple[Path, str]] = []
    files = pictures_in(content, output, unlisted, PICTURE_LIKE)
    pictures = [file for file in files if selection.takes(file.relative_to(content))]
    others = {identity(path) for path in inputs} - {None}
    folders = {identity(path) for path in inputs if path.is_dir()}
    sources = [
        source
        for source in pictures
        if identity(source) not in others
        and not (folders and folders & {identity(content / folder) for folder in source.relative_to(content).parents})
    ]
    names = target_names([source.relative_to(content) for source in sources], all_frames)
    tasks = [Task(source, output / name) for source, name in zip(sources, names, strict=True)]
    left_out = len(sources) < len(pictures)
    return _sorted_out(tasks, output, others, tuple(unlisted), overwrite, left_out)


def plan_files(contents: Sequence[Path], output: Path, inputs: Sequence[Path], overwrite: bool = False) -> FolderPlan:
    """Plan pictures that are named one by one. Their results lie in the output folder under the pictures' names.

    Args:
        output, inputs, overwrite: see `plan_folder`.

    Raises:
        PictureError: two pictures have the same name.
    """
    files = list(dict.fromkeys(contents))
    names = target_names([Path(file.name) for file in files])
    first: dict[str, Path] = {}
    for file, name in zip(files, names, strict=True):
        other = first.setdefault(name.as_posix().casefold(), file)
        if other != file:
            raise PictureError(f"{file}: the result would have the same name as that of {other}; rename one of them")
    tasks = [Task(file, output / name) for file, name in zip(files, names, strict=True)]
    return _sorted_out(tasks, output, {identity(path) for path in inputs} - {None}, (), overwrite, False)


def _sorted_out(
    tasks: Sequence[Task],
    output: Path,
    others: set[Any],
    unlisted: tuple[tuple[Path, str], ...],
    overwrite: bool,
    left_out: bool,
) -> FolderPlan:
    """What there is to do of these tasks.

    Args:
        others: the identities of the other inputs.
    """
    taken = {identity(task.source) for task in tasks} | others
    open_, finished, clashes, strays = [], [], [], []
    for task in tasks:
        exists = task.target.exists()
        if exists and identity(task.target) in taken - {None}:
            clashes.append(task)
        elif exists and not overwrite:
            finished.append(task)
        elif not stays_inside(output, task.target):
            strays.append(task)
        else:
            open_.append(task)
    return FolderPlan(tuple(open_), tuple(finished), tuple(clashes), unlisted, left_out, tuple(strays))
