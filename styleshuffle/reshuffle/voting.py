"""Vote: from who goes where to new features (Gu et al., CVPR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from .nnf import NNF, held
from .style import StyleLevel


def vote(style: StyleLevel, nnf: NNF, patch: int, regions: Tensor | None = None) -> Tensor:
    """New features (C, H, W): at each position the mean of what the overlapping matched patches hold there.

    The style's features are full-channel and unnormalised. Patches that reach over the style's border repeat its edge.

    Args:
        regions: number of the region of each content position, (H, W). Only patches of the same region vote, or colours
            would leak over its border.
    """
    height, width = nnf.content
    reach = patch // 2
    y, x = nnf.match // nnf.style[1], nnf.match % nnf.style[1]
    down, along = torch.arange(height, device=y.device)[:, None], torch.arange(width, device=y.device)[None, :]
    total: Tensor | None = None
    voters: Tensor | int = 0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # at p, the patch centred at q = p - (dy, dx), or the nearest q there is, holds the style at match(q) + p - q
            rows = (down - dy).clamp_(0, height - 1)
            columns = (along - dx).clamp_(0, width - 1)
            own = y[rows, columns]
            there = held(own + (down - rows), x[rows, columns] + (along - columns), own, nnf.style, nnf.boxes)
            taken = style.rows[(there[0] * nnf.style[1] + there[1]).flatten()]
            if regions is not None:
                counts = (regions[rows, columns] == regions).flatten()[:, None].to(taken)
                taken, voters = taken * counts, voters + counts
            total = taken if total is None else total.add_(taken)
    assert total is not None
    return (total / (patch**2 if regions is None else voters)).T.reshape(-1, height, width)
