"""A folder of pictures: plan the file that each result goes to, and stylize the pictures in a loop.

Nothing here prints. The loop yields the outcome of each picture, and the caller reports it to the user.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import MemoryShortage, SettingsError, WeightsError
from ..files import errno_of, identity
from ..images import SaveOptions
from ..progress import Progress
from .names import pictures_in, target_names
from .pictures import DEFAULTS, Result, read_content, stylize_into

if TYPE_CHECKING:
    from ..stylizer import Stylizer

_DISK_FULL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


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
        style_left_out: whether the folder holds the style, which is not stylized itself.
    """

    tasks: tuple[Task, ...]
    finished: tuple[Task, ...]
    clashes: tuple[Task, ...]
    unlisted: tuple[tuple[Path, str], ...]
    style_left_out: bool

    @property
    def empty(self) -> bool:
        """Whether there is no picture to stylize and nothing to report."""
        return not (self.tasks or self.finished or self.clashes or self.unlisted)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a task.

    Attributes:
        state: "made"; "exists" if another run has made the result in the meantime; or "failed".
        result: if the state is "made".
        error: if the state is "failed".
    """

    task: Task
    state: Literal["made", "exists", "failed"]
    result: Result | None = None
    error: Exception | None = None


def plan_folder(
    content: Path, output: Path, style: Path, overwrite: bool = False, all_frames: bool = False
) -> FolderPlan:
    """Plan the pictures of a folder and its subfolders. `output`, the style and hidden files are left out.

    Args:
        content: the folder to stylize.
        output: the folder of the results; it may lie inside `content` and need not exist.
        style: the style picture.
        overwrite: also stylize pictures whose result exists.
        all_frames: an animated GIF stays a GIF.
    """
    unlisted: list[tuple[Path, str]] = []
    pictures = list(pictures_in(content, output, unlisted))
    style_file = identity(style)
    sources = [source for source in pictures if style_file is None or identity(source) != style_file]
    taken = {identity(source) for source in sources} | {style_file}
    tasks, finished, clashes = [], [], []
    for source, name in zip(
        sources, target_names([source.relative_to(content) for source in sources], all_frames), strict=True
    ):
        task = Task(source, output / name)
        exists = task.target.exists()
        if exists and identity(task.target) in taken - {None}:
            clashes.append(task)
        elif exists and not overwrite:
            finished.append(task)
        else:
            tasks.append(task)
    return FolderPlan(tuple(tasks), tuple(finished), tuple(clashes), tuple(unlisted), len(sources) < len(pictures))


def run_tasks(
    tasks: Sequence[Task],
    stylizer: Stylizer,
    overwrite: bool = False,
    begin: Callable[[int, Task], None] = lambda index, task: None,
    progress: Callable[[Progress], None] | None = None,
    options: SaveOptions = DEFAULTS,
) -> Iterator[Outcome]:
    """Stylize the pictures of a folder in order; yields the outcome of each.

    A picture that fails does not end the loop, unless the disk is full.

    Args:
        stylizer: with its style set.
        overwrite: replace results that exist.
        begin: called with the index and the task before each task.
        progress: called after each step of the current picture. An `Exception` from it fails that picture only;
            KeyboardInterrupt and the like stop the loop.
        options: how the files are written.

    Raises:
        WeightsError, SettingsError: every picture would fail for the same reason.
    """
    for index, task in enumerate(tasks):
        begin(index, task)
        outcome = _run(task, stylizer, overwrite, progress, options)
        yield outcome
        if errno_of(outcome.error) in _DISK_FULL:
            return


def _run(
    task: Task,
    stylizer: Stylizer,
    overwrite: bool,
    progress: Callable[[Progress], None] | None,
    options: SaveOptions,
) -> Outcome:
    try:
        if task.target.exists() and not overwrite:
            return Outcome(task, "exists")
        content = read_content(task.source, options)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        result = stylize_into(stylizer, content, str(task.source), task.target, overwrite, progress, options)
        return Outcome(task, "made", result)
    except MemoryShortage as error:
        return Outcome(task, "failed", error=error)
    except (WeightsError, SettingsError):
        raise
    except Exception as error:  # this picture fails, but the next may succeed
        return Outcome(task, "failed", error=error)
