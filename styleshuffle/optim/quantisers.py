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
_MAGNITUDE, _SIGN, _POWER = 0x7FFFFFFF, -0x80000000, 0x7F800000  # all but the sign; the sign; the exponent
_NEARLY_HALF = 0x3FFFFF  # of a mantissa


def magnitudes(bits: int) -> list[float]:
    """The levels of Q_g that are not negative, ascending: 0, 2^-k, ..., 1/2, 1."""
    finest = 2 ** (bits - 1) - 2
    return [0.0, *(2.0**-exponent for exponent in range(finest, -1, -1))]


def nearest(units: Tensor, bits: int) -> Tensor:
    """The nearest level to each value in [-1, 1]; a value halfway between two takes the smaller.

    Args:
        units: float32, contiguous, any shape.
        bits: of a code, 2, 3 or 4.
    """
    if bits == 2:
        return units.round()  # half to even, and 0 is
    raw = units.view(torch.int32)
    size = raw & _MAGNITUDE
    finest = _finest(bits) << _EXPONENT
    is_zero = (size - (finest - (1 << _EXPONENT)) - 1) >> 31  # -1 up to half the finest level, else 0
    levels = ((size + _NEARLY_HALF) & _POWER).clamp_min_(finest) & ~is_zero
    return (levels | (raw & _SIGN)).view(torch.float32)


def encode(levels: Tensor, bits: int) -> Tensor:
    """The codes, uint8, of levels as `nearest` returns them."""
    if bits == 2:
        return (levels.to(torch.int8) & 3).view(torch.uint8)  # a number of two bits with a sign
    raw = levels.view(torch.int32)
    number = (((raw & _MAGNITUDE) >> _EXPONENT) - (_finest(bits) - 1)).clamp_min_(0)
    return (number | ((raw >> 31) & 1) << (bits - 1)).to(torch.uint8)


def decode(codes: Tensor, bits: int) -> Tensor:
    """The level of each code, float32, of the same shape."""
    if bits == 2:
        return ((codes.view(torch.int8) << 6) >> 6).float()
    wide = codes.int()
    number = wide & (2 ** (bits - 1) - 1)
    levels = ((number + (_finest(bits) - 1)) << _EXPONENT) * number.clamp(max=1)
    return (levels | ((wide >> (bits - 1)) << 31)).view(torch.float32)


def _finest(bits: int) -> int:
    """The exponent of the finest level, as a float32 has it."""
    return _BIAS - 2 ** (bits - 1) + 2


# ------------------------------------------------------------------------------------------------------------ weights


def weight_steps(bits: int, fixed: bool) -> int:
    """L: how many steps of the grid of Q_x lie between 0 and the end of its range."""
    return 2 ** (bits - 2) if fixed else 2 ** (bits - 1) - 1


def weight_numbers(weights: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The level of Q_x nearest to each weight, as a whole number of steps from 0, float32.

    Args:
        weights: float32, any shape.
        scale: the end of the range: the fixed one, or the largest magnitude of the tensor.
        fixed: whether it is the fixed one.
    """
    most = weight_steps(bits, fixed)
    return (weights / _step(scale, most)).round_().clamp_(-most, most)


def weights_at(numbers: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The weights, float32, at levels as `weight_numbers` returns them, which they replace."""
    return numbers.mul_(_step(scale, weight_steps(bits, fixed)))


def weight_codes(weights: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The levels counted from the lowest: uint8, or int32 for more than 8 bits; see `weight_numbers`."""
    numbers = weight_numbers(weights, scale, bits, fixed).add_(weight_steps(bits, fixed))
    return numbers.to(torch.uint8 if bits <= 8 else torch.int32)


def weights_of(codes: Tensor, scale: float, bits: int, fixed: bool) -> Tensor:
    """The weights, float32, of codes of any shape."""
    return weights_at(codes.float() - weight_steps(bits, fixed), scale, bits, fixed)


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
    return weights_at(weight_numbers(weights, scale, bits, fixed), scale, bits, fixed)


def _step(scale: float, most: int) -> float:
    """As float32 rounds it."""
    return max(float(torch.tensor(scale, dtype=torch.float32) / most), LEAST_SCALE)
