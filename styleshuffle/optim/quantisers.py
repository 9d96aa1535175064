"""The two quantisers of quantized Adam, and codes packed to bits.

Both are those of Chen, Shen, Huang and Liu, "Quantized Adam with error feedback" (arXiv:2004.14180), with a scale of its
own for every tensor:

    Q_g(g) = s * nearest of {0, +-2^-k, ..., +-1/2, +-1} to g / s,    s = max |g|
    Q_x(x) = s * nearest of {-L, ..., -1, 0, 1, ..., L} / L to x / s,  s = max |x|,  L = 2^(bits - 1) - 1

Q_g in b bits has as many levels as fit, k = 2^(b - 1) - 2: 2 bits are ternary (k = 0), 3 bits go down to 1/4, 4 bits to
1/64. A code is the number of its magnitude, counted from 0, with the sign in the highest of its bits.

Decoding and Q_x consist of operations that are exact, or rounded as IEEE 754 prescribes, so that workers on processors of
different makes arrive at the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

_LEAST_SCALE = torch.finfo(torch.float32).tiny  # what is divided by in place of 0


def magnitudes(bits: int) -> list[float]:
    """The levels of Q_g that are not negative, ascending: 0, 2^-k, ..., 1/2, 1."""
    finest = 2 ** (bits - 1) - 2
    return [0.0, *(2.0**-exponent for exponent in range(finest, -1, -1))]


def scales(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The largest magnitude in each tensor, 0-dimensional; not a number where one is in the tensor."""
    return [tensor.abs().max() for tensor in tensors]


def quantise(tensors: Sequence[Tensor], scales: Sequence[float], bits: int) -> Tensor:
    """Q_g of tensors as packed codes.

    Args:
        tensors: float32, any shapes.
        scales: the largest magnitude in each.
        bits: of a code, 2 or more; a value halfway between two levels takes the smaller.

    Returns:
        uint8, (`packed_size`,).
    """
    units = torch.cat([tensor.flatten() for tensor in tensors])
    parts = units.split([tensor.numel() for tensor in tensors])
    torch._foreach_div_(parts, [max(scale, _LEAST_SCALE) for scale in scales])
    return pack(encode(units, bits), bits)


def dequantise(packed: Tensor, scales: Sequence[float], sizes: Sequence[int], bits: int) -> Tensor:
    """The values of Q_g that `quantise` packed, float32, one tensor after another: (sum of sizes,)."""
    values = decode(unpack(packed, bits, sum(sizes)), bits)
    torch._foreach_mul_(values.split(sizes), scales)
    return values


def encode(units: Tensor, bits: int) -> Tensor:
    """The code of the level nearest to each value in [-1, 1], uint8 of the same shape."""
    size = units.abs()
    codes = units.lt(0).view(torch.uint8) << (bits - 1)
    for lower, upper in pairwise(magnitudes(bits)):
        codes += size.gt((lower + upper) / 2).view(torch.uint8)  # many times as fast as torch.bucketize
    return codes


def decode(codes: Tensor, bits: int) -> Tensor:
    """The level of each code, float32, for codes of shape (n,)."""
    levels = magnitudes(bits)
    table = torch.tensor(levels + [-level for level in levels], device=codes.device)
    return table.index_select(0, codes.int())


def packed_size(count: int, bits: int) -> int:
    """How many bytes `pack` makes of so many codes: full, but for the last 7 codes."""
    return bits * -(-count // 8)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes of shape (n,), uint8 and below 2^bits, to bytes: first the lowest bit of all codes, then the next, and so on.

    In each of these planes of c = ceil(n / 8) bytes code i lies in byte i mod c; bytes thus have no order to agree on.
    """
    padded = torch.nn.functional.pad(codes, (0, -len(codes) % 8)).view(8, 1, -1)
    planes, places = _shifts(bits, codes.device)
    return (((padded >> planes) & 1) << places).sum(0, dtype=torch.uint8).flatten()


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The codes that `pack` packed, (count,), uint8."""
    planes, places = _shifts(bits, packed.device)
    return (((packed.view(1, bits, -1) >> places) & 1) << planes).sum(1, dtype=torch.uint8).flatten()[:count]


def _shifts(bits: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each plane in the code, (1, bits, 1), and of each code in its byte, (8, 1, 1)."""
    eight = torch.arange(8, dtype=torch.uint8, device=device)
    return eight[:bits].view(1, -1, 1), eight.view(8, 1, 1)


def quantise_weights(weights: Tensor, bits: int) -> Tensor:
    """Q_x of one tensor of weights, float32, of the same shape; a value halfway between two levels takes the even one."""
    step = (weights.abs().max() / (2 ** (bits - 1) - 1)).clamp_min(_LEAST_SCALE)
    return (weights / step).round_().mul_(step)
