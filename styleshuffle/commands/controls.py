"""Options of ``styleshuffle`` for masks, sheets and recipes, and what they mean together."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from ..errors import PictureError, SettingsError, StyleShuffleError, one_line
from ..settings import Settings, rule_of, settings_from
from .console import in_options
from .options import FILE

_PICTURE = click.Path()


class _Failure(click.ClickException):
    """An error before the command itself begins."""

    def show(self, file: Any = None) -> None:
        click.echo(f"styleshuffle: error: {one_line(self.message)}", err=True)


@dataclass(frozen=True)
class Controls:
    """The options of this file.

    Attributes:
        mask, strength_mask: pictures or folders.
        style_masks: one for each style, or none.
        grid: the file of the contact sheet.
        sweep: what the columns of a sheet differ in: a setting, and its values.
        keeps_recipe: whether results hold their recipe.
        save_settings: a file to write.
    """

    mask: str | None
    style_masks: tuple[str, ...]
    strength_mask: str | None
    grid: str | None
    sweep: tuple[str, tuple[Any, ...]] | None
    keeps_recipe: bool
    save_settings: str | None

    def check(self, content: str, styles: Sequence[str], settings: Settings) -> None:
        """Refuse what cannot be meant together.

        Raises:
            click.UsageError, PictureError: says which options, and what to do.
        """
        if self.style_masks and len(self.style_masks) != len(styles):
            count = f"{len(self.style_masks)} for {len(styles)} styles"
            raise click.UsageError(f"--style-mask: {count}; give one for each STYLE, in their order")
        if (self.mask is None) != (not self.style_masks):
            missing = "--style-mask, for each STYLE" if self.mask is not None else "--mask, for CONTENT"
            raise click.UsageError(f"regions need masks on both sides; add {missing}")
        if self.mask is None and settings.unmatched != "refuse":
            raise click.UsageError("--unmatched: there are no regions; add --mask and --style-mask, or leave it out")
        if self.sweep and self.grid is None:
            raise click.UsageError("--sweep: the pictures go side by side on a sheet; add --grid sheet.png")
        if self.grid is not None and not self.sweep and settings.style_weights is not None:
            raise click.UsageError("--style-weights mixes styles, but --grid has a column for each; leave out either")
        if self.grid is not None and content == "-":
            raise click.UsageError("--grid: a picture from standard input has no name; name the file")
        if self.grid is None or self.sweep:
            for style in styles:
                if os.path.isdir(style):
                    raise PictureError(f"{style}: is a folder; add --grid sheet.png, or name a style picture")
            settings.for_styles(len(styles))


def take_controls(values: dict[str, Any]) -> Controls:
    """The controls among the values of the command line, which are taken out."""
    return Controls(
        mask=values.pop("mask"),
        style_masks=values.pop("style_mask"),
        strength_mask=values.pop("strength_mask"),
        grid=values.pop("grid"),
        sweep=values.pop("sweep"),
        keeps_recipe=not values.pop("no_recipe"),
        save_settings=values.pop("save_settings"),
    )


def control_options(command: Any) -> Any:
    """Decorator: the options of `Controls`, and those that read recipes and settings."""
    options: list[Callable[[Any], Any]] = [
        click.option("--mask", type=_PICTURE, help="Regions of CONTENT, as areas of a colour; or a folder of such."),
        click.option(
            "--style-mask",
            type=_PICTURE,
            multiple=True,
            help="Regions of a STYLE: each takes from the area of its own colour. Once for each STYLE.",
        ),
        click.option(
            "--strength-mask",
            type=_PICTURE,
            help="Greys: full strength where it is white, the photograph where it is black; or a folder of such.",
        ),
        click.option(
            "--grid", type=FILE, help="A sheet to write: CONTENT down, STYLE across. STYLE may be a folder of styles."
        ),
        click.option(
            "--sweep",
            metavar="SETTING=X,X,...",
            callback=_parse_sweep,
            help="With --grid: a column for each value of a setting, such as strength=.2,.5,.8.",
        ),
        click.option("--no-recipe", is_flag=True, help="Do not write into the result how it was made."),
        click.option(
            "--recipe",
            type=FILE,
            is_eager=True,
            expose_value=False,
            callback=_print_recipe,
            help="Print the command that makes this result again, and exit.",
        ),
        click.option(
            "--settings",
            type=FILE,
            is_eager=True,
            expose_value=False,
            callback=_load_settings,
            help="A TOML file of settings; options go before it.",
        ),
        click.option("--save-settings", type=FILE, help="Write the settings into a TOML file."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


# --------------------------------------------------------------------------------------------------------- callbacks


def _load_settings(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Make the settings of a file the defaults of the options."""
    if path is None or ctx.resilient_parsing:
        return
    from ..settings_files import read_settings

    try:
        ctx.default_map = read_settings(path)
    except SettingsError as error:
        raise click.UsageError(in_options(str(error)), ctx) from None


def _print_recipe(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Print the command on stdout, and on stderr what would differ."""
    if path is None or ctx.resilient_parsing:
        return
    from .. import __version__
    from ..images import read_recipe
    from ..recipes import recipe_from_json

    try:
        recipe = recipe_from_json(read_recipe(path))
    except StyleShuffleError as error:
        raise _Failure(str(error)) from None
    click.echo(shlex.join(recipe.command(Path(path).name)))
    notes = [wrong for each in recipe.ingredients() if (wrong := each.check())]
    if recipe.version != __version__:
        notes.append(f"this is version {__version__}, the result is of {recipe.version}; it may differ")
    for note in notes:
        click.echo(f"styleshuffle: warning: {one_line(note)}", err=True)
    ctx.exit()


def _parse_sweep(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, tuple[Any, ...]] | None:
    """The setting and the values of ``strength=.2,.5``."""
    if text is None:
        return None
    written, equals, values = text.partition("=")
    name = written.strip().removeprefix("--").replace("-", "_")
    rules = {setting.name: rule_of(setting) for setting in fields(Settings)}
    if not equals or not values.strip():
        raise click.BadParameter(f"{text!r} names no values; write for example strength=.2,.5,.8")
    if name in rules and rules[name].levels is not None:
        raise click.BadParameter(f"{written} is a list; sweep a setting that has a single value")
    try:
        swept = tuple(_value(part.strip(), rules[name].kind) if name in rules else part for part in values.split(","))
        for value in swept:
            settings_from(**{name: value})
    except (ValueError, SettingsError) as error:
        raise click.BadParameter(in_options(str(error))) from None
    if len(set(swept)) < len(swept):
        raise click.BadParameter(f"{text!r} has a value twice; leave it out")
    return name, swept


def _value(text: str, kind: type) -> Any:
    """A value of a setting from a command line."""
    if kind is bool:
        return {"on": True, "off": False}.get(text, text)
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
