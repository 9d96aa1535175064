"""Animations: GIF, WebP and APNG with all their frames."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..files import reason_of
from ..settings import MAX_PIXELS
from .encoding import Plate, webp_blocks
from .limits import check_needed
from .opening import opened_frames
from .picture import Picture
from .plates import plate_of
from .png_chunks import with_chunks
from .reading import picture_of, reading_file
from .refusals import path_name, refusal, stream_name
from .save_options import SaveOptions
from .writing import DEFAULTS, check_stream, check_target, store

_BYTES_A_PIXEL = 5  # of memory for a frame that is kept
_USUAL = 100  # milliseconds; what browsers give to frames that say nothing
_CLEAR_BELOW = 128  # alpha that becomes clear in a GIF, which knows only clear and opaque
_CLEAR = 255  # the number of that colour


@dataclass(frozen=True)
class Animation:
    """Frames and their times.

    Attributes:
        frames: whole pictures of one size, at least one.
        durations: of each frame, in milliseconds.
        loop: how often to play; 0 is forever.
    """

    frames: Sequence[Picture]
    durations: tuple[int, ...]
    loop: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frames[0].size


def read_frames(
    source: str | os.PathLike[str] | BinaryIO, max_pixels: int = MAX_PIXELS, memory: int | None = None
) -> Picture | Animation:
    """Read a picture file with all its frames, if it is an animated GIF, WebP or PNG; other files as `read` does.

    Args:
        source: a path, or a binary stream.
        max_pixels, memory: as for `read`; all frames together count.

    Raises:
        PictureError: as `read`.
    """
    with reading_file(source, max_pixels, memory) as (file, name):
        image = _animated(file, name, max_pixels)
        if image is None:
            return picture_of(file, name, max_pixels)
        count = image.n_frames  # type: ignore[attr-defined]
        first = 1 if image.info.get("default_image") else 0  # a PNG may have a picture for those who cannot animate
        height = image.height * (count - first)
        check_needed((image.width, height), _BYTES_A_PIXEL * image.width * height, name, max_pixels)
        loop = image.info.get("loop", 0 if image.format != "GIF" else 1)
        frames, durations = [], []
        for number in range(first, count):
            image.seek(number)
            image.load()
            frame = image.copy()
            durations.append(round(frame.info.get("duration") or _USUAL))
            frames.append(picture_of(frame, name, max_pixels))
        return Animation(frames, tuple(durations), loop)


def write_frames(
    animation: Animation,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    overwrite: bool = False,
    options: SaveOptions = DEFAULTS,
    recipe: str | None = None,
) -> list[str]:
    """Write an animation as GIF, WebP or PNG, with 8 bits a channel. A file is written as a whole or not at all.

    A GIF has 255 colours a frame, and holds neither metadata nor a recipe.

    Args, Returns, Raises: as for `write`.
    """
    if isinstance(target, str | os.PathLike):
        name = path_name(target)
        encoding = check_target(target, format=format, overwrite=overwrite, size=animation.size, animated=True)
    else:
        name = stream_name(target)
        encoding = check_stream(name, format, animation.size, animated=True)
    try:
        plates = [plate_of(frame, encoding, options, recipe, bits=8) for frame in animation.frames]
        content = _encoded(plates, encoding, animation)
    except MemoryError as error:
        raise refusal(name, "does not fit into memory", "make smaller pictures") from error
    except Exception as error:  # an encoder can raise any error
        raise refusal(name, f"cannot be encoded as {encoding} ({reason_of(error)})", "try PNG") from error
    store(content, target, name, overwrite)
    return [f"{name}: {loss}" for loss in dict.fromkeys(loss for plate in plates for loss in plate.losses)]


def _animated(file: BinaryIO, name: str, max_pixels: int) -> Image.Image | None:
    """The file as an animation, opened; None if it is none."""
    file.seek(0)
    head = file.read(12)
    if not (head.startswith((b"GIF8", b"\x89PNG")) or head[8:] == b"WEBP"):
        return None
    image = opened_frames(file, name, max_pixels)
    return image if getattr(image, "is_animated", False) else None


def _encoded(plates: list[Plate], encoding: str, animation: Animation) -> bytes:
    images = [_indexed(plate.image) if encoding == "GIF" else plate.image for plate in plates]
    options: dict[str, Any] = {"duration": list(animation.durations), "loop": animation.loop}
    if encoding == "GIF":
        options["disposal"] = 2
        if animation.loop == 1:
            del options["loop"]  # a GIF that says nothing is played once
        if any("transparency" in image.info for image in images):
            options["transparency"] = _CLEAR
    elif encoding == "WEBP":
        options |= {"quality": 95, "icc_profile": plates[0].profile or b"", **webp_blocks(plates[0])}
        # without frames of the lossless kind, libwebp 1.6 forgets transparency that is nowhere half
        options["allow_mixed"] = any(image.mode == "RGBA" for image in images)
    buffer = io.BytesIO()
    images[0].save(buffer, format=encoding, save_all=True, append_images=images[1:], **options)
    content = buffer.getvalue()
    return with_chunks(content, plates[0].png_chunks()) if encoding == "PNG" else content


def _indexed(image: Image.Image) -> Image.Image:
    """A frame of a GIF: 255 colours of its own, dithered, and a clear one."""
    rgb = image.convert("RGB")
    palette = rgb.quantize(_CLEAR, method=Image.Quantize.MEDIANCUT, kmeans=2)
    indexed = rgb.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if image.mode != "RGBA":
        return indexed
    hidden = np.asarray(image.getchannel("A")) < _CLEAR_BELOW
    numbers = np.where(hidden, _CLEAR, np.asarray(indexed)).astype(np.uint8)
    clear = Image.fromarray(numbers)
    colours = (indexed.getpalette() or [])[: 3 * _CLEAR]
    clear.putpalette([*colours, *[0] * (3 * (_CLEAR + 1) - len(colours))])
    clear.info["transparency"] = _CLEAR
    return clear
