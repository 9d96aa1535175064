"""Vote: from who goes where to new features (Gu et al., CVPR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from .nnf import NNF
from .style import StyleLevel


def vote(style: StyleLevel, nnf: NNF, patch: int) -> Tensor:
    """New features (C, H, W): at each position the mean of what the overlapping matched patches hold there.

    The style's features are full-channel and unnormalised. Patches that reach over the style's border repeat its edge.
    """
    height, width = nnf.content
    reach = patch // 2
    y, x = nnf.match // nnf.style[1], nnf.match % nnf.style[1]
    down, along = torch.arange(height, device=y.device)[:, None], torch.arange(width, device=y.device)[None, :]
    total = style.rows.new_zeros(())
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # at p, the patch centred at q = p - (dy, dx), or the nearest q there is, holds the style at match(q) + p - q
            rows = (down - dy).clamp_(0, height - 1)
            columns = (along - dx).clamp_(0, width - 1)
            source = (y[rows, columns] + (down - rows)).clamp_(0, nnf.style[0] - 1) * nnf.style[1]
            source += (x[rows, columns] + (along - columns)).clamp_(0, nnf.style[1] - 1)
            taken = style.rows[source.flatten()]
            total = taken if total.ndim == 0 else total.add_(taken)
    return (total / patch**2).T.reshape(-1, height, width)
