"""What the workers of a process group tell each other, with the bytes counted and the failures in one line.

The same operations work with gloo (CPU) and NCCL (GPU): gathers and all-to-all of bytes and floats, broadcast, maximum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import WorkerError

_REASON = re.compile(r"(?:\[\S+\] )?(.*?)(?:\. |$)", re.MULTILINE)  # in gloo's errors: after the line of its source
# torch 2.14 gave the first a new name, and warns of the old one
_all_gather = getattr(dist, "all_gather_single", None) or getattr(dist, "all_gather_into_tensor", None)


class Link:
    """This worker's connection to all workers, itself included; without a process group it is alone.

    Attributes:
        rank, world: this worker's number, and how many there are.
        bytes_sent: what has left this worker for others, in bytes, as the algorithms of gloo and NCCL send it: a gather
            passes on what comes from N - 1 workers, round a ring; headers of the network are not counted.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self._group = group
        self.together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank(group) if self.together else 0
        self.world = dist.get_world_size(group) if self.together else 1
        self.bytes_sent = 0

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors (n,) of all workers, in the order of the ranks: (N, n)."""
        if not self.together:
            return tensor[None]
        gathered = tensor.new_empty(self.world * len(tensor))
        self.bytes_sent += (self.world - 1) * tensor.nbytes
        with self._failures_explained():
            assert _all_gather is not None
            _all_gather(gathered, tensor, group=self._group)
        return gathered.view(self.world, -1)

    def swap(self, messages: Tensor, sizes: Sequence[int]) -> Tensor:
        """Give each worker its message, and take those of all workers for this one.

        Args:
            messages: uint8, for all workers, one after another.
            sizes: of the messages in bytes; the one for a worker is equally long on all workers.

        Returns:
            uint8 (N, sizes[rank]), by sender.
        """
        own = sizes[self.rank]
        if not self.together:
            return messages[None]
        received = messages.new_empty(self.world * own)
        self.bytes_sent += messages.nbytes - own
        with self._failures_explained():
            dist.all_to_all_single(received, messages, [own] * self.world, list(sizes), group=self._group)
        return received.view(self.world, own)

    def broadcast(self, tensor: Tensor) -> None:
        """Rank 0's tensor to all workers, in place."""
        if self.together:
            self.bytes_sent += tensor.nbytes if self.rank == 0 else 0
            with self._failures_explained():
                dist.broadcast(tensor, self._first(), group=self._group)

    def maximum(self, tensor: Tensor) -> None:
        """The elementwise maximum over all workers, in place; exact, so the same bits everywhere."""
        if self.together:
            self.bytes_sent += 2 * (self.world - 1) * tensor.nbytes // self.world
            with self._failures_explained():
                dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self._group)

    def _first(self) -> int:
        """Rank 0 of this group, by its number among all processes."""
        group = self._group if self._group is not None else dist.group.WORLD
        assert group is not None
        return dist.get_global_rank(group, 0)

    @contextmanager
    def _failures_explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            said = _REASON.match(str(error))
            reason = (said[1] if said else "") or type(error).__name__
            raise WorkerError(
                f"worker {self.rank}: lost contact with the other workers: {reason}; see how they ended, then start all "
                "again from the last checkpoint"
            ) from None


def device_for(link: Link, device: torch.device) -> torch.device:
    """Where small messages are made: where the weights are, if anybody is to receive them."""
    return device if link.together else torch.device("cpu")
