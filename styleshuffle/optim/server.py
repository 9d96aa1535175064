"""How the workers get the mean of their updates: everyone tells everyone, or everyone serves a part of the weights.

**Everyone tells everyone.** Each worker gathers the messages of all and decodes them all: N - 1 messages leave it a step.
With two workers nothing is cheaper.

**Servers.** The paper has a parameter server: quantised updates go up, quantised weights come down. A single server would
send and receive N times what a worker does, so here every worker serves an equal part: it receives from all workers their
updates of that part (an all-to-all), takes the mean, and sends the result down to all (a gather). Up and down together a
worker sends less than one message up and one down, however many workers there are. What goes down is either

- the difference, quantised by Q_g with `server_bits`, with an error feedback of the server's own: x moves by
  Q_g(mean + e), e <- mean + e - Q_g(mean + e). Then x - e, which no one holds, moves by exactly the mean; or
- with quantised weights, Q_x(x) itself, as in the paper: then only the server of a part knows its x exactly.

All workers decode the same bytes in the same order, so all hold bit-identical weights after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .codec import Meter, decode_part, encode_window
from .collectives import Link
from .layout import Part, Window, parts
from .local import LocalAdam
from .weights import ExactWeights

Update = Callable[[Window], Tensor]


class Exchange:
    """The way that updates go; see the module.

    Args:
        link: to the workers.
        local: this worker's buffers.
        groups: the group of each tensor.
        served: whether every worker serves a part.
        exact: the exact weights of this worker's part, if weights are quantised.

    Attributes:
        served_error: e of this worker's part as a server; None where nothing is sent down, or weights are.
        up, down: what was quantised here in the last step, see `Meter`.
        mean: squared norm of the mean of the updates of this worker's part in the last step.
    """

    def __init__(
        self, link: Link, local: LocalAdam, groups: Sequence[int], served: bool, exact: ExactWeights | None
    ) -> None:
        self._link, self._local, self._groups, self.served, self._exact = link, local, list(groups), served, exact
        self.up, self.down, self.mean = Meter(), Meter(), 0.0
        total = sum(local.sizes)
        start, stop = own_range(total, link, served)
        self.served_error = torch.zeros(stop - start, device=local.work.device) if served and exact is None else None

    def cut(self, up: Sequence[int], down: Sequence[int]) -> None:
        """Lay out the messages for codes with these bits a tensor, up to the servers and down from them."""
        servers = self._link.world if self.served else 1
        kind = self._local.work.device.type
        self._up = parts(self._local.sizes, self._groups, up, servers, kind)
        self._down = parts(self._local.sizes, self._groups, down, servers, kind)
        self._starts = [0]
        for part in self._up:
            self._starts.append(self._starts[-1] + part.bytes)
        self._messages = torch.zeros(self._starts[-1], dtype=torch.uint8, device=self._local.work.device)
        longest = max(part.bytes for part in self._down)
        self._reply = torch.zeros(longest, dtype=torch.uint8, device=self._local.work.device)

    @property
    def bytes_up(self) -> int:
        """Of the messages of one worker to all servers, its own included."""
        return self._starts[-1]

    @property
    def shortest_up(self) -> int:
        """Of the shortest message to a server."""
        return min(part.bytes for part in self._up)

    @property
    def reply_bytes(self) -> int:
        """Of the message that this worker sends down as a server."""
        return len(self._reply)

    @property
    def bytes_down(self) -> int:
        """Of the messages of all servers to one worker, its own included."""
        return sum(part.bytes for part in self._down)

    def run(self, update: Update, compare: Tensor | None = None, compare_down: Tensor | None = None) -> Tensor:
        """Quantise this worker's updates, window by window, and send them; returns what x moves down by, flat (n,).

        With servers and quantised weights, the new weights instead.

        Args:
            update: makes the update of a window.
            compare, compare_down: see `Meter.by_tensor`.
        """
        self.up, self.down = Meter(by_tensor=compare), Meter(by_tensor=compare_down)
        alone = not self._link.together
        for part, start, stop in zip(self._up, self._starts, self._starts[1:], strict=False):
            message = None if alone else self._messages[start:stop]
            for window in part.windows:
                values = update(window)
                sent = encode_window(window, values, message, self.up)
                if sent is not values:
                    self.up.add_value(values)  # before the error takes its place
                    self.up.add_error(self._local.keep(window, values, sent))
                if alone:
                    self._local.work[window.start : window.stop].copy_(sent)
        if alone:
            return self._local.work
        return self._by_servers() if self.served else self._by_everyone()

    def _by_everyone(self) -> Tensor:
        mean = self._local.work
        for rank, message in enumerate(self._link.gather(self._messages)):
            decode_part(self._up[0], message, mean, add=rank > 0)
        return mean.div_(self._link.world)

    def _by_servers(self) -> Tensor:
        rank = self._link.rank
        part, sizes = self._up[rank], [part.bytes for part in self._up]
        mean = torch.zeros(part.size, device=self._local.work.device)
        for worker, message in enumerate(self._link.swap(self._messages, sizes)):
            decode_part(part, message, mean, add=worker > 0)
        mean.div_(self._link.world)
        if self._exact is not None:
            self._exact.x.sub_(mean)
            return self._exact.shown(self._link)
        return self._sent_down(mean, self._down[rank])

    def _sent_down(self, mean: Tensor, part: Part) -> Tensor:
        assert self.served_error is not None
        self.mean = float(torch.dot(mean, mean))
        self.served_error.add_(mean)
        for window in part.windows:
            values = self.served_error[window.start - part.start : window.stop - part.start]
            sent = encode_window(window, values, self._reply, self.down)
            self.down.add_value(values)
            self.down.add_error(values.sub_(sent))  # float32 goes down unrounded, and leaves no error
        moved = self._local.work
        for other, message in zip(self._down, self._link.gather(self._reply), strict=True):
            decode_part(other, message, moved[other.start : other.stop], add=False)
        return moved


def own_range(total: int, link: Link, served: bool) -> tuple[int, int]:
    """Which weights of the flat buffer this worker serves."""
    if not served:
        return 0, total
    return total * link.rank // link.world, total * (link.rank + 1) // link.world


def cheaper_with_servers(world: int, up_bits: float, down_bits: float) -> bool:
    """Whether a worker sends fewer bytes a step by servers than if everyone tells everyone.

    In units of n / 8 bytes that is (N - 1) / N (up + down) against (N - 1) up; where they are equal, everyone tells
    everyone in one operation less and without a second rounding.
    """
    return world > 2 and up_bits + down_bits < world * up_bits
