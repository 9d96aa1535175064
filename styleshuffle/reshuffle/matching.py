"""Who goes where: for each content position the style position whose patch it takes.

Constrained nearest neighbours (Gu et al., CVPR 2018) penalise a style patch for each use. Posed as optimal transport that
has a well-defined optimum: every style patch gets a *price*, and a content position takes the patch with the largest
``similarity + price``. Sinkhorn scaling (Cuturi, "Sinkhorn distances", NIPS 2013), with the marginal of the style relaxed
(Chizat et al., "Scaling algorithms for unbalanced optimal transport", 2018), finds the prices; there is no random search
and no order dependence. The relaxation is the usage penalty lambda: at 0 all prices are 0, which is the unconstrained
nearest neighbour; for large values every style patch is used equally often, whatever the two pictures' sizes.

Matching everything with everything is done only for up to `EXACT` positions. The field (see `nnf`) goes to finer grids
with its prices, and `improve` searches there near what it has, as PatchMatch does (Barnes et al., 2009), but without
chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .nnf import NNF, Grid, grid_of, upsample, usage
from .style import StyleLevel, mostly

EXACT = 4096  # positions on either side up to which all pairs are compared
_ENTROPIES = (0.03, 0.01, 0.005)  # Sinkhorn's epsilon, in units of cosine, falling so that it converges
_SCALINGS = 5  # at each epsilon
_SAMPLE = 1024  # content positions that prices are taken from, at least, where there are so many
_TINY = 1e-20  # of a kernel; keeps denormal numbers out, which are slow
_ROWS = 256  # content positions compared with all of the style's at a time, so that their block stays in the cache
_BLOCK = 65536  # positions compared with a single style position each at a time
_STIR = 0.5  # norm of what a seed adds to unit descriptors


def match_first(
    features: Tensor,
    style: StyleLevel,
    usage_penalty: float,
    seed: int = 0,
    counting: bool = False,
    before: NNF | None = None,
    aim: Tensor | None = None,
    bond: Tensor | None = None,
) -> NNF:
    """The field at the coarsest level, of any size: all pairs on a grid pooled until that is cheap, then improved.

    Args:
        counting: by `match_counting` instead of `match_all`.
        before: the field of the turn before.
        aim: luminance (H, W) that is aimed at, if the style's is known.
        bond: see `improve`, which then goes over the field once more.

    A seed other than 0 stirs the content's descriptors, so that near-equal patches change places.
    """
    describer, descriptors = style.index()
    factor = 1
    while max(features[0].numel(), style.features[0].numel()) > EXACT * factor**2:
        factor *= 2

    def described(factor: int) -> tuple[Tensor, Tensor]:
        """Descriptors of content and style on their grids pooled by a factor."""
        query = describer(_pool(features, factor), _pool_map(aim, factor))
        if factor == 1:
            return query, descriptors
        shown = None if style.shown is None else mostly(_pool(style.shown[None].float(), factor)[0])
        return query, describer(_pool(style.features, factor), light=_pool_map(style.light, factor), shown=shown)

    def grids(factor: int) -> tuple[Grid, Grid]:
        return _pooled(grid_of(features), factor), _pooled(style.grid, factor)

    query, key = described(factor)
    stirred = _stirred(query, seed)
    if counting:
        nnf = match_counting(stirred, key, grids(factor), usage_penalty, describer.patch)
    else:
        nnf = match_all(stirred, key, grids(factor), usage_penalty, before if factor == 1 else None)
    while factor > 1:
        factor //= 2
        query, key = described(factor)
        nnf = improve(upsample(nnf, *grids(factor)), query, key)
    return nnf if bond is None else improve(nnf, query, key, bond=bond)


def _stirred(descriptors: Tensor, seed: int) -> Tensor:
    if seed == 0:
        return descriptors
    noise = torch.randn(descriptors.shape, generator=torch.Generator().manual_seed(seed)).to(descriptors)
    return F.normalize(descriptors + _STIR * noise / descriptors.shape[1] ** 0.5, dim=1)


def _pool(features: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(features[None], factor, ceil_mode=True)[0] if factor > 1 else features


def _pool_map(values: Tensor | None, factor: int) -> Tensor | None:
    return values if values is None else _pool(values[None], factor)[0]


def _pooled(grid: Grid, factor: int) -> Grid:
    return -(-grid[0] // factor), -(-grid[1] // factor)


def match_all(
    content: Tensor, style: Tensor, grids: tuple[Grid, Grid], usage_penalty: float, before: NNF | None = None
) -> NNF:
    """The field over all pairs.

    Args:
        content, style: descriptors (N, d) and (N', d); N and N' at most about `EXACT`, because the time is N x N'.
        grids: height and width of content and style.
        usage_penalty: lambda >= 0, in units of cosine.
        before: a field of nearly the same descriptors, whose prices are then only brought up to date.
    """
    prices = torch.zeros_like(style[:, 0]) if before is None else before.prices.flatten()
    if usage_penalty > 0:
        sample = content[:: max(1, len(content) // _SAMPLE) | 1]
        for entropy in _ENTROPIES if before is None else _ENTROPIES[-1:]:
            prices = _updated(prices, sample, style, usage_penalty, entropy)
    match = torch.cat([torch.addmm(prices, some, style.T).argmax(1) for some in content.split(_ROWS)])
    return NNF(match.view(grids[0]), prices.view(grids[1]))


def _updated(prices: Tensor, content: Tensor, style: Tensor, usage_penalty: float, entropy: float) -> Tensor:
    """Prices after some Sinkhorn scalings at an entropy."""
    # the prices so far go into the kernel, so that the factors on top of them stay within float32
    kernel = [
        torch.addmm(prices / entropy, some, style.T, alpha=1 / entropy).softmax(1).clamp_min_(_TINY)
        for some in content.split(_ROWS)
    ]
    exponent = usage_penalty / (usage_penalty + entropy)
    relaxed = (-prices / (usage_penalty + entropy)).exp()
    factors = torch.ones_like(prices)
    for _ in range(_SCALINGS):
        used = torch.zeros_like(prices)
        for block in kernel:
            used += (block @ factors).reciprocal_() @ block
        factors = used.mul_(len(style) / len(content)).clamp_min_(_TINY).pow_(-exponent).mul_(relaxed)
    return prices + factors.log_().mul_(entropy)


def match_counting(content: Tensor, style: Tensor, grids: tuple[Grid, Grid], usage_penalty: float, patch: int) -> NNF:
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
    return NNF(match.view(grids[0]), prices.view(grids[1]))


def counted(nnf: NNF, usage_penalty: float, patch: int) -> NNF:
    """The same field with the prices of `match_counting`, from how often each style position is used now."""
    return replace(nnf, prices=usage(nnf) * (-usage_penalty / patch**2))


def improve(nnf: NNF, content: Tensor, style: Tensor, rounds: int = 2, bond: Tensor | None = None) -> NNF:
    """Improve a field locally: neighbours' matches, then the 3 x 3 window around the own match; never worse.

    Args:
        content, style: descriptors (N, d) and (N', d) on the field's grids.
        bond: (H, W), what it is worth to a position, as a similarity, that all four neighbours continue its patch.
            Without a bond, positions that look alike take matches here and there, and their votes are averaged away.
    """
    if bond is not None:
        return _improve_bonded(nnf, content, style, rounds, bond)
    prices = nnf.prices.flatten()
    best = nnf.match.flatten().clone()
    score = _scores(content, style, prices, best)
    for _ in range(rounds):
        for candidates in _neighbours(best.view(nnf.content), nnf.style):
            _keep_better(candidates.flatten(), content, style, prices, best, score)
        for shift in _WINDOW:
            _keep_better(_shifted(best, shift, nnf.style), content, style, prices, best, score)
    return replace(nnf, match=best.view(nnf.content))


def _improve_bonded(nnf: NNF, content: Tensor, style: Tensor, rounds: int, bond: Tensor) -> NNF:
    """`improve`, with as much of the bond for a match as neighbours propose it.

    Positions change in turns, as the black and the white squares of a chessboard do: if all of them joined a neighbour at
    once, the field would only move.
    """
    prices, worth = nnf.prices.flatten(), bond.flatten() / 4
    match = nnf.match.clone()
    height, width = nnf.content
    colour = (torch.arange(height, device=match.device)[:, None] + torch.arange(width, device=match.device)) % 2
    squares = [(colour == which).flatten().nonzero()[:, 0] for which in (0, 1)]
    described = [content[places] for places in squares]
    for _ in range(rounds):
        for places, rows in zip(squares, described, strict=True):
            proposals = [candidates.flatten()[places] for candidates in _neighbours(match, nnf.style)]
            match.view(-1)[places] = _best_bonded(
                match.flatten()[places], proposals, nnf.style, rows, style, prices, worth[places]
            )
    return replace(nnf, match=match)


def _best_bonded(
    own: Tensor, proposals: list[Tensor], grid: Grid, rows: Tensor, style: Tensor, prices: Tensor, worth: Tensor
) -> Tensor:
    """The best of the own matches, those that the neighbours propose, and the window around the own."""
    best, most = own, torch.full_like(worth, -torch.inf)
    for candidates in (own, *proposals, *(_shifted(own, shift, grid) for shift in _WINDOW)):
        agreeing = torch.stack([candidates == proposal for proposal in proposals]).sum(0)
        total = _scores(rows, style, prices, candidates) + worth * agreeing
        better = total > most
        most, best = torch.where(better, total, most), torch.where(better, candidates, best)
    return best


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
        [
            (some * style.index_select(0, index)).sum(1)
            for some, index in zip(content.split(_BLOCK), match.split(_BLOCK), strict=True)
        ]
    )
    return similarity + prices.index_select(0, match)
