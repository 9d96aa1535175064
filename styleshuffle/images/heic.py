"""HEIC pictures, by the package pillow-heif: those of 8 bits, and of 10 and 12 bits with all of them."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from .limits import check_needed
from .png_pixels import of_16_bits
from .samples import Samples

_DEEP_MODES = ("I;16", "RGB;16", "RGBA;16")

# Bytes a pixel while a picture is read, measured and rounded up
_BYTES, _DEEP_BYTES = 12, 30


def opened(file: BinaryIO, name: str, max_pixels: int) -> Any:
    """A HEIC file as pillow-heif sees it, not yet decoded, its size checked."""
    import pillow_heif

    file.seek(0)
    heif = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    width, height = heif.size
    check_needed(heif.size, width * height * (_DEEP_BYTES if heif.mode in _DEEP_MODES else _BYTES), name, max_pixels)
    return heif


def deep_samples(heif: Any) -> Samples | None:
    """The pixels of an opened file that has more than 8 bits a channel; None for others."""
    if heif.mode not in _DEEP_MODES:
        return None
    values = np.asarray(heif)
    values = values if values.ndim == 3 else values[..., None]
    values = values | values >> heif.info["bit_depth"]  # the bits lie at the upper end, and the lower end is empty
    if values.shape[2] == 4:
        return Samples(np.ascontiguousarray(values[..., :3]), of_16_bits(values[..., 3]))
    return Samples(values, None)


def image_of(heif: Any) -> Image.Image:
    """The picture of an opened file that has 8 bits a channel."""
    image: Image.Image = heif.to_pillow()
    image.format = "HEIF"
    return image
