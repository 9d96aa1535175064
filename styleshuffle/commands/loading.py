"""Load torch, which takes seconds and, before any picture, more memory than some limits allow."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from ..errors import StyleShuffleError
from ..memory import address_space_left
from .signals import ending_at_once

_ENOUGH_ADDRESSES = 8_000_000_000  # bytes, for any build of torch


@contextlib.contextmanager
def loading_torch() -> Iterator[None]:
    """For a block that imports torch. Ctrl-C ends it at once.

    Raises:
        StyleShuffleError: torch does not fit into the memory of this process.
    """
    left = address_space_left()
    if left is not None and left < _ENOUGH_ADDRESSES and not _fits(left):
        raise _shortage(f"{left / 1e9:.1f} GB of address space are left")
    try:
        with ending_at_once():
            yield
    except (ImportError, OSError, MemoryError) as error:
        if left is None and not isinstance(error, MemoryError):
            raise
        raise _shortage(" ".join(str(error).split()) or "out of memory") from error


def _fits(addresses: int) -> bool:
    """Whether torch can be imported in so many bytes of address space. Another process tries: torch may end it."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))

    command = [sys.executable, "-c", "import torch"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit)
    return done.returncode == 0


def _shortage(reason: str) -> StyleShuffleError:
    return StyleShuffleError(f"torch: does not fit into the memory of this process ({reason}); raise `ulimit -v`")
