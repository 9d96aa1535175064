"""Codes of a few bits, packed to bytes without gaps.

A code is cut into fields of 8, 4, 2 and 1 bits, the lowest bits first: 3 bits are a field of 2 and a field of 1. The
fields of one width of n codes fill n * width / 8 bytes: with rows of that length, code i lies in row i div length, and
row r takes the bits from r * width on of every byte. So packing is a few additions of whole rows, and bytes have no
order to agree on.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def packed_size(count: int, bits: int) -> int:
    """How many bytes `pack` makes of so many codes: full, but for the last 7 codes."""
    return bits * -(-count // 8)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes of shape (n,), not negative and below 2^bits, to bytes: uint8 (`packed_size`,).

    Args:
        codes: uint8, or int32 if they have more than 8 bits.
        bits: 1 to 16.
    """
    if len(codes) % 8:
        codes = torch.nn.functional.pad(codes, (0, -len(codes) % 8))
    packed = []
    for shift, width in _fields(bits):
        field = codes if width == bits else (codes >> shift) & (2**width - 1)
        rows = field.to(torch.uint8).view(8 // width, -1)
        bytes_ = rows[-1]
        for row in rows[:-1].flip(0):
            bytes_ = torch.add(row, bytes_, alpha=2**width)
        packed.append(bytes_)
    return packed[0] if len(packed) == 1 else torch.cat(packed)


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The codes that `pack` packed, (count,), uint8, or int32 if they have more than 8 bits."""
    padded, codes, start = -(-count // 8) * 8, None, 0
    for shift, width in _fields(bits):
        stop = start + padded * width // 8
        field = packed[start:stop]
        if width < 8:
            shifts = torch.arange(0, 8, width, dtype=torch.uint8, device=packed.device)
            field = ((field >> shifts[:, None]) & (2**width - 1)).flatten()
        field = (field if bits <= 8 else field.int()) << shift if shift else field
        codes = field if codes is None else codes | field
        start = stop
    assert codes is not None
    return codes[:count]


def _fields(bits: int) -> Iterator[tuple[int, int]]:
    """Shift and width of the fields of a code."""
    shift = 0
    for width in (8, 8, 4, 2, 1):
        if width <= bits - shift:
            yield shift, width
            shift += width
