"""Read and write pictures.

`read` turns a file, a stream, a Pillow image, a tensor or an array into a `Picture`: upright sRGB pixels and, where
the source has one, its alpha channel. `write` puts a picture into a file in one step that either succeeds or changes
nothing. Whatever cannot be read or written is refused with a one-line `PictureError`.

torch is imported only where a tensor is made, so that importing this module stays fast.
"""

import contextlib
import io
import os
import secrets
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from styleshuffle.errors import PictureError, SettingsError

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 300_000_000
"""How many pixels `read` accepts unless told otherwise; an 8K frame has 33 million."""

READABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
"""Suffixes of the files that `read` understands; the content decides, not the suffix."""

WRITABLE = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
"""Suffix to Pillow format of the files that `write` makes."""

_READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}

_ORIENTATION_TAG = 0x0112
_TIFF_BITS_TAG = 258
_TIFF_PHOTOMETRIC_TAG = 262
_BLACKPOINT_COMPENSATION = 0x2000  # ImageCms.Flags has it from Pillow 10.3 on

_pillow_lock = threading.Lock()


# ---------------------------------------------------------------------------------------------------- the picture


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture in sRGB.

    Attributes:
        rgb: (H, W, 3), uint8 where `bits` is 8, float32 in [0, 1] where `bits` is 16.
        alpha: (H, W) uint8, 0 transparent to 255 opaque; None where every pixel is opaque.
        bits: the depth that was kept: 16 for 16-bit grey, float and float tensor sources, else 8.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    bits: Literal[8, 16] = 8

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def tensor(self, size: tuple[int, int] | None = None) -> "torch.Tensor":
        """The colours as a (1, 3, H, W) float32 tensor in [0, 1], without the alpha.

        Args:
            size: (width, height) to resample to, antialiased (Lanczos); None keeps the size.

        Raises:
            SettingsError: a side of `size` is below 1.
        """
        import torch

        rgb = self.rgb if size is None or tuple(size) == self.size else _resize(self.rgb, size)
        planes = torch.from_numpy(rgb).permute(2, 0, 1)[None]
        if planes.dtype == torch.uint8:
            return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        return planes.clone(memory_format=torch.contiguous_format)

    def pil(self) -> Image.Image:
        """The picture as an 8-bit Pillow image, RGB, or RGBA where it has an alpha channel."""
        image = Image.fromarray(_to_bytes(self.rgb))
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        return image


def fit_size(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """The (width, height) with the aspect of `size` whose longer side is `long_side`, be that smaller or larger.

    The shorter side is rounded to the nearest pixel and is at least 1. None keeps the size.

    Raises:
        SettingsError: `long_side` or a side of `size` is below 1.
    """
    width, height = size
    if width < 1 or height < 1:
        raise SettingsError(f"size {width} x {height}: a picture has at least one pixel; give sides of 1 or more")
    if long_side is None:
        return width, height
    if long_side < 1:
        raise SettingsError(f"long side {long_side}: a picture has at least one pixel; give 1 or more")
    longer = max(width, height)

    def scaled(side: int) -> int:
        return max(1, (2 * side * long_side + longer) // (2 * longer))

    return scaled(width), scaled(height)


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Lanczos-resample (H, W, 3) uint8 or float32 to `size`, (width, height), within the range of the values."""
    if min(size) < 1:
        raise SettingsError(f"size {size[0]} x {size[1]}: a picture has at least one pixel; give sides of 1 or more")
    if rgb.dtype == np.uint8:
        return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
    planes = [Image.fromarray(rgb[..., c]).resize(size, Image.Resampling.LANCZOS) for c in range(3)]
    return np.stack(planes, axis=-1).clip(0, 1)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """uint8 as it is; floats in [0, 1] to the nearest of 0..255, clipped."""
    if values.dtype == np.uint8:
        return values
    return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)


# -------------------------------------------------------------------------------------------------------- reading


def read(
    source: "str | os.PathLike[str] | BinaryIO | Image.Image | torch.Tensor | np.ndarray", max_pixels: int = MAX_PIXELS
) -> Picture:
    """Read a picture: upright, in sRGB, with its alpha channel.

    Files and streams may hold JPEG, PNG, WebP, TIFF, BMP or GIF, whatever they are called; of several frames or pages
    the first is read. The EXIF orientation is applied, an embedded colour profile is converted to sRGB (a broken one
    is ignored), greyscale, palette, CMYK and LAB become RGB. 16-bit greyscale keeps its precision; Pillow reduces
    16-bit RGB to 8 bits. Values of float and 32-bit files above the white of their kind are scaled by the largest.

    Args:
        source: a path; a binary stream, read to its end; a Pillow image, treated as its file would be; a tensor,
            (3, H, W) or (1, 3, H, W), uint8 or float in [0, 1]; an array, (H, W, 3), uint8 or float in [0, 1].
        max_pixels: a file, stream or Pillow image with more pixels is refused before it is decoded.

    Raises:
        PictureError: the source is missing, unreadable, empty, no picture, damaged, cut short or too large, or a
            tensor or an array has the wrong shape, type or range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if _is_tensor(source):
        return _from_tensor(source)
    if isinstance(source, Image.Image):
        name = _one_line(getattr(source, "filename", "") or "the Pillow image")
        return _from_pillow(source, name, max_pixels)
    if isinstance(source, str | os.PathLike):
        name = _path_name(source)
        with _opened(os.fsdecode(source), name) as file:
            return _from_pillow(file, name, max_pixels)
    if hasattr(source, "read"):
        name = _stream_name(source)
        return _from_pillow(io.BytesIO(_drained(source, name)), name, max_pixels)
    raise _refusal(type(source).__name__, "is no source of pictures", "pass a path, a stream, an image or a tensor")


def _opened(path: str, name: str) -> BinaryIO:
    """Open a file for reading, seekable."""
    if os.path.isdir(path):
        raise _refusal(name, "is a folder, not a picture", "name one picture file")
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
        if file.seekable():
            return file
        with file:
            return io.BytesIO(file.read())
    except FileNotFoundError as error:
        raise _refusal(name, "no such file", "check the path") from error
    except PermissionError as error:
        raise _refusal(name, "may not be read (permission denied)", "change its permissions") from error
    except (OSError, ValueError) as error:
        raise _refusal(name, f"cannot be opened ({_reason(error)})", "check the path") from error


def _drained(stream: BinaryIO, name: str) -> bytes:
    """All bytes that a stream still holds."""
    try:
        content = stream.read()
    except (OSError, ValueError) as error:
        raise _refusal(name, f"cannot be read ({_reason(error)})", "pass a stream open for reading") from error
    if not isinstance(content, bytes | bytearray):
        raise _refusal(name, "is a text stream", "pass a binary one, such as sys.stdin.buffer")
    return bytes(content)


def _from_pillow(source: BinaryIO | Image.Image, name: str, max_pixels: int) -> Picture:
    """Read a seekable file or a Pillow image."""
    try:
        return _decode(_loaded(source, name, max_pixels), name)
    except MemoryError as error:
        raise _refusal(name, "does not fit into memory", "scale the picture down first") from error


def _loaded(source: BinaryIO | Image.Image, name: str, max_pixels: int) -> Image.Image:
    """A fully decoded image, its size checked before the decoding."""
    damage = "get the file again, or save it again with an image editor"
    try:
        with _own_pillow_settings():
            image = source if isinstance(source, Image.Image) else _identified(source, name)
            _check_pixels(image.size, name, max_pixels)
            Image.MAX_IMAGE_PIXELS = max_pixels  # for sizes that only the decoding brings up
            image.load()
            return image
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # a damaged file can make Pillow raise nearly anything
        raise _refusal(name, f"the picture is damaged or cut short ({_reason(error)})", damage) from error


def _identified(file: BinaryIO, name: str) -> Image.Image:
    """Open a picture file as far as its header."""
    if not file.read(1):
        raise _refusal(name, "is empty (0 bytes)", "get the file again, or pick another")
    file.seek(0)
    try:
        return Image.open(file, formats=_READ_FORMATS)
    except UnidentifiedImageError as error:
        reason = "is not a JPEG, PNG, WebP, TIFF, BMP or GIF picture, or its beginning is damaged"
        raise _refusal(name, reason, "save it as PNG or JPEG with an image editor") from error


def _check_pixels(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise _refusal(name, f"is {width} x {height} pixels, so there is nothing in it", "pick another picture")
    if width * height > max_pixels:
        reason = f"is {width} x {height}, {width * height:,} pixels, more than the limit of {max_pixels:,}"
        raise _refusal(name, reason, "scale it down first, or raise max_pixels if you trust the file")


@contextlib.contextmanager
def _own_pillow_settings() -> Iterator[None]:
    """Make Pillow leave the pixel limit to us, refuse truncated files and not print warnings, for a while.

    All of these are globals, so reads take turns.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        try:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


# ------------------------------------------------------------------------------------------- from Pillow to pixels


def _decode(image: Image.Image, name: str) -> Picture:
    """Turn a loaded Pillow image of any mode into a picture."""
    deep = image.mode == "F" or image.mode.startswith("I")
    try:
        rgb, alpha = _deep_pixels(image) if deep else _byte_pixels(image)
    except ValueError as error:
        reason = f"its pixels are of a kind that cannot be read ({image.mode}: {_reason(error)})"
        raise _refusal(name, reason, "save it as 8-bit RGB with an image editor") from error
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
    return np.array(_to_srgb(image, profile)), alpha


def _with_byte_key(image: Image.Image) -> Image.Image:
    """Bring the transparent colour of a 16-bit RGB PNG, whose pixels Pillow has reduced to 8 bits, to 8 bits too."""
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
    if tags.get(_TIFF_PHOTOMETRIC_TAG) == 0:  # white is zero, which Pillow heeds only up to 8 bits
        grey = 1 - grey
    return _grey_to_srgb(grey, image.info.get("icc_profile")), alpha


def _white(mode: str, tiff_tags: Any) -> float:
    """The value that stands for white in a deep grey image of this mode."""
    if mode == "F":
        return 1.0
    return 4095.0 if tiff_tags.get(_TIFF_BITS_TAG) == (12,) else 65535.0


def _grey_to_srgb(grey: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(H, W) float32 in [0, 1] to (H, W, 3), along the curve that the profile has for 8-bit grey."""
    if profile:
        levels = np.arange(256)
        ramp = Image.fromarray(levels.astype(np.uint8)[None])
        curve = np.array(_to_srgb(ramp, profile))[0, :, 1]
        if (curve != levels).any():
            grey = np.interp(grey * 255, levels, curve / 255).astype(np.float32)
    return np.repeat(grey[..., None], 3, axis=2)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An L, RGB or CMYK image as sRGB, by its colour profile if that can be used, else by the plain formula."""
    if profile:
        from PIL import ImageCms

        with contextlib.suppress(ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            wanted = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space)
            if wanted == image.mode or (wanted, image.mode) == ("RGB", "L"):
                return _converted(image if image.mode == wanted else image.convert(wanted), source)
    return image if image.mode == "RGB" else image.convert("RGB")


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    """Convert from an opened profile to sRGB; pixels of a profile that is sRGB in effect are not touched."""
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=_BLACKPOINT_COMPENSATION,
    )
    if image.mode == "RGB":
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        moved = np.array(ImageCms.applyTransform(Image.fromarray(cube), transform)).astype(int) - cube
        if abs(moved).max() <= 2:
            return image
    return ImageCms.applyTransform(image, transform)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation still to be applied, 1 (none) to 8. Pillow applies that of a TIFF on its own."""
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF data can make Pillow raise nearly anything, and is no reason to refuse the picture
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


# ------------------------------------------------------------------------------------------- from tensors to pixels


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")  # who has not imported torch has no tensors
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(tensor: "torch.Tensor") -> Picture:
    chw = _checked_chw(tensor)
    array = chw.permute(1, 2, 0).cpu()
    return _from_array((array.float() if array.is_floating_point() else array).numpy(), "the tensor")


def _from_array(array: np.ndarray, name: str = "the array") -> Picture:
    """A picture with a copy of an (H, W, 3) array."""
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise _refusal(name, f"has the shape {tuple(array.shape)}", "pass (height, width, 3)")
    if array.dtype == np.uint8:
        return Picture(array.copy(order="C"))
    if array.dtype.kind != "f":
        raise _refusal(name, f"holds {array.dtype}", "pass uint8, or floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # true for NaN as well
        raise _refusal(name, f"holds values from {low:g} to {high:g}", "scale or clip them to [0, 1]")
    return Picture(array.astype(np.float32, order="C").clip(0, 1), None, 16)


def _checked_chw(tensor: "torch.Tensor") -> "torch.Tensor":
    """The (3, H, W) of a (3, H, W) or (1, 3, H, W) tensor, uint8 or float, detached."""
    shape = tuple(tensor.shape)
    chw = tensor.detach()
    if chw.ndim == 4 and shape[0] == 1:
        chw = chw[0]
    if chw.ndim != 3 or chw.shape[0] != 3 or chw.numel() == 0:
        raise _refusal("the tensor", f"has the shape {shape}", "pass (3, height, width) or (1, 3, height, width)")
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind != "uint8" and not tensor.is_floating_point():
        raise _refusal("the tensor", f"holds {kind}", "pass uint8, or floats in [0, 1]")
    return chw


def to_pil(tensor: "torch.Tensor", alpha: np.ndarray | None = None) -> Image.Image:
    """An 8-bit Pillow image of a tensor: RGB, or RGBA where an alpha is given.

    Args:
        tensor: (3, H, W) or (1, 3, H, W), on any device; float, clipped to [0, 1] and rounded to the nearest of the
            256 levels, or uint8.
        alpha: (h, w) uint8, or float in [0, 1], such as `Picture.alpha`; resampled if its size is another.

    Raises:
        PictureError: a wrong shape or type, or values that are not finite.
    """
    chw = _checked_chw(tensor)
    if chw.is_floating_point():
        chw = chw.float()
        if not chw.isfinite().all():
            raise _refusal("the tensor", "holds values that are not finite", "check the computation that made it")
        chw = chw.clamp(0, 1).mul_(255).add_(0.5).byte()
    image = Image.fromarray(chw.permute(1, 2, 0).contiguous().cpu().numpy())
    if alpha is not None:
        image.putalpha(_alpha_image(alpha, image.size))
    return image


def _alpha_image(alpha: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """An (h, w) alpha as an L image of the given (width, height); the filter cannot overshoot."""
    alpha = np.asarray(alpha)
    if alpha.ndim != 2 or alpha.size == 0 or not (alpha.dtype == np.uint8 or alpha.dtype.kind == "f"):
        reason = f"has the shape {tuple(alpha.shape)} and holds {alpha.dtype}"
        raise _refusal("the alpha", reason, "pass (height, width), uint8 or floats in [0, 1]")
    mask = Image.fromarray(_to_bytes(alpha))
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)


# -------------------------------------------------------------------------------------------------------- writing


def write(
    image: "Picture | Image.Image | torch.Tensor | np.ndarray",
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write a picture as 8-bit sRGB, into a file as a whole or not at all.

    JPEG gets quality 95 without colour subsampling, WebP quality 95, PNG and TIFF are lossless. The alpha channel is
    kept where the format has one; for JPEG the picture is put on white. No metadata is written.

    A file is first written under a hidden name beside the target and then renamed, so that on an error or Ctrl-C an
    existing target is untouched and nothing is left behind. A new file has the usual permissions, a replaced one
    keeps its own; a link is followed.

    Args:
        image: what `read` takes, save for paths and streams, or a `Picture`; floats of a tensor are clipped to [0, 1].
        target: a path, or a binary stream.
        format: a suffix of `WRITABLE`, with or without the dot; needed for a stream, else the suffix of the path.
        overwrite: replace an existing file.

    Returns:
        One-line warnings about what the format could not hold.

    Raises:
        PictureError: the format is unknown or cannot hold the size, or the target cannot be written.
    """
    pil = _as_pil(image)
    if isinstance(target, str | os.PathLike):
        encoding = check_target(target, format=format, overwrite=overwrite, size=pil.size)
        name = _path_name(target)
    else:
        name = _stream_name(target)
        encoding = _encoding(name, format, "")
        _check_side(name, encoding, pil.size)
    flat, losses = _flattened(pil, name) if encoding == "JPEG" else (pil, [])
    content = _encoded(flat, encoding, name)
    if isinstance(target, str | os.PathLike):
        _store(content, Path(os.path.realpath(target)), name, overwrite)
    else:
        _pour(content, target, name)
    return losses


def check_target(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
    size: tuple[int, int] | None = None,
) -> str:
    """Refuse a path that `write` would refuse, before the work of making the picture; else name its Pillow format.

    Args:
        path, format, overwrite: as for `write`.
        size: (width, height) of the picture, if known.

    Raises:
        PictureError: as `write` does, as far as can be told beforehand.
    """
    name = _path_name(path)
    if "\0" in os.fsdecode(path):
        raise _refusal(name, "is not a file name", "leave out the null character")
    file = Path(os.path.realpath(path))
    if os.path.isdir(file):
        raise _refusal(name, "is a folder", "name a file in it")
    encoding = _encoding(name, format, Path(os.fsdecode(path)).suffix)
    if size is not None:
        _check_side(name, encoding, size)
    if not os.path.isdir(file.parent):
        raise _refusal(name, f"there is no folder {_one_line(file.parent)}", "make it first, or name another")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise _not_writable(file, name)
    if os.path.exists(file):
        if not overwrite:
            raise _exists_already(name)
        if not os.path.isfile(file) or not os.access(file, os.W_OK):
            raise _refusal(name, "is write-protected or not an ordinary file", "name another file")
    return encoding


def _encoding(name: str, format: str | None, suffix: str) -> str:
    """The Pillow format that `format` asks for, or else the suffix."""
    works = ", ".join(sorted(WRITABLE))
    chosen = "." + format.lower().removeprefix(".") if format else suffix.lower()
    if chosen in WRITABLE:
        return WRITABLE[chosen]
    if not chosen:
        raise _refusal(name, "does not say which format to write", f"use one of {works}")
    raise _refusal(name, f"cannot write {_one_line(chosen)} files", f"use one of {works}")


def _check_side(name: str, encoding: str, size: tuple[int, int]) -> None:
    longest = _LONGEST_SIDE.get(encoding)
    if longest is not None and max(size) > longest:
        reason = f"{encoding} holds at most {longest} pixels a side, the picture is {size[0]} x {size[1]}"
        raise _refusal(name, reason, "write PNG or TIFF")


def _as_pil(image: "Picture | Image.Image | torch.Tensor | np.ndarray") -> Image.Image:
    """RGB, or RGBA, without metadata."""
    if _is_tensor(image):
        return to_pil(image)
    if isinstance(image, Picture):
        return image.pil()
    if isinstance(image, Image.Image | np.ndarray):
        return read(image, max_pixels=sys.maxsize).pil()
    raise _refusal(type(image).__name__, "not a picture", "pass a Picture, an image, a tensor or an array")


def _flattened(image: Image.Image, name: str) -> tuple[Image.Image, list[str]]:
    """The image on white, and a warning if that changed it."""
    if image.mode != "RGBA":
        return image, []
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white, [f"{name}: JPEG has no transparency, so the picture was put on white; write PNG, WebP or TIFF"]


def _encoded(image: Image.Image, encoding: str, name: str) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=encoding, **_SAVE_OPTIONS[encoding])
    except MemoryError as error:
        raise _refusal(name, "does not fit into memory", "make a smaller picture") from error
    except Exception as error:  # what an encoder raises is up to the encoder
        raise _refusal(name, f"cannot be encoded as {encoding} ({_reason(error)})", "try PNG") from error
    return buffer.getvalue()


def _store(content: bytes, path: Path, name: str, overwrite: bool) -> None:
    """Put the content under the path in one step."""
    draft = path.with_name(f".styleshuffle-{secrets.token_hex(8)}.tmp")
    try:
        try:
            with _created(draft) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _publish(draft, path, overwrite)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists_already(name) from error
    except PermissionError as error:
        raise _not_writable(path, name) from error
    except OSError as error:
        remedy = "check the space and the state of the disk, or write elsewhere"
        raise _refusal(name, f"cannot be written ({_reason(error)})", remedy) from error


def _created(path: Path) -> BinaryIO:
    """A new file with the usual permissions."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def _publish(draft: Path, path: Path, overwrite: bool) -> None:
    """Give the draft its final name, at once; without `overwrite`, only if nobody has that name.

    Raises:
        FileExistsError: the name is taken.
    """
    if overwrite:
        with contextlib.suppress(OSError):
            shutil.copymode(path, draft)
        os.replace(draft, path)
        return
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        if os.path.exists(path):
            raise FileExistsError(str(path)) from None
        os.replace(draft, path)


def _pour(content: bytes, stream: BinaryIO, name: str) -> None:
    """Write all of the content to a stream, which may take it piecemeal."""
    rest = memoryview(content)
    try:
        while rest:
            taken = stream.write(rest)
            rest = rest[len(rest) if taken is None else taken :]
        if hasattr(stream, "flush"):
            stream.flush()
    except (TypeError, AttributeError) as error:
        raise _refusal(name, "is not a binary stream", "pass one, such as sys.stdout.buffer") from error
    except (OSError, ValueError) as error:
        raise _refusal(name, f"cannot be written ({_reason(error)})", "check where it leads") from error


# ------------------------------------------------------------------------------------------------------- messages


def _refusal(name: str, reason: str, remedy: str) -> PictureError:
    return PictureError(f"{name}: {reason}; {remedy}")


def _exists_already(name: str) -> PictureError:
    return _refusal(name, "exists already", "allow to overwrite it, or name another file")


def _not_writable(path: Path, name: str) -> PictureError:
    reason = f"the folder {_one_line(path.parent)} may not be written to (permission denied)"
    return _refusal(name, reason, "change its permissions, or write elsewhere")


def _reason(error: BaseException) -> str:
    """What an exception says, on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _one_line(said or type(error).__name__)


def _path_name(path: object) -> str:
    return _one_line(path) or "''"


def _stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    return _one_line(name) if isinstance(name, str) and name else "the stream"


def _one_line(text: object) -> str:
    """Text that is safe to print on one line; what is not printable is escaped."""
    plain = os.fsdecode(text) if isinstance(text, bytes | os.PathLike) else str(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)
