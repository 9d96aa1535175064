"""Eigenvalues and eigenvectors that do not fail."""

from __future__ import annotations

import torch
from torch import Tensor


def eigen(square: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (n), rising, and eigenvectors (n, n) in columns, of a symmetric matrix (n, n).

    Returns:
        both in float64, because float32 fails on the features of a picture of one colour; on the CPU if the matrix is on
        a GPU of Apple, which has no float64.
    """
    values, vectors = torch.linalg.eigh((square.cpu() if square.device.type == "mps" else square).double())
    return values, vectors
