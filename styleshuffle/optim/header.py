"""The small message that every worker sends at the beginning of every step, and what all conclude from it.

It has the same length on all workers whatever their networks and settings, and it is sent before anything else. So
workers that differ, or have fallen out of step, find that out together, before a step is made: all stop with one line,
or all skip the step.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..errors import WorkerError
from .collectives import Link, device_for
from .probe import BUCKETS

GO, SKIP, USELESS = 0, 1, 2  # what a worker says of its gradient: good, to be skipped, or not finite


@dataclass(frozen=True)
class Header:
    """What one worker says of its step; all numbers are exact in float64.

    Attributes:
        step: number of steps done.
        digest: of everything that has to be alike on all workers, see `digest`.
        state: GO, SKIP or USELESS.
        parameter: number of the first parameter whose gradient is useless.
        new: 1 if the worker has just been made, or has loaded a state.
        checksum: of the weights, at some steps; see `checksum`.
        largest: largest magnitude in the gradient.
        update, update_error: squared norms of the update with the error fed back, and of what rounding took away from
            it, at the step before. Their quotient's root is the contraction |u - Q(u)| / |u|.
        served, served_error: the same of what this worker sent down as a server.
        weights_error: |x - Q(x)|^2 of the weights that this worker serves, at the step before.
        loss: not a number if not told.
        gradient: estimate of |grad f|^2, see `probe`; not a number at the first step.
        probe: see `probe`.
    """

    step: int = 0
    digest: int = 0
    state: int = GO
    parameter: int = 0
    new: int = 0
    checksum: int = 0
    largest: float = 0.0
    update: float = 0.0
    update_error: float = 0.0
    served: float = 0.0
    served_error: float = 0.0
    weights_error: float = 0.0
    loss: float = float("nan")
    gradient: float = float("nan")
    probe: tuple[float, ...] = (0.0,) * BUCKETS

    def numbers(self) -> list[float]:
        *single, probe = astuple(self)
        return [*map(float, single), *probe]


_SINGLE = [field.name for field in fields(Header)][:-1]
_WHOLE = {"step", "digest", "state", "parameter", "new", "checksum"}
BYTES = 8 * (len(_SINGLE) + BUCKETS)


def exchange(header: Header, link: Link, device: torch.device) -> list[Header]:
    """The headers of all workers, in the order of the ranks."""
    told = link.gather(torch.tensor(header.numbers(), dtype=torch.float64, device=device_for(link, device)))
    return [_read(row) for row in told.tolist()]


def _read(row: list[float]) -> Header:
    single: dict[str, Any] = {
        name: int(value) if name in _WHOLE else value for name, value in zip(_SINGLE, row[: len(_SINGLE)], strict=True)
    }
    return Header(**single, probe=tuple(row[len(_SINGLE) :]))


def digest(facts: Mapping[str, Any]) -> int:
    """A number that differs if what has to be alike differs."""
    return zlib.crc32(repr(list(facts.items())).encode())


def check_alike(told: list[Header], facts: Mapping[str, Any], link: Link, device: torch.device) -> None:
    """See that all workers are at the same step with the same facts (the same names in the same order).

    Raises:
        WorkerError: on all workers alike; names two that differ, and in what.
    """
    remedy = "; make the same network and settings on all workers, and let each load its own state, or all the merged one"
    if len({header.digest for header in told}) > 1:
        own = [zlib.crc32(repr(value).encode()) for value in facts.values()]
        sums = link.gather(torch.tensor(own, dtype=torch.float64, device=device_for(link, device))).tolist()
        for rank, values in enumerate(sums):
            differing = [name for name, one, other in zip(facts, sums[0], values, strict=True) if one != other]
            if differing:
                raise WorkerError(f"workers 0 and {rank} differ: {', '.join(differing)}{remedy}")
    for rank, header in enumerate(told):
        if header.step != told[0].step:
            raise WorkerError(
                f"workers 0 and {rank} differ: number of steps done ({told[0].step} and {header.step}): one has left out "
                f"or repeated a step, or has loaded another state{remedy}"
            )
    if not any(header.new for header in told):
        for rank, header in enumerate(told):
            if header.checksum != told[0].checksum:
                raise WorkerError(
                    f"workers 0 and {rank} differ: weights, after step {header.step}: something changed them on one "
                    "worker only; change them alike on all, or not at all"
                )


def checksum(tensors: list[Tensor]) -> int:
    """A number that differs if the bits of float32 tensors differ; it does not depend on the order of additions."""
    total = 0
    for index, tensor in enumerate(tensors, 1):
        bits = tensor.detach().contiguous().view(torch.int32).sum(dtype=torch.int32)
        total = (total * 31 + index * int(bits)) % (1 << 52)
    return total
