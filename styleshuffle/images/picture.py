"""The picture that travels through styleshuffle: upright sRGB pixels, their depth and, if any, the alpha channel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from ..errors import SettingsError
from .hidden import filled, opaque, opaque_only
from .metadata import NOTHING, Metadata

if TYPE_CHECKING:
    import torch


_SQUARE = 8  # pixels; the side of what a position of relu4_1 stands for


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture in sRGB.

    Attributes:
        rgb: (H, W, 3), uint8, or float32 in [0, 1]. Colours of a profile that is wider than sRGB go beyond.
        alpha: (H, W) uint8, 0 transparent to 255 opaque; None where every pixel is opaque.
        bits: bits a channel that are worth writing: 16 for files of 16 bits or floats, float arrays and float tensors,
            else 8. A result has the bits of its content.
        profile: the ICC profile of the file, which a result is given back in; None is sRGB.
        metadata: of the file; a result has that of its content.
        several: what the file has several of, of which this is the first: "frames" (`read_frames` reads them all),
            "pages" or "pictures"; "" if it has one picture.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    bits: Literal[8, 16] = 8
    profile: bytes | None = field(default=None, repr=False)
    metadata: Metadata = NOTHING
    several: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def tensor(self, size: tuple[int, int] | None = None) -> torch.Tensor:
        """The colours as a (1, 3, H, W) float32 tensor in [0, 1], without the alpha.

        Transparent pixels get colours of the visible ones around them. Colours beyond sRGB are clipped.

        Args:
            size: (width, height) to resample to, antialiased (Lanczos); None keeps the size.

        Raises:
            SettingsError: a side of `size` is below 1.
        """
        import torch

        planes = torch.from_numpy(self.resized(size or self.size)).permute(2, 0, 1)[None]
        if planes.dtype == torch.uint8:
            return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        return planes.clone(memory_format=torch.contiguous_format).clamp_(0, 1)

    def opaque(self, crop: bool = True) -> Picture:
        """The picture with transparent and opaque pixels only. Those take colours of these near them, but stay marked.

        Args:
            crop: leave out rows and columns at the borders that hold no opaque pixel.
        """
        seen = opaque(self.alpha)
        if seen is None:
            return replace(self, alpha=None)
        rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        if not crop:
            part = slice(None), slice(None)
        rgb = np.ascontiguousarray(opaque_only(self.rgb, self.alpha)[part])
        alpha = np.where(seen[part], np.uint8(255), np.uint8(0))
        return replace(self, rgb=rgb, alpha=None if alpha.all() else alpha)

    def shown(self, size: tuple[int, int]) -> torch.Tensor | None:
        """Which pixels are opaque, (H, W) bool at `size`, (width, height); None if all are.

        In a picture of thin lines, all of a square of eight pixels counts if it holds much of a line, or the squares that
        the coarsest features look at would hold nothing but background.
        """
        import torch
        import torch.nn.functional as F

        seen = opaque(self.alpha)
        if seen is None:
            return None
        shares = np.array(Image.fromarray(seen.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX))
        shown = torch.from_numpy(shares >= max(1, int(shares.max()) // 2))
        squares = F.avg_pool2d(shown[None, None].float(), _SQUARE, ceil_mode=True)[0, 0]
        if squares.max() <= 0.5:
            full = (squares >= squares.max() / 2).repeat_interleave(_SQUARE, 0).repeat_interleave(_SQUARE, 1)
            shown = shown | full[: size[1], : size[0]]
        return shown

    def passed_on(self, result: Picture, share: float) -> Picture:
        """A result made of this picture, with this picture's profile and metadata.

        Args:
            result: any size.
            share: from 0 to 1, how much of its colours beyond sRGB the result gets back; the method works within sRGB.
        """
        kept = replace(result, profile=self.profile, metadata=self.metadata, several=self.several)
        if share == 0 or self.rgb.dtype == np.uint8:
            return kept
        beyond = self.rgb - self.rgb.clip(0, 1)
        if not beyond.any():
            return kept
        if result.size != self.size:
            beyond = _resampled(beyond, result.size)
        rgb = result.rgb / np.float32(255) if result.rgb.dtype == np.uint8 else result.rgb
        return replace(kept, rgb=rgb + np.float32(share) * beyond)

    def resized(self, size: tuple[int, int]) -> np.ndarray:
        """The colours, (H, W, 3), uint8 or float32 as they are, resampled to a size (width, height) by Lanczos.

        Transparent pixels get colours of the visible ones around them.
        """
        rgb = filled(self.rgb, self.alpha)
        return rgb if tuple(size) == self.size else _resize(rgb, size)

    def pil(self) -> Image.Image:
        """The picture as an 8-bit Pillow image, RGB, or RGBA where it has an alpha channel."""
        image = Image.fromarray(to_bytes(self.rgb))
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        return image


def fit_size(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """The (width, height) with the aspect ratio of `size` and the longer side `long_side`; it can shrink or grow.

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
    """Resample (H, W, 3) uint8 or float32 to `size`, (width, height), by Lanczos. Values stay in range."""
    if min(size) < 1:
        raise SettingsError(f"size {size[0]} x {size[1]}: a picture has at least one pixel; give sides of 1 or more")
    if rgb.dtype == np.uint8:
        return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
    return _resampled(rgb, size).clip(0, 1)


def _resampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float32 at `size`, by Lanczos, which overshoots a little at edges."""
    planes = [np.asarray(Image.fromarray(values[..., c]).resize(size, Image.Resampling.LANCZOS)) for c in range(3)]
    return np.stack(planes, axis=-1)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """uint8 as it is; floats in [0, 1] to the nearest of 0..255, clipped."""
    if values.dtype == np.uint8:
        return values
    return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)
