"""The queue that workers share: each task goes to one of them, and what a dead one leaves is taken up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_stylizer import FakeStylizer
from helpers import colour, picture

from styleshuffle.errors import MemoryShortage, PictureError, WorkerError
from styleshuffle.images import Picture
from styleshuffle.jobs.claims import Claims
from styleshuffle.jobs.folders import Task
from styleshuffle.jobs.pictures import Result
from styleshuffle.jobs.queues import Outcome
from styleshuffle.jobs.running import run_tasks
from styleshuffle.jobs.sharing import SharedQueue, Workers
from styleshuffle.settings import Settings

dist = pytest.importorskip("torch.distributed", reason="needs torch.distributed")


@pytest.fixture
def tasks(here: Path) -> list[Task]:
    """Four pictures to stylize."""
    Path("out").mkdir()
    return [Task(picture(f"photos/{name}.png"), Path(f"out/{name}.png")) for name in "abcd"]


@pytest.fixture
def workers() -> list[Workers]:
    """Three workers, which have one store in this process."""
    store = dist.HashStore()
    return [Workers(rank, 3, store) for rank in range(3)]


def queue(worker: Workers, tasks: list[Task], reported: list[Outcome] | None = None) -> SharedQueue:
    return SharedQueue(worker, tasks, Claims(Path("out")), False, None if reported is None else reported.append)


def made(task: Task) -> Outcome:
    return Outcome(task, "made", Result((16, 8), ("a warning",), 0.5))


def test_each_task_goes_to_one_worker_and_the_first_reports_all_in_order(
    workers: list[Workers], tasks: list[Task]
) -> None:
    reported: list[Outcome] = []
    first, second, third = queue(workers[0], tasks, reported), queue(workers[1], tasks), queue(workers[2], tasks)
    turns = [from_.take(wait=False) for from_ in (first, second, third, second)]
    assert [turn and turn.index for turn in turns] == [0, 1, 2, 3]
    assert [queue_.take(wait=False) for queue_ in (first, second, third)] == [None] * 3
    for queue_, turn in zip((second, third, second), turns[1:], strict=True):
        assert turn is not None
        queue_.done(turn, made(turn.task))
    assert reported == []  # the first task has no outcome yet
    assert turns[0] is not None
    first.done(turns[0], Outcome(tasks[0], "exists"))
    assert reported == [Outcome(tasks[0], "exists"), *map(made, tasks[1:])]
    assert [queue_.take(wait=True) for queue_ in (first, second, third)] == [None] * 3


def test_what_a_dead_worker_leaves_is_taken_up(workers: list[Workers], tasks: list[Task]) -> None:
    reported: list[Outcome] = []
    first, dead = queue(workers[0], tasks, reported), queue(workers[1], tasks)
    lost, ahead = dead.take(wait=False), dead.take(wait=False)
    assert lost is not None and ahead is not None
    for _ in range(2):
        turn = first.take(wait=True)
        assert turn is not None
        first.done(turn, made(turn.task))
    picture(ahead.task.target, "white")  # it had just been written
    lost.claim.release(), ahead.claim.release()  # as the system does when a process ends
    turn = first.take(wait=True)
    assert turn is not None and (turn.task, turn.exists) == (tasks[0], False)
    first.done(turn, made(turn.task))
    turn = first.take(wait=True)
    assert turn is not None and (turn.task, turn.exists) == (tasks[1], True)
    first.done(turn, Outcome(turn.task, "exists"))
    assert first.take(wait=True) is None
    assert [outcome.state for outcome in reported] == ["made", "exists", "made", "made"]


def test_what_a_run_beside_works_on_is_waited_for_last(workers: list[Workers], tasks: list[Task]) -> None:
    beside = Claims(Path("out")).take(tasks[0].target)
    assert beside is not None
    first = queue(workers[0], tasks)
    turns = [first.take(wait=False) for _ in range(4)]
    assert [turn and turn.index for turn in turns] == [1, 2, 3, None]
    for turn in turns[:3]:
        assert turn is not None
        first.done(turn, made(turn.task))
    picture(tasks[0].target), beside.release()
    last = first.take(wait=True)
    assert last is not None and (last.index, last.exists) == (0, True)


def test_without_claims_nothing_is_done_twice(
    workers: list[Workers], tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell whether the other worker has died, so its outcome is waited for, and then given up."""
    monkeypatch.setattr("styleshuffle.jobs.claims.fcntl", None)
    monkeypatch.setattr("styleshuffle.jobs.sharing._TIMEOUT", timedelta(milliseconds=10))
    first, dead = queue(workers[0], tasks), queue(workers[1], tasks)
    assert dead.take(wait=False) is not None
    for _ in range(3):
        turn = first.take(wait=True)
        assert turn is not None
        first.done(turn, made(turn.task))
    assert first.take(wait=True) is None


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (PictureError("photos/a.png: damaged; get it again"), PictureError, "photos/a.png: damaged; get it again"),
        (MemoryShortage("size: too large; lower `size`"), MemoryShortage, "size: too large; lower `size`"),
        (ZeroDivisionError("division\nby zero"), PictureError, "photos/a.png: ZeroDivisionError: division by zero"),
    ],
)
def test_errors_travel(
    workers: list[Workers], tasks: list[Task], error: Exception, kind: type[Exception], text: str
) -> None:
    reported: list[Outcome] = []
    first, other = queue(workers[0], tasks[:1], reported), queue(workers[1], tasks[:1])
    turn = other.take(wait=False)
    assert turn is not None
    other.done(turn, Outcome(turn.task, "failed", error=error))
    first.report()
    (outcome,) = reported
    assert (outcome.state, outcome.task, type(outcome.error), str(outcome.error)) == ("failed", tasks[0], kind, text)


def test_the_plan_goes_to_all_workers_by_names_below_the_folders(workers: list[Workers], tasks: list[Task]) -> None:
    workers[0].tell_plan(
        [*tasks, Task(Path("photos/z\udcff/é.png"), Path("out/z\udcff/é.png"))], Path("photos"), Path("out")
    )
    workers[0].tell_no_plan()  # comes too late
    Path("elsewhere").symlink_to("photos")
    plan = workers[2].plan(Path("elsewhere"), Path("out"))
    assert plan[0] == Task(Path("elsewhere/a.png"), tasks[0].target) and len(plan) == 5
    assert plan[4].source == Path("elsewhere/z\udcff/é.png")
    with pytest.raises(PictureError, match=r"^nowhere: worker 2 has no such folder; give all machines the same folders"):
        workers[2].plan(Path("nowhere"), Path("out"))


def test_without_a_plan_the_others_have_nothing_to_do(workers: list[Workers]) -> None:
    workers[0].tell_no_plan()
    assert workers[1].plan(Path("nowhere"), Path("nowhere")) == []


def test_a_store_that_is_lost_is_one_line(workers: list[Workers], tasks: list[Task]) -> None:
    class Lost:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("Connection reset by peer.\nException raised from recvBytes")

    with pytest.raises(WorkerError, match=r"^worker 1: cannot reach the other workers .*; start all again: finished"):
        queue(Workers(1, 2, Lost()), tasks).take(wait=False)  # type: ignore[arg-type]


def test_workers_stylize_a_folder_together(workers: list[Workers], tasks: list[Task], fake: type[FakeStylizer]) -> None:
    """The second worker joins in the middle of the first one's work."""
    reported: list[Outcome] = []
    first, second = queue(workers[0], tasks, reported), queue(workers[1], tasks)
    by_second: list[Outcome] = []

    def join(content: Picture) -> None:
        if len(fake.contents) == 1:
            by_second.extend(run_tasks(HandsOut(second, 1), fake(Settings())))  # type: ignore[arg-type]

    fake.before = staticmethod(join)
    own = list(run_tasks(first, fake(Settings())))  # type: ignore[arg-type]
    assert {outcome.task.target for outcome in (*own, *by_second)} == {task.target for task in tasks}
    assert len(own) == 3 and len(by_second) == 1 and [outcome.state for outcome in reported] == ["made"] * 4
    assert [colour(task.target) for task in tasks] == [(0, 255, 255)] * 4


class HandsOut:
    """A queue that ends after some tasks, as its worker has no time for more."""

    def __init__(self, queue: SharedQueue, tasks: int) -> None:
        self._queue, self._left = queue, tasks
        self.done = queue.done

    def take(self, wait: bool) -> Any:
        self._left -= 1
        return self._queue.take(wait=False) if self._left >= 0 else None
