"""``styleshuffle-eval``: the measures of `styleshuffle.evaluation` for a result or a folder of them.

Messages, exit codes, progress bar and the late import of torch are those of `styleshuffle.cli`; the table or the JSON
goes to stdout. Exit code 2 also says that the folders do not match, or that matplotlib is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite, prod
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__
from .console import Command, Console, device_option, listing
from .errors import PictureError, SettingsError, WeightsError
from .names import ENCODERS

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

    from .images import Picture
    from .vgg import VGG

_SMALLEST = {"compact": 24, "vgg19": 32}  # side of a picture: 3 x 3 patches at relu4_1; something to reflect at relu5_1
_BYTES_A_PIXEL = {"compact": 270, "vgg19": 590}  # 240 and 540 were measured at 1024


class _Evaluation(Command):
    """Ends as `styleshuffle` does; the help has one list of options."""

    format_options = click.Command.format_options


@click.command(cls=_Evaluation, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("output", type=click.Path())
@click.option("--content", required=True, metavar="PATH", type=click.Path(), help="What OUTPUT was made from.")
@click.option(
    "--style",
    required=True,
    metavar="PATH",
    type=click.Path(),
    help="The style picture; or a folder with one style for all, or with one for each output, of the same name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw a chart too: .png, .jpg, .webp, .tif.")
@click.option("--overwrite", is_flag=True, help="Replace a chart that exists.")
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(32),
    help="Long side that all pictures are resized to before they are measured; default: each at its own size. "
    "Time grows with the square of the pixels.",
)
@click.option("--encoder", type=click.Choice(ENCODERS), default="compact", help="Whose features are compared.")
@click.option("--weights", metavar="FILE", type=click.Path(), help="The encoder's weights, instead of the usual ones.")
@device_option
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="styleshuffle-eval", message="%(prog)s %(version)s")
@click.pass_obj
def main(
    console: Console,
    /,
    output: str,
    content: str,
    style: str,
    as_json: bool,
    plot: str | None,
    overwrite: bool,
    size: int | None,
    encoder: str,
    weights: str | None,
    device: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Measure how much of content and style the result OUTPUT keeps. Lower is better in every measure.

    OUTPUT is a picture or a folder of them. A folder's pictures are paired with those of the content folder by name;
    the suffix may differ.

    \b
      cfsd          structure: what the content has and the output lost
      gram          global style: Gram matrices, mean over relu1_1 to relu5_1
                    with vgg19, to relu4_1 with compact, which ends there
      coherence     local style: patches of the output not found in the style
      completeness  wash-out: patches of the style not found in the output
      swd           colour

    Figures can be compared only if encoder and sizes are the same.

    \b
    Examples:
      styleshuffle-eval out.jpg --content cat.jpg --style style.jpg
      styleshuffle-eval outputs/ --content photos/ --style style.jpg --size 512
      styleshuffle-eval outputs/ --content photos/ --style styles/ --json
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other; use one of them")
    jobs = _jobs(console, Path(output), Path(content), Path(style))
    if plot is not None:
        _check_chart(console, Path(plot), overwrite, jobs)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    judge = _Judge(encoder, weights, device, size, show_download=on_terminal and not quiet)
    found = _measure_all(console, judge, jobs)
    levels = judge.levels if found else []
    if as_json:
        click.echo(_json(found, encoder=encoder, gram_levels=levels, size=size))
    if found:
        from . import images

        rows = {images._one_line(job.name): row for job, row in found.items()}
        if not as_json:
            click.echo(_table({**rows, "mean": _mean(rows.values())}))
        if plot is not None:
            images.write(_chart(rows), plot, overwrite=overwrite)
        console.note(
            f"{len(found)} measured, {len(jobs) - len(found)} failed; "
            f"{encoder} encoder, gram over relu1_1 to relu{levels[-1]}_1; lower is better"
        )
    if len(found) < len(jobs):
        click.get_current_context().exit(1)


# --------------------------------------------------------------------------------------------------------- the pairs


@dataclass(frozen=True)
class _Job:
    """An output to measure; `name` is how the user knows it."""

    name: str
    output: Path
    content: Path
    style: Path


def _jobs(console: Console, output: Path, content: Path, style: Path) -> list[_Job]:
    """What to measure, in the order of the walk; folders that do not match are refused."""
    from .folders import identity

    if not output.is_dir():
        return [_Job(str(output), output, content, style)]
    if not content.is_dir():
        raise click.UsageError(f"--content {content}: OUTPUT is a folder, so name the folder that it was made from")
    styles = _listed(style) if style.is_dir() else [style]
    # whoever keeps the style with the contents, or all three together, has not made it an output
    left_out = {identity(path) for path in styles}
    outputs = _listed(output, but=content)
    contents = _match(console, output, outputs, content, _listed(content, but=output), "content", left_out)
    outputs = [path for path in outputs if path in contents]
    if len(styles) == 1:
        partners = dict.fromkeys(outputs, styles[0])
    else:
        partners = _match(console, output, outputs, style, styles, "style")
    return [_Job(str(path.relative_to(output)), path, contents[path], partners[path]) for path in outputs]


def _listed(folder: Path, but: Path | None = None) -> list[Path]:
    """The pictures in a folder, as `styleshuffle` finds them, without those in the folder `but`."""
    from .folders import _pictures, identity
    from .images import READABLE

    unlisted: list[tuple[Path, str]] = []
    found = list(_pictures(folder, identity(but) if but else None, unlisted))
    for place, reason in unlisted:
        raise PictureError(f"{place}: the folder cannot be listed ({reason}); change its permissions")
    if not found:
        raise PictureError(f"{folder}: no picture in this folder; name one with {listing(READABLE)} files")
    return found


def _match(
    console: Console,
    output: Path,
    outputs: Sequence[Path],
    folder: Path,
    others: Sequence[Path],
    what: str,
    left_out: Iterable[Any] = (),
) -> dict[Path, Path]:
    """For each output the picture in the other folder that has its name; only those `left_out` may be without."""
    from .folders import identity, target_names

    names = [path.relative_to(folder) for path in others]
    results = dict(zip(target_names(names), others, strict=True))  # as `styleshuffle` calls them
    stems = {name.with_suffix(""): path for name, path in zip(names, others, strict=True)}
    matched = {}
    for path in outputs:
        name = path.relative_to(output)
        partner = results.get(name) or stems.get(name.with_suffix(""))
        if partner is not None:
            matched[path] = partner
    used = set(matched.values())
    alone = [path for path in outputs if path not in matched and identity(path) not in left_out]
    unused = [path for path in others if path not in used and identity(path) not in left_out]
    for lonely, missing, place, such in (alone, what, folder, "output"), (unused, "output", output, what):
        if lonely:
            found = f"no {missing} of this name in {place} ({_count(lonely, f'such {such}')})"
            _refuse(console, f"{lonely[0]}: {found}; pictures that belong together need the same name")
    return matched


def _count(paths: Sequence[Path], what: str) -> str:
    return f"{len(paths)} {what}{'s' * (len(paths) != 1)}"


def _refuse(console: Console, message: str) -> NoReturn:
    """One line, and exit code 2."""
    console.error(SettingsError(message))
    raise click.exceptions.Exit(2)


# ---------------------------------------------------------------------------------------------------------- measuring


class _Judge:
    """Measures pictures on one encoder, which is loaded for the first of them.

    Attributes:
        unlike: outputs that were measured at another size than their content.
    """

    def __init__(self, encoder: str, weights: str | None, device: str, size: int | None, show_download: bool) -> None:
        self.name, self.weights, self.device_name, self.size = encoder, weights, device, size
        self.show_download = show_download
        self.unlike: list[Path] = []
        self._style = lru_cache(maxsize=1)(self._encoded_style)  # mostly one for all

    @cached_property
    def device(self) -> torch.device:
        from .stylizer import choose_device

        return choose_device(self.device_name)

    @cached_property
    def encoder(self) -> VGG:
        import torch

        from .vgg import load_encoder

        encoder = load_encoder(self.name, self.weights, progress=self.show_download)
        if max(encoder.channels) < 4:
            raise WeightsError(f"{self.weights}: ends before relu4_1, which the measures need; pass deeper weights")
        return encoder.to(self.device, memory_format=torch.channels_last)

    @property
    def levels(self) -> list[int]:
        return sorted(self.encoder.channels)

    def measure(self, job: _Job) -> dict[str, float]:
        """The measures of one output, by name.

        Raises:
            PictureError: a picture cannot be read, is too small, or needs more memory than there is.
        """
        (output, output_size), (content, content_size) = self.read(job.output), self.read(job.content)

        import torch

        from .evaluation import measure_features, sliced_wasserstein

        with torch.inference_mode():
            style, style_features = self._style(job.style)
            self._check_memory(job.output, prod(output_size) + prod(content_size) + style[0, 0].numel())
            pixels = output.tensor(output_size).to(self.device)
            found = measure_features(
                self.encoder(pixels, self.levels),
                self.encoder(content.tensor(content_size).to(self.device), [4]),
                style_features,
                sliced_wasserstein(pixels, style),
            )
        if not all(map(isfinite, found.as_dict().values())):
            raise PictureError(f"{job.output}: its measures are no finite numbers; check the encoder's weights")
        if max(output_size) != max(content_size):
            self.unlike.append(job.output)
        return {name: max(value, 0.0) for name, value in found.as_dict().items()}  # rounding: -0.0000

    def read(self, path: Path) -> tuple[Picture, tuple[int, int]]:
        """A picture, and the (width, height) that it is to be measured at."""
        from . import images

        picture = images.read(path)
        size = images.fit_size(picture.size, self.size)
        least = _SMALLEST[self.name]
        if min(size) < least:
            reason = f"{size[0]} x {size[1]} is too small to measure, {least} x {least} is the least"
            raise PictureError(f"{path}: {reason}; give a larger --size")
        return picture, size

    def _encoded_style(self, path: Path) -> tuple[Tensor, dict[int, Tensor]]:
        picture, size = self.read(path)
        self._check_memory(path, prod(size))
        pixels = picture.tensor(size).to(self.device)
        return pixels, self.encoder(pixels, self.levels)

    def _check_memory(self, path: Path, pixels: int) -> None:
        from .stylizer import check_memory

        device = self.device  # whose name may be refused, which is another matter
        try:
            check_memory(device, pixels, _BYTES_A_PIXEL[self.name])
        except SettingsError as error:
            raise PictureError(f"{path}: too large for this machine's memory; give a smaller --size") from error


def _measure_all(console: Console, judge: _Judge, jobs: Sequence[_Job]) -> dict[_Job, dict[str, float]]:
    """The measures of all that can be measured; the rest is reported."""
    if len({job.style for job in jobs}) == 1:
        judge.read(jobs[0].style)  # what is wrong with it is said once
    found = {}
    with console.bar(len(jobs)) as bar:
        for index, job in enumerate(jobs):
            bar.start(f"{index + 1}/{len(jobs)} {job.output.name}", index)
            try:
                found[job] = judge.measure(job)
            except (WeightsError, SettingsError):
                raise  # every picture would meet them
            except Exception as error:
                console.error(error, str(job.output))
    if judge.unlike:
        such = _count(judge.unlike, "such output")
        console.warn(f"{judge.unlike[0]}: not the size of its content ({such}), which counts in cfsd; give --size")
    return found


# ----------------------------------------------------------------------------------------------------------- results


def _mean(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    rows = list(rows)
    return {name: fmean(row[name] for row in rows) for name in rows[0]}


def _json(found: dict[_Job, dict[str, float]], **settings: Any) -> str:
    """A list of the pictures with their measures, and the mean; as ASCII, whatever the pictures are called."""
    pictures = [
        {"output": str(job.output), "content": str(job.content), "style": str(job.style), **row}
        for job, row in found.items()
    ]
    return json.dumps({**settings, "pictures": pictures, "mean": _mean(found.values()) if found else None}, indent=2)


def _table(rows: dict[str, dict[str, float]]) -> str:
    """Aligned text, a line for each name."""
    first = max(map(len, rows))
    header, *_ = rows.values()
    widths = [max(len(name), 8) for name in header]
    lines = [" " * first + "".join(f"  {name:>{width}}" for name, width in zip(header, widths, strict=True))]
    for name, row in rows.items():
        lines.append(f"{name:<{first}}" + "".join(f"  {x:{w}.4f}" for x, w in zip(row.values(), widths, strict=True)))
    return "\n".join(lines)


def _check_chart(console: Console, chart: Path, overwrite: bool, jobs: Sequence[_Job]) -> None:
    """Refuse a chart that could not be drawn or written, before the work of measuring."""
    from . import images
    from .folders import identity

    if chart.suffix.lower() not in images.WRITABLE:
        raise click.UsageError(f"--plot {chart}: end it in one of {listing(images.WRITABLE)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        _refuse(console, "--plot: matplotlib is not installed; pip install 'styleshuffle[plot]'")
    if chart.exists():
        if identity(chart) in {identity(path) for job in jobs for path in (job.output, job.content, job.style)}:
            raise PictureError(f"{chart}: this is one of the pictures to measure; write to another file")
        if not overwrite:
            raise PictureError(f"{chart}: exists already; add --overwrite, or write to another file")
    images.check_target(chart, overwrite=overwrite)


def _chart(rows: dict[str, dict[str, float]]) -> Image:
    """A panel for each measure, in it a bar for each picture and the mean as a line."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    height = min(1.5 + 0.25 * len(rows), 100)  # inches, of 100 pixels
    figure = Figure(figsize=(14, height), layout="constrained")
    mean = _mean(rows.values())
    panels = figure.subplots(1, len(mean), sharey=True)
    for panel, name in zip(panels, mean, strict=True):
        panel.barh(range(len(rows)), [row[name] for row in rows.values()])
        panel.axvline(mean[name], color="black", linestyle="--", linewidth=1)
        panel.set_xlim(left=0)
        panel.set_title(name)
    size = min(10, 50 * height / len(rows))  # points, of which a row has 72 height / rows
    labels = [name if len(name) <= 40 else f"…{name[-40:]}" for name in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=size, parse_math=False)
    panels[0].invert_yaxis()
    figure.supxlabel("lower is better; dashed: mean", fontsize=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


if __name__ == "__main__":
    main()
