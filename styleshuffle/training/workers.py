"""Several processes that train one network together, as torchrun starts them.

Each works on its own batches and averages its gradients with those of the others before every step: what torch's
DistributedDataParallel computes. That class wraps one forward pass of a network, and a step here calls the parts of a
chain one by one and several times, so the gradients are averaged explicitly, after the backward pass. `QuantizedAdam`
talks to the other workers itself, and needs no averaging.

Whatever goes wrong ends every worker with one error: a gradient that is not finite ends all alike, and a lost worker the
others as soon as they miss it, after the timeout at the latest.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..devices import choose_device
from ..errors import SettingsError, StyleShuffleError, WorkerError
from ..files import reason_of

T = TypeVar("T")
_joins = itertools.count()
_SOURCE = re.compile(r"\[\S+\.\w+:\d+\] ")


@dataclass(frozen=True)
class Workers:
    """The processes that train together; by default there is only this one.

    Attributes:
        rank: which of them this one is, from 0.
        world: how many there are.
        device: where this one computes.
        store: torchrun's, which outlives its restarts of the workers; None without torchrun.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: dist.Store | None = None

    @property
    def first(self) -> bool:
        """Whether this is the worker that logs, saves and talks."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[tuple[str, Tensor]]) -> None:
        """Give each of the named parameters the mean of all workers' gradients, the same bits on all workers.

        A parameter without a gradient counts as one with a gradient of 0. All gradients travel together, in one
        all-reduce, which sums in an order that depends on the number of workers only.

        Raises:
            WorkerError: on all workers alike, if one has a gradient that is not finite, or too large to square; names the
                worker and the parameter. Or a worker is lost.
        """
        names, tensors = zip(*parameters, strict=True)
        gradients = [torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in tensors]
        useless = ~torch.stack([gradient.abs().max() for gradient in gradients]).square().isfinite()
        flags = torch.zeros(self.world, device=useless.device)  # by worker: the number of such a parameter, from 1
        flags[self.rank] = useless.any() * (useless.byte().argmax() + 1)
        if self.world > 1:
            flat = torch.cat([gradient.flatten() for gradient in gradients] + [flags])
            with self._failures_explained():
                dist.all_reduce(flat)
            *means, flags = flat.split([gradient.numel() for gradient in gradients] + [self.world])
            for tensor, gradient, mean in zip(tensors, gradients, means, strict=True):
                tensor.grad = gradient.copy_(mean.view(gradient.shape) / self.world)
        for rank, number in enumerate(flags.tolist()):
            if number:
                raise WorkerError(
                    f"worker {rank}: the gradient of {names[int(number) - 1]} is not finite, or too large to square; "
                    "all workers stopped before this step: lower `lr` and go on with `resume`"
                )

    def agreed(self, decision: int) -> int:
        """What the first worker has decided, 0 to 255."""
        if self.world == 1:
            return decision
        told = torch.tensor(decision, dtype=torch.uint8, device=self.device)
        with self._failures_explained():
            dist.broadcast(told, 0)
        return int(told)

    def check_alike(self, facts: Mapping[str, Any], remedy: str) -> None:
        """See that all workers have the same facts.

        Raises:
            SettingsError: on all workers alike, if two differ; names both, the facts and their values.
        """
        if self.world == 1:
            return
        said = {name: str(value) for name, value in facts.items()}
        of_all: list[Any] = [None] * self.world
        with self._failures_explained():
            dist.all_gather_object(of_all, said)
        for rank, other in enumerate(of_all):
            differing = [name for name in {**of_all[0], **other} if of_all[0].get(name) != other.get(name)]
            if differing:
                values = (f"{name} ({of_all[0].get(name)} and {other.get(name)})" for name in differing)
                raise SettingsError(f"workers 0 and {rank} differ: {', '.join(values)}; {remedy}")

    def restarted(self, run: str) -> bool:
        """Whether torchrun has started the workers again after a failure, and they had begun this run before that."""
        if self.store is None or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) == 0:
            return False
        return self.store.check([f"begun {run}"])

    def begin(self, run: str) -> None:
        """Let `restarted` know, after a restart, that this run had been begun."""
        if self.store is not None:
            self.store.set(f"begun {run}", "1")

    def from_first(self, action: Callable[[], T]) -> T:
        """What ``action`` returns on the first worker, on all workers; if it refuses, its error, on all of them."""
        if self.world == 1:
            return action()
        told: list[Any] = [None, None]
        if self.first:
            try:
                told[0] = action()
            except StyleShuffleError as error:
                told[1] = error
        with self._failures_explained():
            dist.broadcast_object_list(told, 0, device=self.device)
        if told[1] is not None:
            raise told[1]
        return told[0]

    def gathered(self, value: T) -> list[T]:
        """The values of all workers by rank, on the first one; elsewhere nothing."""
        if self.world == 1:
            return [value]
        values: list[Any] | None = [None] * self.world if self.first else None
        with self._failures_explained():
            dist.gather_object(value, values, dst=0)
        return values or []

    @contextmanager
    def _failures_explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise WorkerError(
                f"worker {self.rank}: lost contact with the other workers: {_reason(error)}; see how they ended, then "
                "start all again with `resume`"
            ) from None


@contextmanager
def joined(device: str, timeout: float) -> Iterator[Workers]:
    """Join the workers that torchrun started; without torchrun there is only this one.

    Args:
        device: "auto", "cpu", "cuda", ...; of "auto" and "cuda" each worker of a machine takes a GPU of its own. Workers
            talk through NCCL on GPUs and through gloo on CPUs.
        timeout: seconds that a worker waits for the others before it gives up.

    Raises:
        SettingsError: no such device, or not enough GPUs.
        WorkerError: the other workers cannot be reached.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Workers(device=choose_device(device))
        return
    workers = Workers(int(os.environ["RANK"]), world, _own_device(device, int(os.environ.get("LOCAL_RANK", 0))))
    if workers.device.type == "cuda":
        torch.cuda.set_device(workers.device)
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # a timeout raises here, instead of ending the process
    try:
        workers = _join(workers, timedelta(seconds=timeout))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise WorkerError(
            f"worker {workers.rank}: cannot reach the other workers through {where}: {_reason(error)}; start all of them "
            "with torchrun and the same rendezvous endpoint"
        ) from None
    try:
        yield workers
    finally:
        if world > 1:
            dist.destroy_process_group()


def _join(workers: Workers, timeout: timedelta) -> Workers:
    """With the store of torchrun."""
    store, *_ = next(dist.rendezvous("env://", timeout=timeout))
    joined_by = replace(workers, store=store)
    if workers.world == 1:
        return joined_by
    # the store still holds the addresses of groups that have ended: before torchrun's restarts, or in this process
    attempt = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}.{next(_joins)}"
    store = dist.PrefixStore(f"attempt {attempt}", store)
    dist.init_process_group(
        "nccl" if workers.device.type == "cuda" else "gloo",
        store=store,
        rank=workers.rank,
        world_size=workers.world,
        timeout=timeout,
    )
    return joined_by


def _own_device(name: str, local_rank: int) -> torch.device:
    device, there = choose_device(name), torch.cuda.device_count()
    if device.type == "mps":
        raise SettingsError("device: several workers cannot share mps; use cpu")
    if device.type == "cpu" or name not in ("auto", "cuda"):
        return device
    if local_rank >= there:
        raise SettingsError(f"device: {there} GPUs are too few for worker {local_rank + 1} of this machine; start fewer")
    return torch.device("cuda", local_rank)


def _reason(error: Exception) -> str:
    """What gloo, NCCL or the store say: the first sentence, without the place in their sources."""
    said = _SOURCE.sub("", str(error)).strip()
    return said.splitlines()[0].split(". ")[0] if said else reason_of(error)
