"""Where ``styleshuffle`` reads from and writes to: files, folders and pipes, checked before the work begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import PictureError
from ..files import check_writable, clear_leftovers, identity, on_read_only_disk
from .console import listing


def target_of(
    content: str, output: str, inputs: Sequence[tuple[str, str]], overwrite: bool, all_frames: bool = False
) -> Path | None:
    """The file that the result goes to; None is stdout. Refuses a file that cannot be written.

    Args:
        inputs: each a path, and what it is.
        all_frames: animations are written too.
    """
    from ..images import ANIMATED, WRITABLE
    from ..jobs.names import default_name

    if output == "-":
        if sys.stdout is None or sys.stdout.isatty():
            raise click.UsageError("-o -: standard output is a terminal or closed; add > out.png, or name a file")
        return None
    target = Path(output)
    if os.path.isdir(output) or ends_as_folder(output):
        if content == "-":
            raise click.UsageError(f"-o {output}: a picture from standard input has no name; name the file too")
        target = target / default_name(Path(Path(content).name), all_frames)
    elif target.suffix.lower() not in (writable := {*WRITABLE, *(ANIMATED if all_frames else ())}):
        raise click.UsageError(f"-o {output}: end it in one of {listing(writable)}, or in / for a folder")
    existing = identity(target)
    for path, what in inputs:
        if path != "-" and existing is not None and existing == identity(path):
            raise PictureError(f"{target}: this is the {what} picture itself; write to another file")
    if existing is not None and not overwrite:
        raise PictureError(f"{target}: exists already; add --overwrite, or write to another file")
    return target


def output_folder(content: str, output: str, why: str = "CONTENT is a folder") -> Path:
    """The folder that the results go to.

    Args:
        why: there are several results.
    """
    from ..images import WRITABLE

    folder = Path(output)
    new = not os.path.exists(output)
    looks_like_file = new and folder.suffix.lower() in WRITABLE and not ends_as_folder(output)
    if output in ("", "-") or looks_like_file or not (new or folder.is_dir()):
        raise click.UsageError(f"-o {output}: {why}, so name a folder, old or new")
    if not new and identity(folder) == identity(content):
        raise click.UsageError(f"-o {output}: is CONTENT itself; name another folder, for example a new folder in it")
    return folder


def ends_as_folder(path: str) -> bool:
    return path.endswith(("/", os.sep))


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: the folder cannot be made ({error.strerror}); write to another folder") from error


def check_folder(folder: Path) -> None:
    """Refuse a folder that nothing can be written to, and remove what killed processes have left in it."""
    try:
        check_writable(folder)
    except OSError as error:
        reason = f"nothing can be written to this folder ({error.strerror})"
        remedy = "write to another disk" if on_read_only_disk(folder) else "change its permissions, or write elsewhere"
        raise PictureError(f"{folder}: {reason}; {remedy}") from error
    clear_leftovers(folder)


def stdin(what: str) -> Any:
    """Standard input, for CONTENT or STYLE."""
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError(f"{what} -: standard input is a terminal or closed; add < photo.jpg, or name a file")
    return sys.stdin.buffer
