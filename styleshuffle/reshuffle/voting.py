"""Vote: from who goes where to new features (Gu et al., CVPR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    sources = []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            # at p, the patch centred at q = p - (dy, dx), or the nearest q there is, holds the style at match(q) + p - q
            rows = (down - dy).clamp_(0, height - 1)
            columns = (along - dx).clamp_(0, width - 1)
            source = (y[rows, columns] + (down - rows)).clamp_(0, nnf.style[0] - 1) * nnf.style[1]
            sources.append(source.add_((x[rows, columns] + (along - columns)).clamp_(0, nnf.style[1] - 1)).flatten())
    # gathers and adds in one go, which takes a tenth of the time of one after the other
    votes = F.embedding_bag(torch.stack(sources, 1), style.rows, mode="mean")
    return votes.T.unflatten(1, nnf.content)
