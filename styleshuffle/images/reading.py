"""Read pictures: make a `Picture` of a file, a stream, a Pillow image, an array or a tensor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from ..errors import PictureError, one_line
from ..files import reason_of
from ..settings import MAX_PIXELS
from .arrays import from_array, from_tensor, is_tensor
from .colour import to_srgb
from .limits import decoding, drained
from .metadata import from_info
from .opening import Opened, of_file, of_image
from .picture import Picture
from .refusals import path_name, refusal, stream_name

if TYPE_CHECKING:
    import torch


def read(
    source: str | os.PathLike[str] | BinaryIO | Image.Image | torch.Tensor | np.ndarray,
    max_pixels: int = MAX_PIXELS,
    memory: int | None = None,
) -> Picture:
    """Read a picture: upright, in sRGB, with its alpha channel, its metadata and its colour profile.

    Files and streams may hold JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF, under any name; HEIC and JPEG XL need a package
    (extras `heic` and `jxl`). Of several frames or pages the first is read; smaller versions of a picture
    are passed over. The EXIF orientation is applied. Colours are converted to sRGB by the embedded profile, or by the
    gamma of a PNG; a broken profile is ignored. Greyscale, palette, CMYK and LAB become RGB. PNG and TIFF of 16 bits
    (grey, RGB) and TIFF of 32 bits and floats keep their precision. If a float or 32-bit file has values above white, its
    largest value becomes white.

    Args:
        source: a path; a binary stream, read to its end; a Pillow image, treated as its file would be; a tensor,
            (3, H, W) or (1, 3, H, W), uint8 or float in [0, 1]; an array, (H, W, 3), uint8 or float in [0, 1].
        max_pixels: a file, stream or Pillow image with more pixels is refused before it is decoded, and so is one that
            would take more memory than an 8-bit RGB picture of so many pixels: a 16-bit picture, for example, may have a
            third of them.
        memory: the most bytes that this process may hold; a picture that would need more to be decoded is refused before.
            None: what is free.

    Raises:
        PictureError: the source is missing, unreadable, empty, not a picture, damaged, cut short or too large, or a
            tensor or an array has the wrong shape, type or range.
    """
    if isinstance(source, np.ndarray):
        return from_array(source)
    if is_tensor(source):
        return from_tensor(source)  # type: ignore[arg-type]
    if isinstance(source, Image.Image):
        name = one_line(getattr(source, "filename", "") or "the Pillow image")
        with _guarded(name, max_pixels, memory):
            return picture_of(source, name, max_pixels)
    with reading_file(source, max_pixels, memory) as (file, name):  # type: ignore[arg-type]
        return picture_of(file, name, max_pixels)


@contextlib.contextmanager
def reading_file(
    source: str | os.PathLike[str] | BinaryIO, max_pixels: int, memory: int | None = None
) -> Iterator[tuple[BinaryIO, str]]:
    """A seekable file of a path or a stream, and its name. Whatever a decoder raises in the block is a PictureError."""
    if isinstance(source, str | os.PathLike):
        name, file = path_name(source), _opened(os.fsdecode(source), path_name(source), max_pixels)
    elif hasattr(source, "read"):
        name, file = stream_name(source), drained(source, stream_name(source), max_pixels)
    else:
        reason = "is not a source of pictures"
        raise refusal(type(source).__name__, reason, "pass a path, a stream, an image or a tensor")
    with file, _guarded(name, max_pixels, memory):
        yield file, name


def _opened(path: str, name: str, max_pixels: int) -> BinaryIO:
    """Open a file for reading, seekable."""
    if os.path.isdir(path):
        raise refusal(name, "is a folder, not a picture", "name one picture file")
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
        if file.seekable():
            return file
        with file:
            return drained(file, name, max_pixels)
    except FileNotFoundError as error:
        raise refusal(name, "no such file", "check the path") from error
    except PermissionError as error:
        raise refusal(name, "may not be read (permission denied)", "change its permissions") from error
    except (OSError, ValueError) as error:
        raise refusal(name, f"cannot be opened ({reason_of(error)})", "check the path") from error


@contextlib.contextmanager
def _guarded(name: str, max_pixels: int, memory: int | None) -> Iterator[None]:
    """Within the block, a picture of this name is decoded."""
    try:
        with decoding(name, max_pixels, memory):
            yield
    except PictureError:
        raise
    except MemoryError as error:
        raise refusal(name, "does not fit into memory", "scale the picture down first") from error
    except Exception as error:  # Pillow can raise nearly any error for a damaged file
        remedy = "get the file again, or save it again with an image editor"
        said = f" ({reason_of(error)})" if str(error) else ""  # the bare name of an error helps nobody
        raise refusal(name, f"the picture is damaged or cut short{said}", remedy) from error


def picture_of(source: BinaryIO | Image.Image, name: str, max_pixels: int) -> Picture:
    """The picture in a seekable file or a Pillow image."""
    if isinstance(source, Image.Image):
        return _decode(of_image(source, name, max_pixels))
    return _decode(of_file(source, name, max_pixels))


def _decode(opened: Opened) -> Picture:
    """Turn a decoded picture of any kind into upright sRGB."""
    coloured, alpha = to_srgb(opened.samples.pixels, opened.info), opened.samples.alpha
    if alpha is not None:
        alpha = None if alpha.min() == 255 else _upright(alpha, opened.orientation)
    return Picture(
        _upright(coloured.rgb, opened.orientation),
        alpha,
        16 if coloured.deep else 8,
        coloured.profile,
        from_info(opened.info),
        opened.several,
    )


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation on (H, W) or (H, W, C) pixels."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
