"""The paper's claims on real pictures: builds docs/theory.md and its figures.

    python benchmarks/theory.py
    python benchmarks/theory.py --size 64 --steps 3 --out /some/folder

Three sample pictures in three sample styles, with the bundled networks, long side 256. First lambda is swept; then Gram,
local and reshuffle loss are optimised from the same start on the same features. Tables and figures are made from the
run. The text between them is written here, by someone who looked at the figures: read it again when they change.

"The same content loss" is had by a price: the content's weight grows while the content loss is above what is wanted, and
falls while it is below, so that each style loss is minimised under the same constraint, and none of them needs a weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.losses import (
    assign,
    content_loss,
    gram,
    gram_loss,
    local_loss,
    reshuffle_loss,
    usage_deviation,
)
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.images import fit_size, read
from styleshuffle.networks.vgg import VGG
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.moments import match_moments, moments
from styleshuffle.reshuffle.nnf import NNF, upsample, usage
from styleshuffle.reshuffle.pixels import make_optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
PENALTIES = (0.0, 0.01, 0.03, 0.1, 1.0)
# So that what lambda does is hidden neither by the content nor by what is done to the decoded picture.
SETTINGS = Settings(
    content_weights=(0.04, 0.01, 0.64, 0.81), encoder_blends=(0.25, 0.25, 0.16, 0.16), palette=0.0, refine=0
)
DPI, QUALITY = 110, 88

LEVELS = (4, 3, 2)  # of the comparison's style losses
CONSTRAINED = 1.0  # lambda of its reshuffle loss
REFRESH = 10  # steps between two assignments
RATE = 0.03  # of Adam's first step, in units of the pixels' range; falls linearly
CONTENT_LOSS = 0.5  # what all three are held to, in variances of the content's features
HASTE = 0.2  # how fast the content's price follows: its logarithm's change a step, when the loss is twice what is wanted


@dataclass(frozen=True)
class Pair:
    """A content and a style among the samples, and what one sees in the sweep."""

    content: str
    style: str
    seen: str

    @property
    def name(self) -> str:
        return f"{self.content} in {self.style.replace('_', ' ')}"


PAIRS = (
    Pair(
        "astronaut",
        "swirling_night",
        """\
A portrait in thick strokes. At λ = 0 the background is water, one horizontal stroke like the other, and the suit has
large yellow stars with little inside. With growing λ the yellow shrinks, the badge on the chest turns from a star
into a blue whirl, and the lights' reflections on the lake appear beside the shuttle. Whatever λ is, the shuttle
becomes the cypress. The pictures gain in Gram distance and completeness, and lose nothing in local loss: even use
costs these pictures nothing.""",
    ),
    Pair(
        "coffee",
        "block_print_waves",
        """\
Large even areas in a style that has both flat bands and dense lines. At λ = 0 most of the table is pale sky, and the
left of the saucer a snow peak over blurred blue. At λ = 1 curled, lined waves have come to the left rim of the
saucer, and the spray's dots beside it. The field has 672 positions for 800 patches, so that 84 % is the most that can
be used. Most of the gain stays in the field: the Gram distance and the completeness of the pictures change little,
and not steadily, while their local loss rises.""",
    ),
    Pair(
        "rocket",
        "stained_glass",
        """\
Nearly all sky, in a style where no two places are alike: what suits the content and what uses the style up are
furthest apart. At λ = 0 few patches serve for most of the sky, and the towers are strips of the style's frame, from
top to bottom. At λ = 1, again with 84 % as the most, mountains and glass of every colour have come in; the towers are
broken up, and the reshuffle loss rises more than in the other pairs. The pictures gain in Gram distance and, up to
λ = 0.03, in completeness; beyond that they lose in local loss.""",
    ),
)


@dataclass(frozen=True)
class Point:
    """One lambda of a sweep.

    Attributes:
        picture: (1, 3, H, W).
        use: of each style patch at relu4_1, in units of equal use, (N).
        deviation: of that from equal use, 0 to 1.
        loss: reshuffle loss of the field: the mean of 1 - the similarity it goes by.
        field_gram, picture_gram: |G_o - G_s| / |G_s| at relu4_1, of the style's features where the field puts them, and
            of the features of the picture.
        measures: of the picture.
    """

    penalty: float
    picture: Tensor
    use: Tensor
    deviation: float
    loss: float
    field_gram: float
    picture_gram: float
    measures: Measures


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


def load(name: str, size: int) -> Tensor:
    """A sample, (1, 3, H, W), its long side `size`; sides are multiples of 8."""
    picture = read(ROOT / "samples" / f"{name}.jpg")
    width, height = (side // 8 * 8 for side in fit_size(picture.size, size))
    return picture.tensor((width, height))


@torch.no_grad()
def encode(encoder: VGG, picture: Tensor, levels: Sequence[int] = (4,)) -> dict[int, Tensor]:
    """Features (C, H, W) by level."""
    return {level: found[0].contiguous() for level, found in encoder(picture, levels).items()}


def gram_distance(output: Tensor, style: Tensor) -> float:
    """|G_o - G_s| / |G_s|."""
    return math.sqrt(float(gram_loss(output, style) / gram(style).square().mean()))


def reshuffled(features: Tensor, match: Tensor) -> Tensor:
    """Features (C, H', W') put where a match (H, W) says."""
    return features.flatten(1)[:, match.flatten()].view(len(features), *match.shape)


# ---------------------------------------------------------------------------------------------------- a permutation


def permutation_table(encoder: VGG, content: Tensor, style: Tensor) -> str:
    """The losses of a permuted style against the style at relu4_1, and of a content for comparison; Markdown."""
    content, style = encode(encoder, content)[4], encode(encoder, style)[4]
    order = torch.randperm(style[0].numel(), generator=torch.Generator().manual_seed(0)).view(style.shape[1:])
    rows = {"the style itself": style, "permuted at random": reshuffled(style, order), "the content": content}
    lines = ["| features | Gram distance | local, 1 x 1 | reshuffle, 1 x 1 | local, 3 x 3 |", "|---|---|---|---|---|"]
    unit = float(style.var())
    for name, features in rows.items():
        found = [
            gram_distance(features, style),
            float(local_loss(features, style, 1)) / unit,
            float(reshuffle_loss(features, style, CONSTRAINED, 1)) / unit,
            float(local_loss(features, style, 3)) / unit,
        ]
        lines.append(f"| {name} | " + " | ".join(f"{value:.4f}" for value in found) + " |")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------- the sweep


def sweep(content: Tensor, style: Tensor) -> list[Point]:
    """A point for each of PENALTIES."""
    points = []
    for penalty in PENALTIES:
        stylizer = Stylizer(replace(SETTINGS, usage_penalty=penalty), device="cpu")
        prepared = stylizer.prepare(style)
        steps: list[Turn] = []
        picture = stylizer.apply(content, prepared, steps.append)
        field, patterns = steps[0].field, prepared.levels[4]
        target = match_moments(
            encode(stylizer.encoder, content)[4], patterns.moments
        )  # what the first field is found for
        similarity = patterns.describer(target) * patterns.descriptors[field.match.flatten()]
        points.append(
            Point(
                penalty,
                picture,
                usage(field).flatten(),
                usage_deviation(field),
                1 - float(similarity.sum(1).mean()),
                gram_distance(reshuffled(patterns.features, field.match), patterns.features),
                gram_distance(encode(stylizer.encoder, picture)[4], patterns.features),
                measure(stylizer.encoder, picture, content, style),
            )
        )
    return points


def sweep_table(points: Sequence[Point]) -> str:
    """Markdown."""
    lines = [
        "| | field: patches used | deviation from equal use | reshuffle loss | Gram distance | picture: Gram distance "
        "| local loss | completeness |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in points:
        used = float((one.use > 0).float().mean())
        found = (one.deviation, one.loss, one.field_gram, one.picture_gram)
        found += (one.measures.coherence, one.measures.completeness)
        lines.append(f"| λ = {one.penalty:g} | {used:.0%} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    return "\n".join(lines)


def draw_sweep(content: Tensor, style: Tensor, points: Sequence[Point], path: Path) -> None:
    """Content, style and the pictures above, the four quantities below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5.6), layout="constrained", dpi=DPI)
    above, below = figure.subfigures(2, 1, height_ratios=(2.3, 2.8))
    titles = ["content", "style", *(f"λ = {one.penalty:g}" for one in points)]
    show(above, [content, style, *(one.picture for one in points)], titles)
    use, grams, losses, complete = below.subplots(1, 4)
    places, names = range(len(points)), [f"{one.penalty:g}" for one in points]
    for place, one in zip(places, points, strict=True):
        shade = (0.1, 0.75 - 0.5 * place / (len(points) - 1), 0.65 - 0.25 * place / (len(points) - 1))
        curve = one.use.sort(descending=True).values.numpy()
        shares = torch.linspace(0, 100, len(curve)).numpy()
        use.plot(shares, curve, color=shade, linewidth=1 + 0.25 * place, label=f"λ = {names[place]}")
    use.axhline(1, color="0.6", linewidth=0.8)
    use.set(xlabel="style patches, most used first, %", title="use at relu4_1, 1 = equal (field)")
    use.set_yscale("symlog", linthresh=1)
    use.set_ylim(0, None)
    use.set_yticks((0, 1, 3, 10, 30), ("0", "1", "3", "10", "30"))
    use.minorticks_off()
    use.legend(frameon=False, fontsize=8)
    field, picture = {"color": "tab:blue", "marker": "o"}, {"color": "tab:orange", "marker": "s"}
    grams.plot(places, [one.field_gram for one in points], label="field", **field)
    grams.plot(places, [one.picture_gram for one in points], label="picture", **picture)
    grams.set(title="Gram distance at relu4_1")
    losses.axhline(points[0].loss, color="tab:blue", linestyle=":", linewidth=1)
    losses.plot(places, [one.loss for one in points], label="field: reshuffle loss", **field)
    losses.plot(places, [one.measures.coherence for one in points], label="picture: local loss", **picture)
    losses.set(title="distance to real patches, 1 - cosine")
    unused = [float((one.use == 0).float().mean()) for one in points]
    complete.plot(places, unused, label="field: share of patches unused", **field)
    complete.plot(places, [one.measures.completeness for one in points], label="picture: completeness", **picture)
    complete.set(title="what of the style is missing")
    for axes in (grams, losses, complete):
        axes.set(ylim=(0, 1.08 * axes.get_ylim()[1]), xlabel="λ")
        axes.set_xticks(places, names)
        axes.legend(frameon=False, fontsize=8)
    for axes in (use, grams, losses, complete):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(10)
    save(figure, path)


# -------------------------------------------------------------------------------------------------- the comparison


def compare(encoder: VGG, content: Tensor, style: Tensor, steps: int) -> tuple[Tensor, list[Result]]:
    """The common start, and the result of each style loss."""
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
    optimizer = make_optimizer("adam", [picture], RATE)
    price, fields = 0.0, {}  # the price is the logarithm of the content's weight
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        found = {level: features[0] for level, features in encoder(picture, LEVELS).items()}
        if loss == "Gram":
            terms = [gram_loss(found[level], style[level]) / gram(style[level]).square().mean() for level in LEVELS]
        else:
            if step % REFRESH == 0:
                fields = assign_levels(found, style, CONSTRAINED if loss == "reshuffle" else 0.0)
            terms = [
                reshuffle_loss(found[level], style[level], field=fields[level]) / style[level].var() for level in LEVELS
            ]
        content = content_loss(found[4], wanted) / wanted.var()
        optimizer.zero_grad()
        (sum(terms) + math.exp(price) * content).backward()
        optimizer.step()
        picture.data.clamp_(0, 1)
        price += HASTE * (content.item() / CONTENT_LOSS - 1)
    return picture.detach()


def assign_levels(output: dict[int, Tensor], style: dict[int, Tensor], penalty: float) -> dict[int, NNF]:
    """Each level's field; the finest one, which is too large for all pairs, is carried over as the method does it."""
    *levels, finest = LEVELS
    fields = {level: assign(output[level], style[level], penalty) for level in levels}
    grids = (tuple(features.shape[1:]) for features in (output[finest], style[finest]))
    return {**fields, finest: upsample(fields[levels[-1]], *grids)}


def compare_table(pairs: Sequence[Pair], results: Sequence[Sequence[Result]]) -> str:
    """Markdown."""
    lines = [
        "| pair | style loss | content loss | gram | coherence | completeness | cfsd | patches used "
        "| deviation from equal use |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for pair, row in zip(pairs, results, strict=True):
        for one in row:
            found = (one.measures.gram, one.measures.coherence, one.measures.completeness, one.measures.cfsd)
            lines.append(
                f"| {pair.name} | {one.loss} | {one.content_loss:.2f} | "
                + " | ".join(f"{value:.3f}" for value in found)
                + f" | {one.used:.0%} | {one.deviation:.3f} |"
            )
    return "\n".join(lines)


def draw_comparison(rows: Sequence[Sequence[Tensor]], path: Path) -> None:
    """A row a pair: the start, the three results, the style."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.6, 2.35 * len(rows)), layout="constrained", dpi=DPI)
    titles = ("start", "Gram loss", "local loss", f"reshuffle loss, λ = {CONSTRAINED:g}", "style")
    for part, pictures in zip(figure.subfigures(len(rows), 1), rows, strict=True):
        show(part, pictures, titles)
    save(figure, path)


# -------------------------------------------------------------------------------------------------------- the page


def show(figure: Figure, pictures: Sequence[Tensor], titles: Sequence[str]) -> None:
    """Pictures (1, 3, H, W) side by side."""
    axes: Sequence[Axes] = figure.subplots(1, len(pictures))
    for one, picture, title in zip(axes, pictures, titles, strict=True):
        one.imshow(picture[0].permute(1, 2, 0).numpy(), interpolation="lanczos")
        one.set_title(title, fontsize=10)
        one.axis("off")


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, pil_kwargs={"quality": QUALITY})


@click.command(context_settings={"show_default": True})
@click.option("--out", default=ROOT / "docs", type=click.Path(file_okay=False, path_type=Path), help="Folder.")
@click.option("--size", default=256, type=click.IntRange(64, 256), help="Long side of the pictures.")
@click.option("--steps", default=80, type=click.IntRange(1), help="Of the comparison.")
def main(out: Path, size: int, steps: int) -> None:
    """Write theory.md, theory_1.jpg to theory_3.jpg (lambda swept) and theory_4.jpg (the losses compared)."""
    if find_spec("matplotlib") is None:
        raise click.UsageError("figures need matplotlib; pip install 'styleshuffle[plot]'")
    torch.set_flush_denormal(True)  # several times as fast, where prices make tiny numbers
    out.mkdir(parents=True, exist_ok=True)
    stylizer = Stylizer(device="cpu")
    pictures = [(load(f"content/{pair.content}", size), load(f"style/{pair.style}", size)) for pair in PAIRS]
    sweeps = []
    for number, (pair, (content, style)) in enumerate(zip(PAIRS, pictures, strict=True), start=1):
        points = sweep(content, style)
        draw_sweep(content, style, points, out / f"theory_{number}.jpg")
        sweeps.append(
            f"### {pair.name.capitalize()}\n\n![{pair.name}](theory_{number}.jpg)\n\n{sweep_table(points)}\n\n{pair.seen}"
        )
        click.echo(f"swept {pair.name}", err=True)
    results, rows = [], []
    for pair, (content, style) in zip(PAIRS, pictures, strict=True):
        start, found = compare(stylizer.encoder, content, style, steps)
        results.append(found)
        rows.append([start, *(one.picture for one in found), style])
        click.echo(f"compared {pair.name}", err=True)
    draw_comparison(rows, out / "theory_4.jpg")
    local = [one.used for row in results for one in row if one.loss == "local"]
    page = PAGE.format(
        permutation=permutation_table(stylizer.encoder, *pictures[0]),
        sweeps="\n\n".join(sweeps),
        comparison=compare_table(PAIRS, results),
        steps=steps,
        constrained=CONSTRAINED,
        refresh=REFRESH,
        wanted=CONTENT_LOSS,
        local_used=f"{min(local):.0%} to {max(local):.0%}",
    )
    (out / "theory.md").write_text(page, encoding="utf-8")


PAGE = """# What reshuffling connects

    python benchmarks/theory.py

builds this page with its figures, in about four minutes on one core, from the pictures in `samples/` and the bundled
networks; `pip install 'styleshuffle[plot]'` brings matplotlib. One machine gives the same numbers each time. Another
may round otherwise, and so assign a few patches otherwise.

Gu et al. (CVPR 2018) take the style's features and *reshuffle* them: each patch of the content takes a patch of the
style, at a price for patches that are used often, set by λ. They say that this connects two families of style losses:
the global one (Gram matrices), whose pictures have the style's statistics but distort its patterns, and the local one
(nearest patches), whose patterns are real but few, used everywhere. `styleshuffle.evaluation.losses` has all three as
functions.

## What is exact

On the features of one level of real pictures, `tests/test_losses.py` checks that

- the style's features in another order have Gram loss 0, and with 1 x 1 patches reshuffle loss 0, for every λ;
- the reshuffle loss at λ = 0 is the local loss, and at no λ is it below that;
- where the style has its features makes no difference to the Gram loss, nor, with 1 x 1 patches, to the reshuffle
  loss;
- as λ grows, the style's features are used more evenly, and the Gram matrix of those used, each as often as it is,
  comes to the style's.

The first of these on relu4_1 of `swirling_night`, with `astronaut` for comparison. The Gram distance is
`|G_o - G_s| / |G_s|`; the losses are in units of the variance of the style's features; λ = 1 in the reshuffle loss:

{permutation}

The last column is why patches are larger than that: a random permutation has all the style's statistics, and the Gram
matrix cannot tell it from the style, but hardly one of its 3 x 3 patches is in the style.

## λ from 0 to large

Each picture is made with little content (`--content-weights 0.04,0.01,0.64,0.81 --encoder-blends
0.25,0.25,0.16,0.16`) and shown as it is decoded (`--palette 0 --refine 0`), so that neither hides what λ does. Two kinds
of numbers must be told apart:

- **of the field**, that is of the first matching at relu4_1, where the theory holds: how the style's patches are used
  (1 is equal use; the deviation is half the mean distance from it); the reshuffle loss in the measure that the method
  matches by (1 - cosine, instance-normalised 3 x 3 patches), which can never be below its value at λ = 0, the local
  loss (dotted line); and the Gram distance of the style's features put where the field says, without vote and blend;
- **of the picture**, after votes, blends, three finer levels and the decoder: its Gram distance at relu4_1; its local
  loss, as 1 - cosine to the nearest style patch; its completeness, the same from style to picture, large where a
  style washes out (`coherence` and `completeness` of `styleshuffle-eval`, mean of relu3_1 and relu4_1). Less is
  better in all three.

The field does as the theory says, on all three pairs and with every step of λ: more of the style is used, the Gram
distance falls, to between a seventh and a third of what it was, and the reshuffle loss rises, in all by 7 to 15 %.
λ = 0.03 is where that is cheap: it brings another 14 to 18 % of the style's patches into use for 1 to 2 % more loss. The
pictures follow, but weakly: patches overlap and are averaged, and the content is moved to the style's mean and covariance
in any case, which evens out much at λ = 0 already.

{sweeps}

## The three losses from the same start

Now without a decoder: Adam on the pixels, {steps} steps, from the same start (the content with the style's mean and
covariance of colour), with the same features of the same encoder (relu2_1, relu3_1, relu4_1; the levels' losses are
added, in units of the style's squared Gram matrix or of its variance), and a content loss at relu4_1. Only the style
loss differs: Gram; local; or reshuffle with λ = {constrained:g}. Who takes which patch is found anew every {refresh}
steps, over all pairs at relu4_1 and relu3_1, and carried from there to relu2_1.

A weight that is fair to losses of such different sizes is hard to name, so none is used: all three are held to the
same content loss, {wanted:g} variances of the content's features, by a weight that grows while the content loss is
above that and falls while it is below. The column shows what they came to.

![The start, three results, the style](theory_4.jpg)

Measures are those of `styleshuffle-eval`, less is better: `gram` global style, `coherence` local style,
`completeness` wash-out, `cfsd` structure. Patches used, and how evenly: the nearest style patch at relu4_1 of each
patch of the picture.

{comparison}

**Gram loss.** By far the best `gram`, which is what it minimises, and the worst `coherence`: a mean over the picture
can be met with patterns that the style does not have. The photograph is still there, sharp, under a relief: short
strokes everywhere that are not strokes of this painting, wrinkles on the coffee table instead of waves, a crumpled
sky behind the rocket instead of glass. The paper's second claim, that reshuffling does not distort patterns as
parametric methods do, is in the `coherence` column: reshuffling is ahead in every pair.

**Local loss.** The best `coherence`, which is what it minimises, and the worst in `gram` and `completeness`: the
picture has washed out. A few smooth patches, {local_used} of the style's, serve everywhere; the coffee table is beige
and the sky behind the rocket one weave. This is the paper's third claim, and it is plain to see.

**Reshuffle loss.** Between the two in `gram` and in `coherence`, ahead of both in `completeness`, in every pair. It
is the same local loss but for the price, so what differs from the picture beside it is λ alone: star-like spots on
the suit, a snow peak's edge in the cup, waves in the wood grain, the sun's red on the saucer, panes in the sky. What
fits goes where it fits: the shuttle becomes the cypress, with the local loss as well, but not with Gram matrices,
which do not know of places.

**What it costs.** At the same content loss the Gram picture keeps far more of the content's structure (`cfsd`), and
one recognises more in it; it changes texture where the others exchange patterns. With the rocket, reshuffling has the
worst `cfsd` of the three: a sky that has to take patches of all kinds is no longer even. Its patches are used no more
evenly there than those nearest to the Gram picture, if far more evenly than with the local loss.

**What this does not show.** These are three pairs at 256 pixels, judged by the encoder that they were optimised on.
Eighty steps from the content are no one's best result: both patch losses are still pale, for overlapping patches that
disagree are averaged; the method proper makes its pictures in the sweep's figures, by voting and decoding from coarse
to fine, in about a second each.
"""


if __name__ == "__main__":
    main()
