"""Read pictures: make a `Picture` of a file, a stream, a Pillow image, an array or a tensor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import PictureError, one_line
from ..files import reason_of
from ..settings import MAX_PIXELS
from .arrays import from_array, from_tensor, is_tensor, pixels_of
from .colour import grey_to_srgb, to_srgb
from .limits import check_decoding, check_header, decoding, drained
from .picture import Picture
from .refusals import path_name, refusal, stream_name

if TYPE_CHECKING:
    import torch

READABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
"""Suffixes of the files that `read` understands. `read` itself looks at the content, not at the suffix."""

_READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")

_ORIENTATION_TAG = 0x0112
_TIFF_BITS_TAG = 258
_TIFF_PHOTOMETRIC_TAG = 262


def read(
    source: str | os.PathLike[str] | BinaryIO | Image.Image | torch.Tensor | np.ndarray,
    max_pixels: int = MAX_PIXELS,
    memory: int | None = None,
) -> Picture:
    """Read a picture: upright, in sRGB, with its alpha channel.

    Files and streams may hold JPEG, PNG, WebP, TIFF, BMP or GIF, under any name. Of several frames or pages the first is
    read. The EXIF orientation is applied. An embedded colour profile is converted to sRGB; a broken profile is ignored.
    Greyscale, palette, CMYK and LAB become RGB. 16-bit greyscale keeps its precision; Pillow reduces 16-bit RGB to 8
    bits. If a float or 32-bit file has values above white, its largest value becomes white.

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
        return _from_pillow(source, name, max_pixels, memory)
    if isinstance(source, str | os.PathLike):
        name = path_name(source)
        with _opened(os.fsdecode(source), name, max_pixels) as file:
            return _from_pillow(file, name, max_pixels, memory)
    if hasattr(source, "read"):
        name = stream_name(source)
        file = drained(source, name, max_pixels)  # type: ignore[arg-type]
        return _from_pillow(file, name, max_pixels, memory)
    raise refusal(type(source).__name__, "is not a source of pictures", "pass a path, a stream, an image or a tensor")


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


def _from_pillow(source: BinaryIO | Image.Image, name: str, max_pixels: int, memory: int | None) -> Picture:
    """Read a seekable file or a Pillow image."""
    try:
        with decoding(name, max_pixels):
            image = source if isinstance(source, Image.Image) else _identified(source, name, max_pixels)
            check_decoding(image, name, max_pixels, memory)
            image.load()
            return _decode(image, name)
    except PictureError:
        raise
    except MemoryError as error:
        raise refusal(name, "does not fit into memory", "scale the picture down first") from error
    except Exception as error:  # Pillow can raise nearly any error for a damaged file
        remedy = "get the file again, or save it again with an image editor"
        raise refusal(name, f"the picture is damaged or cut short ({reason_of(error)})", remedy) from error


def _identified(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """Open a picture file as far as its header."""
    if not file.read(1):
        raise refusal(name, "is empty (0 bytes)", "get the file again, or choose another file")
    file.seek(0)
    check_header(file, name, max_pixels)
    try:
        return Image.open(file, formats=_READ_FORMATS)
    except UnidentifiedImageError as error:
        reason = "is not a JPEG, PNG, WebP, TIFF, BMP or GIF picture, or its beginning is damaged"
        raise refusal(name, reason, "save it as PNG or JPEG with an image editor") from error


def _decode(image: Image.Image, name: str) -> Picture:
    """Turn a loaded Pillow image of any mode into a picture."""
    deep = image.mode == "F" or image.mode.startswith("I")
    try:
        rgb, alpha = _deep_pixels(image) if deep else _byte_pixels(image)
    except ValueError as error:
        reason = f"its pixel format cannot be read ({image.mode}: {reason_of(error)})"
        raise refusal(name, reason, "save it as 8-bit RGB with an image editor") from error
    orientation = _orientation(image)
    if alpha is not None:
        alpha = None if alpha.min() == 255 else _upright(alpha, orientation)
    return Picture(_upright(rgb, orientation), alpha, 16 if deep else 8)


def _byte_pixels(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) uint8 sRGB and (H, W) uint8 alpha, if any, of an image with at most 8 bits a channel."""
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = _with_byte_key(image).convert("LA" if grey else "RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("L" if grey else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    return pixels_of(to_srgb(image, profile)), alpha


def _with_byte_key(image: Image.Image) -> Image.Image:
    """Reduce the transparent colour of a 16-bit RGB PNG to 8 bits, as Pillow has done with its pixels."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image


def _deep_pixels(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) float32 sRGB in [0, 1] and (H, W) uint8 alpha, if any, of a 16-bit, 32-bit or float grey image."""
    values = np.array(image)
    key = image.info.get("transparency")
    alpha = np.where(values == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    values = np.where(np.isfinite(values), values, 0).astype(np.float32).clip(0)
    tags = getattr(image, "tag_v2", {})
    white = _white(image.mode, tags)
    grey = values / max(white, float(values.max()))
    if tags.get(_TIFF_PHOTOMETRIC_TAG) == 0:  # zero is white; Pillow inverts only up to 8 bits
        grey = 1 - grey
    return grey_to_srgb(grey, image.info.get("icc_profile")), alpha


def _white(mode: str, tiff_tags: Any) -> float:
    """The value that stands for white in a deep grey image of this mode."""
    if mode == "F":
        return 1.0
    return 4095.0 if tiff_tags.get(_TIFF_BITS_TAG) == (12,) else 65535.0


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that has yet to be applied, 1 (none) to 8. Pillow itself applies that of a TIFF."""
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF data can raise nearly any error, but the picture is still good
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation on (H, W) or (H, W, C) pixels."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
