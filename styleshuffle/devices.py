"""Choose the device to compute on, and check that the work fits into the memory that is free on it.

The functions that need torch import it. So the commands can refuse a wrong command line without waiting for torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import MemoryShortage, SettingsError
from .memory import available_memory, told_apart

if TYPE_CHECKING:
    import torch

BYTES_OF_ANY_WORK = 120 * 2**20
"""Memory that work takes whatever its size, on top of the networks and the pictures as read."""

BYTES_A_RESULT_PIXEL = 36
"""Memory that a pixel of the result costs while a picture is enlarged to its size and written."""

_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)


@dataclass(frozen=True)
class PixelCost:
    """Bytes that a pixel costs, by kind of work, on top of `BYTES_OF_ANY_WORK`. Measured at 512 x 512 to 2048 x 2048.

    Attributes:
        forward: stylizing with a decoder; pixels of content and style count.
        tiled: repainting a tile of a larger result; pixels of the tile count.
        refined: the same with refinement.
        inverted: stylizing without a decoder.
        measured: the measures; pixels of output, content and style count.
    """

    forward: int
    tiled: int
    refined: int
    inverted: int
    measured: int


PIXEL_COSTS = {"compact": PixelCost(860, 1800, 1250, 2500, 300), "vgg19": PixelCost(2500, 5000, 4800, 4800, 670)}
"""By the kind of encoder; see `styleshuffle.networks.vgg.VGG`."""


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        SettingsError: the machine has no such device; the message names the devices that it has.
    """
    import torch

    available = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return torch.device(next((device for device in available if device != "cpu"), "cpu"))
    if name not in available and not (name == "cuda" and "cuda:0" in available):
        raise SettingsError(f"device: {name!r} is not available; use auto or one of: {', '.join(available)}")
    return torch.device(name)


def check_memory(
    device: torch.device, pixels: int, bytes_a_pixel: int, bound: int | None = None, lower: tuple[str, ...] = ("size",)
) -> None:
    """Refuse work that does not fit into memory. Otherwise the system may kill the process during the work.

    Args:
        pixels: the number of pixels that are worked on.
        bytes_a_pixel: see `PixelCost`.
        bound: see `free_memory`.
        lower: the settings that make the work smaller, the best first.

    Raises:
        MemoryShortage: names the memory that is needed, the memory that is free, and the settings to lower.
    """
    needed = BYTES_OF_ANY_WORK + bytes_a_pixel * pixels
    free = free_memory(device, bound, needed)
    if free is not None and needed > free:
        remedy = " or ".join(f"`{setting}`" for setting in lower)
        where = "" if device.type == "cpu" else f" on {device}"
        more = "" if bound is None else ", or raise `memory`"
        wanted, have = told_apart(needed, free)
        raise MemoryShortage(
            f"{lower[0]}: needs about {wanted} more memory, but {have} are free{where}; lower {remedy}{more}"
        )


def free_memory(device: torch.device, bound: int | None = None, wanted: int | None = None) -> int | None:
    """Bytes of memory that this process can still take on a device; None if unknown. What it holds is not counted.

    Args:
        bound: the most bytes of the device's memory that this process may hold in all; None is no bound.
        wanted: see `available_memory`.
    """
    if device.type != "cuda":  # the memory of MPS is the machine's
        return available_memory(bound, wanted=wanted)
    import torch

    held, used = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + held - used  # torch keeps memory that it does not use
    return free if bound is None else max(0, min(free, bound - used))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. torch then raises a RuntimeError, whose text depends on the device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))
