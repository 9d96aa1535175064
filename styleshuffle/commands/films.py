"""Options of ``styleshuffle`` for films, and what it does with a film."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import PictureError
from ..files import identity
from ..settings import Settings
from ..video import FILM_SUFFIXES, FilmSettings, check_packages
from ..video.film import CODECS, is_film
from .console import Console, listing
from .places import check_writable, ends_as_folder, make_folder

if TYPE_CHECKING:
    from ..video.painting import Result
    from ..video.reading import Source
    from ..video.work import Kept
    from .painting import Request


@dataclass(frozen=True)
class FilmOptions:
    """The options of this file.

    Attributes:
        frames: CONTENT, if it is a folder, is a film's frames; so is the result, if it goes to a folder.
        resume: go on with a run that was stopped.
    """

    frames: bool
    resume: bool
    settings: FilmSettings

    def means_film(self, content: str, output: str, all_frames: bool = False) -> bool:
        """Whether CONTENT is a film. A GIF is a film if the result is; otherwise its first frame is a picture.

        Args:
            all_frames: all frames of a GIF are pictures, each for itself.
        """
        moving = Path(content).suffix.lower() == ".gif" and Path(output).suffix.lower() in FILM_SUFFIXES
        moving = moving and not (all_frames and Path(output).suffix.lower() == ".gif")
        film = is_film(content) or (moving and content != "-")
        if os.path.isdir(content):
            film = self.frames
        if not film:
            self._refuse_for_pictures(content)
        return film

    def check(self, settings: Settings, styles: int, saves_settings: bool) -> None:
        """Refuse shares that change over the film but do not fit that many styles, or a file of settings.

        Raises:
            click.UsageError, SettingsError: says what is wrong with them.
        """
        if self.settings.weights and saves_settings:
            raise click.UsageError("--save-settings: such a file holds no shares that change; leave out either")
        for weights in self.settings.weights:
            replace(settings, style_weights=weights).for_styles(styles)

    def _refuse_for_pictures(self, content: str) -> None:
        if self.settings.weights:
            change = "lists with colons between them change over a film"
            raise click.UsageError(f"--style-weights: {change}, and {content} is not a film; give a single list")
        if self.frames or self.resume or self.settings != FilmSettings():
            options = "--frames, --rate, --codec, --crf, --anchor-every, --alone and --resume"
            raise click.UsageError(f"{options} are for films, and {content} is not a film; leave them out")


def take_film(values: dict[str, Any]) -> FilmOptions:
    """The film's options among the values of the command line, which are taken out.

    Of shares that change over the film, the first stay.
    """
    names = ("rate", "codec", "crf", "anchor_every", "alone")
    weights = values["style_weights"]
    changing = bool(weights) and isinstance(weights[0], tuple)
    if changing:
        values["style_weights"] = weights[0]
    settings = FilmSettings(**{name: values.pop(name) for name in names}, weights=weights if changing else ())
    return FilmOptions(values.pop("frames"), values.pop("resume"), settings)


def _rate(ctx: click.Context, param: click.Parameter, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is not a number; write for example 25 or 30000/1001") from None


def film_options(command: Any) -> Any:
    """Decorator: the options of `FilmOptions`."""
    own = FilmSettings()
    options: list[Callable[[Any], Any]] = [
        click.option("--frames", is_flag=True, help="Of films: folders hold numbered frames, such as 0001.png."),
        click.option(
            "--rate", default=str(own.rate), metavar="X", callback=_rate, help="Of films: frames a second of --frames."
        ),
        click.option(
            "--codec", type=click.Choice(list(CODECS)), help="Of films; default: h264, and vp9 for .webm, gif for .gif."
        ),
        click.option("--crf", type=int, metavar="N", help="Of films: quality, 0 is best; default: 18 for h264."),
        click.option(
            "--anchor-every",
            type=click.IntRange(1, 48),
            default=own.anchor_every,
            help="Of films: the most frames from one painted frame to the next; those between take their paint.",
        ),
        click.option("--alone", is_flag=True, help="Of films: stylize each frame by itself. It flickers."),
        click.option("--resume", is_flag=True, help="Of films: go on with a run that was stopped."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def paint_film(request: Request, options: FilmOptions) -> None:
    """Make the film that the command line asks for."""
    from .painting import check_readable

    check_packages(request.content)
    target, to_folder = _target(request, options)
    check_readable(request, moving=True)
    from ..video.reading import FilmFile, FrameFolder

    source: Source
    if os.path.isdir(request.content):
        source = FrameFolder(request.content, options.settings.rate, *request.limits)
    else:
        source = FilmFile(request.content, *request.limits)
    make_folder(target if to_folder else target.parent)
    check_writable(target.parent)
    began = time.monotonic()
    kept, size = _paint(request, options, source, target, to_folder)
    _tell(request.console, kept)
    seconds = time.monotonic() - began
    facts = f"{size[0]} x {size[1]}, {kept.frames} frames, {kept.painted} of them anchors, {seconds:.1f} s"
    request.console.note(f"{target}: {facts}")


def _target(request: Request, options: FilmOptions) -> tuple[Path, bool]:
    """What is written, and whether it is a folder of frames. Refuses what cannot be written."""
    if request.further:
        raise click.UsageError(f"{request.content}: is a film; name a single film")
    if request.controls.grid is not None:
        raise click.UsageError("--grid: a sheet shows pictures; leave it out for a film")
    output, target = request.output, Path(request.output)
    if output == "-":
        raise click.UsageError("-o -: a film does not go to standard output; name a file")
    named = target.suffix.lower() in FILM_SUFFIXES and not ends_as_folder(output) and not target.is_dir()
    if named:
        options.settings.codec_for(target.suffix.lower())
    elif options.frames:
        if target.is_dir() and any(target.glob("*.png")) and not (request.overwrite or options.resume):
            raise PictureError(f"{target}: holds frames already; add --overwrite, or write to another folder")
        if identity(target) == identity(request.content):
            raise click.UsageError(f"-o {output}: is CONTENT itself; name another folder")
        for path, what in request.inputs[1:]:
            if identity(target) is not None and identity(target) == identity(path):
                raise PictureError(f"{target}: this is the {what} itself; write to another folder")
        return target, True
    elif ends_as_folder(output) or target.is_dir():
        content = Path(Path(request.content).name)
        suffix = content.suffix.lower()
        target = target / content.with_suffix(suffix if suffix in FILM_SUFFIXES else ".mp4")
    else:
        ends = f"end it in one of {listing(FILM_SUFFIXES)}, or in / for a folder"
        raise click.UsageError(f"-o {output}: CONTENT is a film; {ends}")
    for path, what in request.inputs:
        if identity(target) is not None and identity(target) == identity(path):
            raise PictureError(f"{target}: this is the {what} itself; write to another file")
    if target.exists() and not request.overwrite:
        raise PictureError(f"{target}: exists already; add --overwrite, or write to another file")
    return target, False


def _paint(
    request: Request, options: FilmOptions, source: Source, target: Path, to_folder: bool
) -> tuple[Kept, tuple[int, int]]:
    """Paint; returns what was made, and the size of its frames."""
    from ..images import fit_size
    from ..video.encoding import encoding_for
    from ..video.painting import FilmResult, FolderResult, paint_film
    from ..video.work import Work

    console, content = request.console, Path(request.content)
    size = fit_size(source.facts.size, request.settings.size)
    result: Result
    if to_folder:
        result = FolderResult(target)
    else:
        encoding = encoding_for(target.suffix.lower(), options.settings, source.facts, size)
        if encoding.size != size:
            console.warn(f"{target}: its sides must be even, so {size[0]} x {size[1]} loses a row or a column")
            size = encoding.size
        sound = content if source.facts.has_audio else None
        result = FilmResult(target, encoding, source.facts, sound, request.overwrite)
    work = Work(target, _made_of(request, options), options.resume)
    try:
        with console.bar(source.facts.count) as bar:
            painter, finish = _painter(request, options, source)
            count = source.facts.count
            bar.start(content.name, 0, count)
            bar.move_to(work.kept.frames / count)
            most = options.settings.anchor_every
            kept = paint_film(source, painter, result, work, most, lambda done: bar.move_to(done / count), finish)
    except BaseException:
        if work.leave():
            console.note(f"{target}: {work.kept.frames} frames are kept; add --resume to go on")
        raise
    return kept, size


def _painter(request: Request, options: FilmOptions, source: Source) -> tuple[Any, Any]:
    """What paints the frames, and what is done to each painted frame."""
    from ..images import fit_size
    from ..video.anchors import AnchorPainter, SinglePainter
    from ..video.painting import over_film
    from ..video.timeline import Timeline, open_mask, strengths_of

    facts, controls = source.facts, request.controls
    mask = None if controls.mask is None else open_mask(controls.mask, facts, *request.limits)
    finish = None
    if controls.strength_mask is not None:
        size = fit_size(facts.size, request.settings.size)
        finish = over_film(strengths_of(open_mask(controls.strength_mask, facts, *request.limits), size))
    kind = SinglePainter if options.settings.alone else AnchorPainter
    return kind(request.stylizer(), Timeline(facts.count, options.settings.weights, mask)), finish


def _made_of(request: Request, options: FilmOptions) -> dict[str, Any]:
    """What the result is made of, as far as a run that goes on must agree with the run that began."""
    from .. import __version__

    status = os.stat(request.content)
    networks = {name: str(value) for name, value in request.networks.items() if name not in ("memory", "device")}
    film = {name: str(value) for name, value in asdict(options.settings).items()}
    return {
        "content": [status.st_size, status.st_mtime_ns],
        "pictures": [_fingerprint(path) for path, _ in request.inputs[1:]],
        "settings": asdict(request.settings),
        "film settings": film,
        "networks": networks,
        "version": __version__,
    }


def _fingerprint(path: str) -> Any:
    """What tells a file from another; of a folder, its frames' names, sizes and times."""
    from ..recipes import sha256_of

    if not os.path.isdir(path):
        return sha256_of(path)
    with os.scandir(path) as entries:
        frames = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return sorted([name, status.st_size, status.st_mtime_ns] for name, status in frames)


def _tell(console: Console, kept: Kept) -> None:
    """Report damaged frames."""
    if kept.damaged:
        some = ", ".join(str(number + 1) for number in kept.damaged[:8])
        more = f" and {len(kept.damaged) - 8} more" if len(kept.damaged) > 8 else ""
        console.warn(f"{len(kept.damaged)} frames are damaged ({some}{more}); each repeats the frame before")
