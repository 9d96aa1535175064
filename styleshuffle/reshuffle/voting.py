"""Vote: from who goes where to new features (Gu et al., CVPR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    sources, voices = [], []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # at p, the patch centred at q = p - (dy, dx), or the nearest q there is, holds the style at match(q) + p - q
            rows = (down - dy).clamp_(0, height - 1)
            columns = (along - dx).clamp_(0, width - 1)
            own = y[rows, columns]
            there = held(own + (down - rows), x[rows, columns] + (along - columns), own, nnf.style, nnf.boxes)
            sources.append(there[0].mul_(nnf.style[1]).add_(there[1]).flatten())
            if regions is not None:
                voices.append((regions[rows, columns] == regions).flatten())
    # gathers and adds in one go, which takes a tenth of the time of one after the other
    if regions is None:
        votes = F.embedding_bag(torch.stack(sources, 1), style.rows, mode="mean")
    else:
        weights = torch.stack(voices, 1).to(style.rows)
        weights /= weights.sum(1, keepdim=True)
        votes = F.embedding_bag(torch.stack(sources, 1), style.rows, mode="sum", per_sample_weights=weights)
    return votes.T.unflatten(1, nnf.content)
