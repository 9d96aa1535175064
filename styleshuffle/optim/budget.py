"""How many bits the codes of each tensor get, when a worker may send only so many bytes a step.

Rounding does no lasting harm as long as what it holds back is soon made up for. How much it holds back is measured: the
error that is fed back, |e|, in units of the update that Adam would make, |alpha m / sqrt(v)|: so many steps' worth.
Where that is more than one whole step, the error floor dominates, and a bit more is worth its bytes. (Measured on
random gradients: 2 bits hold back 1.6 to 3 steps, 3 bits 0.5 to 0.8 and 4 bits 0.4 to 0.6; where the gradients of all
steps agree, 2 bits hold back 0.8.) Bits are only ever raised, first where a byte takes most of the error away, as long
as the budget lasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .quantisers import GRADIENT_BITS

MOST_HELD = 1.0  # steps' worth of updates
REVIEW = 50  # steps between two reviews of the bits


@dataclass(frozen=True)
class Stream:
    """What one tensor sends in one direction.

    Attributes:
        bits: of its codes now.
        bytes_a_bit: what one more bit costs a worker a step, in bytes.
        update: squared norm of the update without what is fed back.
        errors: squared norm of what rounding takes away, by `GRADIENT_BITS`.
    """

    bits: int
    bytes_a_bit: float
    update: float
    errors: tuple[float, ...]

    def error(self, bits: int) -> float:
        return self.errors[GRADIENT_BITS.index(bits)]

    @property
    def held(self) -> float:
        """Steps' worth of updates that rounding holds back."""
        return math.sqrt(self.error(self.bits) / self.update) if self.update > 0 else 0.0


def raised(streams: Sequence[Stream], room: float) -> list[int]:
    """The bits of every stream, raised where the error floor dominates, for at most ``room`` more bytes a step."""
    bits = [stream.bits for stream in streams]
    while True:
        best, gain = -1, 0.0
        for index, stream in enumerate(streams):
            now = bits[index]
            if now not in GRADIENT_BITS or now == GRADIENT_BITS[-1] or stream.bytes_a_bit > room:
                continue
            held = math.sqrt(stream.error(now) / stream.update) if stream.update > 0 else 0.0
            saved = (stream.error(now) - stream.error(now + 1)) / max(stream.bytes_a_bit, 1e-9)
            if held > MOST_HELD and saved > gain:
                best, gain = index, saved
        if best < 0:
            return bits
        bits[best] += 1
        room -= streams[best].bytes_a_bit
