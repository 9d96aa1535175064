"""Refuse a picture with a one-line message: its name, the reason and the remedy."""

from __future__ import annotations

from pathlib import Path

from ..errors import PictureError
from ..files import one_line
from ..memory import available_memory

_BYTES_TO_READ = 24
"""Memory that a pixel of a file costs while it is decoded. Measured: JPEG and PNG 10 to 17, WebP 21, 16-bit grey 23."""


def refusal(name: str, reason: str, remedy: str) -> PictureError:
    return PictureError(f"{name}: {reason}; {remedy}")


def exists_already(name: str) -> PictureError:
    return refusal(name, "exists already", "set `overwrite`, or name another file")


def not_writable(path: Path, name: str) -> PictureError:
    reason = f"the folder {one_line(path.parent)} may not be written to (permission denied)"
    return refusal(name, reason, "change its permissions, or write to another folder")


def check_memory_to_read(size: tuple[int, int], name: str, memory: int | None, least: int = 0) -> None:
    """Refuse a picture that does not fit into memory, before it is decoded.

    Args:
        size: (width, height) in pixels.
        memory: the most bytes that this process may hold; None is what is free.
        least: bytes that it takes at least.
    """
    needed, free = max(least, _BYTES_TO_READ * size[0] * size[1]), available_memory(memory)
    if free is not None and needed > free:
        have = f"but {free / 2**30:.1f} GiB are free"
        reason = f"is {size[0]} x {size[1]}: to read it needs about {needed / 2**30:.1f} GiB of memory, {have}"
        raise refusal(name, reason, "scale it down first")


def path_name(path: object) -> str:
    return one_line(path) or "''"


def stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    return one_line(name) if isinstance(name, str) and name else "the stream"
