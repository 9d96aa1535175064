"""Updates to messages and back: Q_g of a part of the flat buffer, window by window (see `layout`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .layout import FLOAT_BITS, Part, Window
from .packing import pack, packed_size, unpack
from .quantisers import GRADIENT_BITS, LEAST_SCALE, decode, encode, nearest


@dataclass
class Meter:
    """Squared norms of what was quantised and of what rounding took away, summed over windows, on the device.

    Attributes:
        value, error: of everything.
        by_tensor: if wanted, of each tensor: its squared norm, then the error with each of `GRADIENT_BITS` bits;
            float64, (tensors, 4), on the CPU.
    """

    value: Tensor | float = 0.0
    error: Tensor | float = 0.0
    by_tensor: Tensor | None = None

    def add_value(self, value: Tensor) -> None:
        self.value = self.value + torch.dot(value, value)

    def add_error(self, error: Tensor) -> None:
        self.error = self.error + torch.dot(error, error)

    def compare(self, window: Window, values: Tensor, units: Tensor, scales: list[float]) -> None:
        """Find out what each number of bits would take away from the blocks of a window."""
        if self.by_tensor is None:
            return
        levels = [nearest(units, bits).split(window.sizes) for bits in GRADIENT_BITS]
        for index, (block, value) in enumerate(zip(window.blocks, values.split(window.sizes), strict=True)):
            errors = [(value - some[index] * scales[index]).square().sum() for some in levels]
            self.by_tensor[block.tensor] += torch.stack([value.square().sum(), *errors]).double().cpu()


def encode_window(window: Window, values: Tensor, message: Tensor | None, meter: Meter) -> Tensor:
    """Quantise the values of a window, write codes and scales into the message of its part.

    Args:
        values: float32, (window.size,).
        message: uint8, of the part; None where nobody is to receive it.

    Returns:
        Q_g(values), float32 (window.size,): a new tensor, or ``values`` itself where nothing is rounded.
    """
    place = slice(window.offset, window.offset + window.bytes)
    if window.bits == FLOAT_BITS:
        if message is not None:
            message[place].view(torch.float32).copy_(values)
        return values
    scales = torch.stack([size.max() for size in values.abs().split(window.sizes)])
    factors = scales.tolist()
    units = _scaled(values, window, [1 / max(scale, LEAST_SCALE) for scale in factors], in_place=False)
    levels = nearest(units, window.bits)
    meter.compare(window, values, units, factors)
    if message is not None:
        _scales_of(message, window).copy_(scales)
        message[place][: packed_size(window.size, window.bits)].copy_(pack(encode(levels, window.bits), window.bits))
    return _scaled(levels, window, factors)


def decode_part(part: Part, message: Tensor, into: Tensor, add: bool) -> None:
    """Write what a message holds into the flat float32 buffer of its part, (part.size,), or add it to what is there."""
    factors = message[: 4 * part.scales].view(torch.float32).tolist()
    for window in part.windows:
        target = into[window.start - part.start : window.stop - part.start]
        codes = message[window.offset : window.offset + window.bytes]
        if window.bits == FLOAT_BITS:
            values = codes.view(torch.float32)
        else:
            codes = codes[: packed_size(window.size, window.bits)]
            levels = decode(unpack(codes, window.bits, window.size), window.bits)
            values = _scaled(levels, window, factors[window.scale : window.scale + len(window.blocks)])
        if add:
            target.add_(values)
        else:
            target.copy_(values)


def _scales_of(message: Tensor, window: Window) -> Tensor:
    return message[4 * window.scale : 4 * (window.scale + len(window.blocks))].view(torch.float32)


def _scaled(values: Tensor, window: Window, factors: list[float], in_place: bool = True) -> Tensor:
    """Multiply each block by its factor."""
    if len(factors) == 1:
        return values.mul_(factors[0]) if in_place else values * factors[0]
    values = values if in_place else values.clone()
    torch._foreach_mul_(values.split(window.sizes), factors)
    return values
