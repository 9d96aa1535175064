"""Eigenvalues and eigenvectors that do not fail."""

from __future__ import annotations

import torch
from torch import Tensor


def eigen(square: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (n), rising, and eigenvectors (n, n) in columns, of a symmetric matrix (n, n), as of its type.

    Computed in float64, because float32 fails on the features of a picture of one colour. Apple's GPUs have no float64.
    """
    double = (square.cpu() if square.device.type == "mps" else square).double()
    values, vectors = torch.linalg.eigh(double)
    return values.to(square), vectors.to(square)
