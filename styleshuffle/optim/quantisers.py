"""The two quantisers of quantized Adam.

As recalled (no full text could be reached), those of Chen, Shen, Huang and Liu, "Quantized Adam with error feedback"
(arXiv:2004.14180):

    Q_g(g) = s * nearest of {0, +-2^-k, ..., +-1/2, +-1} to g / s,    s = max |g|
    Q_x(x) = c * nearest of {-1, ..., -2^-k, 0, 2^-k, ..., 1} to x / c,    c = 0.5

Q_g has a scale of its own for every block of a tensor. In b bits it has as many levels as fit, k = 2^(b - 1) - 2: 2
bits are ternary (k = 0), 3 bits go down to 1/4, 4 bits to 1/64. A code is the number of the magnitude, counted from 0,
with the sign in the highest of its bits.

Q_x in b bits has k = b - 2 with the paper's fixed range c, beyond which weights are clipped. Without a fixed range c is
the largest magnitude of the tensor, and the levels are {-L, ..., L} / L with L = 2^(b - 1) - 1, all that fit.

Decoding and Q_x consist of operations that are exact, or rounded as IEEE 754 prescribes, so that workers on processors
of different makes arrive at the same numbers. Encoding reads the nearest power of 2 from the bits of a float: adding
just less than half a mantissa carries into the exponent where the mantissa is above 1.5, which is where the next level
is nearer.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SCALE = torch.finfo(torch.float32).tiny  # what is divided by in place of 0
GRADIENT_BITS = (2, 3, 4)
WEIGHT_BITS = range(2, 17)

_EXPONENT, _BIAS = 23, 127  # of float32: where its exponent begins, and what is added to it
_MAGNITUDE, _SIGN = 0x7FFFFFFF, -0x80000000
_NEARLY_HALF = 0x3FFFFF  # of a mantissa


def magnitudes(bits: int) -> list[float]:
    """The levels of Q_g that are not negative, ascending: 0, 2^-k, ..., 1/2, 1."""
    finest = 2 ** (bits - 1) - 2
    return [0.0, *(2.0**-exponent for exponent in range(finest, -1, -1))]


def encode(units: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """The nearest level to each value in [-1, 1]; a value halfway between two takes the smaller.

    Args:
        units: float32, contiguous, any shape.
        bits: of a code, 2, 3 or 4.

    Returns:
        the codes, uint8, and the levels, float32, both of the same shape.
    """
    raw = units.view(torch.int32)
    below_zero, size = raw >> 31, raw & _MAGNITUDE
    lowest = _BIAS - 2 ** (bits - 1) + 1  # exponent of half the finest level: at most that is 0
    above = ((lowest << _EXPONENT) - size) >> 31  # -1 where it is more, else 0
    if bits == 2:
        level = (above & 1) * (below_zero | 1)
        return (level & 3).to(torch.uint8), level.float()
    number = torch.maximum(((size + _NEARLY_HALF) >> _EXPONENT) - lowest, above & 1)
    some = number.clamp(max=1)
    codes = number | ((below_zero & some) << (bits - 1))
    levels = (((number + lowest) << _EXPONENT) * some) | (raw & _SIGN)
    return codes.to(torch.uint8), levels.view(torch.float32)


def decode(codes: Tensor, bits: int) -> Tensor:
    """The level of each code, float32, of the same shape."""
    if bits == 2:
        return ((codes.view(torch.int8) << 6) >> 6).float()  # as numbers of two bits with a sign: 0, 1, -1
    wide = codes.int()
    number = wide & (2 ** (bits - 1) - 1)
    lowest = _BIAS - 2 ** (bits - 1) + 1
    levels = (((number + lowest) << _EXPONENT) * number.clamp(max=1)) | ((wide >> (bits - 1)) << 31)
    return levels.view(torch.float32)


# ------------------------------------------------------------------------------------------------------------ weights


def weight_steps(bits: int, fixed: bool) -> int:
    """L: how many steps of the grid of Q_x lie between 0 and the end of its range."""
    return 2 ** (bits - 2) if fixed else 2 ** (bits - 1) - 1


def weight_codes(weights: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The level of Q_x nearest to each weight, counted from 0: uint8, or int32 for more than 8 bits.

    Args:
        weights: float32, any shape.
        scale: the end of the range: the fixed one, or the largest magnitude of the tensor.
        fixed: whether it is the fixed one.
    """
    most = weight_steps(bits, fixed)
    numbers = (weights / _step(scale, most)).round_().clamp_(-most, most).add_(most)
    return numbers.to(torch.uint8 if bits <= 8 else torch.int32)


def weights_of(codes: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The weights, float32, of codes of any shape."""
    most = weight_steps(bits, fixed)
    return (codes.float() - most).mul_(_step(scale, most))


def quantise_weights(weights: Tensor, bits: int, fixed_range: float | None = None) -> Tensor:
    """Q_x of one tensor of weights, float32, of the same shape; a value halfway between two levels takes the even one.

    Args:
        bits: 2 to 16.
        fixed_range: the c of the paper (there 0.5); by default the largest magnitude of the tensor.
    """
    if not weights.numel():
        return weights.clone()
    fixed = fixed_range is not None
    scale = float(weights.abs().max()) if fixed_range is None else fixed_range
    return weights_of(weight_codes(weights, scale, bits, fixed), scale, bits, fixed)


def _step(scale: float, most: int) -> float:
    """As float32 rounds it."""
    return max(float(torch.tensor(scale, dtype=torch.float32) / most), LEAST_SCALE)
