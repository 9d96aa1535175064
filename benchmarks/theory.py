"""The paper's claims on real pictures: makes docs/theory.md and its figures.

    python benchmarks/theory.py --out docs
    python benchmarks/theory.py --size 64 --steps 3
    python benchmarks/theory.py --from-data

Three sample pictures in three sample styles, with the bundled networks. First lambda is swept (`theory_sweep`). Then the
Gram, the local and the reshuffle loss are minimised from the same start on the same features (`theory_losses`). Last, the
votes are compared before and after evening (`theory_evening`). Tables and figures come from the run. The page's template
describes what the figures show: when they change, look at them, and read it again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import torch
from common import DOCS, check_matplotlib, command_options, from_data_option, machine, out_option
from pages import read_data, table, write_data, write_page
from pictures import sample
from theory_evening import evening_losses, evening_marks, evening_table
from theory_features import encode, gram_distance, reshuffled
from theory_losses import CONSTRAINED, CONTENT_LOSS, REFRESH, compare, draw_losses, losses_table
from theory_sweep import SETTINGS, draw_sweep, sweep, sweep_table
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.losses import local_loss, reshuffle_loss
from styleshuffle.networks.vgg import VGG

PAIRS = (("astronaut", "swirling_night"), ("coffee", "block_print_waves"), ("rocket", "stained_glass"))
CHEAP = 0.03  # lambda up to which the page counts what is gained at little cost


def permutation(encoder: VGG, content: Tensor, style: Tensor) -> list[dict[str, Any]]:
    """The losses of a permuted style against the style at relu4_1, and of a content for comparison."""
    content, style = encode(encoder, content)[4], encode(encoder, style)[4]
    order = torch.randperm(style[0].numel(), generator=torch.Generator().manual_seed(0)).view(style.shape[1:])
    unit = float(style.var())
    return [
        {
            "features": name,
            "gram": gram_distance(features, style),
            "local_1": float(local_loss(features, style, 1)) / unit,
            "reshuffle_1": float(reshuffle_loss(features, style, CONSTRAINED, 1)) / unit,
            "local_3": float(local_loss(features, style, 3)) / unit,
        }
        for name, features in (
            ("the style itself", style),
            ("permuted at random", reshuffled(style, order)),
            ("the content", content),
        )
    ]


def run(size: int, steps: int, out: Path | None) -> dict[str, Any]:
    """Measure: the data of the page. Figures go to ``out``."""
    torch.set_flush_denormal(True)  # several times as fast, where prices make tiny numbers
    start = time.process_time()
    encoder = Stylizer(device="cpu").encoder
    pictures = {
        f"{content} in {style.replace('_', ' ')}": (
            sample(f"content/{content}", size, multiple=8),
            sample(f"style/{style}", size, multiple=8),
        )
        for content, style in PAIRS
    }
    data: dict[str, Any] = {"facts": {}, "pairs": [], "sweep": [], "losses": [], "evening": []}
    data["permutation"] = permutation(encoder, *next(iter(pictures.values())))
    compared, seconds = [], []
    for number, (pair, (content, style)) in enumerate(pictures.items(), start=1):
        counts = {
            name: encode(encoder, picture)[4][0].numel() for name, picture in (("positions", content), ("patches", style))
        }
        points = sweep(content, style)
        seconds += [point.seconds for point in points]
        first, results = compare(encoder, content, style, steps)
        compared.append([first, *(result.picture for result in results), style])
        data["pairs"].append({"pair": pair} | counts)
        data["sweep"] += [{"pair": pair} | point.row() for point in points]
        data["losses"] += [{"pair": pair} | result.row() for result in results]
        data["evening"] += [{"pair": pair} | row for row in evening_losses(content, style)]
        if out:
            draw_sweep(content, style, points, out / f"theory_{number}.jpg")
        click.echo(f"measured {pair}", err=True)
    if out:
        draw_losses(compared, out / "theory_4.jpg")
    data["facts"] = {
        "machine": machine(),
        "minutes": (time.process_time() - start) / 60,
        "seconds_a_picture": sum(seconds) / len(seconds),
        "size": size,
        "steps": steps,
        "options": command_options(SETTINGS, Settings()),
        "constrained": CONSTRAINED,
        "refresh": REFRESH,
        "content_loss": CONTENT_LOSS,
    }
    return data


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, pairs = data["facts"], {pair["pair"]: pair for pair in data["pairs"]}
    sweeps = {pair: [row for row in data["sweep"] if row["pair"] == pair] for pair in pairs}
    starts, ends = [rows[0] for rows in sweeps.values()], [rows[-1] for rows in sweeps.values()]
    cheap = [row for row in data["sweep"] if row["penalty"] == CHEAP]
    gram_left = [end["field_gram"] / start["field_gram"] for start, end in zip(starts, ends, strict=True)]
    risen = [end["loss"] / start["loss"] - 1 for start, end in zip(starts, ends, strict=True)]
    cheap_gain = [row["used"] - start["used"] for start, row in zip(starts, cheap, strict=True)]
    cheap_cost = [row["loss"] / start["loss"] - 1 for start, row in zip(starts, cheap, strict=True)]
    _, coffee, rocket = pairs.values()
    columns = ("gram", "local_1", "reshuffle_1", "local_3")
    return {
        "minutes": f"{facts['minutes']:.0f}",
        "machine": facts["machine"],
        "size": str(facts["size"]),
        "options": facts["options"],
        "constrained": f"{facts['constrained']:g}",
        "permutation": table(
            ["features", "Gram distance", "local, 1 x 1", "reshuffle, 1 x 1", "local, 3 x 3"],
            [[row["features"], *(f"{row[name]:.4f}" for name in columns)] for row in data["permutation"]],
        ),
        "gram_left": _range(gram_left),
        "risen": _range(risen),
        "cheap": f"{CHEAP:g}",
        "cheap_gain": _range(cheap_gain),
        "cheap_cost": _range(cheap_cost, 1),
        **{f"sweep_{number}": sweep_table(rows) for number, rows in enumerate(sweeps.values(), start=1)},
        "coffee_positions": str(coffee["positions"]),
        "coffee_patches": str(coffee["patches"]),
        "coffee_most": f"{coffee['positions'] / coffee['patches']:.0%}",
        "rocket_most": f"{rocket['positions'] / rocket['patches']:.0%}",
        "steps": str(facts["steps"]),
        "refresh": str(facts["refresh"]),
        "content_loss": f"{facts['content_loss']:g}",
        "losses": losses_table(data["losses"]),
        "evening": evening_table(data["evening"]),
        **evening_marks(data["evening"]),
        "local_used": _range([row["used"] for row in data["losses"] if row["loss"] == "local"]),
        "seconds": f"{facts['seconds_a_picture']:.1f} s",
    }


def _range(shares: list[float], digits: int = 0) -> str:
    return f"{min(shares):.{digits}%} to {max(shares):.{digits}%}"


@click.command(context_settings={"show_default": True})
@click.option("--size", default=256, type=click.IntRange(64, 256), help="Long side of the pictures.")
@click.option("--steps", default=80, type=click.IntRange(1), help="Of the comparison.")
@out_option
@from_data_option
def main(size: int, steps: int, out: Path | None, from_data: bool) -> None:
    """Sweep lambda, and compare the three style losses.

    With --out also writes theory.md, theory_1.jpg to theory_3.jpg (lambda swept) and theory_4.jpg (the losses compared).
    """
    out = out or (DOCS if from_data else None)
    if from_data and out:
        data = read_data(out / "theory.json")
    else:
        check_matplotlib(out)
        if out:
            out.mkdir(parents=True, exist_ok=True)
        data = run(size, steps, out)
    values = marks(data)
    for pair in data["pairs"]:
        click.echo(f"{pair['pair']}\n\n{sweep_table([row for row in data['sweep'] if row['pair'] == pair['pair']])}\n")
    click.echo(values["losses"])
    if out:
        write_data(out / "theory.json", data)
        write_page(out, "theory", values)


if __name__ == "__main__":
    main()
