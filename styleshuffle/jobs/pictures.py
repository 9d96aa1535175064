"""Stylize a single picture and write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..devices import is_out_of_memory
from ..errors import PictureError
from ..images import Picture, SaveOptions, check_target, fit_size, write
from ..progress import Progress
from ..settings import Settings

if TYPE_CHECKING:
    from ..stylizer import Stylizer

DEFAULTS = SaveOptions()


@dataclass(frozen=True)
class Result:
    """A picture that was made and written.

    Attributes:
        size: (width, height) in pixels.
        warnings: what was not read of the content, and what the format could not hold, one line each.
        seconds: how long it took.
    """

    size: tuple[int, int]
    warnings: tuple[str, ...]
    seconds: float


def check_result_target(target: Path, content: Picture, settings: Settings, overwrite: bool) -> None:
    """Refuse a target that cannot be written, before the picture is made; see `styleshuffle.images.check_target`."""
    check_target(target, overwrite=overwrite, size=fit_size(content.size, settings.size))


def stylize_into(
    stylizer: Stylizer,
    content: Picture,
    name: str,
    target: Path | BinaryIO,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    options: SaveOptions = DEFAULTS,
) -> Result:
    """Stylize a picture and write it: into a file, or as PNG into a stream.

    Args:
        name: of the content, for messages.
        overwrite: replace a file that exists.
        options: how the file is written.

    Raises:
        PictureError: there is too little memory to make the picture, or it cannot be written.
    """
    began = time.monotonic()
    if isinstance(target, Path):
        check_result_target(target, content, stylizer.settings, overwrite)
    try:
        picture = stylizer.render(content, progress)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        side = max(fit_size(content.size, stylizer.settings.size))
        raise PictureError(f"{name}: out of memory at {side} pixels; give a smaller `size`") from error
    if isinstance(target, Path):
        warnings = write(picture, target, overwrite=overwrite, options=options)
    else:
        warnings = write(picture, target, format="png", options=options)
    return Result(picture.size, (*content.notes, *warnings), time.monotonic() - began)
