"""``styleshuffle --grid``: every content in every style, or over the values of a setting, and a sheet that shows them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import PictureError
from .console import listing
from .painting import Request, check_readable, finish, run_plan
from .places import check_folder, make_folder, output_folder

if TYPE_CHECKING:
    from ..jobs.folders import FolderPlan

_SHEET = "styleshuffle-sheet"  # what a sheet holds in place of a recipe, so that nothing but a sheet is replaced


@dataclass(frozen=True)
class _Column:
    """What a column asks for, its label, the folder of its results, and its style, if columns differ in it."""

    request: Request
    label: str
    folder: str
    style: Path | None = None


def paint_sheet(request: Request) -> None:
    """Make what is missing of the results, and then the sheet."""
    from ..images import write
    from ..jobs.sheets import Head, Row, draw_sheet

    sheet = _sheet_file(request)
    output = output_folder(request.content, request.output, "a sheet has many results")
    columns = _columns(request)
    for column in columns:
        check_readable(column.request)
    make_folder(output)
    check_folder(output)
    plans = [_plan(column, output, columns) for column in columns]
    if all(plan.empty for plan in plans):
        raise PictureError(f"{request.content}: no picture in this folder; name a picture or a folder of pictures")
    states = [state for column, plan in zip(columns, plans, strict=True) for state in run_plan(column.request, plan)]
    targets = [{task.source: task.target for task in (*plan.tasks, *plan.finished)} for plan in plans]
    rows = [Row(source, tuple(column.get(source) for column in targets)) for source in sorted(set().union(*targets))]
    image = draw_sheet(rows, [Head(column.label, column.style) for column in columns])
    write(image, sheet, overwrite=True, recipe=_SHEET)
    request.console.note(f"{sheet}: {len(rows)} x {len(columns)} pictures")
    finish(request.console, plans, states)


def _sheet_file(request: Request) -> Path:
    """The file of the sheet. A file that is there is replaced only if it is a sheet, or with --overwrite."""
    from ..images import WRITABLE, check_target, read_recipe

    sheet = Path(request.controls.grid or "")
    if sheet.suffix.lower() not in WRITABLE:
        raise click.UsageError(f"--grid {sheet}: end it in one of {listing(WRITABLE)}")
    try:
        is_sheet = read_recipe(sheet) == _SHEET
    except PictureError:
        is_sheet = False
    check_target(sheet, overwrite=request.overwrite or is_sheet)
    return sheet


def _plan(column: _Column, output: Path, columns: list[_Column]) -> FolderPlan:
    """What there is to do for a column."""
    from ..jobs.folders import FolderPlan, Task, plan_folder
    from ..jobs.names import default_name

    request, content = column.request, Path(column.request.content)
    if content.is_dir():
        others = [Path(path) for each in columns for path, _ in each.request.inputs[1:]]
        return plan_folder(content, output / column.folder, [output, *others], request.overwrite)
    task = Task(content, output / column.folder / default_name(Path(content.name)))
    finished = task.target.exists() and not request.overwrite
    return FolderPlan(() if finished else (task,), (task,) if finished else (), (), (), False)


def _columns(request: Request) -> list[_Column]:
    if request.controls.sweep:
        return _swept(request, *request.controls.sweep)
    styles = _styles(request)
    masks = request.controls.style_masks
    scale = request.settings.style_scale
    scales = (scale,) * len(styles) if isinstance(scale, int | float) else scale
    for option, values in ("--style-mask", masks), ("--style-scale", scales):
        if values and len(values) != len(styles):
            raise click.UsageError(f"{option}: {len(values)} for {len(styles)} styles; give one for each")
    folders = _folders([style.stem for style in styles])
    columns = []
    for number, style in enumerate(styles):
        own = replace(
            request,
            styles=(str(style),),
            settings=replace(request.settings, style_scale=scales[number]),
            controls=replace(request.controls, style_masks=masks[number : number + 1]),
        )
        columns.append(_Column(own, style.stem, folders[number], style))
    return columns


def _folders(names: list[str]) -> list[str]:
    """Names for folders, all different on any disk: the second "a" becomes "a-2"."""
    count: Counter[str] = Counter()
    folders = []
    for name in names:
        count[name.casefold()] += 1
        folders.append(name if count[name.casefold()] == 1 else f"{name}-{count[name.casefold()]}")
    return folders


def _swept(request: Request, setting: str, values: tuple[Any, ...]) -> list[_Column]:
    """A column for each value of a setting."""
    columns = []
    for value in values:
        own = replace(request, settings=replace(request.settings, **{setting: value}))
        said = {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"
        word = setting.replace("_", "-")
        columns.append(_Column(own, f"{word} {said}", f"{word}-{said}"))
    return columns


def _styles(request: Request) -> list[Path]:
    """The styles, those in folders too."""
    from ..jobs.names import pictures_in

    styles: list[Path] = []
    for style in map(Path, request.styles):
        if not style.is_dir():
            styles.append(style)
            continue
        inside = list(pictures_in(style, None, []))
        if not inside:
            raise PictureError(f"{style}: no picture in this folder; name a style, or a folder of styles")
        styles += inside
    return styles
