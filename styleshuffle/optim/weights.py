"""Weights that devices hold in few bits: the exact ones, which a server knows, and Q_x of them (see `quantisers`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from .collectives import Link
from .packing import pack, packed_size, unpack
from .quantisers import weight_codes, weight_numbers, weights_at, weights_of

_BLOCK = 65_536  # weights that are rounded at once, while they are in the processor's cache


@dataclass(frozen=True)
class PackedWeights:
    """One tensor as a device would hold it.

    Attributes:
        codes: uint8, of `packing.pack`.
        scale: the end of the range of Q_x.
        bits: of a code.
        fixed: whether the range is fixed, or the largest magnitude of the tensor.
    """

    codes: Tensor
    scale: float
    bits: int
    fixed: bool
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """What it takes to hold it: the codes, and the scale as float32."""
        return self.codes.nbytes + (0 if self.fixed else 4)

    def weights(self) -> Tensor:
        """Q_x(x), float32, as the network computes with."""
        count = int(torch.Size(self.shape).numel())
        return weights_of(unpack(self.codes, self.bits, count), self.scale, self.bits, self.fixed).view(self.shape)


class ExactWeights:
    """x of the weights start to stop of the flat buffer, in full precision, and what everybody else sees of it.

    Attributes:
        x: float32 (stop - start,).
        error: |x - Q_x(x)|^2 after the last `shown`.
    """

    def __init__(self, sizes: Sequence[int], start: int, stop: int, bits: int, fixed_range: float | None) -> None:
        self.x = torch.empty(0)
        self.error: Tensor | float = 0.0
        self._sizes, self._start, self._stop = list(sizes), start, stop
        self._bits, self._range = bits, fixed_range
        self._scales: list[float] | None = None
        self._shown: Tensor | None = None
        ends = list(accumulate(sizes))
        self._pieces = [  # tensor, and where what it has here lies in x
            (tensor, max(end - size, start) - start, min(end, stop) - start)
            for tensor, (size, end) in enumerate(zip(sizes, ends, strict=True))
            if max(end - size, start) < min(end, stop)
        ]

    def absorb(self, flat: Tensor) -> None:
        """Take over weights that were changed since they were shown.

        Args:
            flat: what the parameters hold now, from start to stop.
        """
        if self._shown is not None and not torch.equal(flat, self._shown):
            changed = flat != self._shown
            self.x[changed] = flat[changed]

    def shown(self, link: Link | None) -> Tensor:
        """Q_x(x) from start to stop; with a link, what all workers have together, of all weights."""
        self._scales = self._agreed_scales(link)
        fixed, values, codes = self._range is not None, torch.empty_like(self.x), []
        self.error = 0.0
        for tensor, first, last in self._pieces:
            for start in range(first, last, _BLOCK):
                here = slice(start, min(start + _BLOCK, last))
                if link is not None:
                    codes.append(weight_codes(self.x[here], self._scales[tensor], self._bits, fixed))
                numbers = weight_numbers(self.x[here], self._scales[tensor], self._bits, fixed)
                value = values[here].copy_(weights_at(numbers, self._scales[tensor], self._bits, fixed))
                difference = self.x[here] - value
                self.error = self.error + torch.dot(difference, difference)
        self._shown = values
        return values if link is None else self._gathered(codes, link)

    def packed(self, shown: Sequence[Tensor]) -> list[PackedWeights]:
        """Every tensor as a device would hold it, after `shown`: what the parameters hold, in codes."""
        assert self._scales is not None
        fixed = self._range is not None
        return [
            PackedWeights(
                pack(weight_codes(value.detach().flatten(), scale, self._bits, fixed), self._bits),
                scale,
                self._bits,
                fixed,
                tuple(value.shape),
            )
            for value, scale in zip(shown, self._scales, strict=True)
        ]

    def _agreed_scales(self, link: Link | None) -> list[float]:
        if self._range is not None:
            return [self._range] * len(self._sizes)
        largest = torch.zeros(len(self._sizes), device=self.x.device)
        for tensor, start, stop in self._pieces:
            largest[tensor] = self.x[start:stop].abs().max()
        if link is not None:
            link.maximum(largest)
        return largest.tolist()

    def _gathered(self, codes: list[Tensor], link: Link) -> Tensor:
        """Give all workers the packed weights of this one, and take theirs."""
        total = sum(self._sizes)
        cuts = [total * rank // link.world for rank in range(link.world + 1)]
        longest = packed_size(max(stop - start for start, stop in pairwise(cuts)), self._bits)
        message = torch.zeros(longest, dtype=torch.uint8, device=self.x.device)
        packed = pack(torch.cat(codes), self._bits) if codes else message[:0]
        message[: len(packed)] = packed
        parts = [
            unpack(received[: packed_size(stop - start, self._bits)], self._bits, stop - start)
            for received, start, stop in zip(link.gather(message), cuts, cuts[1:], strict=False)
        ]
        assert self._scales is not None
        fixed, flat = self._range is not None, torch.cat(parts)
        return torch.cat(
            [
                weights_of(piece, scale, self._bits, fixed)
                for piece, scale in zip(flat.split(self._sizes), self._scales, strict=True)
            ]
        )


def bytes_down(count: int, tensors: int, bits: int, fixed: bool) -> int:
    """What the packed weights of a network take, with a scale a tensor unless the range is fixed."""
    return packed_size(count, bits) + (0 if fixed else 4 * tensors)
