"""Colour profiles: convert the pixels of a file to sRGB, and those of a result to the profile of its photograph."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .picture import to_bytes
from .profiles import MatrixProfile, grey_profile, matrix_profile, profile_of_gamma

_BLACKPOINT_COMPENSATION = 0x2000  # ImageCms.Flags has it from Pillow 10.3 on
_HALF_LEVEL = 0.5 / 255


@dataclass(frozen=True)
class Coloured:
    """Colours that were converted to sRGB.

    Attributes:
        rgb: (H, W, 3); uint8, or float32, which goes beyond [0, 1] where sRGB does not hold a colour.
        deep: more than 8 bits are worth writing.
        profile: the ICC profile that a result can be given back in; None is sRGB.
    """

    rgb: np.ndarray
    deep: bool
    profile: bytes | None


def to_srgb(pixels: np.ndarray, info: Mapping[Any, Any]) -> Coloured:
    """Pixels as sRGB, by the profile or the gamma in the `info` of their file; a broken profile is ignored.

    Args:
        pixels: (H, W, 1) or (H, W, 3), uint8, uint16 or float32 in [0, 1].
    """
    profile, deep = _profile_in(info), pixels.dtype != np.uint8
    matrix = matrix_profile(profile) if profile else _of_gamma(info)
    kept = profile if matrix is not None else None
    if matrix is None and profile and pixels.shape[2] == 1:
        matrix = grey_profile(profile)
    if matrix is None and profile:
        converted = _by_tables(pixels, profile)
        if converted is not None:
            return Coloured(converted, False, None)
    if matrix is None or (kept is not None and matrix.nearly_srgb):
        return Coloured(_three(_unit(pixels)), deep, kept)
    rgb = matrix.to_srgb(_three(pixels))
    if not deep and rgb.min() >= -_HALF_LEVEL and rgb.max() <= 1 + _HALF_LEVEL:
        rgb = to_bytes(rgb)
    elif kept is None:
        rgb = rgb.clip(0, 1)
    return Coloured(rgb, deep, kept)


def from_srgb(rgb: np.ndarray, profile: bytes | None) -> np.ndarray:
    """sRGB (H, W, 3), uint8 or float, as numbers of an ICC profile that `to_srgb` has kept: uint8, or float in [0, 1].

    Only what the profile cannot hold is clipped.
    """
    matrix = matrix_profile(profile) if profile else None
    if matrix is None or matrix.nearly_srgb:
        return rgb if rgb.dtype == np.uint8 else rgb.clip(0, 1)
    return matrix.from_srgb(rgb)


def plain(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK image as sRGB. Uses the colour profile, or Pillow's plain formula if the profile is unusable."""
    converted = _by_cms(image, profile) if profile else None
    return image.convert("RGB") if converted is None else converted


def _of_gamma(info: Mapping[Any, Any]) -> MatrixProfile | None:
    """What a PNG without a profile says about its colours, unless they are sRGB."""
    gamma, chromaticities = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or not isinstance(gamma, float):
        return None
    made = profile_of_gamma(gamma, tuple(chromaticities) if isinstance(chromaticities, tuple) else None)
    return None if made is None or made.nearly_srgb else made


def _profile_in(info: Mapping[Any, Any]) -> bytes | None:
    profile = info.get("icc_profile")
    return bytes(profile) if isinstance(profile, bytes | bytearray) and profile else None


def _by_tables(pixels: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Convert pixels by a profile that holds tables, with 8 bits, or return None if it does not suit them."""
    image = Image.fromarray(to_bytes(_unit(pixels)).squeeze(-1) if pixels.shape[2] == 1 else to_bytes(_unit(pixels)))
    converted = _by_cms(image, profile)
    return None if converted is None else np.array(converted)


def _by_cms(image: Image.Image, profile: bytes) -> Image.Image | None:
    """An L, RGB or CMYK image as sRGB; None if the profile is broken or for other colours."""
    from PIL import ImageCms

    with contextlib.suppress(ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        wanted = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space)
        if wanted is not None and (wanted == image.mode or (wanted, image.mode) == ("RGB", "L")):
            transform = ImageCms.buildTransform(
                source,
                ImageCms.createProfile("sRGB"),
                wanted,
                "RGB",
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                flags=_BLACKPOINT_COMPENSATION,  # type: ignore[arg-type]
            )
            return ImageCms.applyTransform(image if image.mode == wanted else image.convert(wanted), transform)
    return None


def _unit(pixels: np.ndarray) -> np.ndarray:
    """uint16 as float32 in [0, 1]; anything else as it is."""
    if pixels.dtype != np.uint16:
        return pixels
    unit = np.empty(pixels.shape, np.float32)
    return np.divide(pixels, np.float32(65535), out=unit)


def _three(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
