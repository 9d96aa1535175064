"""Colour profiles: convert the pixels of a file to sRGB."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from PIL import Image

_BLACKPOINT_COMPENSATION = 0x2000  # ImageCms.Flags has it from Pillow 10.3 on


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An L, RGB or CMYK image as sRGB. Uses the colour profile, or Pillow's plain formula if the profile is unusable."""
    if profile:
        from PIL import ImageCms

        with contextlib.suppress(ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            wanted = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space)
            if wanted == image.mode or (wanted, image.mode) == ("RGB", "L"):
                return _converted(image if image.mode == wanted else image.convert(wanted), source)
    return image if image.mode == "RGB" else image.convert("RGB")


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    """Convert from an opened profile to sRGB. If the profile is practically sRGB, the pixels stay unchanged."""
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=_BLACKPOINT_COMPENSATION,  # type: ignore[arg-type]
    )
    if image.mode == "RGB":
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        moved = np.array(ImageCms.applyTransform(Image.fromarray(cube), transform)).astype(int) - cube
        if abs(moved).max() <= 2:
            return image
    converted = ImageCms.applyTransform(image, transform)
    return image if converted is None else converted  # None means that the image was changed in place


def grey_to_srgb(grey: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(H, W) float32 in [0, 1] to (H, W, 3), by the profile's curve for 8-bit grey."""
    if profile:
        levels = np.arange(256)
        ramp = Image.fromarray(levels.astype(np.uint8)[None])
        curve = np.array(to_srgb(ramp, profile))[0, :, 1]
        if (curve != levels).any():
            grey = np.interp(grey * 255, levels, curve / 255).astype(np.float32)
    return np.repeat(grey[..., None], 3, axis=2)
