"""What refinement steers a picture to: target features, and the loss, which is the picture's distance from them.

For a fixed field the reshuffle loss of Gu et al. (CVPR 2018) needs no patches: the sum of |F(q) - S(q)|^2 over all
patches that overlap at q is that of one position against their mean, the vote, times R^2, plus what does not depend on F.
So the content and the reshuffle loss together are, up to a constant, the distance to the vote blended with the content.

Gradient steps, learned steps and the training of the learned steps all take their targets and their loss from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..settings import Settings
from .guide import Guide
from .levels import evened_vote, recolour
from .matching import improve
from .nnf import NNF, Grid, grid_of, upsample
from .style import StyleLevel

LEVELS = (3, 2, 1)  # with relu4_1 a step takes half as long again, and few steps made coherence and cfsd worse
_WEIGHTS = {4: 1.0, 3: 1.5, 2: 1.0, 1: 0.5}  # of the levels' losses
_LEAST_VARIANCE = 1e-3  # of a style's features, as a share of their mean square: that of a flat style is rounding


@dataclass(frozen=True)
class Start:
    """What the feed-forward result leaves to refinement at one level: who went where, and the votes (C, H, W)."""

    nnf: NNF
    votes: Tensor


@dataclass
class Targets:
    """Target features by level, and what distances from them are measured in.

    Attributes:
        features: (C, H, W), or of several pictures (N, C, H, W).
        deviations: of the style's features, one number a level (which makes levels comparable), or (N, 1, 1, 1).
    """

    features: dict[int, Tensor]
    deviations: Mapping[int, float | Tensor]

    @property
    def levels(self) -> list[int]:
        return list(self.features)

    def residuals(self, features: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """(target - features) / deviation by level, (N, C, H, W) as the features are."""
        return {level: (target - features[level]).div_(self.deviations[level]) for level, target in self.features.items()}

    def rematch(self, features: Mapping[int, Tensor]) -> None:
        """Set the targets anew for a picture with these features; these here stay as they are."""


class MatchedTargets(Targets):
    """The targets of a picture that was fed forward.

    Args:
        content: features (C, H, W) of the content by level.
        style: from `prepare_style`.
        starts: of the last turn of each level. `rematch` improves their fields.
        settings, guide: as for the feed-forward result.
    """

    def __init__(
        self,
        content: dict[int, Tensor],
        style: dict[int, StyleLevel],
        starts: dict[int, Start],
        settings: Settings,
        guide: Guide | None = None,
    ) -> None:
        levels = [level for level in settings.levels if level in LEVELS] or list(settings.levels[-1:])
        self.content, self.style, self.settings, self.guide = content, style, settings, guide or Guide()
        self.nnfs = {level: starts[level].nnf for level in settings.levels}
        self.shares = {level: content_share(level, settings, self.guide, grid_of(content[level])) for level in levels}
        super().__init__(
            {level: self._target(level, starts[level].votes) for level in levels},
            {level: _deviation(style[level]) for level in levels},
        )

    def rematch(self, features: Mapping[int, Tensor]) -> None:
        """Improve the fields locally for a picture with these features, (1, C, H, W), and set the targets anew."""
        for level in self.levels:
            own, patterns, here = features[level][0], self.style[level], self.settings.at(level)
            if here.matches:
                _, descriptors = patterns.index()
                query = patterns.query(own, self.guide.aim_on(grid_of(own)), self.guide.takes_on(grid_of(own)))
                self.nnfs[level] = improve(self.nnfs[level], query, descriptors, rounds=1)
            else:
                self.nnfs[level] = upsample(self.nnfs[level + 1], grid_of(own), patterns.grid, patterns.boxes)
            votes = evened_vote(patterns, self.nnfs[level], here.patch_size, self.guide, self.settings.evening)
            self.features[level] = self._target(level, votes)

    def _target(self, level: int, votes: Tensor) -> Tensor:
        aim = recolour(self.content[level], self.style[level], self.settings, self.guide)
        return torch.lerp(votes, aim, self.shares[level])


def loss_of(residuals: Mapping[int, Tensor]) -> Tensor:
    """The loss: mean square of the residuals, a weighted sum over the levels; 0 where all targets are reached."""
    total: Tensor | None = None
    for level, residual in residuals.items():
        part = _WEIGHTS[level] * residual.square().mean()
        total = part if total is None else total + part
    if total is None:
        raise ValueError("no level to compare")
    return total


def gradient_of(
    residuals: Mapping[int, Tensor], deviations: Mapping[int, float | Tensor], factor: float
) -> dict[int, Tensor]:
    """The gradient of ``factor`` times `loss_of` in the features, written out; it takes the residuals' memory."""
    return {
        level: residual.mul_(-2 * factor * _WEIGHTS[level] / residual.numel() / deviations[level])
        for level, residual in residuals.items()
    }


def content_share(level: int, settings: Settings, guide: Guide, grid: Grid) -> float | Tensor:
    """How much of the content is in the feed-forward features of a level: its own, and what the coarser ones bring.

    A level's blend has the content with its weight, and of that the encoder's own by one share and the decoded features
    of the coarser level, with their content, by the rest.

    Args:
        grid: of the level.

    Returns:
        a number, or (H, W) where the content's weights depend on its structure.
    """
    share: float | Tensor = 1.0
    for coarser in range(settings.levels[0], level - 1, -1):
        here = settings.at(coarser)
        blend = guide.encoder_blend(here, grid)
        share = guide.content_weight(here, grid) * (blend + (1 - blend) * share)
    return share


def _deviation(style: StyleLevel) -> float:
    """Root of the mean variance of the style's channels."""
    variance, mean = style.moments.covariance.diagonal().mean(), style.moments.mean.square().mean()
    return float(variance.clamp_min(_LEAST_VARIANCE * (variance + mean)).clamp_min(1e-12).sqrt())
