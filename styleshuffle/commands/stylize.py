"""``styleshuffle``: stylize a picture or a folder of them.

Importing this module takes a few hundredths of a second, because the functions that need Pillow, numpy and torch import
them. torch comes last, after all checks that do not need it.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line is wrong; 130 stopped by
Ctrl-C; 143 stopped by SIGTERM. Only pictures go to stdout.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import WeightsError
from ..jobs.selection import Selection
from ..settings import Settings
from .console import Command, Console
from .controls import control_options, take_controls
from .films import film_options, paint_film, take_film
from .options import (
    ENCODER_WEIGHTS,
    FILE,
    check_loudness,
    convention_option,
    device_option,
    encoder_option,
    max_pixels_option,
    memory_option,
    precision_option,
    quiet_option,
    saving_options,
    setting_options,
    verbose_option,
    weights_option,
)
from .painting import Request, paint_files, paint_folder, paint_picture, save_settings
from .places import stdin
from .sharing import silent_worker
from .sheet import paint_sheet
from .signals import ending_at_once

if TYPE_CHECKING:
    from ..images import Picture

_EVERYDAY = ("size", "strength", "colours", "seed", "style_scale", "refine")
_METHOD = tuple(setting.name for setting in fields(Settings) if setting.name not in _EVERYDAY)


class _Stylize(Command):
    """Groups the options in the help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        everyday: list[tuple[str, str]] = []
        method: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (method if param.name in _METHOD else everyday).append(record)
        for title, records in ("Options", everyday), ("Method (the defaults suit most pictures)", method):
            with formatter.section(title):
                formatter.write_dl(records)


@click.command(cls=_Stylize, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("content", type=click.Path(allow_dash=True))
@click.argument("styles", metavar="STYLE...", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(allow_dash=True),
    help="File (.jpg, .png, .webp, .avif, .tif) or folder to write. A new folder ends in /, unless CONTENT is a folder. "
    "- writes a PNG to standard output.",
)
@click.option(
    "-s",
    "--style",
    "named_styles",
    multiple=True,
    metavar="STYLE",
    type=click.Path(allow_dash=True),
    help="A style picture, named as an option: then all other arguments are CONTENT files, whose results go to a folder.",
)
@click.option("--include", multiple=True, metavar="PATTERN", help="Of a folder take only such pictures: 'IMG_*.jpg'.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Of a folder leave out such pictures: '*.dng'.")
@setting_options(_EVERYDAY)
@control_options
@film_options
@device_option
@precision_option
@memory_option
@max_pixels_option
@encoder_option("The bundled network, or VGG-19 (slower, finer).")
@weights_option(ENCODER_WEIGHTS)
@convention_option("Input that VGG-19's weights expect; default: detected.")
@click.option(
    "--decoder",
    type=FILE,
    help="The encoder's decoder, from styleshuffle-train; without it VGG-19 takes minutes a picture.",
)
@click.option("--refiner", type=FILE, help="The encoder's refiner, from styleshuffle-train; default: the bundled one.")
@saving_options
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@quiet_option
@verbose_option("Show each file, and the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="styleshuffle", message="%(prog)s %(version)s")
@setting_options(_METHOD)
@click.pass_obj
def main(
    console: Console,
    /,
    content: str,
    styles: tuple[str, ...],
    output: str,
    named_styles: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    device: str,
    precision: str,
    memory: int | None,
    max_pixels: int,
    encoder: str,
    weights: str | None,
    convention: str | None,
    decoder: str | None,
    refiner: str | None,
    depth: str,
    profile: str,
    strip: bool,
    strip_gps: bool,
    all_frames: bool,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Give the picture CONTENT the style of the picture STYLE, or of several.

    CONTENT is a picture (JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF), a folder of pictures, or - for standard input, which
    can also be a STYLE. With -s STYLE there may be several CONTENT files. A folder is stylized with all its subfolders.
    Results that already exist are skipped, so the same command continues after a stop.

    \b
    Examples:
      styleshuffle photo.jpg painting.jpg -o out.jpg
      styleshuffle photo.jpg painting.jpg -o out.png --size 768 --strength 0.8
      styleshuffle photo.jpg monet.jpg wave.jpg -o out.jpg --style-weights 7,3
      styleshuffle photos/ painting.jpg -o stylized/
      styleshuffle -s painting.jpg IMG_1*.jpg -o stylized/
      styleshuffle photos/ styles/ -o results/ --grid sheet.png
      styleshuffle - painting.jpg -o - < photo.jpg > out.png
      styleshuffle film.mp4 painting.jpg -o painted.mp4
    """
    check_loudness(quiet, verbose)
    for file in weights, decoder, refiner:
        if file is not None and not os.path.isfile(file):
            raise WeightsError(f"{file}: no such weights file; check the path")
    with ending_at_once():
        from .. import images  # noqa: F401 - numpy and Pillow, whose import is no place for an exception
    contents, styles = _arguments(content, styles, named_styles)
    controls, film = take_controls(values), take_film(values)
    settings = Settings(**values)
    controls.check(content, styles, settings)
    if len(contents) > 1 and controls.grid is not None:
        raise click.UsageError("--grid takes a CONTENT file or a folder; put the files into a folder")
    if (include or exclude) and not os.path.isdir(content):
        raise click.UsageError("--include and --exclude choose from a folder; leave them out, or name a folder")
    networks = {"encoder": encoder, "weights": weights, "convention": convention, "decoder": decoder, "refiner": refiner}
    place = {"device": device, "precision": precision, "memory": memory, "max_pixels": max_pixels}
    saving = {"depth": depth, "profile": profile, "strip": strip, "strip_gps": strip_gps, "all_frames": all_frames}
    selection, streamed = Selection(include, exclude), _streamed(content, styles, max_pixels, memory)
    asked = (console, content, styles, output, settings, {**place, **networks}, overwrite, controls, saving)
    request = Request(*asked, selection, contents[1:], streamed)
    moving = film.means_film(content, output, all_frames)
    if moving:
        film.check(settings, len(styles), controls.save_settings is not None)
    shared = os.path.isdir(content) and controls.grid is None and not moving
    if silent_worker() and not shared:
        return
    if controls.save_settings is not None:
        save_settings(controls.save_settings, settings, overwrite)
    if moving:
        paint_film(request, film)
    elif controls.grid is not None:
        paint_sheet(request)
    elif len(contents) > 1:
        paint_files(request)
    elif os.path.isdir(content):
        paint_folder(request)
    else:
        paint_picture(request)


def _arguments(content: str, styles: tuple[str, ...], named: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The contents and the styles: with styles named by the option, all arguments are contents."""
    if named:
        return (content, *styles), named
    if not styles:
        raise click.UsageError("Missing argument 'STYLE...'.")
    return (content,), styles


def _streamed(content: str, styles: tuple[str, ...], max_pixels: int, memory: int | None) -> Picture | None:
    """The style that comes from standard input, if one does."""
    from ..images import read

    if "-" not in styles:
        return None
    if content == "-" or styles.count("-") > 1:
        raise click.UsageError("-: standard input holds a single picture; name files for the others")
    return read(stdin("STYLE"), max_pixels, memory)
