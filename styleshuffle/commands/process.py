"""Set up the process for torch: how its threads wait, and what becomes of the memory that it frees.

On Linux torch computes with the threads of libgomp. A thread that waits for the others spins: it keeps its core busy for
300,000 rounds before it sleeps. If another program also wants the core, that program gets nothing done in this time, and
neither does the thread that all are waiting for. ``benchmarks/busy.py`` measures what this costs.

glibc gives large blocks of memory back to the system as soon as they are freed, see `styleshuffle.memory.keep_freed`. A
picture of 1024 x 1024 takes two thirds longer that way.
"""

from __future__ import annotations

import os
import sys

from ..memory import available_memory, keep_freed

SPIN_COUNT = "3000"
"""Rounds that a waiting thread spins before it sleeps."""

_ALLOCATION = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_AMPLE = 6 * 2**30  # bytes; with less, memory counts for more than time


def set_up(bounded: bool = False) -> None:
    """Let waiting threads sleep soon, and keep freed memory for the next tensor, as far as the user has not set either.

    Memory is given back where little is free, or where the user has bounded it: a process that keeps it takes a tenth
    more, in pieces that may not fit the next tensor.

    libgomp reads its variable once, when torch is imported; later it has no effect. The results do not change.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    chosen = any(name in os.environ for name in _ALLOCATION) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if not chosen and not bounded and (available_memory() or 0) >= _AMPLE:
        keep_freed()
