"""Pixels as a file has them, before their colours are converted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Samples:
    """Pixels as a file has them.

    Attributes:
        pixels: (H, W, 1) grey or (H, W, 3) RGB; uint8, uint16, or float32 from 0 to 1.
        alpha: (H, W) uint8, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
