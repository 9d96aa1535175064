"""Gram, local and reshuffle loss, each minimised from the same start on the same features.

"The same content loss" is had by a price: the content's weight grows while the content loss is above what is wanted, and
falls while it is below, so that each style loss is minimised under the same constraint, and none of them needs a weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import table
from pictures import show
from theory_features import encode
from torch import Tensor

from styleshuffle.evaluation.losses import assign, content_loss, gram, gram_loss, reshuffle_loss, usage_deviation
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.networks.vgg import VGG
from styleshuffle.reshuffle.moments import match_moments, moments
from styleshuffle.reshuffle.nnf import NNF, upsample, usage
from styleshuffle.reshuffle.pixels import make_optimizer

LEVELS = (4, 3, 2)  # of the style losses
CONSTRAINED = 1.0  # lambda of the reshuffle loss
REFRESH = 10  # steps between two assignments
RATE = 0.03  # of Adam's first step, in units of the pixels' range; falls linearly
CONTENT_LOSS = 0.5  # what all three are held to, in variances of the content's features
HASTE = 0.2  # how fast the content's price follows: its logarithm's change a step, when the loss is twice what is wanted


@dataclass(frozen=True)
class Result:
    """What one style loss came to.

    Attributes:
        picture: (1, 3, H, W).
        content_loss: in variances of the content's features.
        used: share of the style's patches at relu4_1 that are the nearest one of some patch of the picture.
        deviation: of their use from equal use, 0 to 1.
    """

    loss: str
    picture: Tensor
    content_loss: float
    measures: Measures
    used: float
    deviation: float

    def row(self) -> dict[str, Any]:
        """The figures of the page."""
        return {
            "loss": self.loss,
            "content_loss": self.content_loss,
            "gram": self.measures.gram,
            "coherence": self.measures.coherence,
            "completeness": self.measures.completeness,
            "cfsd": self.measures.cfsd,
            "used": self.used,
            "deviation": self.deviation,
        }


def compare(encoder: VGG, content: Tensor, style: Tensor, steps: int) -> tuple[Tensor, list[Result]]:
    """The common start (1, 3, H, W), and the result of each style loss."""
    start = match_moments(content[0], moments(style[0]))[None].clamp(0, 1)
    wanted = encode(encoder, start)[4]
    patterns = encode(encoder, style, LEVELS)
    results = []
    for loss in ("Gram", "local", "reshuffle"):
        picture = optimise(encoder, start, wanted, patterns, loss, steps)
        made = encode(encoder, picture)[4]
        nearest = assign(made, patterns[4])
        results.append(
            Result(
                loss,
                picture,
                float(content_loss(made, wanted) / wanted.var()),
                measure(encoder, picture, content, style),
                float((usage(nearest) > 0).float().mean()),
                usage_deviation(nearest),
            )
        )
    return start, results


def optimise(encoder: VGG, start: Tensor, wanted: Tensor, style: dict[int, Tensor], loss: str, steps: int) -> Tensor:
    """The picture (1, 3, H, W) of the least style loss whose content loss is CONTENT_LOSS, by Adam on its pixels.

    Args:
        wanted: the content's features at relu4_1.
        style: features by level.
        loss: "Gram", "local" or "reshuffle".
    """
    picture = start.clone().requires_grad_()
    optimizer = make_optimizer("adam", [picture], RATE, 0.9)
    price = 0.0  # logarithm of the content's weight
    fields: dict[int, NNF] = {}
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        made = {level: features[0] for level, features in encoder(picture, LEVELS).items()}
        if loss == "Gram":
            terms = [gram_loss(made[level], style[level]) / gram(style[level]).square().mean() for level in LEVELS]
        else:
            if step % REFRESH == 0:
                fields = assign_levels(made, style, CONSTRAINED if loss == "reshuffle" else 0.0)
            terms = [
                reshuffle_loss(made[level], style[level], nnf=fields[level]) / style[level].var() for level in LEVELS
            ]
        content = content_loss(made[4], wanted) / wanted.var()
        optimizer.zero_grad()
        (sum(terms) + math.exp(price) * content).backward()
        optimizer.step()
        picture.data.clamp_(0, 1)
        price += HASTE * (content.item() / CONTENT_LOSS - 1)
    return picture.detach()


def assign_levels(output: dict[int, Tensor], style: dict[int, Tensor], penalty: float) -> dict[int, NNF]:
    """Each level's field; that of the finest level, too large for all pairs, is carried over as the method does it."""
    *levels, finest = LEVELS
    fields = {level: assign(output[level], style[level], penalty) for level in levels}
    grid, style_grid = ((features.shape[1], features.shape[2]) for features in (output[finest], style[finest]))
    return {**fields, finest: upsample(fields[levels[-1]], grid, style_grid)}


def losses_table(rows: Sequence[dict[str, Any]]) -> str:
    """All pairs and losses, in Markdown."""
    titles = ["pair", "style loss", "content loss", "gram", "coherence", "completeness", "cfsd", "patches used"]
    cells = [
        [row["pair"], row["loss"], f"{row['content_loss']:.2f}"]
        + [f"{row[name]:.3f}" for name in ("gram", "coherence", "completeness", "cfsd")]
        + [f"{row['used']:.0%}", f"{row['deviation']:.3f}"]
        for row in rows
    ]
    return table([*titles, "deviation from equal use"], cells)


def draw_losses(rows: Sequence[Sequence[Tensor]], path: Path) -> None:
    """A row for each pair: the start, the three results, the style."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.6, 2.35 * len(rows)), layout="constrained", dpi=110)
    titles = ("start", "Gram loss", "local loss", f"reshuffle loss, λ = {CONSTRAINED:g}", "style")
    parts: Any = figure.subfigures(len(rows), 1)
    for part, pictures in zip(parts, rows, strict=True):
        show(part, pictures, titles)
    figure.savefig(path, pil_kwargs={"quality": 88})
