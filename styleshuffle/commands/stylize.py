"""``styleshuffle``: stylize a picture or a folder of them.

Importing this module takes a few hundredths of a second, because the functions that need Pillow, numpy and torch import
them. torch comes last, after all checks that do not need it.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line is wrong; 130 stopped by
Ctrl-C; 143 stopped by SIGTERM. Only pictures go to stdout.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import PictureError, WeightsError
from ..files import identity
from ..settings import Settings
from .console import Command, Console, listing
from .options import (
    ENCODER_WEIGHTS,
    FILE,
    check_loudness,
    convention_option,
    device_option,
    encoder_option,
    precision_option,
    quiet_option,
    saving_options,
    setting_options,
    verbose_option,
    weights_option,
)

if TYPE_CHECKING:
    from ..images import Picture
    from ..jobs.folders import FolderPlan
    from ..stylizer import Stylizer

_EVERYDAY = ("size", "strength", "seed", "style_scale", "refine")
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
@click.argument("style", type=click.Path())
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(allow_dash=True),
    help="File (.jpg, .png, .webp, .avif, .tif) or folder to write. A new folder ends in /, unless CONTENT is a folder. "
    "- writes a PNG to standard output.",
)
@setting_options(_EVERYDAY)
@device_option
@precision_option
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
    style: str,
    output: str,
    device: str,
    precision: str,
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
    """Give the picture CONTENT the style of the picture STYLE.

    CONTENT is a picture (JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF), a folder of pictures, or - for standard input. A
    folder is stylized with all its subfolders. Results that already exist are skipped, so the same command continues
    after a stop.

    \b
    Examples:
      styleshuffle photo.jpg painting.jpg -o out.jpg
      styleshuffle photo.jpg painting.jpg -o out.png --size 768 --strength 0.8
      styleshuffle photos/ painting.jpg -o stylized/
      styleshuffle - painting.jpg -o - < photo.jpg > out.png
    """
    check_loudness(quiet, verbose)
    for file in weights, decoder, refiner:
        if file is not None and not os.path.isfile(file):
            raise WeightsError(f"{file}: no such weights file; check the path")
    networks = {"encoder": encoder, "weights": weights, "convention": convention, "decoder": decoder, "refiner": refiner}
    saving = {"depth": depth, "profile": profile, "strip": strip, "strip_gps": strip_gps, "all_frames": all_frames}
    networks = {"device": device, "precision": precision, **networks}
    request = _Request(console, content, style, output, Settings(**values), networks, saving, overwrite)
    if os.path.isdir(content):
        _stylize_folder(request)
    else:
        _stylize_picture(request)


# --------------------------------------------------------------------------------------------------------- the work


@dataclass(frozen=True)
class _Request:
    """What the command line asks for."""

    console: Console
    content: str
    style: str
    output: str
    settings: Settings
    networks: dict[str, Any]
    saving: dict[str, Any]
    overwrite: bool

    def read_style(self) -> Picture:
        from .. import images
        from ..jobs.pictures import unread

        style = images.read(self.style)
        for note in unread(style, self.style, style=True):
            self.console.warn(note)
        return style

    def stylizer(self, style: Picture) -> Stylizer:
        """The stylizer with its style. This imports torch, which takes seconds."""
        from ..stylizer import Stylizer

        return Stylizer(self.settings, show_download=not self.console.quiet, **self.networks).set_style(style)


def _stylize_picture(request: _Request) -> None:
    from .. import images
    from ..jobs.pictures import check_result_target, read_content, stylize_into

    console = request.console
    target = _target(request)
    options = images.SaveOptions(**request.saving)
    picture = read_content(_stdin() if request.content == "-" else request.content, options)
    style = request.read_style()
    if target is not None:
        if _ends_as_folder(request.output):
            _make_folder(target.parent)
        check_result_target(target, picture, request.settings, request.overwrite)
        _check_writable(target.parent)
    with console.bar(1) as bar:
        stylizer = request.stylizer(style)
        bar.start(Path(request.content).name)
        into = sys.stdout.buffer if target is None else target
        result = stylize_into(stylizer, picture, request.content, into, request.overwrite, bar.show, options)
        for warning in result.warnings:
            console.warn(warning)
    if target is not None:
        console.note(_made(target, result.size, result.seconds))


def _stylize_folder(request: _Request) -> None:
    from .. import images
    from ..jobs.folders import plan_folder

    output = _output_folder(request)
    style = request.read_style()
    all_frames = request.saving["all_frames"]
    plan = plan_folder(Path(request.content), output, Path(request.style), request.overwrite, all_frames)
    if plan.empty:
        missing = "no picture but the style" if plan.style_left_out else "no picture"
        reason = f"{missing} in this folder; name a folder with {listing(images.READABLE)} files"
        raise PictureError(f"{request.content}: {reason}")
    _make_folder(output)
    _check_writable(output)
    _tell_plan(request, plan)
    count = Counter(exists=len(plan.finished), failed=len(plan.unlisted) + len(plan.clashes))
    if plan.tasks:
        count.update(_run_tasks(request, plan, style))
    left = len(plan.tasks) + len(plan.finished) + len(plan.unlisted) + len(plan.clashes) - count.total()
    request.console.note(
        f"{count['made']} stylized, {count['exists']} already there, {count['failed']} failed"
        + (f", {left} not started" if left else "")
    )
    if count["failed"]:
        click.get_current_context().exit(1)


def _run_tasks(request: _Request, plan: FolderPlan, style: Picture) -> list[str]:
    """Stylize the tasks of a plan and report them; returns the state of each task."""
    from ..images import SaveOptions
    from ..jobs.folders import Task, run_tasks

    console, tasks, options = request.console, plan.tasks, SaveOptions(**request.saving)
    work = [_work(task.source, request.settings) for task in tasks]
    states: list[str] = []
    with console.bar(sum(work)) as bar:

        def begin(index: int, task: Task) -> None:
            bar.start(f"{index + 1}/{len(tasks)} {task.source.name}", sum(work[:index]), work[index])

        for outcome in run_tasks(tasks, request.stylizer(style), request.overwrite, begin, bar.show, options):
            states.append(outcome.state)
            if outcome.error is not None:
                console.picture_error(outcome.error, str(outcome.task.source))
            if outcome.result is not None:
                for warning in outcome.result.warnings:
                    console.warn(warning)
                console.detail(_made(outcome.task.target, outcome.result.size, outcome.result.seconds))
    return states


def _tell_plan(request: _Request, plan: FolderPlan) -> None:
    """Report what will not be stylized, and why."""
    console = request.console
    if plan.style_left_out:
        console.detail(f"{request.style}: left out, because it is the style")
    for task in plan.finished:
        console.detail(f"{task.source}: {task.target} exists already")
    for place, reason in plan.unlisted:
        console.error(PictureError(f"{place}: the folder cannot be listed ({reason}); change its permissions"))
    for task in plan.clashes:
        console.error(PictureError(f"{task.source}: {task.target} is itself an input; write to another folder"))


def _made(target: Path, size: tuple[int, int], seconds: float) -> str:
    return f"{target}: {size[0]} x {size[1]}, {seconds:.1f} s"


def _work(source: Path, settings: Settings) -> float:
    """The work that a picture takes: the pixels of its result, from its header. A damaged picture fails fast: 0."""
    from PIL import Image

    from ..images import fit_size

    try:
        with Image.open(source) as image:
            width, height = fit_size(image.size, settings.size)
    except Exception:  # Pillow can raise nearly any error; `images.read` will report it
        return 0.0
    return float(width * height)


# ----------------------------------------------------------------------------------------------- inputs and outputs


def _target(request: _Request) -> Path | None:
    """The file that the result goes to; None is stdout. Refuses a file that cannot be written."""
    from ..images import ANIMATED, WRITABLE
    from ..jobs.names import default_name

    all_frames = request.saving["all_frames"]
    writable = {*WRITABLE, *ANIMATED} if all_frames else set(WRITABLE)
    if request.output == "-":
        if sys.stdout is None or sys.stdout.isatty():
            raise click.UsageError("-o -: standard output is a terminal or closed; add > out.png, or name a file")
        return None
    target = Path(request.output)
    if os.path.isdir(request.output) or _ends_as_folder(request.output):
        if request.content == "-":
            raise click.UsageError(f"-o {request.output}: a picture from standard input has no name; name the file too")
        target = target / default_name(Path(Path(request.content).name), all_frames)
    elif target.suffix.lower() not in writable:
        raise click.UsageError(f"-o {request.output}: end it in one of {listing(writable)}, or in / for a folder")
    existing = identity(target)
    for path, what in (request.content, "content"), (request.style, "style"):
        if existing is not None and existing == identity(path):
            raise PictureError(f"{target}: this is the {what} picture itself; write to another file")
    if existing is not None and not request.overwrite:
        raise PictureError(f"{target}: exists already; add --overwrite, or write to another file")
    return target


def _output_folder(request: _Request) -> Path:
    """The folder that the results of a folder go to."""
    from ..images import WRITABLE

    output, folder = request.output, Path(request.output)
    new = not os.path.exists(output)
    looks_like_file = new and folder.suffix.lower() in WRITABLE and not _ends_as_folder(output)
    if output in ("", "-") or looks_like_file or not (new or folder.is_dir()):
        raise click.UsageError(f"-o {output}: CONTENT is a folder, so name a folder, old or new")
    if identity(folder) == identity(request.content):
        raise click.UsageError(f"-o {output}: is CONTENT itself; name another folder, for example a new folder in it")
    return folder


def _ends_as_folder(path: str) -> bool:
    return path.endswith(("/", os.sep))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: the folder cannot be made ({error.strerror}); write to another folder") from error


def _check_writable(folder: Path) -> None:
    """Try to write, because permissions do not cover network disks, quotas and the rules of other systems."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"nothing can be written to this folder ({error.strerror})"
        raise PictureError(f"{folder}: {reason}; change its permissions, or write to another folder") from error


def _stdin() -> Any:
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("CONTENT -: standard input is a terminal or closed; add < photo.jpg, or name a file")
    return sys.stdin.buffer
