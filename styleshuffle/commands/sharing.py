"""A folder shared among the workers that torchrun has started: the first reports, the others are silent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..images import Picture
    from ..jobs.folders import FolderPlan, Task
    from ..jobs.queues import Outcome
    from ..jobs.sharing import Workers
    from .stylize import Request

    Run = Callable[[Request, FolderPlan, Picture], list[str]]


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


def share_folder(request: Request, rank: int, world: int, run_folder: Callable[[Request, Run], None]) -> None:
    """Stylize a folder together with the other workers.

    Args:
        run_folder: plans the folder, calls the function that it is given, and reports the result.
    """
    from ..jobs.sharing import joined

    console = request.console
    own = replace(request, networks={**request.networks, "device": _own_device(request.networks["device"])})
    with joined(rank, world) as workers:
        content, output = Path(request.content), Path(request.output)
        if not workers.first:
            console.quiet = True
            tasks = workers.plan(content, output)
            if tasks:
                _share(own, workers, tasks, request.read(request.style), None)
            return

        def run(request: Request, plan: FolderPlan, style: Picture) -> list[str]:
            from .stylize import tell_outcome

            workers.tell_plan(plan.tasks, content, output)
            states: list[str] = []

            def report(outcome: Outcome) -> None:
                states.append(outcome.state)
                tell_outcome(console, outcome)

            _share(own, workers, plan.tasks, style, report)
            return states

        try:
            run_folder(request, run)
        finally:
            workers.tell_no_plan()


def _share(
    request: Request, workers: Workers, tasks: Sequence[Task], style: Picture, report: Callable[[Outcome], None] | None
) -> None:
    """Take tasks until all have an outcome; `report` receives all of them in order."""
    from ..jobs.claims import Claims
    from ..jobs.running import run_tasks
    from ..jobs.sharing import SharedQueue

    claims = Claims(Path(request.output))
    queue = SharedQueue(workers, tasks, claims, request.overwrite, report)
    for _ in run_tasks(queue, request.stylizer(style), request.overwrite):
        pass  # the queue reports it
    queue.report()
    if workers.first:
        claims.clear()


def _own_device(name: str) -> str:
    """The device of this worker. Of "auto" and "cuda" each worker takes the next GPU of its machine."""
    if name not in ("auto", "cuda"):
        return name
    import torch

    gpus = torch.cuda.device_count()
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % gpus}" if gpus else name
