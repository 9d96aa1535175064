"""Move the borders between styles in a field until each style has its share.

Prices decide who takes from which style, position by position. To agree with the neighbours shifts the borders again, and
so do finer levels. Here positions at a border change to the style across it, those first that lose least by it, until as
many have changed as are missing. The usage penalty says how far to go: all the way if it is large.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .nnf import NNF, neighbours
from .supply import Supply

_HALFWAY = 0.01  # usage penalty at which half of what is missing is made up
_ROUNDS = 12  # at most; a border moves by a position a round
_OFFERS = 1024  # patches of a style that are tried where it has no border


def balanced(
    nnf: NNF,
    content: Tensor,
    style: Tensor,
    supply: Supply | None,
    takes: Tensor | None,
    usage_penalty: float,
) -> NNF:
    """A field in which the shares of the styles are nearer to what they are to be, in each region of the content.

    Args:
        content, style: descriptors (N, d) and (N', d) on the field's grids.
        supply: of the styles on that grid; None for a single style.
        takes: region that each place takes from, (H, W); None for one region in all.
    """
    if supply is None or len(supply.shares) == 1 or not usage_penalty:
        return nnf
    mover = _Mover(nnf, content, style, supply, takes)
    part = usage_penalty / (usage_penalty + _HALFWAY)
    regions = [None] if takes is None else takes.unique().tolist()
    for region in regions:
        mover.balance(region, part)
    return replace(nnf, match=mover.match.view(nnf.content))


class _Mover:
    """A field whose positions change from one style to another."""

    def __init__(self, nnf: NNF, content: Tensor, style: Tensor, supply: Supply, takes: Tensor | None) -> None:
        self.nnf, self.content, self.style, self.supply = nnf, content, style, supply
        self.takes = None if takes is None else takes.flatten()
        self.style_of, self.region_of = supply.boxes.style_of.flatten(), supply.regions.flatten()
        self.prices = nnf.prices.flatten()
        self.match = nnf.match.flatten().clone()

    def balance(self, region: int | None, part: float) -> None:
        """Bring the shares within a region of the content nearer to what they are to be."""
        inside = torch.ones_like(self.match, dtype=torch.bool)
        if self.takes is not None and region is not None:
            inside = torch.eq(self.takes, region)
        wanted = self.supply.shares_within(region) * int(inside.sum())
        missing = (part * (wanted - self._counts(inside))).round().long()
        for _ in range(_ROUNDS):
            if not missing.any():
                return
            candidates, gain = self._across(inside, missing)
            moved = self._move(inside, candidates, gain, missing)
            if not moved.any():
                candidates, gain = self._afar(inside, missing, region)
                moved = self._move(inside, candidates, gain, missing)
            if not moved.any():
                return
            missing -= moved

    def _counts(self, inside: Tensor) -> Tensor:
        """How many positions inside have each style, (S)."""
        return torch.bincount(self.style_of[self.match[inside]], minlength=len(self.supply.shares)).cpu()

    def _across(self, inside: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """For each position the best patch that a neighbour proposes from a style that misses some, and its gain."""
        best, most = self.match.clone(), torch.full_like(self.prices[self.match], -torch.inf)
        short = (missing > 0).to(self.match.device)
        long = (missing < 0).to(self.match.device)
        able = inside & long[self.style_of[self.match]]
        for proposal in neighbours(self.match.view(self.nnf.content), self.nnf.style, self.nnf.boxes):
            candidate = proposal.flatten()
            fits = able & short[self.style_of[candidate]]
            if self.takes is not None:
                fits &= (self.takes < 0) | (self.region_of[candidate] == self.takes)
            places = fits.nonzero()[:, 0]
            gain = self._score(places, candidate[places]) - self._score(places, self.match[places])
            better = gain > most[places]
            best[places[better]], most[places[better]] = candidate[places[better]], gain[better]
        return best, most

    def _afar(self, inside: Tensor, missing: Tensor, region: int | None) -> tuple[Tensor, Tensor]:
        """The same from a sample of all patches of the style that misses most."""
        number = int(missing.argmax())
        fits = self.style_of == number
        if region is not None and region >= 0:
            fits &= self.region_of == region
        offers = fits.nonzero()[:, 0]
        offers = offers[:: -(-len(offers) // _OFFERS)]
        able = inside & (missing < 0).to(self.match.device)[self.style_of[self.match]]
        places = able.nonzero()[:, 0]
        best, most = self.match.clone(), torch.full_like(self.prices[self.match], -torch.inf)
        for some in places.split(4096):
            gain, chosen = torch.addmm(self.prices[offers], self.content[some], self.style[offers].T).max(1)
            best[some], most[some] = offers[chosen], gain - self._score(some, self.match[some])
        return best, most

    def _move(self, inside: Tensor, candidates: Tensor, gain: Tensor, missing: Tensor) -> Tensor:
        """Change the positions that gain most, no more than are missing or too many; returns the change in counts."""
        left = missing.clone()
        before = self._counts(inside)
        own, new = self.style_of[self.match].cpu(), self.style_of[candidates].cpu()
        order = gain.sort(descending=True).indices[: int((gain > -torch.inf).sum())].cpu()
        for source in (missing < 0).nonzero()[:, 0].tolist():
            for target in (left > 0).nonzero()[:, 0].tolist():
                count = min(-int(left[source]), int(left[target]))
                chosen = order[(own[order] == source) & (new[order] == target)][:count].to(self.match.device)
                self.match[chosen] = candidates[chosen]
                left[source], left[target] = left[source] + len(chosen), left[target] - len(chosen)
        return self._counts(inside) - before

    def _score(self, places: Tensor, match: Tensor) -> Tensor:
        return (self.content[places] * self.style[match]).sum(1) + self.prices[match]
