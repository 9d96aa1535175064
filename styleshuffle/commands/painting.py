"""What ``styleshuffle`` does once its command line is understood: a picture, or a folder of them."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import PictureError
from ..files import clear_leftovers
from ..jobs.selection import Selection
from ..settings import Settings
from ..video.film import may_move
from .console import Console, listing
from .controls import Controls
from .loading import loading_torch
from .places import check_folder, ends_as_folder, make_folder, output_folder, stdin, target_of
from .sharing import share_folder, worker

if TYPE_CHECKING:
    from ..images import Picture
    from ..jobs.companions import Companions
    from ..jobs.folders import FolderPlan, Task
    from ..jobs.queues import Outcome
    from ..recipes import Recipe
    from ..stylizer import Stylizer
    from .sharing import Run


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        further: contents after the first.
        streamed_style: the picture of a style that comes from standard input; its path is "-".
    """

    console: Console
    content: str
    styles: tuple[str, ...]
    output: str
    settings: Settings
    networks: dict[str, Any]
    overwrite: bool
    controls: Controls
    saving: dict[str, Any]
    selection: Selection
    further: tuple[str, ...] = ()
    streamed_style: Any = None

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """All pictures that are read, each with what it is; masks may be folders."""
        controls = self.controls
        named = [(content, "content") for content in self.contents]
        named += [(style, "style") for style in self.styles]
        named += [(mask, "mask") for mask in (controls.mask, controls.strength_mask, *controls.style_masks) if mask]
        return named

    @property
    def contents(self) -> tuple[str, ...]:
        return (self.content, *self.further)

    @property
    def others(self) -> list[str]:
        """The styles and the masks."""
        return [path for path, what in self.inputs if what != "content" and path != "-"]

    @property
    def limits(self) -> tuple[int, int | None]:
        """The most pixels of a picture, and the bound of memory in bytes."""
        return self.networks["max_pixels"], self.networks["memory"]

    def read(self, source: Any) -> Picture:
        """Read a picture, within the limits that the command line gives."""
        from .. import images

        return images.read(source, *self.limits)

    def stylizer(self) -> Stylizer:
        """The stylizer with its styles. This imports torch, which takes seconds."""
        with loading_torch():
            from ..stylizer import Stylizer
        stylizer = Stylizer(self.settings, show_download=not self.console.quiet, **self.networks)
        styles = [self.streamed_style if style == "-" else style for style in self.styles]
        return stylizer.set_style(styles, masks=self.controls.style_masks or None)

    def companions(self, folder: Path | None = None) -> Companions:
        """What goes along with each content, which lies in that folder."""
        from ..images import SaveOptions
        from ..jobs.companions import Companions

        mask, strength_mask = (None if path is None else Path(path) for path in self._content_masks)
        recipe = self._recipe() if self.controls.keeps_recipe else None
        return Companions(folder, mask, strength_mask, recipe, SaveOptions(**self.saving))

    @property
    def _content_masks(self) -> tuple[str | None, str | None]:
        return self.controls.mask, self.controls.strength_mask

    def _recipe(self) -> Recipe:
        """The recipe of all results; their contents are still to come."""
        from ..recipes import Recipe, ingredient

        files = [("style_mask", ingredient(mask)) for mask in self.controls.style_masks]
        choices: dict[str, str] = {}
        for name, value in self.networks.items():
            if name in ("weights", "decoder", "refiner"):
                files += [(name, ingredient(value))] if value is not None else []
            elif name not in ("memory", "max_pixels") and value not in (None, "auto", "compact"):
                choices[name] = value
        choices |= {name: "" for name, value in self.saving.items() if value is True}
        choices |= {name: self.saving[name] for name in ("depth", "profile") if self.saving[name] not in ("auto", "keep")}
        styles = tuple(map(ingredient, self.styles))
        return Recipe(styles[0], styles, self.settings, tuple(files), choices, __version__)


def save_settings(path: str, settings: Settings, overwrite: bool) -> None:
    """Write settings into a TOML file."""
    from ..settings_files import write_settings

    try:
        write_settings(path, settings, overwrite)
    except FileExistsError:
        raise PictureError(f"{path}: exists already; add --overwrite, or write to another file") from None


def paint_picture(request: Request) -> None:
    """Make the picture that the command line asks for."""
    from ..images import SaveOptions
    from ..jobs.pictures import check_result_target, read_content, stylize_into

    console, saving = request.console, SaveOptions(**request.saving)
    target = target_of(request.content, request.output, request.inputs, request.overwrite, saving.all_frames)
    source = stdin("CONTENT") if request.content == "-" else request.content
    picture = read_content(source, saving, *request.limits)
    check_readable(request)
    if target is not None:
        if ends_as_folder(request.output):
            make_folder(target.parent)
        check_result_target(target, picture, request.settings, request.overwrite)
        check_folder(target.parent)
    companions = request.companions()
    with console.bar(1) as bar:
        stylizer = request.stylizer()
        bar.start(Path(request.content).name)
        into = sys.stdout.buffer if target is None else target
        result = stylize_into(stylizer, picture, request.content, into, request.overwrite, bar.show, companions)
        for warning in result.warnings:
            console.warn(warning)
    if target is not None:
        console.note(_made(target, result.size, result.seconds))


def paint_folder(request: Request) -> None:
    """Make the pictures of a folder, alone or with the other workers that torchrun has started."""
    place = worker()
    if place is None:
        _paint_folder(request, _run_tasks)
    else:
        share_folder(request, *place, _paint_folder)


def _paint_folder(request: Request, run: Run) -> None:
    """Plan a folder, make its pictures, and report how it went.

    Args:
        run: makes the pictures, reports them, and returns the state of each.
    """
    from .. import images
    from ..jobs.folders import plan_folder

    output = output_folder(request.content, request.output)
    check_readable(request)
    others, all_frames = [Path(path) for path in request.others], request.saving["all_frames"]
    plan = plan_folder(Path(request.content), output, others, request.overwrite, request.selection, all_frames)
    if plan.empty:
        missing = "no picture but the style" if plan.inputs_left_out else "no picture"
        if request.selection != Selection():
            raise PictureError(f"{request.content}: {missing} that the patterns take; check --include and --exclude")
        reason = f"{missing} in this folder; name a folder with {listing(images.READABLE)} files"
        raise PictureError(f"{request.content}: {reason}")
    make_folder(output)
    check_folder(output)
    finish(request.console, [plan], run_plan(request, plan, run))


def paint_files(request: Request) -> None:
    """Make the results of several contents that are named one by one, in a folder."""
    from ..jobs.folders import plan_files

    for content in request.contents:
        if content == "-":
            raise click.UsageError("CONTENT -: standard input has no name for its result; name files only")
        if Path(content).is_dir():
            raise click.UsageError(f"CONTENT {content}: is a folder; name a single folder, or files only")
    output = output_folder("", request.output, "there are several CONTENT files")
    check_readable(request)
    plan = plan_files(
        [Path(content) for content in request.contents],
        output,
        [Path(path) for path in request.others],
        request.overwrite,
    )
    make_folder(output)
    check_folder(output)
    finish(request.console, [plan], run_plan(request, plan))


def check_readable(request: Request, moving: bool = False) -> None:
    """Read the styles and their masks, and the masks of the content that are no folders, before torch is loaded.

    Args:
        moving: a mask may be a film.
    """
    from ..jobs.pictures import unread

    for path in request.styles:
        if path != "-":
            for note in unread(request.read(path), path, style=True):
                request.console.warn(note)
    for path in request.controls.style_masks:
        if path != "-":
            request.read(path)
    for mask in request.controls.mask, request.controls.strength_mask:
        if mask is not None and not Path(mask).is_dir() and not (moving and may_move(mask)):
            request.read(mask)


def run_plan(request: Request, plan: FolderPlan, run: Run | None = None) -> list[str]:
    """Report what will not be stylized, stylize the tasks, and report them; returns the state of each picture."""
    _tell_plan(request, plan)
    for folder in plan.target_folders:
        clear_leftovers(folder)
    states = ["exists"] * len(plan.finished) + ["failed"] * plan.failures
    return states + (run or _run_tasks)(request, plan.tasks) if plan.tasks else states


def _run_tasks(request: Request, tasks: Sequence[Task]) -> list[str]:
    """Stylize pictures and report them; returns the state of each."""
    from ..jobs.claims import Claims
    from ..jobs.queues import OwnQueue
    from ..jobs.running import run_tasks

    work = [_work(task.source, request.settings) for task in tasks]
    companions = request.companions(None if request.further else Path(request.content))
    states: list[str] = []
    before = 0.0
    with Claims(Path(request.output)) as claims, request.console.bar(sum(work)) as bar:
        queue = OwnQueue(tasks, claims, request.overwrite)

        def begin(index: int, task: Task) -> None:
            nonlocal before
            bar.start(f"{index + 1}/{len(tasks)} {task.source.name}", before, work[index])
            before += work[index]

        outcomes = run_tasks(queue, request.stylizer(), request.overwrite, begin, bar.show, companions, claims.folder)
        with contextlib.closing(outcomes):  # after Ctrl-C the last result is written before this ends
            for outcome in outcomes:
                states.append(outcome.state)
                tell_outcome(request.console, outcome)
    return states


def tell_outcome(console: Console, outcome: Outcome) -> None:
    """Report what has become of a picture."""
    if outcome.error is not None:
        console.picture_error(outcome.error, str(outcome.task.source))
    if outcome.result is not None:
        for warning in outcome.result.warnings:
            console.warn(warning)
        console.detail(_made(outcome.task.target, outcome.result.size, outcome.result.seconds))


def finish(console: Console, plans: Iterable[FolderPlan], states: Iterable[str]) -> None:
    """Report how many pictures were made, and end with exit code 1 if any of them failed."""
    count = Counter(states)
    wanted = sum(len(plan.tasks) + len(plan.finished) + plan.failures for plan in plans)
    left = wanted - count.total()
    console.note(
        f"{count['made']} stylized, {count['exists']} already there, {count['failed']} failed"
        + (f", {left} not started" if left else "")
    )
    if count["failed"]:
        click.get_current_context().exit(1)


def _tell_plan(request: Request, plan: FolderPlan) -> None:
    """Report what will not be stylized, and why."""
    console = request.console
    if plan.inputs_left_out:
        kind = "the style" if len(request.others) == 1 else "a style or a mask"
        console.detail(f"{', '.join(request.others)}: left out, because it is {kind}")
    for task in plan.finished:
        console.detail(f"{task.source}: {task.target} exists already")
    for place, reason in plan.unlisted:
        console.error(PictureError(f"{place}: the folder cannot be listed ({reason}); change its permissions"))
    for task in plan.clashes:
        console.error(PictureError(f"{task.source}: {task.target} is itself an input; write to another folder"))
    for task in plan.strays:
        reason = f"{task.target} leads out of the output folder through a link; remove the link"
        console.error(PictureError(f"{task.source}: {reason}"))


def _made(target: Path, size: tuple[int, int], seconds: float) -> str:
    return f"{target}: {size[0]} x {size[1]}, {seconds:.1f} s"


def _work(source: Path, settings: Settings) -> float:
    """The work that a picture takes: the pixels of its result, from its header. A damaged picture fails fast: 0."""
    from ..images import fit_size, size_of

    try:
        width, height = fit_size(size_of(source), settings.size)
    except Exception:  # Pillow can raise nearly any error; `images.read` will report it
        return 0.0
    return float(width * height)
