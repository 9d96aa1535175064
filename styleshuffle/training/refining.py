"""Train the refiner of a frozen encoder.

What it starts from and is to reach are pairs that were fed forward (`styleshuffle.training.pairs`). Steps are taken on
crops of them one after the other, as when a picture is refined, and the loss that refinement lowers
(`styleshuffle.reshuffle.targets`) is lowered after each of them, with the gradient through all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..networks.refiner import Refiner
from ..networks.vgg import VGG
from ..reshuffle.refinement import refine_by_gradient, refine_by_network
from ..reshuffle.targets import Targets, loss_of
from .loop import TrainingPlan, TrainingProgress, train
from .pairs import Maker, Pairs, Paths
from .workers import Workers

STEP_WEIGHTS = (0.5, 1.0, 0.5)  # of the losses after each step; two steps are what a picture gets
_MARGIN = 8  # pixels: nearer to a crop's border the encoder sees a reflection where the targets saw the picture
_MEASURED = 20  # pairs held out
_SHARE = 0.4  # of the time that there is, in which pairs are made
_SHOWN = 4  # pairs on the sheet
_COMPARED = (1, 2, 3, 4, 6)  # steps in the report


def make_all(
    maker: Maker,
    trained: tuple[Paths, Paths],
    held_out: tuple[Paths, Paths],
    count: int,
    plan: TrainingPlan,
    workers: Workers,
    tick: Callable[[int], object],
) -> tuple[Pairs, Pairs]:
    """This worker's pairs to train on, in the run's folder, and pairs of pictures held out, at the default settings.

    Workers make pairs of their own, ``count`` each. If the plan has a time to end at, pairs take a part of it at most.
    """
    until = plan.share_of_time(_SHARE)
    measured = replace(maker, varied=False).make(*held_out, _MEASURED, plan.folder / "held-out")
    folder = "pairs" if workers.first else f"pairs-{workers.rank}"
    own = replace(maker, seed=maker.seed + 1000 * workers.rank)
    return own.make(*trained, count, plan.folder / folder, until, tick), measured


def learn(
    refiner: Refiner,
    encoder: VGG,
    pairs: Pairs,
    crops: int,
    side: int,
    plan: TrainingPlan,
    workers: Workers | None = None,
    held_out: Pairs | None = None,
) -> Iterator[TrainingProgress]:
    """Train a refiner on crops of pairs; losses "step 1", ... are those after that step, weighted. See `train`.

    Args:
        crops: how many there are to draw from, evenly of all pairs.
        side: of a crop, in pixels, a multiple of 8.
        held_out: pairs to measure with now and then, for the log.
    """
    largest = pairs.pictures.shape[2]
    if side % 8 or side > largest:
        raise SettingsError(f"side: {side} cannot be cut from pairs of {largest}; use a multiple of 8 up to that")
    device = next(refiner.parameters()).device
    pairs, corners = pairs.near(device), np.random.default_rng(plan.seed).random((crops, 2))

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        picture, targets = pairs.crops(chosen % len(pairs), corners[chosen], side, device)
        with torch.no_grad():
            residuals = targets.residuals(encoder(picture, targets.levels))
        parts: dict[str, Tensor] = {}
        for step, weight in enumerate(STEP_WEIGHTS):
            picture = refiner(picture, residuals, step)
            residuals = targets.residuals(encoder(picture, targets.levels))
            parts[f"step {step + 1}"] = weight * loss_of(_inner(residuals))
        return parts

    kind = f"refiner of the encoder {bytes(encoder.fingerprint().tolist()).hex()}"
    look = None if held_out is None else partial(validation, refiner, encoder, held_out, len(STEP_WEIGHTS))
    return train(refiner, losses, crops, plan, workers, kind, look)


def _inner(residuals: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The residuals of crops, without those near the border."""
    inner = {}
    for level, residual in residuals.items():
        margin = _MARGIN >> (level - 1)
        inner[level] = residual[..., margin:-margin, margin:-margin].float()
    return inner


def validation(refiner: Refiner, encoder: VGG, pairs: Pairs, steps: int) -> tuple[Tensor, dict[str, float]]:
    """A sheet with a row a pair, fed forward | after 1 step | 2 | ..., (3, rows S, columns S), and mean losses."""
    device = next(encoder.buffers()).device
    rows = []
    for number in range(min(_SHOWN, len(pairs))):
        picture, targets = pairs.whole(number, device)
        rows.append(torch.cat([picture, *refine_by_network(picture, encoder, targets, steps, refiner)], 2).cpu())
    losses = mean_losses(encoder, pairs, steps, refiner)
    return torch.cat(rows, 1), {f"loss after {step}": loss for step, loss in enumerate(losses)}


def report(refiner: Refiner, encoder: VGG, pairs: Pairs) -> dict[str, float]:
    """Mean loss of whole pairs before the first step, after some learned steps, and after as many of Adam."""
    learned = mean_losses(encoder, pairs, _COMPARED[-1], refiner)
    by_gradient = mean_losses(encoder, pairs, _COMPARED[-1])
    figures = {"loss fed forward": learned[0]}
    figures |= {f"loss after {step} learned steps": learned[step] for step in _COMPARED}
    return figures | {f"loss after {step} steps of Adam": by_gradient[step] for step in _COMPARED}


def mean_losses(encoder: VGG, pairs: Pairs, steps: int, refiner: Refiner | None = None) -> list[float]:
    """Mean loss of whole pairs before the first step and after each, of the refiner, or of Adam."""
    device = next(encoder.buffers()).device
    means = [0.0] * (steps + 1)
    for number in range(len(pairs)):
        picture, targets = pairs.whole(number, device)
        if refiner is not None:
            taken = refine_by_network(picture, encoder, targets, steps, refiner)
        else:
            taken = refine_by_gradient(picture, encoder, targets, steps)
        for step, now in enumerate((picture, *taken)):
            means[step] += _loss(now, encoder, targets) / len(pairs)
    return means


@torch.no_grad()
def _loss(picture: Tensor, encoder: VGG, targets: Targets) -> float:
    return float(loss_of(targets.residuals(encoder(picture[None], targets.levels))))
