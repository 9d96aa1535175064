"""A few coordinates of the gradient, looked at in every step: how large is the true gradient, and do the workers agree?

**How large.** The gradient of a mini-batch is the true gradient plus noise, which in big networks is much the larger
part, so its norm says little. But the noise of two steps is independent: the inner product of two consecutive gradients
is on average that of the true ones, |grad f|^2 but for how far a step goes. On a sample of the coordinates that is an
estimate for all of them, noisy, to be averaged over many steps.

**Do they agree.** Local Adams converge to the optimum only if all workers draw from the same data: each divides by its
own gradients' size, so workers with different data pull with weights that the sum of their losses does not have. Every
worker tells random sums (`BUCKETS` of them) of sampled coordinates of g / max(sqrt(v), |g|). Between workers with the
same data they differ by chance only, from step to step in other directions; a difference that persists over `SPAN`
steps shows that the data differ. See `Agreement`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BUCKETS = 8
SPAN = 50  # steps that make one judgement
_SAMPLE = 4096  # coordinates
_CHANCE = 4.0  # times what chance explains
_SHARE = 0.05  # of the size of the gradients: smaller differences do little harm
_LEAST = 1e-12


class Probe:
    """The sampled coordinates of a flat gradient of ``count`` weights, the same on all workers."""

    def __init__(self, count: int, device: torch.device) -> None:
        random = torch.Generator().manual_seed(0)
        chosen = torch.randperm(count, generator=random)[:_SAMPLE] if count <= 1 << 20 else _spread(count, random)
        self._count = count
        self._places = chosen.sort().values.to(device)
        signs = torch.randint(0, 2, (len(chosen),), generator=random) * 2.0 - 1
        buckets = torch.randint(0, BUCKETS, (len(chosen),), generator=random) if len(chosen) >= 64 else None
        if buckets is None:  # so few that every coordinate has a sum of its own, or nearly
            buckets = torch.arange(len(chosen)) % BUCKETS
        self._signs = torch.zeros(BUCKETS, len(chosen))
        self._signs[buckets, torch.arange(len(chosen))] = signs
        self._signs = (self._signs / self._signs.abs().sum(1, keepdim=True).clamp_min(1).sqrt()).to(device)
        self._before: Tensor | None = None

    def look(self, gradient: Tensor, square: Tensor) -> tuple[tuple[float, ...], float]:
        """The sums, and the estimate of |grad f|^2 (not a number at the first look).

        Args:
            gradient, square: flat g and v, float32 (count,).
        """
        g, v = gradient[self._places], square[self._places]
        sums = (self._signs @ (g / torch.maximum(v.sqrt(), g.abs()).clamp_min(_LEAST))).tolist()
        before, self._before = self._before, g
        estimate = math.nan if before is None else float(g.double() @ before.double()) * self._count / max(len(g), 1)
        return tuple(sums), estimate


def _spread(count: int, random: torch.Generator) -> Tensor:
    """Random places, one in each of equal stretches: a permutation of so many would take long."""
    stretch = count // _SAMPLE
    return torch.arange(_SAMPLE) * stretch + torch.randint(0, stretch, (_SAMPLE,), generator=random)


class Agreement:
    """Whether the workers' gradients differ by more than chance, judged every `SPAN` steps.

    The difference of a worker's sums from the mean of all workers has the expectation 0 if all draw from the same data.
    Over n steps its mean then has the variance of the differences over n: their quotient is about 1, whatever the noise.

    Attributes:
        quotient: of the last judgement; nan before the first.
        share: the persistent difference over the size of the sums, 0 to 1; nan before the first judgement.
        warned: whether two judgements in a row found a difference: both above 4 times chance and above 5 %.
    """

    def __init__(self) -> None:
        self.quotient, self.share, self.warned = math.nan, math.nan, False
        self._found = 0
        self._clear()

    def _clear(self) -> None:
        self._steps = 0
        self._sums: Tensor | None = None
        self._squares: Tensor | None = None
        self._size = 0.0

    def add(self, probes: Sequence[Sequence[float]]) -> bool:
        """Take the sums of all workers at a step; returns whether a warning is due now, once."""
        if len(probes) < 2:
            return False
        table = torch.tensor(probes, dtype=torch.float64)
        differences = table - table.mean(0)
        self._sums = differences if self._sums is None else self._sums + differences
        self._squares = differences**2 if self._squares is None else self._squares + differences**2
        self._size += float((table**2).mean())
        self._steps += 1
        return self._steps == SPAN and self._judge()

    def _judge(self) -> bool:
        assert self._sums is not None and self._squares is not None
        mean, size = self._sums / SPAN, self._size / SPAN
        variance = (self._squares / SPAN - mean**2).clamp_min(0) * SPAN / (SPAN - 1)
        persistent, by_chance = float((mean**2).mean()), float(variance.mean()) / SPAN
        self.quotient = persistent / max(by_chance, _LEAST * max(size, _LEAST))
        self.share = math.sqrt(max(persistent - by_chance, 0) / max(size, _LEAST))
        self._found = self._found + 1 if self.quotient > _CHANCE and self.share > _SHARE else 0
        self._clear()
        due = self._found == 2 and not self.warned
        self.warned = self.warned or due
        return due
