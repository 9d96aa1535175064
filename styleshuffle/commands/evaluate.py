"""``styleshuffle-eval``: the measures of `styleshuffle.evaluation.measures` for a result or a folder of them.

Messages, exit codes, the progress bar and the late import of torch are as in `styleshuffle.commands.stylize`. The table
or the JSON goes to stdout. Exit code 2 also means that the folders do not match, or that matplotlib is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .. import __version__
from ..errors import PictureError, SettingsError, WeightsError, one_line
from ..files import identity
from ..video.film import is_film
from .console import Command, Console, listing
from .loading import loading_torch
from .options import (
    check_loudness,
    device_option,
    encoder_option,
    max_pixels_option,
    quiet_option,
    verbose_option,
    weights_option,
)

if TYPE_CHECKING:
    from ..evaluation.judge import Judge
    from ..jobs.pairs import Triple


class _Evaluation(Command):
    """Ends like `styleshuffle`, but its help has a single list of options."""

    format_options = click.Command.format_options


@click.command(cls=_Evaluation, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("output", type=click.Path())
@click.option(
    "--content", required=True, metavar="PATH", type=click.Path(), help="The content of OUTPUT: picture or folder."
)
@click.option(
    "--style",
    required=True,
    metavar="PATH",
    type=click.Path(),
    help="The style picture; or a folder with a single style for all outputs, or with a style of the same name for each.",
)
@click.option(
    "--beside",
    metavar="FILM",
    type=click.Path(),
    help="Of films: another result of the same content, such as one made with --alone, to measure too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--plot", metavar="FILE", type=click.Path(), help="Also draw a chart: .png, .jpg, .webp, .tif.")
@click.option("--overwrite", is_flag=True, help="Replace a chart that exists.")
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(32),
    help="Resize all pictures to this long side before they are measured; default: keep their sizes. "
    "Time grows with the square of the pixels.",
)
@encoder_option("The network whose features are compared.")
@weights_option("The encoder's weights, instead of the default ones.", click.Path(), "FILE")
@device_option
@max_pixels_option
@quiet_option
@verbose_option("Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="styleshuffle-eval", message="%(prog)s %(version)s")
@click.pass_obj
def main(
    console: Console,
    /,
    output: str,
    content: str,
    style: str,
    beside: str | None,
    as_json: bool,
    plot: str | None,
    overwrite: bool,
    size: int | None,
    encoder: str,
    weights: str | None,
    device: str,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
) -> None:
    """Measure how much of content and style the result OUTPUT keeps. Lower is better, except for brushwork.

    OUTPUT is a picture or a folder of pictures. A folder's pictures are paired with those of the content folder by
    name; the suffix may differ.

    \b
      cfsd          structure: what the content has and the output lost
      gram          global style: Gram matrices, mean over relu1_1 to relu5_1
                    with vgg19, to relu4_1 with compact, which ends there
      coherence     local style: patches of the output missing in the style
      completeness  wash-out: patches of the style missing in the output
      swd           colour
      smoke         colours that drift where the content is flat, as soft clouds
      brushwork     how rough flat places are: 1 is as the style, less is smoother
      halo          rims along the content's strong edges
      warp          of a film: flicker, the change from frame to frame that is
                    not motion; the content's own is beside it

    Figures can be compared only if encoder and sizes are the same.

    \b
    Examples:
      styleshuffle-eval out.jpg --content cat.jpg --style style.jpg
      styleshuffle-eval outputs/ --content photos/ --style style.jpg --size 512
      styleshuffle-eval outputs/ --content photos/ --style styles/ --json
      styleshuffle-eval painted.mp4 --content film.mp4 --style style.jpg
    """
    check_loudness(quiet, verbose)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if is_film(output):
        judging = (encoder, weights, device, size, on_terminal and not quiet, max_pixels)
        _measure_films(console, judging, [output, *([beside] if beside else [])], content, style, as_json)
        return
    if beside is not None:
        raise click.UsageError(f"--beside is for films, and {output} is not a film; leave it out")
    triples = _triples(console, Path(output), Path(content), Path(style))
    if plot is not None:
        _check_chart(console, Path(plot), overwrite, triples)
    with loading_torch():
        from ..evaluation.judge import Judge

    judge = Judge(encoder, weights, device, size, on_terminal and not quiet, max_pixels)
    measured = _measure_all(console, judge, triples)
    levels = judge.levels if measured else []
    if as_json:
        click.echo(_json(measured, encoder=encoder, gram_levels=levels, size=size))
    if measured:
        rows = {one_line(triple.name): row for triple, row in measured.items()}
        if not as_json:
            click.echo(_table({**rows, "mean": _mean(rows.values())}))
        if plot is not None:
            _write_chart(rows, plot, overwrite)
        console.note(
            f"{len(measured)} measured, {len(triples) - len(measured)} failed; "
            f"{encoder} encoder, gram over relu1_1 to relu{levels[-1]}_1; lower is better; brushwork is best near 1"
        )
    if len(measured) < len(triples):
        click.get_current_context().exit(1)


def _triples(console: Console, output: Path, content: Path, style: Path) -> list[Triple]:
    """What to measure. Folders that do not match are refused with a one-line message."""
    from ..jobs.pairs import match_folders

    if output.is_dir() and not content.is_dir():
        raise click.UsageError(f"--content {content}: OUTPUT is a folder, so name the folder of its contents")
    try:
        return match_folders(output, content, style)
    except SettingsError as error:
        _refuse(console, str(error))


def _measure_all(console: Console, judge: Judge, triples: Sequence[Triple]) -> dict[Triple, dict[str, float]]:
    """The measures of all outputs that can be measured; the others are reported."""
    from ..jobs.pairs import counted

    if len({triple.style for triple in triples}) == 1:
        judge.read(triples[0].style)  # reports a bad style only once
    measured = {}
    with console.bar(len(triples)) as bar:
        for index, triple in enumerate(triples):
            bar.start(f"{index + 1}/{len(triples)} {triple.output.name}", index)
            try:
                measured[triple] = judge.measure(triple.output, triple.content, triple.style)
            except (WeightsError, SettingsError):
                raise  # every picture would fail for the same reason
            except Exception as error:  # this picture fails, but the next may succeed
                console.error(error, str(triple.output))
    if judge.resized:
        outputs = counted(judge.resized, "such output")
        console.warn(f"{judge.resized[0]}: not the size of its content ({outputs}), which raises cfsd; give --size")
    return measured


def _measure_films(
    console: Console, judging: tuple[Any, ...], results: list[str], content: str, style: str, as_json: bool
) -> None:
    """Measure films and print their measures, the content's below."""
    from ..evaluation.judge import Judge
    from .film_evaluation import measure_films

    rows = measure_films(console, Judge(*judging), results, content, style)
    if as_json:
        click.echo(json.dumps({"films": [{"film": path, **row} for path, row in rows.items()]}, indent=2))
    else:
        click.echo(_table({one_line(path): row for path, row in rows.items()}))


def _refuse(console: Console, message: str) -> NoReturn:
    """Report an error and end with exit code 2."""
    console.error(SettingsError(message))
    raise click.exceptions.Exit(2)


# ----------------------------------------------------------------------------------------------------------- results


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(rows)
    return {name: fmean(row[name] for row in rows) for name in rows[0]}


def _json(measured: Mapping[Triple, Mapping[str, float]], **settings: Any) -> str:
    """A list of the pictures with their measures, and the mean. ASCII, for any names of pictures."""
    pictures = [
        {"output": str(triple.output), "content": str(triple.content), "style": str(triple.style), **row}
        for triple, row in measured.items()
    ]
    mean = _mean(measured.values()) if measured else None
    return json.dumps({**settings, "pictures": pictures, "mean": mean}, indent=2)


def _table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Aligned text, a line for each name."""
    first = max(map(len, rows))
    header, *_ = rows.values()
    widths = [max(len(name), 8) for name in header]
    lines = [" " * first + "".join(f"  {name:>{width}}" for name, width in zip(header, widths, strict=True))]
    for name, row in rows.items():
        lines.append(f"{name:<{first}}" + "".join(f"  {x:{w}.4f}" for x, w in zip(row.values(), widths, strict=True)))
    return "\n".join(lines)


def _check_chart(console: Console, chart: Path, overwrite: bool, triples: Sequence[Triple]) -> None:
    """Refuse a chart that could not be drawn or written, before anything is measured."""
    from .. import images

    if chart.suffix.lower() not in images.WRITABLE:
        raise click.UsageError(f"--plot {chart}: end it in one of {listing(images.WRITABLE)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        _refuse(console, "plot: matplotlib is not installed; pip install 'styleshuffle[plot]'")
    if chart.exists():
        pictures = (path for triple in triples for path in (triple.output, triple.content, triple.style))
        if identity(chart) in map(identity, pictures):
            raise PictureError(f"{chart}: this is one of the pictures to measure; write to another file")
        if not overwrite:
            raise PictureError(f"{chart}: exists already; add --overwrite, or write to another file")
    images.check_target(chart, overwrite=overwrite)


def _write_chart(rows: Mapping[str, Mapping[str, float]], chart: str, overwrite: bool) -> None:
    from .. import images
    from .chart import draw_chart

    images.write(draw_chart(rows), chart, overwrite=overwrite)


if __name__ == "__main__":
    main(prog_name="styleshuffle-eval")
