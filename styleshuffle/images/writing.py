"""Write pictures: a `Picture`, a Pillow image, an array or a tensor, into a file or a stream."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from ..errors import one_line
from ..files import reason_of, written_whole
from .arrays import from_result, is_tensor
from .encoding import encoded
from .formats import ANIMATED, WRITABLE
from .picture import Picture
from .plates import plate_of
from .reading import read
from .refusals import exists_already, not_writable, path_name, refusal, stream_name
from .save_options import SaveOptions

if TYPE_CHECKING:
    import torch

DEFAULTS = SaveOptions()
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536}


def write(
    image: Picture | Image.Image | torch.Tensor | np.ndarray,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    overwrite: bool = False,
    options: SaveOptions = DEFAULTS,
    recipe: str | None = None,
) -> list[str]:
    """Write a picture with its metadata, in its colour profile. A file is written as a whole or not at all.

    JPEG has quality 95 without colour subsampling, WebP and JPEG XL have quality 95, AVIF has 90; PNG and TIFF are
    lossless. The alpha channel is kept if the format has one. JPEG has none, so the picture is put on white. PNG and TIFF
    hold 16 bits a channel, and are written so if the picture has them; arrays and tensors only if `options` ask for it.
    Metadata describes the picture that is written: the orientation is upright, and there is no thumbnail.

    A file is first written under a hidden name beside the target and then renamed. After an error or Ctrl-C an existing
    target is unchanged and no other file is left. A new file has the usual permissions, a replaced file keeps its own.
    A link is followed.

    Args:
        image: a `Picture`, a Pillow image, an array or a tensor, as `read` takes them; floats of a tensor are clipped to
            [0, 1].
        target: a path, or a binary stream.
        format: a suffix of `WRITABLE`, with or without the dot. A stream needs it; a path's default is its own suffix.
        overwrite: replace an existing file.
        options: depth, colour profile and metadata.
        recipe: text in ASCII that goes into the file, for `read_recipe`; see `styleshuffle.recipes`.

    Returns:
        One-line warnings about what the format could not hold.

    Raises:
        PictureError: the format is unknown or cannot hold the size, or the target cannot be written.
    """
    picture = _as_picture(image)
    if isinstance(target, str | os.PathLike):
        encoding = check_target(target, format=format, overwrite=overwrite, size=picture.size)
        name = path_name(target)
    else:
        name = stream_name(target)
        encoding = check_stream(name, format, picture.size)
    content, losses = _encoded(picture, encoding, name, options, recipe)
    store(content, target, name, overwrite)
    return [f"{name}: {loss}" for loss in losses]


def check_target(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
    size: tuple[int, int] | None = None,
    animated: bool = False,
) -> str:
    """Refuse a path that `write` would refuse, before the picture is made; otherwise return its Pillow format.

    Args:
        path, format, overwrite: as for `write`.
        size: (width, height) of the picture, if known.
        animated: it has several frames.

    Raises:
        PictureError: as `write`, if the reason is known before writing.
    """
    name = path_name(path)
    if "\0" in os.fsdecode(path):
        raise refusal(name, "is not a file name", "leave out the null character")
    file = Path(os.path.realpath(path))
    if os.path.isdir(file):
        raise refusal(name, "is a folder", "name a file in it")
    encoding = _encoding(name, format, Path(os.fsdecode(path)).suffix, animated)
    if size is not None:
        _check_side(name, encoding, size)
    if not os.path.isdir(file.parent):
        raise refusal(name, f"there is no folder {one_line(file.parent)}", "make it first, or name another folder")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise not_writable(file, name)
    if os.path.exists(file):
        if not overwrite:
            raise exists_already(name)
        if not os.path.isfile(file) or not os.access(file, os.W_OK):
            raise refusal(name, "is write-protected or not an ordinary file", "name another file")
    return encoding


def check_stream(name: str, format: str | None, size: tuple[int, int], animated: bool = False) -> str:
    """The same for a stream, whose format must be given."""
    encoding = _encoding(name, format, "", animated)
    _check_side(name, encoding, size)
    return encoding


def _encoding(name: str, format: str | None, suffix: str, animated: bool) -> str:
    """The Pillow format that `format` names, or else the suffix."""
    known = ANIMATED if animated else WRITABLE
    works = ", ".join(sorted(known))
    chosen = "." + format.lower().removeprefix(".") if format else suffix.lower()
    if chosen in known:
        return known[chosen]
    if animated and chosen in WRITABLE:
        raise refusal(name, f"{chosen} files hold no animation", f"use one of {works}, or leave out `all_frames`")
    if not chosen:
        raise refusal(name, "does not say which format to write", f"use one of {works}")
    raise refusal(name, f"cannot write {one_line(chosen)} files", f"use one of {works}")


def _check_side(name: str, encoding: str, size: tuple[int, int]) -> None:
    longest = _LONGEST_SIDE.get(encoding)
    if longest is not None and max(size) > longest:
        reason = f"{encoding} holds at most {longest} pixels a side, the picture is {size[0]} x {size[1]}"
        raise refusal(name, reason, "write PNG or TIFF")


def _as_picture(image: Picture | Image.Image | torch.Tensor | np.ndarray) -> Picture:
    if isinstance(image, Picture):
        return image
    if is_tensor(image):
        return from_result(image)  # type: ignore[arg-type]
    if isinstance(image, Image.Image):
        return read(image, max_pixels=sys.maxsize)
    if isinstance(image, np.ndarray):
        return replace(read(image), bits=8)
    raise refusal(type(image).__name__, "not a picture", "pass a Picture, an image, a tensor or an array")


def _encoded(
    picture: Picture, encoding: str, name: str, options: SaveOptions, recipe: str | None
) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what it could not hold."""
    try:
        plate = plate_of(picture, encoding, options, recipe)
        return encoded(plate, encoding), plate.losses
    except MemoryError as error:
        raise refusal(name, "does not fit into memory", "make a smaller picture") from error
    except Exception as error:  # an encoder can raise any error
        raise refusal(name, f"cannot be encoded as {encoding} ({reason_of(error)})", "try PNG") from error


def store(content: bytes, target: str | os.PathLike[str] | BinaryIO, name: str, overwrite: bool) -> None:
    """Put the bytes of a picture into a file or a stream."""
    if isinstance(target, str | os.PathLike):
        _store(content, target, name, overwrite)
    else:
        _pour(content, target, name)


def _store(content: bytes, path: str | os.PathLike[str], name: str, overwrite: bool) -> None:
    """Put the content under the path in one step."""
    try:
        with written_whole(path, overwrite) as file:
            file.write(content)
    except FileExistsError as error:
        raise exists_already(name) from error
    except PermissionError as error:
        raise not_writable(Path(os.path.realpath(path)), name) from error
    except OSError as error:
        remedy = "check the space and the state of the disk, or write to another disk"
        raise refusal(name, f"cannot be written ({reason_of(error)})", remedy) from error


def _pour(content: bytes, stream: BinaryIO, name: str) -> None:
    """Write all of the content to a stream, which may take only a part of it at a time."""
    rest = memoryview(content)
    try:
        while rest:
            taken = stream.write(rest)
            rest = rest[len(rest) if taken is None else taken :]
        if hasattr(stream, "flush"):
            stream.flush()
    except (TypeError, AttributeError) as error:
        raise refusal(name, "is not a binary stream", "pass a binary stream, such as sys.stdout.buffer") from error
    except (OSError, ValueError) as error:
        raise refusal(name, f"cannot be written ({reason_of(error)})", "check the receiver") from error
