"""Load torch, which takes seconds and, before any picture, more memory than some limits allow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import StyleShuffleError
from ..memory import address_space_left
from .signals import ending_at_once

_LEAST_ADDRESSES = 1_500_000_000
"""Bytes of address space, below which torch does not report an error but ends the process."""


@contextlib.contextmanager
def loading_torch() -> Iterator[None]:
    """For a block that imports torch. Ctrl-C ends it at once.

    Raises:
        StyleShuffleError: torch does not fit into the memory of this process.
    """
    left = address_space_left()
    if left is not None and left < _LEAST_ADDRESSES:
        raise _shortage(f"it needs {_LEAST_ADDRESSES / 1e9:.1f} GB of address space, and {left / 1e9:.1f} GB are left")
    try:
        with ending_at_once():
            yield
    except (ImportError, OSError, MemoryError) as error:
        if left is None and not isinstance(error, MemoryError):
            raise
        raise _shortage(" ".join(str(error).split()) or "out of memory") from error


def _shortage(reason: str) -> StyleShuffleError:
    return StyleShuffleError(f"torch: does not fit into the memory of this process ({reason}); raise `ulimit -v`")
