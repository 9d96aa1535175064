"""The order in which a process takes the pictures of a folder, and how it shares them with other processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from .claims import Claim, Claims
from .folders import Task
from .pictures import Result


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


@dataclass(frozen=True)
class Turn:
    """A task that it is this process's turn to do.

    Attributes:
        index: of the task in its folder.
        claim: to be released when the task is done.
        exists: another process has made the result since this one began.
    """

    index: int
    task: Task
    claim: Claim
    exists: bool


class Queue(Protocol):
    """Hands out the tasks of a folder."""

    def take(self, wait: bool) -> Turn | None:
        """The next task; None if there is none.

        Args:
            wait: if other processes have all that is left, wait until they have done it, or have died. Only who holds no
                turn may wait: otherwise two processes can wait for each other.
        """

    def done(self, turn: Turn, outcome: Outcome) -> None:
        """Note the outcome of a task, and let others know."""


class OwnQueue:
    """Tasks in order. Those that another run works on come last.

    Args:
        tasks: of a folder.
        claims: on the results.
        overwrite: results that exist now are made again; those that another run makes from now on are not.
    """

    def __init__(self, tasks: Sequence[Task], claims: Claims, overwrite: bool) -> None:
        self._news = News(tasks, overwrite)
        self._claims = claims
        self._coming = deque(enumerate(tasks))
        self._with_others: deque[tuple[int, Task]] = deque()

    def take(self, wait: bool) -> Turn | None:
        while self._coming:
            index, task = self._coming.popleft()
            turn = claimed(self._claims, index, task, self._news)
            if turn is not None:
                return turn
            self._with_others.append((index, task))
        if wait and self._with_others:
            return claimed(self._claims, *self._with_others.popleft(), self._news, wait=True)
        return None

    def done(self, turn: Turn, outcome: Outcome) -> None:
        turn.claim.release()


def claimed(claims: Claims, index: int, task: Task, news: News, wait: bool = False) -> Turn | None:
    """A task as a turn of this process; None if another process has it."""
    claim = claims.take(task.target, wait)
    return None if claim is None else Turn(index, task, claim, news.made(task.target))


class News:
    """Tells which results other processes have made since this was made.

    Args:
        overwrite: results that exist already are to be replaced. A result is always written as a new file, so that the
            file shows whether it has been replaced since.
    """

    def __init__(self, tasks: Sequence[Task], overwrite: bool) -> None:
        self._before = {task.target: _version(task.target) for task in tasks} if overwrite else {}

    def made(self, target: Path) -> bool:
        """Whether another process has made this result."""
        version = _version(target)
        return version is not None and version != self._before.get(target)


def _version(path: Path) -> tuple[int, int] | None:
    """What tells a file from the file that replaces it; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
