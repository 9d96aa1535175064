"""Options that commands share, and those made from `Settings`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from ..errors import SettingsError
from ..memory import parse_memory
from ..settings import CONVENTIONS, ENCODERS, MAX_PIXELS, PRECISIONS, Rule, Settings, rule_of

FILE = click.Path(dir_okay=False)

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, ..., mps.")
    return value


device_option = click.option(
    "--device", default="auto", metavar="auto|cpu|cuda[:N]|mps", callback=_check_device, help="Where to compute."
)
precision_option = click.option(
    "--precision",
    default="auto",
    type=click.Choice(PRECISIONS),
    help="Numbers that the networks compute in; auto: bfloat16 where the processor has it.",
)


class _Memory(click.ParamType):
    """An amount of memory, as bytes."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_memory(value)
        except SettingsError as error:
            self.fail(str(error).removeprefix("memory: "), param, ctx)


memory_option = click.option(
    "--memory", type=_Memory(), metavar="4GB|4GiB|...", help="The most memory to take; default: what is free."
)
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    metavar="N",
    default=MAX_PIXELS,
    help="Refuse picture files of more pixels, and of fewer deep or transparent ones, which take more memory each.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show errors only.")


def verbose_option(help: str) -> Callable[[Any], Any]:
    return click.option("-v", "--verbose", is_flag=True, help=help)


def check_loudness(quiet: bool, verbose: bool) -> None:
    """Refuse --quiet together with --verbose."""
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other; use one of them")


def encoder_option(help: str) -> Callable[[Any], Any]:
    return click.option("--encoder", default="compact", type=click.Choice(ENCODERS), help=help)


def convention_option(help: str) -> Callable[[Any], Any]:
    return click.option("--convention", type=click.Choice(CONVENTIONS), help=help)


def weights_option(help: str, type: Any = FILE, metavar: str | None = None) -> Callable[[Any], Any]:
    return click.option("--weights", type=type, metavar=metavar, help=help)


def saving_options(command: Any) -> Any:
    """Decorator: how results are saved; see `styleshuffle.images.SaveOptions`."""
    for option in reversed(
        [
            click.option(
                "--depth",
                type=click.Choice(["auto", "8", "16"]),
                default="auto",
                help="Bits a channel. auto: as the content, where the format holds 16 (PNG, TIFF).",
            ),
            click.option(
                "--profile",
                type=click.Choice(["keep", "srgb"]),
                default="keep",
                help="Give colours in the content's own profile, such as Display P3, or in sRGB.",
            ),
            click.option("--strip", is_flag=True, help="Leave out the content's EXIF, XMP, IPTC and resolution."),
            click.option("--strip-gps", is_flag=True, help="Leave out where the photograph was taken."),
            click.option(
                "--all-frames", is_flag=True, help="Stylize all frames of GIF, WebP and PNG, not only the first."
            ),
        ]
    ):
        command = option(command)
    return command


ENCODER_WEIGHTS = "The encoder's weights; default: the bundled ones, or torchvision's VGG-19, downloaded once."


# ------------------------------------------------------------------------------------- options made from the settings

OVER_TIME = ("style_weights",)
"""Settings that may change over a film: the values of their options are then lists of lists."""


class _Numbers(click.ParamType):
    """Comma-separated numbers, each in a range."""

    name = "numbers"

    def __init__(self, number: Any) -> None:
        self.number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(self.number.convert(part, param, ctx) for part in parts)


class _NumbersOverTime(_Numbers):
    """Comma-separated numbers, or for films several such lists with colons between them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        lists = value.split(":") if isinstance(value, str) else [value]
        steps = tuple(super(_NumbersOverTime, self).convert(each, param, ctx) for each in lists)
        return steps if len(steps) > 1 else steps[0]


class _NumberOrNumbers(_Numbers):
    """A number, or comma-separated numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, int | float):
            value = (value,)
        numbers = super().convert(value, param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


def setting_options(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Decorator: the options of these settings, in this order."""
    by_name = {setting.name: setting for setting in fields(Settings)}

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = _option(by_name[name])(command)
        return command

    return decorate


def _option(setting: Field[Any]) -> Callable[[Any], Any]:
    """The option of a setting: its name with hyphens, its type, default, range and help."""
    flag, rule = "--" + setting.name.replace("_", "-"), rule_of(setting)
    default: Any = setting.default
    if rule.kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=default, help=rule.help)
    if rule.choices:
        return click.option(flag, type=click.Choice(rule.choices), default=default, help=rule.help)
    if rule.levels is not None:
        changing = setting.name in OVER_TIME
        film = " Of films also several such lists, 1,0:0,1, evenly spread from the first frame to the last."
        return click.option(
            flag,
            type=(_NumbersOverTime if changing else _Numbers)(_number(rule)),
            metavar="N,N,...",
            default=None if default is None else ",".join(map(str, default)),
            help=f"{rule.help} Each from {rule.low} to {rule.high}.{film if changing else ''}",
        )
    kind = _NumberOrNumbers(_number(rule)) if rule.each_style else _number(rule)
    metavar = ("N" if rule.kind is int else "X") + (",..." if rule.each_style else "")
    return click.option(flag, type=kind, metavar=metavar, default=default, help=rule.help)


def _number(rule: Rule) -> Any:
    if rule.kind is int:
        return click.IntRange(int(rule.low), int(rule.high))
    return click.FloatRange(rule.low, rule.high)
