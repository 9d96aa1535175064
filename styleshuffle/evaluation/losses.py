"""The losses that reshuffling connects, as functions (Gu et al., "Arbitrary style transfer with deep feature reshuffle",
CVPR 2018, which also compares them).

F are the features of a VGG level, (C, H, W), and N = H W. P_p(F) is the R x R patch of F around position p. o, c and s
stand for output, content and style:

- content: |F_o - F_c|^2
- global style, Gram matrices (Gatys et al., "Image style transfer using convolutional neural networks", CVPR 2016):
  |G_o - G_s|^2, G = F F^T / N
- local style, Markov random fields (Li and Wand, "Combining Markov random fields and convolutional neural networks for
  image synthesis", CVPR 2016): sum over p of |P_p(F_o) - P_NN(p)(F_s)|^2, NN(p) the nearest patch
- reshuffle: the same with NNC(p), the nearest patch under a constraint on how often each patch is used

If F_o is F_s with its positions permuted, the global and the reshuffle loss (1 x 1 patches) are both 0. The local loss is
never above the reshuffle loss, and equal to it at lambda = 0.

All losses are means instead of the paper's sums, so that they can be compared between sizes and levels. They can be
differentiated by the output's features; the assignment of patches then stays fixed. "Nearest" means the least squared
distance, because the losses sum squared distances: only then is the local loss the smallest possible. The method
(`styleshuffle.reshuffle.descriptors`) and the paper use cosines instead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingsError
from ..reshuffle.descriptors import reflect
from ..reshuffle.matching import match_all
from ..reshuffle.nnf import NNF, grid_of, usage

LARGEST = 8192  # most positions of output or style for a constrained field; memory grows with their product
_BLOCK = 1024  # patches compared with all others at a time


def content_loss(output: Tensor, content: Tensor) -> Tensor:
    """Mean of (F_o - F_c)^2, for features (C, H, W) of the same size."""
    return (output - content).square().mean()


def gram(features: Tensor) -> Tensor:
    """Gram matrix F F^T / N, (C, C), of features (C, H, W)."""
    flat = features.flatten(1)
    return flat @ flat.T / flat.shape[1]


def gram_loss(output: Tensor, style: Tensor) -> Tensor:
    """Mean of (G_o - G_s)^2 over the C x C entries, for features (C, H, W) and (C, H', W')."""
    return (gram(output) - gram(style)).square().mean()


def local_loss(output: Tensor, style: Tensor, patch: int = 3) -> Tensor:
    """Mean squared distance of each R x R patch of the output (C, H, W) to the nearest patch of the style (C, H', W')."""
    return reshuffle_loss(output, style, 0.0, patch)


def reshuffle_loss(
    output: Tensor, style: Tensor, usage_penalty: float = 0.0, patch: int = 3, nnf: NNF | None = None
) -> Tensor:
    """Mean squared distance of each R x R patch of the output to the style patch that it takes.

    Args:
        output, style: (C, H, W) and (C, H', W').
        usage_penalty: lambda, see `assign`.
        patch: R, odd.
        nnf: the assignment, if it is known; lambda is then ignored.
    """
    nnf = nnf or assign(output, style, usage_penalty, patch)
    taken = _patches(style, patch)[nnf.match.flatten()]
    return (_patches(output, patch) - taken).square().mean()


def total_loss(
    output: Tensor,
    content: Tensor,
    style: Tensor,
    content_weight: float = 0.5,
    usage_penalty: float = 0.0,
    patch: int = 3,
    nnf: NNF | None = None,
) -> Tensor:
    """alpha L_content + (1 - alpha) L_reshuffle, with alpha the content's weight in [0, 1]."""
    style_loss = reshuffle_loss(output, style, usage_penalty, patch, nnf)
    return content_weight * content_loss(output, content) + (1 - content_weight) * style_loss


@torch.no_grad()
def assign(output: Tensor, style: Tensor, usage_penalty: float = 0.0, patch: int = 3) -> NNF:
    """Which style patch each output patch takes: the nearest, or with lambda > 0 the nearest after its price is added.

    A distance is half the squared distance, in units of the style patches' mean square. For patches of equal norm this is
    1 - cosine, so lambda has about the same meaning as in `Settings`.

    Args:
        output, style: features (C, H, W) and (C, H', W').
        usage_penalty: lambda; 0 is unconstrained, at large values all patches are used equally often.

    Raises:
        SettingsError: lambda > 0 and more than `LARGEST` positions.
    """
    grids = (grid_of(output), grid_of(style))
    rows, columns = _patches(output, patch), _patches(style, patch)
    square = columns.square().sum(1)
    if usage_penalty > 0:
        if max(len(rows), len(columns)) > LARGEST:
            raise SettingsError(f"usage_penalty: {len(rows)} positions are too many; pass at most {LARGEST}, or `nnf`")
        unit = square.mean().clamp_min(1e-12)
        # a . b - |b|^2 / 2 is minus half the squared distance, plus |a|^2 / 2, which is the same for all b
        rows = torch.cat([rows / unit.sqrt(), torch.ones_like(rows[:, :1])], 1)
        columns = torch.cat([columns / unit.sqrt(), -square[:, None] / (2 * unit)], 1)
        return match_all(rows, columns, grids, usage_penalty)
    match = torch.cat([(some @ columns.T - square / 2).argmax(1) for some in rows.split(_BLOCK)])
    return NNF(match.view(grids[0]), torch.zeros(grids[1], dtype=style.dtype, device=style.device))


def usage_deviation(nnf: NNF) -> float:
    """Total variation distance between the use of the style's patches and equal use, 0 (equal) to 1."""
    return float((usage(nnf) - 1).abs().mean()) / 2


def _patches(features: Tensor, patch: int) -> Tensor:
    """Rows (N, C R^2), a row for each position."""
    return F.unfold(reflect(features, patch // 2)[None], patch)[0].T
