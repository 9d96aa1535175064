"""From a picture to what a format can hold: colours in the profile, whole numbers, alpha, and metadata that fits."""

from __future__ import annotations

import numpy as np

from .colour import from_srgb
from .encoding import DEEP_FORMATS, OPAQUE_FORMATS, PROFILE_FORMATS, Plate
from .metadata import NOTHING, Metadata
from .picture import Picture, to_bytes
from .profiles import matrix_profile
from .save_options import SaveOptions


def plate_of(
    picture: Picture, encoding: str, options: SaveOptions, recipe: str | None = None, bits: int | None = None
) -> Plate:
    """What to encode of a picture.

    Args:
        encoding: the format, such as "PNG".
        recipe: text that goes into the file.
        bits: a channel, whatever the options say.
    """
    losses = []
    if bits is None:
        bits = picture.bits if options.depth == "auto" else int(options.depth)
    if bits == 16 and encoding not in DEEP_FORMATS:
        bits = 8
        if options.depth == "16":
            losses.append(f"{encoding} holds 8 bits a channel; write PNG or TIFF")
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and encoding in OPAQUE_FORMATS:
        rgb, alpha = _on_white(rgb, alpha), None
        losses.append(f"{encoding} has no transparency, so the picture was put on white; write PNG, WebP or TIFF")
    profile = picture.profile if options.profile == "keep" and encoding in PROFILE_FORMATS else None
    numbers = from_srgb(rgb, profile)
    pixels = to_bytes(numbers) if bits == 8 else _to_words(numbers)
    if bits == 16 and profile is None and (pixels[..., :1] == pixels).all():
        pixels = pixels[..., :1]  # grey
    if alpha is not None:
        own = alpha if bits == 8 else alpha.astype(np.uint16) * np.uint16(257)
        pixels = np.concatenate([pixels, own[..., None]], axis=2)
    return Plate(pixels, profile, _metadata_of(picture, profile, options), recipe, losses)


def _metadata_of(picture: Picture, profile: bytes | None, options: SaveOptions) -> Metadata:
    if options.strip:
        return NOTHING
    matrix = matrix_profile(profile) if profile else None
    kept = picture.metadata.without_gps() if options.strip_gps else picture.metadata
    return kept.mended(picture.size, srgb=matrix is None or matrix.nearly_srgb)


def _on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours as they look on white, of the same type."""
    if rgb.dtype == np.uint8:
        weight = alpha[..., None].astype(np.uint32)
        return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
    share = alpha[..., None].astype(np.float32) / 255
    return rgb * share + (1 - share)


def _to_words(numbers: np.ndarray) -> np.ndarray:
    """uint16 of uint8, or of floats in [0, 1]."""
    if numbers.dtype == np.uint8:
        return numbers.astype(np.uint16) * np.uint16(257)
    return (numbers.clip(0, 1) * 65535 + 0.5).astype(np.uint16)
