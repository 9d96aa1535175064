"""Open a picture file and decode it: pixels as they are in the file, and what lies beside them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from ..files import reason_of
from . import heic, png_pixels, tiff_pixels
from .formats import PILLOW_FORMATS, check_heic, names, opened_by_extra
from .limits import check_decoding, check_header, check_needed
from .pillow_pixels import samples_of
from .png_chunks import PngFile, open_png
from .refusals import refusal
from .samples import Samples
from .tiff_pages import open_tiff, refuse_raw

_ORIENTATION_TAG, _RESOLUTION_TAG = 0x0112, 282


@dataclass
class Opened:
    """A decoded picture.

    Attributes:
        samples: its pixels.
        info: metadata under the names that Pillow uses.
        several: see `Picture.several`.
        orientation: EXIF's, 1 to 8, that has yet to be applied.
    """

    samples: Samples
    info: dict[Any, Any] = field(default_factory=dict)
    several: str = ""
    orientation: int = 1


def of_image(image: Image.Image, name: str, max_pixels: int) -> Opened:
    """A Pillow image, decoded."""
    several = _loaded(image, name, max_pixels)
    try:
        samples = samples_of(image)
    except ValueError as error:
        reason = f"its pixel format cannot be read ({image.mode}: {reason_of(error)})"
        raise refusal(name, reason, "save it as 8-bit RGB with an image editor") from error
    return Opened(samples, _info(image), several, _orientation(image))


def of_file(file: BinaryIO, name: str, max_pixels: int) -> Opened:
    """A picture file, decoded, its size checked before.

    Raises:
        PictureError: the file is empty, no picture, a camera's raw data, or too large.
        Exception: a decoder may raise nearly any error for a damaged file.
    """
    file.seek(0)
    if not file.read(1):
        raise refusal(name, "is empty (0 bytes)", "get the file again, or choose another file")
    refuse_raw(file, name)
    png = open_png(file)
    if png is not None:
        return _png(png, name, max_pixels)
    tiff = open_tiff(file)
    if tiff is not None:
        layout = tiff_pixels.layout_of(tiff.page)
        several = "pages" if tiff.pages > 1 else ""
        if layout is None:
            opened = of_image(_by_pillow(tiff.file, name, max_pixels), name, max_pixels)
            return replace(opened, info={**opened.info, "exif": None, **tiff.info()}, several=several)
        size = (layout.width, layout.height)
        check_needed(size, layout.memory, name, max_pixels)
        samples = tiff_pixels.read_samples(tiff.file, tiff.page, layout)
        orientation = tiff.page.integer(_ORIENTATION_TAG, 1)
        return Opened(samples, tiff.info(), several, orientation)
    if check_heic(file, name):
        return _heic(file, name, max_pixels)
    image = opened_by_extra(file, name, max_pixels)
    return of_image(image or _by_pillow(file, name, max_pixels), name, max_pixels)


def opened_frames(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """A GIF, WebP or PNG file, opened as far as its header."""
    png = open_png(file)
    image = _by_pillow(file if png is None else png.file, name, max_pixels)
    if png is not None:
        image.info.update(png.info)
    return image


def _heic(file: BinaryIO, name: str, max_pixels: int) -> Opened:
    heif = heic.opened(file, name, max_pixels)
    several = "pictures" if len(heif) > 1 else ""
    deep = heic.deep_samples(heif)
    if deep is not None:  # libheif has turned it upright
        return Opened(deep, dict(heif.info), several)
    return replace(of_image(heic.image_of(heif), name, max_pixels), several=several)


def _png(png: PngFile, name: str, max_pixels: int) -> Opened:
    image = _by_pillow(png.file, name, max_pixels)
    image.info.update(png.info)
    if not png_pixels.is_deep(png):
        return of_image(image, name, max_pixels)
    pixels = image.width * image.height
    check_needed(image.size, pixels * png_pixels.BYTES_A_PIXEL, name, max_pixels)
    several = _loaded(image, name, max_pixels)
    low = png_pixels.with_low_bytes(_by_pillow(png.file, name, max_pixels), png)
    low.load()
    return Opened(png_pixels.joined(image, low, png), _info(image), several, _orientation(image))


def _loaded(image: Image.Image, name: str, max_pixels: int) -> str:
    """Decode an image, its size checked before. Returns what it has several of."""
    check_decoding(image, name, max_pixels)
    several = _several(image)
    image.load()
    return several


def _by_pillow(file: BinaryIO, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Open a picture file as far as its header."""
    file.seek(0)
    check_header(file, name, max_pixels)
    try:
        return Image.open(file, formats=PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        reason = f"is not a {names()} picture, or its beginning is damaged"
        raise refusal(name, reason, "save it as PNG or JPEG with an image editor") from error


def _several(image: Image.Image) -> str:
    """What an opened image has several of. The second picture of an MPO is a view or a depth, not a page."""
    if image.format == "MPO":
        return ""
    with contextlib.suppress(Exception):  # broken frames behind the first do no harm
        if getattr(image, "is_animated", False):
            return "frames" if image.format in ("GIF", "PNG", "WEBP") else "pictures"
    return ""


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that has yet to be applied, 1 (none) to 8. Pillow itself applies that of a TIFF.

    JPEG XL has an orientation of its own, which its decoder applies, unless the file is a packed JPEG.
    """
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF data can raise nearly any error, but the picture is still good
        return 1


def _info(image: Image.Image) -> dict[Any, Any]:
    """What lies beside the pixels of a decoded image."""
    info = dict(image.info)
    tags: Any = ()
    with contextlib.suppress(Exception):  # broken EXIF data can raise nearly any error
        tags = image.getexif()
        if image.format == "TIFF":
            info["exif"] = tags.tobytes()
    if image.format in ("JPEG", "MPO", "TIFF") and info.get("jfif_unit") not in (1, 2) and _RESOLUTION_TAG not in tags:
        info.pop("dpi", None)  # Pillow makes up a number where the file says nothing
    return info
