"""What evening does to the reshuffle loss: the votes before and after it, with today's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from pages import table
from theory_features import gram_distance
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.losses import reshuffle_loss
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.voting import vote

LEVELS = (4, 3, 2)


@torch.inference_mode()
def evening_losses(content: Tensor, style: Tensor) -> list[dict[str, Any]]:
    """A row a level: reshuffle loss and Gram distance of the votes, of the evened votes, and of the content's features.

    The loss is in units of the variance of the style's features, for the field that the level ends with.
    """
    settings = replace(Settings(), patch_sizes=(3, 3, 3, 3), refine=0)
    stylizer = Stylizer(settings, device="cpu")
    prepared = stylizer.prepare(style)
    turns: dict[int, Turn] = {}
    stylizer.apply(content, prepared, watch=lambda turn: turns.__setitem__(turn.level, turn))
    encoded = stylizer.encoder(content, LEVELS)
    rows = []
    for level in LEVELS:
        turn, patterns = turns[level], prepared.levels[level]
        own = encoded[level][0]
        row: dict[str, Any] = {"level": f"relu{level}_1"}
        for name, features in (("votes", vote(patterns, turn.nnf, 3)), ("evened", turn.votes), ("content", own)):
            loss = reshuffle_loss(features, patterns.features, nnf=turn.nnf, patch=3)
            row[f"{name}_loss"] = float(loss / patterns.features.var())
            row[f"{name}_gram"] = gram_distance(features, patterns.features)
        rows.append(row)
    return rows


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The mean over the pairs of each figure, by level."""
    levels = [f"relu{level}_1" for level in LEVELS]
    names = [name for name in rows[0] if name not in ("pair", "level")]
    by_level = {level: [row for row in rows if row["level"] == level] for level in levels}
    return {level: {name: fmean(row[name] for row in some) for name in names} for level, some in by_level.items()}


def evening_table(rows: Sequence[dict[str, Any]]) -> str:
    """The mean over the pairs, a row a level."""
    columns = [(measure, kind) for measure in ("loss", "gram") for kind in ("votes", "evened", "content")]
    titles = ["level", *(f"{measure.capitalize()}, {kind}" for measure, kind in columns)]
    lines = [
        [level, *(f"{means[f'{kind}_{measure}']:.3f}" for measure, kind in columns)]
        for level, means in _means(rows).items()
    ]
    return table(titles, lines)


def evening_marks(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What the page says in words: how much the loss rises and the Gram distance falls, from level to level."""
    levels = _means(rows).values()
    return {
        "evening_loss": _span([means["evened_loss"] / means["votes_loss"] - 1 for means in levels]),
        "evening_share": _span([means["evened_loss"] / means["content_loss"] for means in levels]),
        "evening_gram": _span([1 - means["evened_gram"] / means["votes_gram"] for means in levels]),
    }


def _span(shares: Sequence[float]) -> str:
    return f"{min(shares):.0%} to {max(shares):.0%}"
