"""Who goes where: for each content position the style position whose patch it takes.

Constrained nearest neighbours (Gu et al., CVPR 2018) penalise a style patch for each use. Posed as optimal transport that
has a well-defined optimum: every style patch gets a *price*, and a content position takes the patch with the largest
``similarity + price``. Sinkhorn scaling (Cuturi, "Sinkhorn distances", NIPS 2013), with the marginal of the style relaxed
(Chizat et al., "Scaling algorithms for unbalanced optimal transport", 2018), finds the prices; there is no random search
and no order dependence. The relaxation is the usage penalty lambda: at 0 all prices are 0, which is the unconstrained
nearest neighbour; for large values every style patch is used equally often, whatever the two pictures' sizes.

Matching everything with everything is done only for up to `EXACT` positions. A field of matches with its prices is
carried to finer grids by `upsample` and improved there by `refine` in the manner of PatchMatch (Barnes et al., 2009), but
without its randomness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

EXACT = 4096  # positions on either side up to which all pairs are compared
_ENTROPIES = (0.03, 0.01, 0.005)  # Sinkhorn's epsilon, in units of cosine, falling so that it converges
_SCALINGS = 8  # at each epsilon
_TINY = 1e-20
_LEAST = -46.0  # its logarithm; keeps denormal numbers out, which are slow
_BLOCK = 65536  # positions refined at a time

Grid = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """A nearest-neighbour field with prices.

    Attributes:
        match: (H, W), int64: for each content position the row-major index of its style position.
        prices: (H', W'): what is added to the similarity with each style position.
    """

    match: Tensor
    prices: Tensor

    @property
    def content(self) -> Grid:
        return tuple(self.match.shape)

    @property
    def style(self) -> Grid:
        return tuple(self.prices.shape)


def match_all(
    content: Tensor, style: Tensor, grids: tuple[Grid, Grid], usage_penalty: float, before: Field | None = None
) -> Field:
    """The field over all pairs.

    Args:
        content, style: descriptors (N, d) and (N', d); N and N' at most about `EXACT`, for memory is N x N'.
        grids: height and width of content and style.
        usage_penalty: lambda >= 0, in units of cosine.
        before: a field of nearly the same descriptors, whose prices are then only brought up to date.
    """
    similarity = content @ style.T
    prices = torch.zeros_like(similarity[0]) if before is None else before.prices.flatten()
    if usage_penalty > 0:
        for entropy in _ENTROPIES if before is None else _ENTROPIES[-1:]:
            # the prices so far go into the kernel, so that the factors on top of them stay within float32
            priced = similarity + prices
            kernel = priced.sub_(priced.amax(1, keepdim=True)).div_(entropy).clamp_min_(_LEAST).exp_()
            exponent = usage_penalty / (usage_penalty + entropy)
            relaxed = (-prices / (usage_penalty + entropy)).exp()
            factors = torch.ones_like(prices)
            for _ in range(_SCALINGS):
                rows = (kernel @ factors).reciprocal_()
                used = (rows @ kernel).mul_(len(style) / len(content)).clamp_min_(_TINY)
                factors = used.pow_(-exponent).mul_(relaxed)
            prices = prices + factors.log_().mul_(entropy)
    match = similarity.add_(prices).argmax(1)
    return Field(match.view(grids[0]), prices.view(grids[1]))


def match_counting(content: Tensor, style: Tensor, grids: tuple[Grid, Grid], usage_penalty: float, patch: int) -> Field:
    """The field over all pairs as the paper has it: one content position after the other takes the best style patch, and
    each use of a patch so far costs lambda / R^2, counted in units of equal use.

    Row by row, without the random search of the authors' program, so the result is one and the same each time.

    Args: see `match_all`; ``patch`` is R.
    """
    similarity = content @ style.T
    prices = torch.zeros_like(similarity[0])
    price = usage_penalty / patch**2 * len(style) / len(content)
    match = torch.empty(len(content), dtype=torch.int64, device=content.device)
    for position, row in enumerate(similarity):
        chosen = (row + prices).argmax()
        match[position] = chosen
        prices[chosen] -= price
    return Field(match.view(grids[0]), prices.view(grids[1]))


def counted(field: Field, usage_penalty: float, patch: int) -> Field:
    """The same field with the prices of `match_counting`, from how often each style position is used now."""
    return replace(field, prices=usage(field) * (-usage_penalty / patch**2))


def upsample(field: Field, content: Grid, style: Grid) -> Field:
    """The same field on finer grids: each position takes its parent's match, shifted as it lies in the parent."""
    row_parents, row_shifts = _parents(content[0], field.content[0], field.match.device)
    column_parents, column_shifts = _parents(content[1], field.content[1], field.match.device)
    matches = field.match[row_parents[:, None], column_parents[None, :]]
    y = -(-(matches // field.style[1]) * style[0] // field.style[0]) + row_shifts[:, None]
    x = -(-(matches % field.style[1]) * style[1] // field.style[1]) + column_shifts[None, :]
    match = y.clamp(0, style[0] - 1) * style[1] + x.clamp(0, style[1] - 1)
    prices = F.interpolate(field.prices[None, None], style, mode="bilinear", align_corners=False)[0, 0]
    return Field(match, prices)


def _parents(fine: int, coarse: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Per fine position: its coarse parent, and its offset from the parent's first child."""
    positions = torch.arange(fine, device=device)
    parents = positions * coarse // fine
    first = -(-parents * fine // coarse)
    return parents, positions - first


def refine(field: Field, content: Tensor, style: Tensor, rounds: int = 2) -> Field:
    """Improve a field locally: neighbours' matches, then the 3 x 3 window around the own match; never worse.

    Args:
        content, style: descriptors (N, d) and (N', d) on the field's grids.
    """
    prices = field.prices.flatten()
    best = field.match.flatten().clone()
    score = _scores(content, style, prices, best)
    for _ in range(rounds):
        for candidates in _neighbours(best.view(field.content), field.style):
            _keep_better(candidates.flatten(), content, style, prices, best, score)
        for shift in _WINDOW:
            _keep_better(_shifted(best, shift, field.style), content, style, prices, best, score)
    return replace(field, match=best.view(field.content))


_WINDOW = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def _neighbours(match: Tensor, style: Grid) -> Iterator[Tensor]:
    """For each of four directions, what the neighbour's match proposes: its own, shifted back by the direction."""
    for dimension, step, shift in ((0, 1, (1, 0)), (0, -1, (-1, 0)), (1, 1, (0, 1)), (1, -1, (0, -1))):
        yield _shifted(match.roll(step, dimension), shift, style)


def _shifted(match: Tensor, shift: tuple[int, int], style: Grid) -> Tensor:
    y = (match // style[1] + shift[0]).clamp_(0, style[0] - 1)
    x = (match % style[1] + shift[1]).clamp_(0, style[1] - 1)
    return y.mul_(style[1]).add_(x)


def _keep_better(candidates: Tensor, content: Tensor, style: Tensor, prices: Tensor, best: Tensor, score: Tensor) -> None:
    proposed = _scores(content, style, prices, candidates)
    better = proposed > score
    torch.where(better, proposed, score, out=score)
    torch.where(better, candidates, best, out=best)


def _scores(content: Tensor, style: Tensor, prices: Tensor, match: Tensor) -> Tensor:
    similarity = torch.cat(
        [(some * style[index]).sum(1) for some, index in zip(content.split(_BLOCK), match.split(_BLOCK), strict=True)]
    )
    return similarity + prices[match]


def usage(field: Field) -> Tensor:
    """How often each style position is used, (H', W'), in units of equal use (so the mean is 1)."""
    counts = torch.bincount(field.match.flatten(), minlength=field.prices.numel()).view(field.style)
    return counts * (field.prices.numel() / field.match.numel())
