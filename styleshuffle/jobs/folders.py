"""Plan a folder of pictures: which pictures there are to stylize, and the file that each result goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import identity
from .names import pictures_in, target_names


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
    """

    tasks: tuple[Task, ...]
    finished: tuple[Task, ...]
    clashes: tuple[Task, ...]
    unlisted: tuple[tuple[Path, str], ...]
    inputs_left_out: bool

    @property
    def empty(self) -> bool:
        """Whether there is no picture to stylize and nothing to report."""
        return not (self.tasks or self.finished or self.clashes or self.unlisted)


def plan_folder(
    content: Path, output: Path, inputs: Sequence[Path], overwrite: bool = False, all_frames: bool = False
) -> FolderPlan:
    """Plan the pictures of a folder and its subfolders. `output`, the other inputs and hidden files are left out.

    Args:
        content: the folder to stylize.
        output: the folder of the results; it may lie inside `content` and need not exist.
        inputs: the styles, and masks or folders of masks.
        overwrite: also stylize pictures whose result exists.
        all_frames: an animated GIF stays a GIF.
    """
    unlisted: list[tuple[Path, str]] = []
    pictures = list(pictures_in(content, output, unlisted))
    others = {identity(path) for path in inputs} - {None}
    folders = {identity(path) for path in inputs if path.is_dir()}
    sources = [
        source
        for source in pictures
        if identity(source) not in others
        and not (folders and folders & {identity(content / folder) for folder in source.relative_to(content).parents})
    ]
    taken = {identity(source) for source in sources} | others
    tasks, finished, clashes = [], [], []
    names = target_names([source.relative_to(content) for source in sources], all_frames)
    for source, name in zip(sources, names, strict=True):
        task = Task(source, output / name)
        exists = task.target.exists()
        if exists and identity(task.target) in taken - {None}:
            clashes.append(task)
        elif exists and not overwrite:
            finished.append(task)
        else:
            tasks.append(task)
    return FolderPlan(tuple(tasks), tuple(finished), tuple(clashes), tuple(unlisted), len(sources) < len(pictures))
