"""The painter's controls on sample pictures: what each does, whether it keeps its promise, and what it costs.

    python benchmarks/controls.py --out docs
    python benchmarks/controls.py --from-data

    python benchmarks/controls.py --only-costs --out docs

The last one measures the costs anew. Times are of one thread of the processor, the least of runs that take turns, so that
other work on the machine counts little; memory is the peak of a fresh process for each.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from common import DOCS, SAMPLES, from_data_option, machine, out_option
from control_masks import astronaut_subject, camera_regions, waves_regions
from pages import read_data, table, write_data, write_page
from PIL import Image
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.evaluation.measures import measure, sliced_wasserstein
from styleshuffle.images import read, write
from styleshuffle.jobs.sheets import Head, Row, draw_sheet
from styleshuffle.networks.vgg import VGG, load_compact, load_vgg19
from styleshuffle.reshuffle.colours import lightness_of, to_oklab
from styleshuffle.reshuffle.levels import Turn

CONTENT, STYLE = SAMPLES / "content", SAMPLES / "style"
PAIR = STYLE / "swirling_night.jpg", STYLE / "byzantine_mosaic.jpg"
WEIGHTS = ((9, 1), (7, 3), (1, 1), (1, 9))
PENALTIES = (0.0, Settings().usage_penalty, 1.0)
COLOURED = (("coffee", "swirling_night"), ("astronaut", "autumn_avenue"), ("cat", "byzantine_mosaic"))
COLOURS = ("style", "content", "luminance")
WORKS = ("one style", "two styles", "regions")
SHOWN, JPEG = 384, 88  # pixels of a picture on the page, and its quality


def stylizer_of(size: int, **settings: Any) -> Stylizer:
    return Stylizer(device="cpu", size=size, **settings)


# ------------------------------------------------------------------------------------------------------------ figures


def shares(size: int) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """How much of the picture each of two styles has at relu4_1 and at relu1_1, and pictures at the default."""
    rows, pictures = [], []
    for penalty in PENALTIES:
        for weights in WEIGHTS:
            stylizer = stylizer_of(size, usage_penalty=penalty).set_style(PAIR, weights=weights)
            turns: dict[int, tuple[Turn, Tensor]] = {}
            result = watched(stylizer, read(CONTENT / "astronaut.jpg"), turns)
            wanted = weights[0] / sum(weights)
            row: dict[str, Any] = {"penalty": penalty, "wanted": wanted}
            for level, (turn, style_of) in turns.items():
                share = float((style_of.flatten()[turn.nnf.match.flatten()] == 0).float().mean())
                row[f"relu{level}_1"] = min(share, 1 - share, key=lambda share: abs(share - wanted))
            rows.append(row)
            if penalty == Settings().usage_penalty:
                pictures.append(result)
    return rows, pictures


def watched(stylizer: Stylizer, content: Any, turns: dict[int, tuple[Turn, Tensor]], **masks: Any) -> Image.Image:
    """Stylize, and keep the last turn of each level with the number of the style, or of the region, at each place."""
    apply = stylizer.apply

    def watching(picture: Tensor, style: Any, *args: Any, **named: Any) -> Tensor:
        def keep(turn: Turn) -> None:
            supply = style.levels[turn.level].supply
            turns[turn.level] = turn, supply.regions if supply.count > 1 else supply.boxes.style_of

        return apply(picture, style, *args, **{**named, "watch": keep})

    stylizer.apply = watching  # type: ignore[method-assign]
    result = stylizer.stylize(content, **masks)
    stylizer.apply = apply  # type: ignore[method-assign]
    return result


def regions(size: int) -> tuple[dict[str, Any], list[Image.Image]]:
    """Distances of colours to the partner of each region, without and with masks, and how much leaks."""
    content, style = read(CONTENT / "camera.jpg"), STYLE / "block_print_waves.jpg"
    mask, style_mask = camera_regions(), waves_regions()
    plain = stylizer_of(size).set_style(style).stylize(content)
    turns: dict[int, tuple[Turn, Tensor]] = {}
    parted = watched(stylizer_of(size).set_style(style, masks=style_mask), content, turns, mask=mask)
    wanted = read(style).tensor()[0].flatten(1)
    there = blue(style_mask).flatten()
    facts: dict[str, Any] = {}
    for name, inside in ("sky", True), ("land", False):
        here = blue(mask.resize(plain.size, Image.Resampling.NEAREST)).flatten() == inside
        partner = wanted[:, there == inside]
        for way, result in ("without", plain), ("with", parted):
            pixels = read(result).tensor()[0].flatten(1)[:, here]
            facts[f"{name} {way}"] = sliced_wasserstein(pixels[None, :, :, None], partner[None, :, :, None])
    turn, region_of = turns[2]
    sky = blue(mask.resize((turn.nnf.match.shape[1], turn.nnf.match.shape[0]), Image.Resampling.NEAREST))
    taken = region_of.flatten()[turn.nnf.match]
    away = even(sky)
    number = int(taken[sky & away].mode().values)
    facts["leak"] = float(((taken == number) != sky)[away].float().mean())
    return facts, [content.pil(), mask, Image.open(style), style_mask, plain, parted]


def blue(mask: Image.Image) -> Tensor:
    """Where a mask is the sky, (H, W)."""
    pixels = read(mask).tensor()[0]
    return pixels[2] > pixels[1]


def even(inside: Tensor, radius: int = 4) -> Tensor:
    """Places (H, W) whose surroundings are all inside or all outside: away from the border."""
    mean = torch.nn.functional.avg_pool2d(inside[None].float(), 2 * radius + 1, 1, radius, count_include_pad=False)[0]
    return (mean == 0) | (mean == 1)


def colours(size: int, judge: VGG) -> tuple[list[dict[str, Any]], list[list[Image.Image]]]:
    """Hue beside the photograph's, and the coherence of the luminance, for each way of `colours`."""
    rows, pictures = [], []
    for content_name, style_name in COLOURED:
        content, style = CONTENT / f"{content_name}.jpg", STYLE / f"{style_name}.jpg"
        results = {way: stylizer_of(size, colours=way).set_style(style).stylize(content) for way in COLOURS}
        original = read(content).tensor(results["style"].size)
        patterns = read(style).tensor()
        pictures.append([read(content).pil(), *results.values()])
        for way, image in results.items():
            result = read(image).tensor()
            greys = [lightness_of(picture[0])[None] for picture in (result, original, patterns)]
            row = {"content": content_name, "style": style_name, "colours": way}
            rows.append(row | {"hue": hue_apart(result[0], original[0]), "coherence": measure(judge, *greys).coherence})
    return rows, pictures


def hue_apart(result: Tensor, content: Tensor) -> float:
    """Mean angle in degrees between the hues of two pictures (3, H, W), where the content's saturation is above 10 %."""
    saturated = 1 - content.amin(0) / content.amax(0).clamp_min(1e-3) > 0.1
    (_, a, b), (_, c, d) = to_oklab(result[:, saturated]), to_oklab(content[:, saturated])
    visible = (torch.hypot(a, b) > 0.01) & (torch.hypot(c, d) > 0.01)
    return float(torch.atan2(a * d - b * c, a * c + b * d).abs().rad2deg()[visible].mean())


# -------------------------------------------------------------------------------------------------------------- costs


def works(size: int) -> dict[str, Callable[[], object]]:
    """Pieces of work: one style, two styles of the same pixels together, and one style with regions."""
    content, waves = read(CONTENT / "camera.jpg"), STYLE / "block_print_waves.jpg"
    one = stylizer_of(size)
    two = stylizer_of(size, style_scale=0.5**0.5)
    mask, style_mask = camera_regions(), waves_regions()
    return {
        "one style": lambda: one.set_style(waves).stylize(content),
        "two styles": lambda: two.set_style([waves, PAIR[0]]).stylize(content),
        "regions": lambda: one.set_style(waves, masks=style_mask).stylize(content, mask=mask),
    }


def peak_of(work: str, size: int) -> int:
    """Peak memory in bytes of a fresh process that does a piece of work."""
    command = [sys.executable, __file__, "--only-memory", work, "--size", str(size)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def own_peak() -> int:
    """The most memory in bytes that this process has held; `ru_maxrss` may be that of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def costs(size: int, repeat: int) -> list[dict[str, Any]]:
    """Seconds of the processor and bytes of each piece of work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    least = dict.fromkeys(WORKS, float("inf"))
    for turn in range(1 + repeat):
        for work, run in works(size).items():
            began = time.process_time()
            run()
            if turn:
                least[work] = min(least[work], time.process_time() - began)
    torch.set_num_threads(threads)
    return [{"work": work, "seconds": least[work], "bytes": peak_of(work, size)} for work in WORKS]


# --------------------------------------------------------------------------------------------------------------- page


def row_of(pictures: Sequence[Image.Image], path: Path) -> None:
    """Pictures side by side, of one height."""
    small = []
    for picture in pictures:
        image = picture.convert("RGB")
        small.append(image.resize((round(SHOWN * image.width / image.height), SHOWN), Image.Resampling.LANCZOS))
    page = Image.new("RGB", (sum(image.width for image in small), SHOWN))
    left = 0
    for image in small:
        page.paste(image, (left, 0))
        left += image.width
    page.save(path, quality=JPEG)


def draw(
    size: int, folder: Path, mixed: list[Image.Image], parted: list[Image.Image], kept: list[list[Image.Image]]
) -> None:
    row_of([read(path).pil() for path in PAIR] + mixed, folder / "controls_styles.jpg")
    row_of(parted[:4], folder / "controls_masks.jpg")
    row_of(parted[4:], folder / "controls_regions.jpg")
    for number, line in enumerate(kept, start=1):
        row_of(line, folder / f"controls_colours_{number}.jpg")
    astronaut = CONTENT / "astronaut.jpg"
    subject = astronaut_subject()
    protected = stylizer_of(size).set_style(PAIR[0]).stylize(astronaut, strength_mask=subject)
    row_of([read(astronaut).pil(), subject, protected], folder / "controls_strength.jpg")
    draw_sheets(folder)


def draw_sheets(folder: Path) -> None:
    """A contact sheet of three contents in three styles, made as `--grid` makes it."""
    names, heads = ("astronaut", "cat", "rocket"), ("stained_glass", "watercolour_lake", "pen_engraving")
    made = folder / "controls_results"
    made.mkdir(exist_ok=True)
    for style in heads:
        stylizer = stylizer_of(256).set_style(STYLE / f"{style}.jpg")
        for name in names:
            write(stylizer.render(CONTENT / f"{name}.jpg"), made / f"{style}-{name}.png", overwrite=True)
    rows = [Row(CONTENT / f"{name}.jpg", tuple(made / f"{style}-{name}.png" for style in heads)) for name in names]
    sheet = draw_sheet(rows, [Head(style.replace("_", " "), STYLE / f"{style}.jpg") for style in heads])
    sheet.save(folder / "controls_sheet.jpg", quality=JPEG)
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def marks(data: dict[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, region = data["facts"], data["regions"]
    levels = [f"relu{level}_1" for level in (4, 3, 2, 1)]
    shared = [
        [f"{row['penalty']:g}", f"{row['wanted']:.0%}", *(f"{row[level]:.1%}" for level in levels)]
        for row in data["shares"]
    ]
    parted = [[name, f"{region[f'{name} without']:.3f}", f"{region[f'{name} with']:.3f}"] for name in ("sky", "land")]
    kept = [
        [
            f"{row['content']}, {row['style'].replace('_', ' ')}",
            row["colours"],
            f"{row['hue']:.1f}",
            f"{row['coherence']:.3f}",
        ]
        for row in data["colours"]
    ]
    first = data["costs"][0]
    cost = [
        [
            row["work"],
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / first['seconds']:.2f}",
            f"{row['bytes'] / 2**20:.0f}",
            f"{row['bytes'] / first['bytes']:.2f}",
        ]
        for row in data["costs"]
    ]
    means = {way: fmean(row["hue"] for row in data["colours"] if row["colours"] == way) for way in COLOURS}
    return {
        "machine": facts["machine"],
        "size": str(facts["size"]),
        "judge": facts["judge"],
        "default_penalty": f"{Settings().usage_penalty:g}",
        "shares": table(["usage penalty", "wanted", *levels], shared),
        "regions": table(["region", "without masks", "with masks"], parted),
        "leak": f"{region['leak']:.2%}",
        "colours": table(["pair", "`--colours`", "hue, degrees", "coherence of the luminance"], kept),
        "hue_content": f"{means['content']:.1f}",
        "hue_style": f"{means['style']:.0f}",
        "costs": table(["work", "seconds", "ratio", "MiB", "ratio"], cost),
    }


@click.command()
@click.option("--size", default=512, show_default=True, type=click.IntRange(64), help="Long side of the pictures.")
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1), help="Runs that times are the least of.")
@click.option("--vgg19", type=click.Path(path_type=Path), help="Measure on VGG-19 from this file.")
@click.option("--only-memory", type=click.Choice(WORKS), hidden=True)
@click.option("--only-costs", is_flag=True, help="Measure the costs anew, and take the other data from --out.")
@out_option
@from_data_option
def main(
    size: int,
    repeat: int,
    vgg19: Path | None,
    only_memory: str | None,
    only_costs: bool,
    out: Path | None,
    from_data: bool,
) -> None:
    """Show the painter's controls."""
    if only_memory:
        works(size)[only_memory]()
        return click.echo(own_peak())
    out = out or (DOCS if from_data or only_costs else None)
    if (from_data or only_costs) and out:
        data = read_data(out / "controls.json")
        if only_costs:
            data["costs"] = costs(size, repeat)
    else:
        judge = load_vgg19(vgg19) if vgg19 else load_compact()
        cost = costs(size, repeat)
        shared, mixed = shares(size)
        region, parted = regions(size)
        coloured, kept = colours(size, judge.to(memory_format=torch.channels_last))
        facts = {"size": size, "machine": machine(), "judge": "VGG-19" if vgg19 else "the compact encoder"}
        data = {"facts": facts, "shares": shared, "regions": region, "colours": coloured, "costs": cost}
        if out:
            out.mkdir(parents=True, exist_ok=True)
            draw(size, out, mixed, parted, kept)
    values = marks(data)
    for name in ("shares", "regions", "colours", "costs"):
        click.echo(f"{values[name]}\n")
    if out:
        write_data(out / "controls.json", data)
        write_page(out, "controls", values)


if __name__ == "__main__":
    main()
