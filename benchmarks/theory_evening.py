"""What evening does to the reshuffle loss: the votes before and after it, with today's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def evening_table(rows: Sequence[dict[str, Any]]) -> str:
    """The mean over the pairs, a row a level."""
    kinds = ("votes", "evened", "content")
    lines = []
    for level in LEVELS:
        some = [row for row in rows if row["level"] == f"relu{level}_1"]
        means = [
            sum(row[f"{kind}_{measure}"] for row in some) / len(some) for measure in ("loss", "gram") for kind in kinds
        ]
        lines.append([f"relu{level}_1", *(f"{mean:.3f}" for mean in means)])
    titles = ["level", *(f"{measure}, {kind}" for measure in ("loss", "Gram") for kind in kinds)]
    return table(titles, lines)
