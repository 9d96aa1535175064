"""Keep torch's threads from wasting a busy machine's processor time.

On Linux torch computes with the threads of libgomp. A thread that waits for the others spins: it keeps its core busy for
300,000 rounds before it sleeps. If another program also wants the core, that program gets nothing done in this time, and
neither does the thread that all are waiting for. ``benchmarks/busy.py`` measures what this costs.
"""

from __future__ import annotations

import os
import sys

SPIN_COUNT = "3000"
"""Rounds that a waiting thread spins before it sleeps."""


def spin_briefly() -> None:
    """Let waiting threads sleep soon, unless the user has set how they wait.

    libgomp reads this once, when torch is imported; later the call has no effect. The results do not change.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
