"""One worker of quantized Adam: its flat buffers, its link to the others, and the way that updates go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import SettingsError
from . import budget
from .collectives import Link
from .header import BYTES
from .layout import FLOAT_BITS
from .local import LocalAdam
from .merging import PARTS
from .probe import Probe
from .quantisers import GRADIENT_BITS
from .rounding import Rounding
from .server import Exchange, own_range
from .weights import ExactWeights, bytes_down

SERVED_ERROR, SERVED_WEIGHTS = PARTS


class Worker:
    """Made at the first step, when the process group is there, and again when a state has been loaded.

    Args:
        groups: the optimiser's groups of parameters.
        state: of each parameter; the buffers take over its tensors, and put views of themselves in their places.
        rounding: what is rounded.
        bits: of the codes of each tensor, up and down, if a budget has raised some.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        state: Any,
        rounding: Rounding,
        group: dist.ProcessGroup | None,
        bits: list[list[int]] | None,
    ) -> None:
        self.parameters: list[Tensor] = [parameter for some in groups for parameter in some["params"]]
        self.rounding, self.link = rounding, Link(group)
        self.device = self.parameters[0].device
        self.local = LocalAdam(self.parameters, rounding.feeds_back)
        self.served = rounding.served(self.link.world)
        self._range = own_range(sum(self.local.sizes), self.link, self.served)
        self.exact: ExactWeights | None = None
        if rounding.weight_bits:
            self.exact = ExactWeights(self.local.sizes, *self._range, rounding.weight_bits, rounding.weight_range)
        numbers = [number for number, some in enumerate(groups) for _ in some["params"]]
        self.exchange = Exchange(self.link, self.local, numbers, self.served, self.exact)
        count = len(self.parameters)
        self.bits = bits or [[rounding.up] * count, [rounding.down if not self.exact else FLOAT_BITS] * count]
        self.exchange.cut(*self.bits)
        self.probe = Probe(sum(self.local.sizes), self.device)
        for number, eps in ((number, groups[number]["eps"]) for number in range(len(groups))):
            self._begin(state, groups[number]["params"], eps)
        self._take_over(state)
        self._check_budget()

    # ------------------------------------------------------------------------------------------------------- the state

    def _begin(self, state: Any, parameters: Sequence[Tensor], eps: float) -> None:
        for parameter in parameters:
            entries = state[parameter]
            entries.setdefault("step", 0)
            entries.setdefault("mean", torch.zeros_like(parameter))
            entries.setdefault("square", torch.full_like(parameter, eps))

    def _take_over(self, state: Any) -> None:
        named = {"mean": self.local.mean, "square": self.local.square, "error": self.local.error}
        for name, flat in named.items():
            if flat is None:
                continue
            for parameter, view in zip(self.parameters, self.local.views(flat), strict=True):
                if name in state[parameter]:
                    view.copy_(state[parameter][name])
                state[parameter][name] = view
        self._take_over_errors(state)
        self._take_over_weights(state)

    def _take_over_errors(self, state: Any) -> None:
        """Of this worker as a server; where there are no servers now, what they still had to send is sent."""
        flat = self.exchange.served_error
        for parameter, (start, stop) in zip(self.parameters, self._own_pieces(), strict=True):
            saved = state[parameter].pop(SERVED_ERROR, None)
            if flat is None:
                if saved is not None and bool(saved.any()):
                    parameter.sub_(self._whole(saved, parameter))
                continue
            first = self._first_of(start)
            view = flat[start - self._range[0] : stop - self._range[0]]
            if saved is not None:
                view.copy_(self._own(saved, parameter, start - first, stop - first))
            state[parameter][SERVED_ERROR] = view

    def _take_over_weights(self, state: Any) -> None:
        """x: exact weights that are in the state, else the parameters as they are."""
        exact, self._restored = [], False
        for parameter, (start, stop) in zip(self.parameters, self._own_pieces(), strict=True):
            first = self._first_of(start)
            saved = state[parameter].pop(SERVED_WEIGHTS, state[parameter].pop("master", None))
            if self.exact is None:
                if saved is not None:
                    parameter.copy_(self._whole(saved, parameter))
                continue
            self._restored = self._restored or saved is not None
            whole = parameter if saved is None else saved
            exact.append(self._own(whole, parameter, start - first, stop - first))
        if self.exact is None:
            return
        self.exact.x = torch.cat(exact)
        self.link_weights(state)

    def link_weights(self, state: Any) -> None:
        """Put views of x into the state."""
        assert self.exact is not None
        sizes = [stop - start for start, stop in self._own_pieces()]
        for parameter, piece in zip(self.parameters, self.exact.x.split(sizes), strict=True):
            name, view = (SERVED_WEIGHTS, piece) if self.served else ("master", piece.view(parameter.shape))
            state[parameter][name] = view

    def _own_pieces(self) -> list[tuple[int, int]]:
        """What this worker serves of each parameter, as places in the flat buffer."""
        start, stop = self._range
        ends = accumulate(self.local.sizes)
        pieces = [(max(end - size, start), min(end, stop)) for size, end in zip(self.local.sizes, ends, strict=True)]
        return [(first, max(first, last)) if first < stop else (stop, stop) for first, last in pieces]

    def _first_of(self, place: int) -> int:
        """Where the parameter at a place of the flat buffer begins."""
        first = 0
        for size in self.local.sizes:
            if place < first + size:
                return first
            first += size
        return place

    def _own(self, saved: Tensor, parameter: Tensor, start: int, stop: int) -> Tensor:
        """This worker's piece, out of the whole tensor or of what it saved itself."""
        if saved.numel() == parameter.numel():
            return saved.detach().flatten()[start:stop]
        if saved.numel() != stop - start:
            raise SettingsError("the saved state is of other workers; load the merged_state of all of them")
        return saved

    def _whole(self, saved: Tensor, parameter: Tensor) -> Tensor:
        if saved.numel() != parameter.numel():
            raise SettingsError("the saved state is of a server of a part; load the merged_state of all workers")
        return saved.view(parameter.shape)

    # --------------------------------------------------------------------------------------------------------- a step

    def start_alike(self) -> None:
        """Take over the weights of rank 0."""
        flat = self._flat() if self.exact is None or self.served else self.exact.x
        self.link.broadcast(flat)
        if self.exact is None:
            self._show(flat)
            return
        if self.served and not self._restored:  # else each server has what it saved
            self.exact.x.copy_(flat[slice(*self._range)])
        self._show(self.exact.shown(self.link if self.served else None))

    def make_step(self, groups: Sequence[dict[str, Any]], times: Sequence[int], review: bool) -> list[Tensor] | None:
        """Move the parameters; ``times`` are the steps of the groups. Returns the tables for a review, see `Meter`."""
        if self.exact is not None:
            self.exact.absorb(self._flat()[slice(*self._range)])
        tables = [torch.zeros((len(self.parameters), 1 + len(GRADIENT_BITS)), dtype=torch.float64) for _ in range(2)]
        moved = self.exchange.run(
            lambda window: self.local.update(window, groups[window.group], times[window.group]),
            *(tables if review else ()),
        )
        if self.exact is None:
            # subtracting the mean, not adding -1/N times the sum: some processors would round that once, others twice
            torch._foreach_sub_(self.parameters, self.local.views(moved))
        elif self.served:
            self._show(moved)
        else:
            self.exact.x.sub_(moved)
            self._show(self.exact.shown(None))
        return tables if review else None

    def _flat(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters])

    def _show(self, flat: Tensor) -> None:
        torch._foreach_copy_(self.parameters, self.local.views(flat))

    def exact_weights(self) -> list[Tensor] | None:
        """x of all parameters, or None if the parameters are exact; with servers all workers have to ask at once."""
        if self.exact is None:
            return None
        if not self.served:
            return self.local.views(self.exact.x.clone())
        total, world = sum(self.local.sizes), self.link.world
        cuts = [total * rank // world for rank in range(world + 1)]
        longest = max(stop - start for start, stop in pairwise(cuts))
        own = torch.zeros(longest, device=self.device)
        own[: len(self.exact.x)] = self.exact.x
        rows = zip(self.link.gather(own), cuts, cuts[1:], strict=False)
        return self.local.views(torch.cat([row[: stop - start] for row, start, stop in rows]))

    # --------------------------------------------------------------------------------------------------- bits and bytes

    def review(self, tables: list[Tensor], groups: Sequence[dict[str, Any]], times: Sequence[int]) -> str:
        """Raise bits where rounding holds back too much and the budget allows it; returns what was found, in words."""
        up, down = tables
        squares = self.local.update_squares(groups, times)
        up[:, 0] = torch.tensor(squares, dtype=torch.float64)
        wide = torch.stack([up, down]).to(self.device if self.link.together else "cpu")
        total = self.link.gather(wide.flatten()).cpu().sum(0).view(2, len(squares), -1)
        total[1, :, 0] = total[0, :, 0] / self.link.world
        directions = 2 if self.exchange.served_error is not None else 1
        share = (self.link.world - 1) / 8 / (self.link.world if self.served else 1)
        streams = [
            budget.Stream(bits, share * size, float(row[0]), tuple(row[1:].tolist()))
            for of_tensors, rows in list(zip(self.bits, total, strict=True))[:directions]
            for bits, size, row in zip(of_tensors, self.local.sizes, rows, strict=True)
        ]
        most = self.rounding.byte_budget
        bits = budget.raised(streams, float(most - self.bytes_a_step) if most and self.link.world > 1 else 0.0)
        raised = sum(new != stream.bits for new, stream in zip(bits, streams, strict=True))
        if raised:
            count = len(squares)
            self.bits = [bits[:count], bits[count:] or self.bits[1]]
            self.exchange.cut(*self.bits)
        held = sum(stream.held > budget.MOST_HELD for stream in streams)
        return (
            f"rounding held back more than one step's worth of updates in {held} of {len(streams)} "
            f"tensors that are sent; the bits of {raised} were raised"
        )

    @property
    def bytes_a_step(self) -> int:
        """What leaves this worker for others in a step, at most: the last part may be a little longer than others."""
        others = self.link.world - 1
        header = others * BYTES
        if not self.served:
            return header + others * self.exchange.bytes_up
        up = self.exchange.bytes_up - self.exchange.shortest_up
        if self.exact is None:
            return header + up + others * self.exchange.reply_bytes
        return header + up + self.bytes_down * others // self.link.world

    @property
    def bytes_down(self) -> int:
        """Of what comes down to a worker, or would in the paper's protocol."""
        count, bits = sum(self.local.sizes), self.rounding.weight_bits
        if bits:
            return bytes_down(count, len(self.local.sizes), bits, self.rounding.weight_range is not None)
        return self.exchange.bytes_down if self.served else 4 * count

    def _check_budget(self) -> None:
        most = self.rounding.byte_budget
        if most and self.link.world > 1 and self.bytes_a_step > most:
            raise SettingsError(
                f"byte_budget is {most}, but a step sends {self.bytes_a_step} bytes at the least: allow as many, or "
                "lower gradient_bits or server_bits"
            )
