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

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .balance import balanced
from .nnf import NNF, Grid, grid_of, neighbours, shifted, upsample, usage
from .style import StyleLevel, pool, pool_map
from .supply import Asked, Supply

EXACT = 4096  # positions on either side up to which all pairs are compared
_ENTROPIES = (0.03, 0.01, 0.005)  # Sinkhorn's epsilon, in units of cosine, falling so that it converges
_SCALINGS = 5
_SAMPLE = 1024  # content positions that prices are taken from, at least, where there are so many
_TINY = 1e-20  # of a kernel; keeps denormal numbers out, which are slow
_ROWS = 256  # content positions compared with all of the style's at a time, so that their block stays in the cache
_BLOCK = 65536  # positions compared with a single style position each at a time


def match_first(
    features: Tensor,
    style: StyleLevel,
    usage_penalty: float,
    seed: int = 0,
    counting: bool = False,
    before: NNF | None = None,
    aim: Tensor | None = None,
    bond: Tensor | None = None,
    takes: Tensor | None = None,
) -> NNF:
    """The field at the coarsest level, of any size: all pairs on a grid pooled until that is cheap, then improved.

    Args:
        counting: by `match_counting` instead of `match_all`.
        before: the field of the turn before.
        aim: luminance (H, W) that is aimed at, if the style's is known.
        bond: see `improve`, which then goes over the field once more.
        takes: region (H, W) that each place takes from, see `Supply`.

    A seed other than 0 stirs the content's descriptors, so that near-equal patches change places.
    """
    describer, _ = style.index()
    factor = 1
    while max(features[0].numel(), style.features[0].numel()) > EXACT * factor**2:
        factor *= 2

    def query(factor: int, seed: int = 0) -> Tensor:
        """Descriptors of the content on its grid pooled by a factor."""
        return style.query(pool(features, factor), pool_map(aim, factor), picked(takes, factor), seed)

    def grids(factor: int) -> tuple[Grid, Grid]:
        return _pooled(grid_of(features), factor), _pooled(style.grid, factor)

    key, supply = style.pooled_index(factor)
    asked = None if supply is None else supply.asked(picked(takes, factor))
    stirred = query(factor, seed)
    if counting:
        nnf = match_counting(stirred, key, grids(factor), usage_penalty, describer.patch, asked)
    else:
        nnf = match_all(stirred, key, grids(factor), usage_penalty, before if factor == 1 else None, asked)
    if supply is not None:
        nnf = NNF(nnf.match, supply.filled(nnf.prices), supply.several)
    while factor > 1:
        factor //= 2
        key, supply = style.pooled_index(factor)
        own = query(factor)
        nnf = improve(upsample(nnf, *grids(factor), None if supply is None else supply.several), own, key)
        nnf = settled(nnf, own, key, supply, picked(takes, factor))
    if bond is not None:
        nnf = improve(nnf, query(1), key, bond=bond)
    return nnf if supply is None else balanced(nnf, query(1), key, supply, takes, usage_penalty)


def _pooled(grid: Grid, factor: int) -> Grid:
    return -(-grid[0] // factor), -(-grid[1] // factor)


def picked(values: Tensor | None, factor: int) -> Tensor | None:
    """A map of numbers (H, W) on a grid that is coarser by a factor."""
    return None if values is None else values[::factor, ::factor]


def match_all(
    content: Tensor,
    style: Tensor,
    grids: tuple[Grid, Grid],
    usage_penalty: float,
    before: NNF | None = None,
    asked: Asked | None = None,
) -> NNF:
    """The field over all pairs.

    Args:
        content, style: descriptors (N, d) and (N', d); N and N' at most about `EXACT`, because the time is N x N'.
        grids: height and width of content and style.
        usage_penalty: lambda >= 0, in units of cosine.
        before: a field of nearly the same descriptors, whose prices are then only brought up to date.
        asked: how often each style position is to be used; None for all alike.
    """
    base = torch.zeros_like(style[:, 0]) if asked is None else asked.preference
    prices = base if before is None else before.prices.flatten()
    if usage_penalty > 0:
        sample = content[:: max(1, len(content) // _SAMPLE) | 1]
        for entropy in _entropies(usage_penalty) if before is None else _ENTROPIES[-1:]:
            prices = _updated(prices, base, sample, style, usage_penalty, entropy, asked)
    match = torch.cat([torch.addmm(prices, some, style.T).argmax(1) for some in content.split(_ROWS)])
    return NNF(match.view(grids[0]), prices.view(grids[1]))


def _entropies(usage_penalty: float) -> Sequence[float]:
    """A scaling leaves lambda / (lambda + epsilon) of the way to go, so a small penalty needs no large epsilon first."""
    return [entropy for entropy in _ENTROPIES if entropy < usage_penalty] or _ENTROPIES[-1:]


def _updated(
    prices: Tensor,
    base: Tensor,
    content: Tensor,
    style: Tensor,
    usage_penalty: float,
    entropy: float,
    asked: Asked | None,
) -> Tensor:
    """Prices after some Sinkhorn scalings; without a penalty they would be ``base``."""
    # the prices so far go into the kernel, so that the factors on top of them stay within float32
    kernel = [
        torch.addmm(prices / entropy, some, style.T, alpha=1 / entropy).softmax(1).clamp_min_(_TINY)
        for some in content.split(_ROWS)
    ]
    exponent = usage_penalty / (usage_penalty + entropy)
    relaxed = ((base - prices) / (usage_penalty + entropy)).exp()
    factors = torch.ones_like(prices)
    for _ in range(_SCALINGS):
        used = torch.zeros_like(prices)
        for block in kernel:
            used += (block @ factors).reciprocal_() @ block
        used = used.mul_(len(style) / len(content))
        if asked is not None:
            used = used.div_(asked.mass.clamp_min(_TINY))
        factors = used.clamp_min_(_TINY).pow_(-exponent).mul_(relaxed)
    return prices + factors.log_().mul_(entropy)


def match_counting(
    content: Tensor,
    style: Tensor,
    grids: tuple[Grid, Grid],
    usage_penalty: float,
    patch: int,
    asked: Asked | None = None,
) -> NNF:
    """The field over all pairs as the paper has it: one content position after the other takes the best style patch, and
    each use of a patch so far costs lambda / R^2, counted in units of equal use.

    Row by row, without the random search of the authors' program, so the result is one and the same each time.

    Args: see `match_all`; ``patch`` is R.
    """
    similarity = content @ style.T
    prices = torch.zeros_like(similarity[0])
    price = (usage_penalty / patch**2 * len(style) / len(content)) * torch.ones_like(prices)
    if asked is not None:
        prices, price = prices + asked.preference, price / asked.mass.clamp_min(_TINY)
    match = torch.empty(len(content), dtype=torch.int64, device=content.device)
    for position, row in enumerate(similarity):
        chosen = (row + prices).argmax()
        match[position] = chosen
        prices[chosen] -= price[chosen]
    return NNF(match.view(grids[0]), prices.view(grids[1]))


def counted(nnf: NNF, usage_penalty: float, patch: int, supply: Supply | None = None, takes: Tensor | None = None) -> NNF:
    """The same field with the prices of `match_counting`, from how often each style position is used now."""
    used = usage(nnf)
    if supply is None:
        return replace(nnf, prices=used * (-usage_penalty / patch**2))
    asked = supply.asked(takes)
    used = used / asked.mass.clamp_min(_TINY).view_as(used)
    prices = asked.preference.view_as(used) - used * (usage_penalty / patch**2)
    return replace(nnf, prices=supply.filled(prices))


def settled(nnf: NNF, content: Tensor, style: Tensor, supply: Supply | None, takes: Tensor | None) -> NNF:
    """A field all of whose positions take from their region. Those that do not take the best patch of it, of up to
    `EXACT` that are spread over it.

    Args:
        content, style: descriptors on the field's grids, with the columns of the regions.
        supply, takes: on these grids.
    """
    wrong = None if supply is None else supply.wrong(nnf.match, takes)
    if supply is None or takes is None or wrong is None or not wrong.any():
        return nnf
    match, prices = nnf.match.clone(), nnf.prices.flatten()
    for region in takes[wrong].unique().tolist():
        places = (wrong & (takes == region)).flatten().nonzero()[:, 0]
        offers = (supply.regions.flatten() == region).nonzero()[:, 0]
        offers = offers[:: -(-len(offers) // EXACT)]
        best = [(content[some] @ style[offers].T + prices[offers]).argmax(1) for some in places.split(EXACT)]
        match.view(-1)[places] = offers[torch.cat(best)]
    return replace(nnf, match=match)


def improve(nnf: NNF, content: Tensor, style: Tensor, rounds: int = 2, bond: Tensor | None = None) -> NNF:
    """Improve a field locally: neighbours' matches, then the four places around the own match; never worse.

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
        for candidates in neighbours(best.view(nnf.content), nnf.style, nnf.boxes):
            _keep_better(candidates.flatten(), content, style, prices, best, score)
        for shift in _WINDOW:
            _keep_better(shifted(best, shift, nnf.style, nnf.boxes), content, style, prices, best, score)
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
            own = match.flatten()[places]
            proposals = [candidates.flatten()[places] for candidates in neighbours(match, nnf.style, nnf.boxes)]
            window = (shifted(own, shift, nnf.style, nnf.boxes) for shift in _WINDOW)
            match.view(-1)[places] = _best_bonded(own, proposals, window, rows, style, prices, worth[places])
    return replace(nnf, match=match)


def _best_bonded(
    own: Tensor,
    proposals: list[Tensor],
    window: Iterable[Tensor],
    rows: Tensor,
    style: Tensor,
    prices: Tensor,
    worth: Tensor,
) -> Tensor:
    """The best of the own matches, those that the neighbours propose, and the window around the own."""
    best, most = own, torch.full_like(worth, -torch.inf)
    for candidates in (own, *proposals, *window):
        agreeing = torch.stack([candidates == proposal for proposal in proposals]).sum(0)
        total = _scores(rows, style, prices, candidates) + worth * agreeing
        better = total > most
        most, best = torch.where(better, total, most), torch.where(better, candidates, best)
    return best


_WINDOW = [(-1, 0), (0, -1), (0, 1), (1, 0)]  # diagonal steps too took longer and were no better


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
