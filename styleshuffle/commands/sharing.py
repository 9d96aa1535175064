"""A folder shared among the workers that torchrun has started: the first reports, the others are silent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..jobs.folders import Task
    from ..jobs.queues import Outcome
    from ..jobs.sharing import Workers
    from .painting import Request

    Run = Callable[[Request, Sequence[Task]], list[str]]
    """Makes pictures, reports them, and returns the state of each."""


def worker() -> tuple[int, int] | None:
    """The rank of this worker and the number of workers; None if there is only this process."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        return None
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return (rank, world) if world > 1 else None


def silent_worker() -> bool:
    """Whether another worker does what cannot be shared, such as a single picture."""
    place = worker()
    return place is not None and place[0] > 0


def share_folder(request: Request, rank: int, world: int, paint_folder: Callable[[Request, Run], None]) -> None:
    """Make the pictures of a folder together with the other workers.

    Args:
        paint_folder: plans the folder, makes its pictures with the function that it is given, and reports how it went.
    """
    from ..jobs.sharing import joined
    from .painting import tell_outcome

    # else torch itself prints a long trace when a worker is lost, beside the error; it reads this when it is imported
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    content, output = Path(request.content), Path(request.output)
    own = replace(request, networks={**request.networks, "device": _own_device(request.networks["device"])})
    with joined(rank, world) as workers:
        if not workers.first:
            request.console.quiet = True
            _make_shared(own, workers, workers.plan(content, output), None)
            return

        def run(request: Request, tasks: Sequence[Task]) -> list[str]:
            workers.tell_plan(tasks, content, output)
            states: list[str] = []

            def report(outcome: Outcome) -> None:
                states.append(outcome.state)
                tell_outcome(request.console, outcome)

            _make_shared(own, workers, tasks, report)
            return states

        try:
            paint_folder(request, run)
        finally:
            workers.tell_no_plan()


def _make_shared(
    request: Request, workers: Workers, tasks: Sequence[Task], report: Callable[[Outcome], None] | None
) -> None:
    """Make pictures until all have an outcome; `report` receives all outcomes in order."""
    from ..jobs.claims import Claims
    from ..jobs.running import run_tasks
    from ..jobs.sharing import SharedQueue

    if not tasks:
        return
    companions = request.companions(Path(request.content))
    with Claims(Path(request.output)) as claims:
        queue = SharedQueue(workers, tasks, claims, request.overwrite, report)
        made = run_tasks(queue, request.stylizer(), request.overwrite, companions=companions, output=claims.folder)
        with closing(made) as outcomes:
            for _ in outcomes:
                pass  # the queue reports it
    queue.report()


def _own_device(name: str) -> str:
    """The device of this worker. Of "auto" and "cuda" each worker takes the next GPU of its machine."""
    if name not in ("auto", "cuda"):
        return name
    import torch

    gpus = torch.cuda.device_count()
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % gpus}" if gpus else name
