"""How the weights of all tensors lie in one flat buffer, and how the buffer is cut for quantising and for sending.

All tensors lie one after another. The buffer is cut into as many parts, nearly equal, as there are servers: a part is
what one worker serves. What a tensor has in a part is cut into blocks of at most 65,536 weights, each with a scale of
its own. A few blocks that are neighbours and have codes of equally many bits make a window: it is quantised and packed
at once, while it is in the processor's cache.

The message of a part is: the scales of its blocks as float32, then the packed codes of its windows, one after another,
filled up to a multiple of 4 bytes. Windows of 32 bits hold the values themselves, as float32, and need no scales. (Floats
travel as they lie in memory, so all workers must have the same byte order, as all processors that torch runs on do.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from .packing import packed_size

FLOAT_BITS = 32
_BLOCK = 65_536  # weights
_WINDOWS = {"cpu": _BLOCK}  # most weights of a window; on other devices few large operations are faster
_LARGE = 1 << 26


@dataclass(frozen=True)
class Block:
    """Weights start to stop of the flat buffer, all of one tensor, with one scale."""

    tensor: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Window:
    """Neighbouring blocks whose codes have the same number of bits.

    Attributes:
        group: of the optimiser's groups of parameters.
        scale: the place of the first block's scale among those of the part.
        offset: of the codes in the message of the part, in bytes.
    """

    start: int
    stop: int
    bits: int
    group: int
    blocks: tuple[Block, ...]
    scale: int
    offset: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def sizes(self) -> list[int]:
        return [block.size for block in self.blocks]

    @property
    def bytes(self) -> int:
        """Of the codes."""
        return _code_bytes(self.size, self.bits)


@dataclass(frozen=True)
class Part:
    """What one worker serves: weights start to stop, and the message that carries them.

    Attributes:
        scales: how many there are, at the beginning of the message.
        bytes: of the whole message.
    """

    start: int
    stop: int
    windows: tuple[Window, ...]
    scales: int
    bytes: int

    @property
    def size(self) -> int:
        return self.stop - self.start


def parts(sizes: Sequence[int], groups: Sequence[int], bits: Sequence[int], servers: int, device: str) -> list[Part]:
    """Cut the flat buffer.

    Args:
        sizes: of the tensors.
        groups: which group each tensor belongs to, ascending.
        bits: of the codes of each tensor; 32 for float32.
        servers: how many parts to make.
        device: the kind of device, which decides how long windows are; the same on all workers.
    """
    ends = list(accumulate(sizes))
    total = ends[-1] if ends else 0
    cuts = [total * server // servers for server in range(servers + 1)]
    return [
        _part(start, stop, _blocks(start, stop, sizes, ends), groups, bits, _WINDOWS.get(device, _LARGE))
        for start, stop in pairwise(cuts)
    ]


def _blocks(start: int, stop: int, sizes: Sequence[int], ends: Sequence[int]) -> list[Block]:
    blocks = []
    for tensor, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        first, last = max(start, end - size), min(stop, end)
        blocks += [Block(tensor, at, min(at + _BLOCK, last)) for at in range(first, last, _BLOCK)]
    return blocks


def _part(start: int, stop: int, blocks: list[Block], groups: Sequence[int], bits: Sequence[int], longest: int) -> Part:
    runs: list[list[Block]] = []
    for block in blocks:
        kind, last = (bits[block.tensor], groups[block.tensor]), runs[-1][0].tensor if runs else -1
        if runs and (bits[last], groups[last]) == kind and block.stop - runs[-1][0].start <= longest:
            runs[-1].append(block)
        else:
            runs.append([block])
    scales = sum(len(run) for run in runs if bits[run[0].tensor] != FLOAT_BITS)
    windows, scale, offset = [], 0, 4 * scales
    for run in runs:
        tensor = run[0].tensor
        window = Window(run[0].start, run[-1].stop, bits[tensor], groups[tensor], tuple(run), scale, offset)
        windows.append(window)
        scale += len(run) if window.bits != FLOAT_BITS else 0
        offset += window.bytes
    return Part(start, stop, tuple(windows), scales, -(-offset // 4) * 4)


def _code_bytes(count: int, bits: int) -> int:
    """A multiple of 4, so that floats that follow lie where they can be read."""
    return 4 * count if bits == FLOAT_BITS else -(-packed_size(count, bits) // 4) * 4
