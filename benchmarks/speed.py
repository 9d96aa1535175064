"""Time and memory of one stylization at the default settings, beside the floor: encode twice and decode once.

    python benchmarks/speed.py
    python benchmarks/speed.py --size 1024 --repeat 3 --threads 2

Times are medians, from tensors to tensors, without reading pictures and loading networks; the pieces of work take turns.
"style prepared" is a further content for the same style. `scale.py` measures other sizes, `busy.py` a busy machine.
Memory is the peak of a fresh process that stylizes a picture. Two of the sample pictures are cropped to their middle
square and resized.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
from common import SAMPLES, median_seconds, peak_memory

from styleshuffle.commands.process import set_up

if TYPE_CHECKING:
    from torch import Tensor

CONTENT, STYLE = SAMPLES / "content" / "astronaut.jpg", SAMPLES / "style" / "swirling_night.jpg"
MEBIBYTE = 2**20


def help_seconds(repeat: int) -> float:
    """Median time of ``styleshuffle --help`` as a new process."""
    command = [sys.executable, "-m", "styleshuffle", "--help"]
    work = {"help": lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)}
    return median_seconds(work, repeat)["help"]


def peaks_of_fresh_process(side: int, threads: int | None, options: list[str]) -> tuple[int, int]:
    """Peak memory in bytes after the imports, and after stylizing one picture.

    To be called before torch is imported here: on some systems a new process inherits the peak of its parent.
    """
    command = [sys.executable, __file__, "--only-memory", "--size", str(side), *options]
    command += ["--threads", str(threads)] if threads else []
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return int(said[0]), int(said[1])


def memory_of_one(side: int, threads: int | None, networks: dict[str, Any]) -> None:
    """What the fresh process does."""
    set_up()
    import torch
    from pictures import square

    from styleshuffle import Stylizer

    if threads:
        torch.set_num_threads(threads)
    imported = peak_memory()
    stylizer = Stylizer(device="cpu", **networks)
    stylizer.apply(square(CONTENT, side), stylizer.prepare(square(STYLE, side)))
    click.echo(f"{imported} {peak_memory()}")


def stages(side: int, repeat: int, networks: dict[str, Any]) -> dict[str, float]:
    """Median seconds to encode the content, to encode the style, to decode relu4_1 to the picture, to stylize, and to
    stylize with the style prepared.
    """
    import torch
    from pictures import square

    from styleshuffle import Stylizer

    stylizer = Stylizer(device="cpu", **networks)
    content, style = square(CONTENT, side), square(STYLE, side)
    levels = stylizer.settings.levels

    def encode(picture: Tensor) -> dict[int, Tensor]:
        return stylizer.encoder(picture.contiguous(memory_format=torch.channels_last), levels)

    def decode(features: Tensor) -> Tensor:
        for level in range(levels[0], 0, -1):
            features = stylizer.decoder(features, level)
        return features

    with torch.inference_mode():
        deepest = encode(content)[levels[0]]
        prepared = stylizer.prepare(style)
        works = {
            "encode content": lambda: encode(content),
            "encode style": lambda: encode(style),
            "decode": lambda: decode(deepest),
            "stylize": lambda: stylizer.apply(content, stylizer.prepare(style)),
            "prepared": lambda: stylizer.apply(content, prepared),
        }
        return median_seconds(works, repeat)


@click.command(context_settings={"show_default": True})
@click.option("--size", default=512, type=click.IntRange(32), help="Side of both pictures, a multiple of 8.")
@click.option("--repeat", default=5, type=click.IntRange(1), help="Runs that the medians are of.")
@click.option("--threads", type=click.IntRange(1), help="Threads of torch; default: as torch chooses.")
@click.option("--precision", help="What to compute in, such as bfloat16; default: as Stylizer chooses.")
@click.option("--only-memory", is_flag=True, hidden=True)
def main(size: int, repeat: int, threads: int | None, precision: str | None, only_memory: bool) -> None:
    """Print the time and the memory of one stylization at the default settings, on the CPU."""
    if size % 8:
        raise click.BadParameter(f"{size} is no multiple of 8; use {size // 8 * 8}", param_hint="--size")
    networks = {} if precision is None else {"precision": precision}
    if only_memory:
        return memory_of_one(size, threads, networks)
    imported, most = peaks_of_fresh_process(size, threads, [] if precision is None else ["--precision", precision])
    help_time = help_seconds(repeat)

    set_up()
    import torch

    if threads:
        torch.set_num_threads(threads)
    seconds = stages(size, repeat, networks)
    floor = seconds["encode content"] + seconds["encode style"] + seconds["decode"]
    click.echo(f"{size} x {size}, {torch.get_num_threads()} threads, median of {repeat}, torch {torch.__version__}")
    for name, figure in (
        *((name, f"{seconds[name]:8.3f} s") for name in ("encode content", "encode style", "decode")),
        ("floor (their sum)", f"{floor:8.3f} s"),
        ("stylize", f"{seconds['stylize']:8.3f} s"),
        ("stylize / floor", f"{seconds['stylize'] / floor:8.1f}"),
        ("style prepared", f"{seconds['prepared']:8.3f} s"),
        ("prepared / stylize", f"{seconds['prepared'] / seconds['stylize']:8.2f}"),
        ("peak memory", f"{most / MEBIBYTE:8.0f} MiB"),
        ("of it after imports", f"{imported / MEBIBYTE:8.0f} MiB"),
        ("styleshuffle --help", f"{help_time:8.3f} s"),
    ):
        click.echo(f"{name:<20}{figure}")


if __name__ == "__main__":
    main()
