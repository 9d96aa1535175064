"""``styleshuffle``: parsing, messages, exit codes and progress bars.

Importing this module takes a few hundredths of a second: pictures, numpy and above all torch are imported by the
functions that need them, and torch only after everything that can be refused without it has been checked.

Exit codes: 0 all done; 1 a picture could not be read, made or written; 2 the command line cannot be meant so; 130 and
143 stopped by Ctrl-C or SIGTERM. Nothing but pictures goes to stdout.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import typing
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .console import Bar, Command, Console, device_option, errno_of, is_memory, listing
from .errors import MemoryShortage, PictureError, SettingsError, WeightsError
from .names import CONVENTIONS, ENCODERS
from .settings import Settings

if TYPE_CHECKING:
    from .images import Picture
    from .stylizer import Stylizer

_EVERYDAY = ("size", "strength", "seed", "style_scale", "refine")
_METHOD = tuple(setting.name for setting in fields(Settings) if setting.name not in _EVERYDAY)
_FILE = click.Path(dir_okay=False)
_DISK_FULL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


# ------------------------------------------------------------------------------------- options made from the settings


class _Numbers(click.ParamType):  # type: ignore[type-arg]
    """Comma-separated numbers, each in a range."""

    name = "numbers"

    def __init__(self, number: Any) -> None:
        self.number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(self.number.convert(part, param, ctx) for part in parts)


def _option(setting: Field[Any], kind: Any) -> Callable[[Any], Any]:
    """The option of one setting: its name with hyphens, its type, default, range and help."""
    flag, help = "--" + setting.name.replace("_", "-"), setting.metadata["help"]
    low, high = setting.metadata.get("low"), setting.metadata.get("high")
    default: Any = setting.default
    inner = [one for one in typing.get_args(kind) if one is not type(None)]
    value: Any
    if typing.get_origin(kind) is tuple:
        default = ",".join(map(str, default))
        value, metavar, help = _Numbers(_number(inner[0], low, high)), "N,N,...", f"{help} Each from {low} to {high}."
    elif typing.get_origin(kind) is typing.Literal:
        value, metavar = click.Choice(inner), None
    else:
        kind = inner[0] if inner else kind  # X | None is X
        value = _number(kind, low, high) if kind in (int, float) else click.STRING
        metavar = {int: "N", float: "X"}.get(kind)
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=default, help=help)
    return click.option(flag, type=value, metavar=metavar, default=default, help=help)


def _number(kind: Any, low: Any, high: Any) -> Any:
    return click.IntRange(low, high) if kind is int else click.FloatRange(low, high)


def _options(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Decorator: the options of these settings, in this order."""
    kinds = typing.get_type_hints(Settings)
    by_name = {setting.name: setting for setting in fields(Settings)}

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = _option(by_name[name], kinds[name])(command)
        return command

    return decorate


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
    help="File to write (.jpg, .png, .webp, .tif), or a folder, which is made if CONTENT is a folder or if the name "
    "ends in /; - writes a PNG to standard output.",
)
@_options(_EVERYDAY)
@device_option
@click.option(
    "--encoder", default="compact", type=click.Choice(ENCODERS), help="The bundled network, or VGG-19 (slower, finer)."
)
@click.option(
    "--weights",
    type=_FILE,
    help="The encoder's weights; default: the bundled ones, or torchvision's VGG-19, downloaded once.",
)
@click.option("--convention", type=click.Choice(CONVENTIONS), help="Of VGG-19's weights; default: detected.")
@click.option(
    "--decoder",
    type=_FILE,
    help="The encoder's decoder, of styleshuffle-train; without one VGG-19 takes minutes a picture.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show each file, and the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="styleshuffle", message="%(prog)s %(version)s")
@_options(_METHOD)
@click.pass_obj
def main(
    console: Console,
    /,
    content: str,
    style: str,
    output: str,
    device: str,
    encoder: str,
    weights: str | None,
    convention: str | None,
    decoder: str | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Give the picture CONTENT the style of the picture STYLE.

    CONTENT is a picture (JPEG, PNG, WebP, TIFF, BMP or GIF), a folder of them, or - for standard input. A folder is
    stylized with all its subfolders. Results that are there already are skipped, so the same command goes on where it
    was stopped.

    \b
    Examples:
      styleshuffle photo.jpg painting.jpg -o out.jpg
      styleshuffle photo.jpg painting.jpg -o out.png --size 768 --strength 0.8
      styleshuffle photos/ painting.jpg -o stylized/
      styleshuffle - painting.jpg -o - < photo.jpg > out.png
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other; use one of them")
    for file in weights, decoder:
        if file is not None and not os.path.isfile(file):
            raise WeightsError(f"{file}: no such weights file; check the path")
    networks = dict(encoder=encoder, weights=weights, convention=convention, decoder=decoder)
    run = _Run(console, content, style, output, Settings(**values), {"device": device, **networks}, overwrite)
    if os.path.isdir(content):
        _stylize_folder(run)
    else:
        _stylize_one(run)


# --------------------------------------------------------------------------------------------------------- the work


@dataclass(frozen=True)
class _Run:
    """What was asked for."""

    console: Console
    content: str
    style: str
    output: str
    settings: Settings
    networks: dict[str, Any]
    overwrite: bool

    def stylizer(self, style: Picture) -> Stylizer:
        """The stylizer with its style. Here torch comes in, which takes seconds."""
        from .stylizer import Stylizer

        return Stylizer(self.settings, show_download=not self.console.quiet, **self.networks).set_style(style)

    def check_target(self, target: Path, picture: Picture) -> None:
        """Refuse a target that cannot be written, before the picture is made."""
        from . import images

        size = images.fit_size(picture.size, self.settings.size)
        images.check_target(target, overwrite=self.overwrite, size=size)

    def make(self, stylizer: Stylizer, picture: Picture, name: str, target: Path | None, bar: Bar) -> str:
        """Stylize a picture and write it; what was made, in words. No target is stdout."""
        from . import images

        try:
            result = stylizer.stylize(picture, lambda progress: bar.move_to(progress.fraction))
        except PictureError as error:
            raise PictureError(f"{name}: {error}") from error
        except (MemoryError, RuntimeError) as error:
            if not is_memory(error):
                raise
            side = max(images.fit_size(picture.size, self.settings.size))
            raise PictureError(f"{name}: out of memory at {side} pixels; give a smaller --size") from error
        if target is None:
            lost = images.write(result, sys.stdout.buffer, format="png")
        else:
            lost = images.write(result, target, overwrite=self.overwrite)
        for warning in lost:
            self.console.warn(warning)
        return f"{target}: {result.width} x {result.height}, {bar.seconds():.1f} s"


def _stylize_one(run: _Run) -> None:
    from . import images

    target = _target(run)
    picture = images.read(_stdin() if run.content == "-" else run.content)
    style = images.read(run.style)
    if target is not None:
        if _ends_as_folder(run.output):
            _make_folder(target.parent)
        run.check_target(target, picture)
        _check_writable(target.parent)
    with run.console.bar(1) as bar:
        stylizer = run.stylizer(style)
        bar.start(Path(run.content).name)
        made = run.make(stylizer, picture, run.content, target, bar)
    if target is not None:
        run.console.note(made)


def _stylize_folder(run: _Run) -> None:
    from . import folders, images

    console = run.console
    output = _output_folder(run)
    style = images.read(run.style)
    plan = folders.plan_folder(Path(run.content), output, Path(run.style), run.overwrite)
    if not (plan.jobs or plan.finished or plan.clashes or plan.unlisted):
        found = "no picture but the style" if plan.style_left_out else "no picture"
        raise PictureError(f"{run.content}: {found} in this folder; name one with {listing(images.READABLE)} files")
    _make_folder(output)
    _check_writable(output)
    if plan.style_left_out:
        console.detail(f"{run.style}: left out, because it is the style")
    for job in plan.finished:
        console.detail(f"{job.source}: {job.target} is there already")
    for place, reason in plan.unlisted:
        console.error(PictureError(f"{place}: the folder cannot be listed ({reason}); change its permissions"))
    for job in plan.clashes:
        console.error(PictureError(f"{job.source}: {job.target} is itself an input; write to another folder"))
    done, there, failed, left = 0, len(plan.finished), len(plan.unlisted) + len(plan.clashes), 0
    if plan.jobs:
        work = [_work(job.source, run.settings) for job in plan.jobs]
        with console.bar(sum(work)) as bar:
            stylizer = run.stylizer(style)
            for index, job in enumerate(plan.jobs):
                bar.start(f"{index + 1}/{len(plan.jobs)} {job.source.name}", sum(work[:index]), work[index])
                try:
                    if job.target.exists() and not run.overwrite:
                        there += 1  # made meanwhile, by another run on the same folders
                        continue
                    picture = images.read(job.source)
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                    run.check_target(job.target, picture)
                    console.detail(run.make(stylizer, picture, str(job.source), job.target, bar))
                    done += 1
                except MemoryShortage as error:
                    console.error(PictureError(f"{job.source}: {error}"))
                    failed += 1
                except (WeightsError, SettingsError):
                    raise  # every picture would meet them
                except Exception as error:
                    console.error(error, str(job.source))
                    failed += 1
                    if errno_of(error) in _DISK_FULL:
                        left = len(plan.jobs) - index - 1
                        break
    console.note(f"{done} stylized, {there} already there, {failed} failed" + (f", {left} not begun" if left else ""))
    if failed:
        click.get_current_context().exit(1)


def _work(source: Path, settings: Settings) -> float:
    """How much work a picture is, in pixels of its result by its header; none if damaged, for then it fails fast."""
    from PIL import Image

    from .images import fit_size

    try:
        with Image.open(source) as image:
            width, height = fit_size(image.size, settings.size)
    except Exception:  # a damaged file can make Pillow raise nearly anything; `images.read` will say what it is
        return 0.0
    return float(width * height)


# ------------------------------------------------------------------------------------------- where pictures come and go


def _target(run: _Run) -> Path | None:
    """The file that one picture goes to, refused if it is known by now that it cannot be; None is stdout."""
    from .folders import default_name, identity
    from .images import WRITABLE

    if run.output == "-":
        if sys.stdout is None or sys.stdout.isatty():
            raise click.UsageError("-o -: standard output is a terminal or closed; add > out.png, or name a file")
        return None
    target = Path(run.output)
    if os.path.isdir(run.output) or _ends_as_folder(run.output):
        if run.content == "-":
            raise click.UsageError(f"-o {run.output}: a picture from standard input has no name; name the file too")
        target = target / default_name(Path(Path(run.content).name))
    elif target.suffix.lower() not in WRITABLE:
        raise click.UsageError(f"-o {run.output}: end it in one of {listing(WRITABLE)}, or in / for a folder")
    found = identity(target)
    for path, what in (run.content, "content"), (run.style, "style"):
        if found is not None and found == identity(Path(path)):
            raise PictureError(f"{target}: this is the {what} picture itself; write to another file")
    if found is not None and not run.overwrite:
        raise PictureError(f"{target}: exists already; add --overwrite, or write to another file")
    return target


def _output_folder(run: _Run) -> Path:
    """The folder that the results of a folder go to."""
    from .folders import identity
    from .images import WRITABLE

    folder = Path(run.output)
    new = not os.path.exists(run.output)
    looks_like_file = new and folder.suffix.lower() in WRITABLE and not _ends_as_folder(run.output)
    if run.output in ("", "-") or looks_like_file or not (new or folder.is_dir()):
        raise click.UsageError(f"-o {run.output}: CONTENT is a folder, so name a folder, which may be a new one")
    if identity(folder) == identity(Path(run.content)):
        raise click.UsageError(f"-o {run.output}: is CONTENT itself; name another folder, which may be a new one in it")
    return folder


def _ends_as_folder(path: str) -> bool:
    return path.endswith(("/", os.sep))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: the folder cannot be made ({error.strerror}); write elsewhere") from error


def _check_writable(folder: Path) -> None:
    """Try it: permissions alone do not tell of network disks, quotas and other systems' rules."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"nothing can be written to this folder ({error.strerror})"
        raise PictureError(f"{folder}: {reason}; change its permissions, or write elsewhere") from error


def _stdin() -> Any:
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("CONTENT -: standard input is a terminal or closed; add < photo.jpg, or name a file")
    return sys.stdin.buffer
