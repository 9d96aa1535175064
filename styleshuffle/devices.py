"""Choose the device to compute on, and check that its memory is enough.

The functions that need torch import it. So the commands can refuse a wrong command line without waiting for torch.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import MemoryShortage, SettingsError

if TYPE_CHECKING:
    import torch

BYTES_AT_REST = 600 * 2**20
"""Memory of a process before it works on a picture; most of it is torch."""

_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)


@dataclass(frozen=True)
class PixelCost:
    """Bytes that a pixel costs on top of `BYTES_AT_REST`, by kind of work. Measured at 512 x 512.

    Attributes:
        forward: stylizing with a decoder; pixels of content and style count.
        refined: the same with refinement.
        inverted: stylizing without a decoder.
        measured: the measures; pixels of output, content and style count.
    """

    forward: int
    refined: int
    inverted: int
    measured: int


PIXEL_COSTS = {"compact": PixelCost(900, 1100, 2200, 270), "vgg19": PixelCost(2200, 4200, 4200, 590)}
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


def check_memory(device: torch.device, pixels: int, bytes_a_pixel: int) -> None:
    """Refuse work that does not fit into memory. Otherwise the system may kill the process during the work.

    Args:
        pixels: the number of pixels that are worked on.
        bytes_a_pixel: see `PixelCost`.

    Raises:
        MemoryShortage: names the memory that is needed, the memory of the device, and the settings to lower.
    """
    available = _memory_of(device)
    needed = BYTES_AT_REST + bytes_a_pixel * pixels
    if available is not None and needed > available:
        raise MemoryShortage(
            f"work_size: needs about {needed / 2**30:.1f} GiB of memory, but the device has {available / 2**30:.1f} GiB; "
            "lower `work_size` or `size`"
        )


def _memory_of(device: torch.device) -> int | None:
    """Bytes of memory that a device has; None if unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. torch then raises a RuntimeError, whose text depends on the device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))
