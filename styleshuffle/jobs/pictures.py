"""Stylize a single picture, or the frames of an animation, and write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..devices import is_out_of_memory
from ..errors import PictureError
from ..images import (
    ANIMATED,
    MAX_PIXELS,
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
from .companions import NO_COMPANIONS, Companions

if TYPE_CHECKING:
    from ..stylizer import Stylizer

Content = Picture | Animation

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


def read_content(
    source: Path | str | BinaryIO, options: SaveOptions, max_pixels: int = MAX_PIXELS, memory: int | None = None
) -> Content:
    """Read a content: with all its frames, if the options say so."""
    return read_frames(source, max_pixels, memory) if options.all_frames else read(source, max_pixels, memory)


def unread(picture: Picture, name: str, style: bool = False) -> list[str]:
    """What was not read of a picture file of this name, one line each."""
    if not picture.several:
        return []
    remedy = "; set `all_frames` to use them all" if picture.several == "frames" and not style else ""
    return [f"{name}: has several {picture.several}, of which only the first is used{remedy}"]


def check_result_target(target: Path, content: Content, settings: Settings, overwrite: bool) -> None:
    """Refuse a target that cannot be written, before the picture is made; see `styleshuffle.images.check_target`."""
    size = fit_size(content.size, settings.size)
    check_target(target, overwrite=overwrite, size=size, animated=_animated(content, target))


def stylize_into(
    stylizer: Stylizer,
    content: Content,
    name: str,
    target: Path | BinaryIO,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    companions: Companions = NO_COMPANIONS,
) -> Result:
    """Stylize a content and write it: into a file, or as PNG into a stream.

    Args:
        name: of the content: its path, or ``-`` for a stream.
        overwrite: replace a file that exists.
        companions: the masks, the recipe, and how to write.

    Raises:
        PictureError: there is too little memory to make the picture, or it cannot be written.
    """
    began = time.monotonic()
    if isinstance(target, Path):
        check_result_target(target, content, stylizer.settings, overwrite)
    result = render(stylizer, content, name, progress, companions)
    return write_result(result, name, target, overwrite, time.monotonic() - began, companions)


def render(
    stylizer: Stylizer,
    content: Content,
    name: str,
    progress: Callable[[Progress], None] | None = None,
    companions: Companions = NO_COMPANIONS,
) -> Content:
    """Stylize a picture, or each frame of an animation.

    Raises:
        PictureError: there is too little memory to make the picture; names it.
    """
    masks = companions.masks_of(name)
    try:
        if isinstance(content, Animation):
            return _rendered_frames(stylizer, content, progress, masks)
        return stylizer.render(content, progress, **masks)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        side = max(fit_size(content.size, stylizer.settings.size))
        raise PictureError(f"{name}: out of memory at {side} pixels; give a smaller `size`") from error


def write_result(
    result: Content,
    name: str,
    target: Path | BinaryIO,
    overwrite: bool,
    seconds: float,
    companions: Companions = NO_COMPANIONS,
) -> Result:
    """Write the result of a content of that name, which took so many seconds to make.

    Raises:
        PictureError: the picture cannot be written.
    """
    began = time.monotonic()
    recipe = companions.recipe_of(name, companions.masks_of(name))
    options: dict[str, Any] = {"overwrite": overwrite, "options": companions.saving, "recipe": recipe}
    if not isinstance(target, Path):
        options["format"] = "png"
    warnings = []
    if isinstance(result, Picture):
        warnings = unread(result, name)
        if isinstance(target, Path) and _animated(result, target):
            result = Animation([result], (_STILL,))
    if isinstance(result, Animation):
        warnings += write_frames(result, target, **options)
    else:
        warnings += write(result, target, **options)
    return Result(result.size, tuple(warnings), seconds + time.monotonic() - began)


def _animated(content: Content, target: Path) -> bool:
    """Whether a result is written as an animation. A GIF always is, even of a single frame."""
    suffix = target.suffix.lower()
    return isinstance(content, Animation) or (suffix in ANIMATED and suffix not in WRITABLE)


def _rendered_frames(
    stylizer: Stylizer, content: Animation, progress: Callable[[Progress], None] | None, masks: dict[str, Any]
) -> Animation:
    count, frames = len(content.frames), []
    for number, frame in enumerate(content.frames):
        made = stylizer.render(frame, progress and _share_of(progress, number, count), **masks)
        frames.append(replace(made, rgb=np.asarray(made.pil().convert("RGB"))))  # 8 bits, because there may be many
    return Animation(frames, content.durations, content.loop)


def _share_of(progress: Callable[[Progress], None], number: int, count: int) -> Callable[[Progress], None]:
    """Tells the progress of a frame as that of the animation."""
    return lambda part: progress(replace(part, fraction=(number + part.fraction) / count))
