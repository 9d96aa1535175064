"""Pictures from arrays and tensors, and back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from .picture import Picture, to_bytes
from .refusals import refusal

if TYPE_CHECKING:
    import torch

_BAND = 2**20  # pixels


def pixels_of(image: Image.Image) -> np.ndarray:
    """A new array of an image's pixels. It is filled band by band, because Pillow needs twice the room for the whole."""
    rows = max(1, _BAND // image.width)
    first = np.asarray(image.crop((0, 0, image.width, min(rows, image.height))))
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    pixels[:rows] = first
    for top in range(rows, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor. A program that has not imported torch, or not yet in full, has no tensors."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(value, tensor)


def from_tensor(tensor: torch.Tensor) -> Picture:
    chw = _checked_chw(tensor)
    array = chw.permute(1, 2, 0).cpu()
    return from_array((array.float() if array.is_floating_point() else array).numpy(), "the tensor")


def from_array(array: np.ndarray, name: str = "the array") -> Picture:
    """A picture with a copy of an (H, W, 3) array."""
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise refusal(name, f"has the shape {tuple(array.shape)}", "pass (height, width, 3)")
    if array.dtype == np.uint8:
        return Picture(array.copy(order="C"))
    if array.dtype.kind != "f":
        raise refusal(name, f"holds {array.dtype}", "pass uint8, or floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # true for NaN as well
        raise refusal(name, f"holds values from {low:g} to {high:g}", "scale or clip them to [0, 1]")
    return Picture(array.astype(np.float32, order="C").clip(0, 1), None, 16)


def _checked_chw(tensor: torch.Tensor) -> torch.Tensor:
    """The (3, H, W) of a (3, H, W) or (1, 3, H, W) tensor, uint8 or float, detached."""
    shape = tuple(tensor.shape)
    chw = tensor.detach()
    if chw.ndim == 4 and shape[0] == 1:
        chw = chw[0]
    if chw.ndim != 3 or chw.shape[0] != 3 or chw.numel() == 0:
        raise refusal("the tensor", f"has the shape {shape}", "pass (3, height, width) or (1, 3, height, width)")
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind != "uint8" and not tensor.is_floating_point():
        raise refusal("the tensor", f"holds {kind}", "pass uint8, or floats in [0, 1]")
    return chw


def from_result(tensor: torch.Tensor, alpha: np.ndarray | None = None, bits: Literal[8, 16] = 8) -> Picture:
    """The picture of a tensor that a network made, at full precision.

    Args:
        tensor: (3, H, W) or (1, 3, H, W), on any device; float, clipped to [0, 1], or uint8.
        alpha: (h, w) uint8, or float in [0, 1], such as `Picture.alpha`; resampled if its size differs.
        bits: bits a channel that are worth writing.

    Raises:
        PictureError: a wrong shape or type, or values that are not finite.
    """
    chw = _checked_chw(tensor)
    if chw.is_floating_point():
        chw = chw.float()
        if not chw.isfinite().all():
            raise refusal("the tensor", "holds values that are not finite", "check the computation that made it")
        chw = chw.clamp(0, 1)
    rgb = chw.permute(1, 2, 0).contiguous().cpu().numpy()
    return Picture(rgb, None if alpha is None else _fitted(alpha, (rgb.shape[1], rgb.shape[0])), bits)


def to_pil(tensor: torch.Tensor, alpha: np.ndarray | None = None) -> Image.Image:
    """An 8-bit Pillow image of a tensor: RGB, or RGBA where an alpha is given; see `from_result`."""
    return from_result(tensor, alpha).pil()


def _fitted(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (h, w) alpha as (H, W) uint8 for the given (width, height). A bilinear filter cannot overshoot."""
    alpha = np.asarray(alpha)
    if alpha.ndim != 2 or alpha.size == 0 or not (alpha.dtype == np.uint8 or alpha.dtype.kind == "f"):
        reason = f"has the shape {tuple(alpha.shape)} and holds {alpha.dtype}"
        raise refusal("the alpha", reason, "pass (height, width), uint8 or floats in [0, 1]")
    mask = Image.fromarray(to_bytes(alpha))
    return np.asarray(mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR))
