"""Refuse a picture with a one-line message: its name, the reason and the remedy."""

from __future__ import annotations

from pathlib import Path

from ..errors import PictureError, one_line
from ..files import on_read_only_disk


def refusal(name: str, reason: str, remedy: str) -> PictureError:
    return PictureError(f"{name}: {reason}; {remedy}")


def exists_already(name: str) -> PictureError:
    return refusal(name, "exists already", "set `overwrite`, or name another file")


def not_writable(path: Path, name: str) -> PictureError:
    if on_read_only_disk(path.parent):
        return refusal(name, f"the disk of the folder {one_line(path.parent)} is read-only", "write to another disk")
    reason = f"the folder {one_line(path.parent)} may not be written to (permission denied)"
    return refusal(name, reason, "change its permissions, or write to another folder")


def path_name(path: object) -> str:
    return one_line(path) or "''"


def stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    return one_line(name) if isinstance(name, str) and name else "the stream"
