"""Lambda from 0 to large: what it does to the first matching, and to the picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pages import table
from pictures import show
from theory_features import encode, gram_distance, reshuffled
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.evaluation.losses import usage_deviation
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.moments import match_moments
from styleshuffle.reshuffle.nnf import usage
from styleshuffle.settings import PLAIN

PENALTIES = (0.0, 0.01, 0.03, 0.1, 1.0)
# So that what lambda does is hidden neither by the content, nor by evening, nor by what is done to the decoded picture.
SETTINGS = replace(
    PLAIN,
    content_weights=(0.04, 0.01, 0.64, 0.81),
    flat_weights=(0.04, 0.01, 0.64, 0.81),
    encoder_blends=(0.25, 0.16, 0.16),
    palette=0.0,
    refine=0,
)


@dataclass(frozen=True)
class Point:
    """One lambda of a sweep.

    Attributes:
        picture: (1, 3, H, W).
        seconds: time that the picture took.
        use: of each style patch at relu4_1, in units of equal use, (N).
        deviation: of that from equal use, 0 to 1.
        loss: reshuffle loss of the field: the mean of 1 - the similarity it goes by.
        field_gram, picture_gram: |G_o - G_s| / |G_s| at relu4_1, of the style's features where the field puts them, and
            of the features of the picture.
        measures: of the picture.
    """

    penalty: float
    picture: Tensor
    seconds: float
    use: Tensor
    deviation: float
    loss: float
    field_gram: float
    picture_gram: float
    measures: Measures

    def row(self) -> dict[str, float]:
        """The figures of the page."""
        return {
            "penalty": self.penalty,
            "used": float((self.use > 0).float().mean()),
            "deviation": self.deviation,
            "loss": self.loss,
            "field_gram": self.field_gram,
            "picture_gram": self.picture_gram,
            "coherence": self.measures.coherence,
            "completeness": self.measures.completeness,
        }


def sweep(content: Tensor, style: Tensor) -> list[Point]:
    """A point for each of PENALTIES; content and style are pictures (1, 3, H, W)."""
    points = []
    for penalty in PENALTIES:
        stylizer = Stylizer(replace(SETTINGS, usage_penalty=penalty), device="cpu")
        prepared = stylizer.prepare(style)
        turns: list[Turn] = []
        start = time.perf_counter()
        picture = stylizer.apply(content, prepared, watch=turns.append)
        seconds = time.perf_counter() - start
        nnf, patterns = turns[0].nnf, prepared.levels[4]
        describer, descriptors = patterns.index()
        # what the first field is searched for
        target = match_moments(encode(stylizer.encoder, content)[4], patterns.moments)
        similarity = describer(target) * descriptors[nnf.match.flatten()]
        points.append(
            Point(
                penalty,
                picture,
                seconds,
                usage(nnf).flatten(),
                usage_deviation(nnf),
                1 - float(similarity.sum(1).mean()),
                gram_distance(reshuffled(patterns.features, nnf.match), patterns.features),
                gram_distance(encode(stylizer.encoder, picture)[4], patterns.features),
                measure(stylizer.encoder, picture, content, style),
            )
        )
    return points


def sweep_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of one pair, in Markdown."""
    titles = ["", "field: patches used", "deviation from equal use", "reshuffle loss", "Gram distance"]
    titles += ["picture: Gram distance", "local loss", "completeness"]
    figures = ("deviation", "loss", "field_gram", "picture_gram", "coherence", "completeness")
    cells = [[f"λ = {row['penalty']:g}", f"{row['used']:.0%}", *(f"{row[name]:.3f}" for name in figures)] for row in rows]
    return table(titles, cells)


def draw_sweep(content: Tensor, style: Tensor, points: Sequence[Point], path: Path) -> None:
    """Content, style and the pictures above, the four quantities below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5.6), layout="constrained", dpi=110)
    parts: Any = figure.subfigures(2, 1, height_ratios=(2.3, 2.8))
    above, below = parts
    titles = ["content", "style", *(f"λ = {point.penalty:g}" for point in points)]
    show(above, [content, style, *(point.picture for point in points)], titles)
    use, grams, losses, missing = below.subplots(1, 4)
    _draw_use(use, points)
    places, names = range(len(points)), [f"{point.penalty:g}" for point in points]
    field, picture = {"color": "tab:blue", "marker": "o"}, {"color": "tab:orange", "marker": "s"}
    grams.plot(places, [point.field_gram for point in points], label="field", **field)
    grams.plot(places, [point.picture_gram for point in points], label="picture", **picture)
    grams.set(title="Gram distance at relu4_1")
    losses.axhline(points[0].loss, color="tab:blue", linestyle=":", linewidth=1)
    losses.plot(places, [point.loss for point in points], label="field: reshuffle loss", **field)
    losses.plot(places, [point.measures.coherence for point in points], label="picture: local loss", **picture)
    losses.set(title="distance to real patches, 1 - cosine")
    unused = [float((point.use == 0).float().mean()) for point in points]
    missing.plot(places, unused, label="field: share of patches unused", **field)
    missing.plot(places, [point.measures.completeness for point in points], label="picture: completeness", **picture)
    missing.set(title="what of the style is missing")
    for axes in (grams, losses, missing):
        axes.set(ylim=(0, 1.08 * axes.get_ylim()[1]), xlabel="λ")
        axes.set_xticks(places, names)
        axes.legend(frameon=False, fontsize=8)
    for axes in (use, grams, losses, missing):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(10)
    figure.savefig(path, pil_kwargs={"quality": 88})


def _draw_use(axes: Any, points: Sequence[Point]) -> None:
    """How often each style patch is used, most used first; one curve for each lambda."""
    for place, point in enumerate(points):
        shade = (0.1, 0.75 - 0.5 * place / (len(points) - 1), 0.65 - 0.25 * place / (len(points) - 1))
        curve = point.use.sort(descending=True).values.numpy()
        shares = torch.linspace(0, 100, len(curve)).numpy()
        axes.plot(shares, curve, color=shade, linewidth=1 + 0.25 * place, label=f"λ = {point.penalty:g}")
    axes.axhline(1, color="0.6", linewidth=0.8)
    axes.set(xlabel="style patches, most used first, %", title="use at relu4_1, 1 = equal (field)")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, None)
    axes.set_yticks((0, 1, 3, 10, 30), ("0", "1", "3", "10", "30"))
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
