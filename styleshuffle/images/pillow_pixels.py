"""The pixels of an image that Pillow has decoded, of any mode, as grey or RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .arrays import pixels_of
from .colour import plain
from .samples import Samples

_TIFF_BITS_TAG = 258
_TIFF_PHOTOMETRIC_TAG = 262


def samples_of(image: Image.Image) -> Samples:
    """The pixels of a decoded image; CMYK becomes sRGB.

    Raises:
        ValueError: nobody knows how to convert the mode.
    """
    return _deep_samples(image) if image.mode == "F" or image.mode.startswith("I") else _byte_samples(image)


def _byte_samples(image: Image.Image) -> Samples:
    """Of an image with at most 8 bits a channel."""
    alpha = None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = _with_byte_key(image).convert("LA" if grey else "RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("L" if grey else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "CMYK":
        image = plain(image, image.info.get("icc_profile"))
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    pixels = pixels_of(image)
    return Samples(pixels if pixels.ndim == 3 else pixels[..., None], alpha)


def _with_byte_key(image: Image.Image) -> Image.Image:
    """Reduce the transparent colour of a 16-bit RGB PNG to 8 bits, as Pillow has done with its pixels."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image


def _deep_samples(image: Image.Image) -> Samples:
    """Of a 16-bit, 32-bit or float grey image."""
    values = np.array(image)
    key = image.info.get("transparency")
    alpha = np.where(values == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    values = np.where(np.isfinite(values), values, 0).astype(np.float32).clip(0)
    tags = getattr(image, "tag_v2", {})
    grey = values / max(_white(image.mode, tags), float(values.max()))
    if tags.get(_TIFF_PHOTOMETRIC_TAG) == 0:  # zero is white; Pillow inverts only up to 8 bits
        grey = 1 - grey
    return Samples(grey[..., None], alpha)


def _white(mode: str, tiff_tags: Any) -> float:
    """The value that stands for white in a deep grey image of this mode."""
    if mode == "F":
        return 1.0
    return 4095.0 if tiff_tags.get(_TIFF_BITS_TAG) == (12,) else 65535.0
