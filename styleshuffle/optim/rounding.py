"""The settings of quantized Adam that say what is rounded, and how it travels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import SettingsError
from .layout import FLOAT_BITS
from .quantisers import GRADIENT_BITS, WEIGHT_BITS
from .server import cheaper_with_servers

PAPER_RANGE = 0.5  # of weights, in the paper


@dataclass(frozen=True)
class Rounding:
    """See `QuantizedAdam`.

    Raises:
        SettingsError: a setting is outside its range, or two contradict each other.
    """

    gradient_bits: int | None = 2
    weight_bits: int | None = None
    weight_range: float | None = None
    error_feedback: bool = True
    server: bool | None = None
    server_bits: int | None = 4
    byte_budget: int | None = None

    def __post_init__(self) -> None:
        for name in ("gradient_bits", "server_bits"):
            if getattr(self, name) not in (None, *GRADIENT_BITS):
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be 2, 3, 4 or None")
        if self.weight_bits is not None and self.weight_bits not in WEIGHT_BITS:
            raise SettingsError(f"weight_bits is {self.weight_bits}; it must be 2 to 16, or None")
        if self.weight_range is not None:
            if not 0 < self.weight_range < math.inf:
                raise SettingsError(f"weight_range is {self.weight_range}; it must be above 0, or None")
            if self.weight_bits is None:
                raise SettingsError("weight_range: weights are not rounded without weight_bits; give both")
        if self.byte_budget is not None:
            if self.byte_budget < 1:
                raise SettingsError(f"byte_budget is {self.byte_budget}; it must be at least 1, or None")
            if self.gradient_bits is None:
                raise SettingsError("byte_budget: there are no bits to choose with gradient_bits=None; give 2, 3 or 4")

    @property
    def feeds_back(self) -> bool:
        return self.error_feedback and self.gradient_bits is not None  # nothing is rounded: nothing to feed back

    @property
    def up(self) -> int:
        """Bits of what goes up."""
        return self.gradient_bits or FLOAT_BITS

    @property
    def down(self) -> int:
        """Bits of what servers send down."""
        if self.weight_bits:
            return self.weight_bits
        return self.server_bits if self.server_bits and self.gradient_bits else FLOAT_BITS

    def served(self, world: int) -> bool:
        """Whether the workers serve parts of the weights; chosen by the bytes, unless it was given."""
        if world == 1:
            return False
        return cheaper_with_servers(world, self.up, self.down) if self.server is None else self.server
