"""Stylize the pictures of a folder: while one is worked on, the next is read and the last is written.

Nothing here prints; the caller receives an `Outcome` for each picture and reports it to the user.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..devices import is_out_of_memory
from ..errors import MemoryShortage, PictureError, SettingsError, WeightsError
from ..files import errno_of, stays_inside
from ..progress import Progress
from .companions import NO_COMPANIONS, Companions
from .folders import Task
from .pictures import Content, Result, check_result_target, read_content, render, write_result
from .queues import Outcome, Queue, Turn

if TYPE_CHECKING:
    from ..stylizer import Stylizer


class FolderVanished(PictureError):
    """The output folder has gone, for example with its disk. It is not made again: it might be made on another disk."""


_DISK_FULL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


def run_tasks(
    queue: Queue,
    stylizer: Stylizer,
    overwrite: bool = False,
    begin: Callable[[int, Task], None] = lambda index, task: None,
    progress: Callable[[Progress], None] | None = None,
    companions: Companions = NO_COMPANIONS,
    output: Path | None = None,
) -> Generator[Outcome, None, None]:
    """Stylize the tasks that a queue hands out; yields the outcome of each, in this order.

    A thread reads the next picture, another writes the last result; so at most one picture more is held decoded, and one
    result. The outcome of a picture is known when its result is written, while the next picture is worked on. A picture
    that fails does not end the loop, unless the disk is full or the output folder has gone. An interrupted loop finishes
    the file that it is writing.

    Args:
        stylizer: with its style set.
        overwrite: replace results that exist.
        begin: called with the index and the task before each task.
        progress: called after each step of the current picture. An `Exception` from it fails that picture only;
            KeyboardInterrupt and the like stop the loop.
        companions: the masks and the recipe of each picture.
        output: the folder that no result may leave.

    Raises:
        WeightsError, SettingsError: every picture would fail for the same reason.
    """
    with _Conveyor(queue, stylizer, overwrite, begin, progress, companions, output) as conveyor:
        for outcome in conveyor.outcomes():
            yield outcome
            if errno_of(outcome.error) in _DISK_FULL or isinstance(outcome.error, FolderVanished):
                return


@dataclass
class _Piece:
    """A turn on its way: its picture is read, the result is made, and then written.

    Attributes:
        reading: by a thread; None before and after.
        picture: the result, until it is being written.
        seconds: that it took to make the result.
        writing: by a thread.
        outcome: if nothing is to be written.
    """

    turn: Turn
    reading: Future[Content] | None = None
    picture: Content | None = None
    seconds: float = 0.0
    writing: Future[Result] | None = None
    outcome: Outcome | None = None


@dataclass
class _Conveyor:
    """The pieces that are under way: `ahead` is being read, `current` is worked on, `behind` is being written."""

    queue: Queue
    stylizer: Stylizer
    overwrite: bool
    begin: Callable[[int, Task], None]
    progress: Callable[[Progress], None] | None
    companions: Companions
    output: Path | None = None
    ahead: _Piece | None = None
    current: _Piece | None = None
    behind: _Piece | None = None
    reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "styleshuffle-reader"))
    writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "styleshuffle-writer"))

    def __enter__(self) -> _Conveyor:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            for threads in self.reader, self.writer:
                threads.shutdown(cancel_futures=True)
        finally:
            for piece in self.ahead, self.current, self.behind:
                if piece is not None:
                    piece.turn.claim.release()

    def outcomes(self) -> Iterator[Outcome]:
        while True:
            self.current = self.ahead or self._taken(wait=False)
            self.ahead = None
            if self.current is None:
                yield from self._finished()  # no claim may be held while others are waited for
                self.current = self._taken(wait=True)
            if self.current is None:
                return
            self.ahead = self._taken(wait=False)
            self.begin(self.current.turn.index, self.current.turn.task)
            try:
                self._work(self.current)
            except (WeightsError, SettingsError):
                yield from self._finished()
                raise
            yield from self._finished()
            self._write(self.current)
            self.behind, self.current = self.current, None

    def _taken(self, wait: bool) -> _Piece | None:
        """The next piece of the queue, its picture being read."""
        turn = self.queue.take(wait)
        if turn is None:
            return None
        reading = None if turn.exists else self.reader.submit(self._read, turn.task)
        return _Piece(turn, reading)

    def _read(self, task: Task) -> Content:
        return read_content(task.source, self.companions.saving, self.stylizer.max_pixels, self.stylizer.memory)

    def _work(self, piece: _Piece) -> None:
        """Make the result of a piece."""
        task = piece.turn.task
        if piece.turn.exists:
            piece.outcome = Outcome(task, "exists")
            return
        try:
            content = self._content(piece)
            self._check_place(task)
            task.target.parent.mkdir(parents=True, exist_ok=True)
            check_result_target(task.target, content, self.stylizer.settings, self.overwrite)
            began = time.monotonic()
            piece.picture = self._rendered(content, str(task.source))
            piece.seconds = time.monotonic() - began
        except MemoryShortage as error:
            piece.outcome = self._failed(task, error)
        except (WeightsError, SettingsError):
            raise
        except Exception as error:  # this picture fails, but the next may succeed
            piece.outcome = self._failed(task, error)

    def _check_place(self, task: Task) -> None:
        """Refuse a result whose folder has gone, or that a link would lead out of the output folder."""
        if self.output is None:
            return
        if not self.output.is_dir():
            raise FolderVanished(f"{self.output}: the folder has gone; bring it back, and give the same command again")
        if not stays_inside(self.output, task.target):
            raise PictureError(f"{task.target}: a link leads out of the output folder; remove the link")

    def _write(self, piece: _Piece) -> None:
        """Begin to write the result of a piece, if it has one."""
        if piece.picture is not None:
            name, target = str(piece.turn.task.source), piece.turn.task.target
            piece.writing = self.writer.submit(
                write_result, piece.picture, name, target, self.overwrite, piece.seconds, self.companions
            )
            piece.picture = None

    def _finished(self) -> Iterator[Outcome]:
        """The outcome of the piece behind, if there is one, as soon as its result is written."""
        piece = self.behind
        if piece is None:
            return
        outcome = piece.outcome
        if piece.writing is not None:
            try:
                outcome = Outcome(piece.turn.task, "made", piece.writing.result())
            except Exception as error:
                outcome = self._failed(piece.turn.task, error)
        assert outcome is not None
        self.behind = None
        self.queue.done(piece.turn, outcome)
        yield outcome

    def _failed(self, task: Task, error: Exception) -> Outcome:
        """The outcome of a task that failed; where claims hold nobody off, another run may have made it meanwhile."""
        if not self.overwrite and task.target.exists():
            return Outcome(task, "exists")
        if self.output is not None and not self.output.is_dir() and not isinstance(error, FolderVanished):
            error = FolderVanished(f"{self.output}: the folder has gone; bring it back, and give the same command again")
        return Outcome(task, "failed", error=error)

    # ------------------------------------------------------------------------------------------ when memory is short

    def _content(self, piece: _Piece) -> Content:
        """The picture of a piece. If it could not be read beside the others, it is read once more, alone."""
        reading, piece.reading = piece.reading, None  # a piece that kept it would hold the picture to the end
        if reading is not None:
            try:
                return reading.result()
            except Exception:
                self._make_room()
        return self._read(piece.turn.task)

    def _rendered(self, content: Content, name: str) -> Content:
        """A stylized picture. If memory was short beside the other pictures, it is made once more, alone."""
        try:
            return render(self.stylizer, content, name, self.progress, self.companions)
        except Exception as error:
            short = isinstance(error, MemoryShortage) or is_out_of_memory(error.__cause__ or error)
            if not (short and self._make_room()):
                raise
        return render(self.stylizer, content, name, self.progress, self.companions)

    def _make_room(self) -> bool:
        """Let go of all pictures but the current; whether there were any."""
        held = False
        if self.behind is not None and self.behind.writing is not None:
            held = not self.behind.writing.done()
            wait([self.behind.writing])
        if self.ahead is not None and self.ahead.reading is not None:
            wait([self.ahead.reading])
            self.ahead.reading, held = None, True  # it is read again when its turn comes
        return held
