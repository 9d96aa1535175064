"""Share a folder among the workers that torchrun started, on one machine or many, over a shared file system.

The workers talk through the store of torch.distributed, and never wait for each other before the end. The first worker
plans the folder and puts the plan into the store. A counter in the store is the queue: who wants a task adds 1, so a slow
machine takes fewer tasks. The outcome of each task goes into the store too, and the first worker reports them all.

Each worker also holds a claim on what it works on (`claims`). When the queue is empty, the workers look for tasks without
an outcome: they wait for the claim on each. They get it when the task is done, or when its worker has died; then they do
the task themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MemoryShortage, PictureError, StyleShuffleError, WorkerError
from ..files import reason_of
from .claims import Claims
from .folders import Task
from .pictures import Result
from .queues import News, Outcome, Turn, claimed

if TYPE_CHECKING:
    from torch.distributed import Store

_TIMEOUT = timedelta(minutes=10)  # to start all workers, and to plan a large folder
_FAREWELL = 5.0  # seconds that the first worker waits for the others to leave
_POLL = 0.05


@dataclass(frozen=True)
class Workers:
    """The workers that share a folder.

    Attributes:
        rank: which of them this is, from 0.
        world: how many there are.
        store: what they talk through; `joined` makes it.
    """

    rank: int
    world: int
    store: Store

    @property
    def first(self) -> bool:
        """Whether this is the worker that plans and reports."""
        return self.rank == 0

    def tell_plan(self, tasks: Sequence[Task], content: Path, output: Path) -> None:
        """Give all workers the tasks of a folder; the paths go below the folders, whose names may differ elsewhere."""
        names = [(os.path.relpath(task.source, content), os.path.relpath(task.target, output)) for task in tasks]
        self.store.set("plan", json.dumps(names))

    def tell_no_plan(self) -> None:
        """Tell all workers that there is nothing to do. Has no effect after `tell_plan`."""
        with contextlib.suppress(RuntimeError):
            self.store.compare_set("plan", "", "[]")

    def plan(self, content: Path, output: Path) -> list[Task]:
        """The tasks that the first worker has planned.

        Raises:
            PictureError: this machine does not have the folders.
            WorkerError: the first worker cannot be reached.
        """
        with lost_workers_explained(self.rank):
            self.store.wait(["plan"], _TIMEOUT)
            names = json.loads(self.store.get("plan"))
        for folder in (content, output) if names else ():
            if not folder.is_dir():
                reason = f"worker {self.rank} has no such folder"
                raise PictureError(f"{folder}: {reason}; give all machines the same folders, over a shared file system")
        return [Task(content / source, output / target) for source, target in names]

    def leave(self) -> None:
        """Tell the others that this worker needs the store no more."""
        with contextlib.suppress(RuntimeError):
            self.store.add("left", 1)

    def wait_for_the_others(self) -> None:
        """Let the first worker wait until the others have left, if the store ends with it. torchrun keeps its own."""
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            return
        until = time.monotonic() + _FAREWELL
        with contextlib.suppress(RuntimeError):
            while self.first and self.store.add("left", 0) < self.world and time.monotonic() < until:
                time.sleep(_POLL)


@contextlib.contextmanager
def joined(rank: int, world: int) -> Iterator[Workers]:
    """Join the other workers.

    Raises:
        WorkerError: they cannot be reached.
    """
    import torch.distributed as dist

    with lost_workers_explained(rank):
        store, *_ = next(dist.rendezvous("env://", timeout=_TIMEOUT))
    # torchrun's store outlives its restarts of the workers, which begin anew
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    workers = Workers(rank, world, dist.PrefixStore(f"styleshuffle {attempt}", store))
    stopped = False
    try:
        yield workers
    except Exception:
        raise
    except BaseException:  # Ctrl-C or SIGTERM, which the others get too
        stopped = True
        raise
    finally:
        workers.leave()
        if not stopped:
            workers.wait_for_the_others()


@contextlib.contextmanager
def lost_workers_explained(rank: int) -> Iterator[None]:
    """Turn the errors of the store into one that says what to do.

    Raises:
        WorkerError: in place of the store's RuntimeError or ValueError.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise WorkerError(
            f"worker {rank}: cannot reach the other workers through {where} ({reason_of(error)[:100]}); start all again: "
            "finished pictures are kept"
        ) from error


class SharedQueue:
    """The tasks that all workers share; see `styleshuffle.jobs.queues.Queue`.

    Args:
        tasks: of the plan.
        claims: on the results.
        overwrite: see `News`.
        report: receives the outcomes of all tasks in the order of the plan, as they become known; None on all workers but
            the first.
    """

    def __init__(
        self,
        workers: Workers,
        tasks: Sequence[Task],
        claims: Claims,
        overwrite: bool,
        report: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._workers, self._tasks, self._claims, self._report = workers, tasks, claims, report
        self._news = News(tasks, overwrite)
        self._queued = True  # the counter has tasks left
        self._without_outcome = iter(range(len(tasks)))  # to look at after that
        self._reported = 0

    def take(self, wait: bool) -> Turn | None:
        store = self._workers.store
        with lost_workers_explained(self._workers.rank):
            while self._queued:
                index = store.add("next", 1) - 1
                self._queued = index < len(self._tasks)
                turn = claimed(self._claims, index, self._tasks[index], self._news) if self._queued else None
                if turn is not None:
                    return turn
            return self._left_over() if wait else None

    def _left_over(self) -> Turn | None:
        """A task whose worker has died; None once all tasks have an outcome."""
        store = self._workers.store
        if store.add("done", 0) == len(self._tasks):
            return None
        for index in self._without_outcome:
            if store.check([f"outcome {index}"]):
                continue
            turn = claimed(self._claims, index, self._tasks[index], self._news, wait=True)
            assert turn is not None  # it was waited for
            if not turn.claim.holds:  # nobody can tell whether its worker has died
                self._wait_for(index)
            elif not store.check([f"outcome {index}"]):
                return turn
            turn.claim.release()
        return None

    def _wait_for(self, index: int) -> None:
        """Wait for the outcome of a task, as long as outcomes come in.

        Raises:
            RuntimeError: none came for a long time.
        """
        store, done = self._workers.store, -1
        while not store.check([f"outcome {index}"]) and done != (done := store.add("done", 0)):
            with contextlib.suppress(RuntimeError):
                store.wait([f"outcome {index}"], _TIMEOUT)

    def done(self, turn: Turn, outcome: Outcome) -> None:
        with lost_workers_explained(self._workers.rank):
            self._workers.store.set(f"outcome {turn.index}", _packed(outcome))
            self._workers.store.add("done", 1)
        turn.claim.release()
        self.report()

    def report(self) -> None:
        """Report the outcomes that have become known, up to the first that has not."""
        store = self._workers.store
        with lost_workers_explained(self._workers.rank):
            while self._report is not None and self._reported < len(self._tasks):
                name = f"outcome {self._reported}"
                if not store.check([name]):
                    return
                task, self._reported = self._tasks[self._reported], self._reported + 1
                self._report(_unpacked(store.get(name), task))


# ---------------------------------------------------------------------------------------- outcomes on their way as text


def _packed(outcome: Outcome) -> str:
    said: dict[str, Any] = {"state": outcome.state}
    if outcome.result is not None:
        said |= {"result": [outcome.result.size, outcome.result.warnings, outcome.result.seconds]}
    if outcome.error is not None:
        known = isinstance(outcome.error, StyleShuffleError)
        text = str(outcome.error) if known else f"{type(outcome.error).__name__}: {reason_of(outcome.error)}"
        said |= {"short of memory": isinstance(outcome.error, MemoryShortage), "known": known, "error": text}
    return json.dumps(said)


def _unpacked(text: bytes, task: Task) -> Outcome:
    said = json.loads(text)
    result, error = None, None
    if "result" in said:
        size, warnings, seconds = said["result"]
        result = Result((size[0], size[1]), tuple(warnings), seconds)
    if "error" in said:
        message = said["error"] if said["known"] else f"{task.source}: {said['error']}"
        error = MemoryShortage(message) if said["short of memory"] else PictureError(message)
    return Outcome(task, said["state"], result, error)
