"""``styleshuffle``: stylize a picture or a folder of them.

Importing this module takes a few hundredths of a second, because the functions that need Pillow, numpy and torch import
them. torch comes last, after all checks that do not need it.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line is wrong; 130 stopped by
Ctrl-C; 143 stopped by SIGTERM. Only pictures go to stdout.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

import click

from .. import __version__
from ..errors import WeightsError
from ..settings import Settings
from .console import Command, Console
from .controls import control_options, take_controls
from .options import (
    ENCODER_WEIGHTS,
    FILE,
    check_loudness,
    convention_option,
    device_option,
    encoder_option,
    memory_option,
    precision_option,
    quiet_option,
    saving_options,
    setting_options,
    verbose_option,
    weights_option,
)
from .painting import Request, paint_folder, paint_picture, save_settings
from .sharing import silent_worker
from .sheet import paint_sheet

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
@click.argument("styles", metavar="STYLE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(allow_dash=True),
    help="File (.jpg, .png, .webp, .avif, .tif) or folder to write. A new folder ends in /, unless CONTENT is a folder. "
    "- writes a PNG to standard output.",
)
@setting_options(_EVERYDAY)
@control_options
@device_option
@precision_option
@memory_option
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
    device: str,
    precision: str,
    memory: int | None,
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

    CONTENT is a picture (JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF), a folder of pictures, or - for standard input. A
    folder is stylized with all its subfolders. Results that already exist are skipped, so the same command continues
    after a stop.

    \b
    Examples:
      styleshuffle photo.jpg painting.jpg -o out.jpg
      styleshuffle photo.jpg painting.jpg -o out.png --size 768 --strength 0.8
      styleshuffle photo.jpg monet.jpg wave.jpg -o out.jpg --style-weights 7,3
      styleshuffle photos/ painting.jpg -o stylized/
      styleshuffle photos/ styles/ -o results/ --grid sheet.png
      styleshuffle - painting.jpg -o - < photo.jpg > out.png
    """
    check_loudness(quiet, verbose)
    for file in weights, decoder, refiner:
        if file is not None and not os.path.isfile(file):
            raise WeightsError(f"{file}: no such weights file; check the path")
    controls = take_controls(values)
    settings = Settings(**values)
    controls.check(content, styles, settings)
    networks = {"encoder": encoder, "weights": weights, "convention": convention, "decoder": decoder, "refiner": refiner}
    place = {"device": device, "precision": precision, "memory": memory}
    saving = {"depth": depth, "profile": profile, "strip": strip, "strip_gps": strip_gps, "all_frames": all_frames}
    request = Request(console, content, styles, output, settings, {**place, **networks}, overwrite, controls, saving)
    shared = os.path.isdir(content) and controls.grid is None
    if silent_worker() and not shared:
        return
    if controls.save_settings is not None:
        save_settings(controls.save_settings, settings, overwrite)
    if controls.grid is not None:
        paint_sheet(request)
    elif os.path.isdir(content):
        paint_folder(request)
    else:
        paint_picture(request)
