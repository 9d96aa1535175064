"""Stylize a single picture and write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..devices import is_out_of_memory
from ..errors import PictureError
from ..images import (
    ANIMATED,
    WRITABLE,
    Animation,
    Picture,
    SaveOptions,
    check_target,
    fit_size,
    read,
    read_frames,
    write,
    write_frames,
)
from ..progress import Progress
from ..settings import Settings

if TYPE_CHECKING:
    from ..stylizer import Stylizer

DEFAULTS = SaveOptions()
_STILL = 100  # milliseconds that the only frame of a GIF is shown


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


def unread(picture: Picture, name: str, style: bool = False) -> list[str]:
    """What was not read of a picture file of this name, one line each."""
    if not picture.several:
        return []
    remedy = "; set `all_frames` to use them all" if picture.several == "frames" and not style else ""
    return [f"{name}: has several {picture.several}, of which only the first is used{remedy}"]


def read_content(source: Path | str | BinaryIO, options: SaveOptions) -> Picture | Animation:
    """Read a content: with all its frames, if the options say so."""
    return read_frames(source) if options.all_frames else read(source)


def check_result_target(target: Path, content: Picture | Animation, settings: Settings, overwrite: bool) -> None:
    """Refuse a target that cannot be written, before the picture is made; see `styleshuffle.images.check_target`."""
    size = fit_size(content.size, settings.size)
    check_target(target, overwrite=overwrite, size=size, animated=_animated(content, target))


def stylize_into(
    stylizer: Stylizer,
    content: Picture | Animation,
    name: str,
    target: Path | BinaryIO,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    options: SaveOptions = DEFAULTS,
) -> Result:
    """Stylize a picture, or each frame of an animation, and write it: into a file, or as PNG into a stream.

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
        result = _rendered(stylizer, content, progress)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        side = max(fit_size(content.size, stylizer.settings.size))
        raise PictureError(f"{name}: out of memory at {side} pixels; give a smaller `size`") from error
    format = None if isinstance(target, Path) else "png"
    if isinstance(result, Picture) and isinstance(target, Path) and _animated(result, target):
        result = Animation([result], (_STILL,))
    if isinstance(result, Animation):
        warnings = write_frames(result, target, format=format, overwrite=overwrite, options=options)
    else:
        warnings = write(result, target, format=format, overwrite=overwrite, options=options)
    unused = unread(content, name) if isinstance(content, Picture) else []
    return Result(result.size, (*unused, *warnings), time.monotonic() - began)


def _animated(content: Picture | Animation, target: Path) -> bool:
    """Whether a result is written as an animation. A GIF always is, even of a single frame."""
    suffix = target.suffix.lower()
    return isinstance(content, Animation) or (suffix in ANIMATED and suffix not in WRITABLE)


def _rendered(
    stylizer: Stylizer, content: Picture | Animation, progress: Callable[[Progress], None] | None
) -> Picture | Animation:
    if isinstance(content, Picture):
        return stylizer.render(content, progress)
    count, frames = len(content.frames), []
    for number, frame in enumerate(content.frames):
        made = stylizer.render(frame, progress and _share_of(progress, number, count))
        frames.append(replace(made, rgb=np.asarray(made.pil().convert("RGB"))))  # 8 bits, because there may be many
    return Animation(frames, content.durations, content.loop)


def _share_of(progress: Callable[[Progress], None], number: int, count: int) -> Callable[[Progress], None]:
    """Tells the progress of a frame as that of the animation."""
    return lambda part: progress(replace(part, fraction=(number + part.fraction) / count))
