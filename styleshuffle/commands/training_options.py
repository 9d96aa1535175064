"""The options that all trainings share, and the plan made from them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SettingsError
from .console import option_name
from .options import device_option, quiet_option, verbose_option

if TYPE_CHECKING:
    from ..training.loop import TrainingPlan

_RATES = {"adam": 2e-3, "generic-adam": 1e-2, "quantized-adam": 1e-2}


class _Decay(click.ParamType):
    """Settings of the schedules of Generic Adam, by name."""

    name = "decay"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        try:
            settings = {name.strip(): float(number) for name, number in (part.split("=") for part in value.split(","))}
        except ValueError:
            settings = {"?": 0.0}
        if not settings.keys() <= {"r", "s", "a"}:
            self.fail(f"{value!r} does not say r, s or a by number, such as r=1,s=0.5,a=0.9", param, ctx)
        return settings


_RUN = [
    click.option("--images", required=True, type=click.Path(path_type=Path), help="Folder of training pictures."),
    click.option(
        "--run",
        "--run-folder",
        "run",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for log, checkpoint and result; default: runs/ and the name of the command.",
    ),
    click.option("--steps", default=12000, type=click.IntRange(1), help="Number of steps."),
    click.option(
        "--minutes",
        type=click.FloatRange(0, min_open=True),
        help="Stop after this many minutes, including the reading of pictures, even if --steps are not done; the "
        "step size of adam falls to 0 in that time.",
    ),
    click.option(
        "--batch",
        default=8,
        type=click.IntRange(1),
        help="Crops that each worker sees a step; for a decoder at least a crop for each of its levels, 4.",
    ),
    click.option("--crops", default=4800, type=click.IntRange(8), help="Crops to train on."),
    click.option("--side", default=128, type=click.IntRange(32), help="Side of a crop, in pixels."),
]

_OPTIMIZER = [
    click.option(
        "--optimizer",
        default="adam",
        type=click.Choice(list(_RATES)),
        help="adam; generic-adam, with schedules that make it converge; quantized-adam, which also sends less "
        "between workers.",
    ),
    click.option(
        "--lr",
        "--rate",
        "rate",
        type=click.FloatRange(0, min_open=True),
        help="Step size. adam rises to it, then falls to 0 at the end (default: 0.002); the others take lr / t^s at "
        "step t (default: 0.01).",
    ),
    click.option(
        "--decay",
        type=_Decay(),
        metavar="r=R,s=S,a=A",
        help="Schedules of generic-adam and quantized-adam: s as in --lr (default: 0.5); r and a of the squared "
        "gradients' decay rate 1 - a / t^r (default: 1 and 0.9).",
    ),
    click.option(
        "--gradient-bits",
        type=click.Choice(["2", "3", "4", "none"]),
        help="Bits a weight that a worker of quantized-adam sends a step (default: 2).",
    ),
    click.option(
        "--weight-bits",
        type=click.Choice([*map(str, range(2, 17)), "none"]),
        metavar="[2..16|none]",
        help="Bits of the weights that quantized-adam computes gradients at (default: none).",
    ),
    click.option(
        "--weight-range",
        type=click.FloatRange(0, min_open=True),
        help="Fixed range of the rounded weights, 0.5 in the paper, which clips larger weights; default: the range of "
        "each tensor.",
    ),
    click.option(
        "--byte-budget",
        type=click.IntRange(1),
        metavar="BYTES",
        help="Most bytes that a worker of quantized-adam may send a step. Within it, tensors get more bits where "
        "rounding holds back too much.",
    ),
    click.option(
        "--no-error-feedback", is_flag=True, help="Do not make up for the rounding of gradients; for comparison."
    ),
]

_MEASURING = [
    click.option("--holdout", default=60, type=click.IntRange(1), help="Pictures held out to measure with."),
    click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the held-out pictures, weights and batches."),
    device_option,
    click.option(
        "--precision",
        default="float32",
        type=click.Choice(["float32", "bfloat16"]),
        help="Precision of the multiplications.",
    ),
    click.option(
        "--timeout",
        default=120.0,
        type=click.FloatRange(1),
        help="Seconds to wait for a worker that does not answer.",
    ),
    click.option("--tensorboard", is_flag=True, help="Also log for TensorBoard, which has to be installed."),
    click.option("--resume", is_flag=True, help="Continue from the checkpoint in --run, if there is any."),
    quiet_option,
    verbose_option("Show the traceback of an unexpected error."),
]


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options that all trainings share.

    --run and --start have longer names too, because torchrun takes the short names for abbreviations of its own options.
    """
    for option in reversed([*_RUN, *_OPTIMIZER, *_MEASURING]):
        command = option(command)
    return command


def plan_of(name: str, options: dict[str, Any]) -> TrainingPlan:
    """The plan of a training, from its options. Contradictions are refused before torch is imported."""
    settings = _optimizer_settings(options)
    from ..training.log import check_tensorboard
    from ..training.loop import TrainingPlan

    if options["tensorboard"]:
        check_tensorboard()
    return TrainingPlan(
        until=math.inf if options["minutes"] is None else time.monotonic() + 60 * options["minutes"],
        folder=options["run"] or Path("runs", name),
        steps=options["steps"],
        rate=options["rate"] or _RATES[options["optimizer"]],
        batch=options["batch"],
        optimizer=options["optimizer"],
        settings=settings,
        seed=options["seed"],
        bfloat16=options["precision"] == "bfloat16",
        validate=options.get("validate", 0),
        tensorboard=options["tensorboard"],
        resume=options["resume"],
    )


def _optimizer_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The settings given for the optimiser. Settings of another optimiser are refused."""
    if options["decay"] and options["optimizer"] == "adam":
        raise SettingsError("--decay: adam has its own schedule; pass --optimizer generic-adam or quantized-adam")
    settings: dict[str, Any] = dict(options["decay"] or {})
    for name in ("gradient_bits", "weight_bits"):
        if options[name]:
            settings[name] = None if options[name] == "none" else int(options[name])
    settings |= {name: options[name] for name in ("weight_range", "byte_budget") if options[name] is not None}
    if options["no_error_feedback"]:
        settings["error_feedback"] = False
    for name in settings.keys() - {"r", "s", "a"}:
        if options["optimizer"] != "quantized-adam":
            option = "--no-error-feedback" if name == "error_feedback" else option_name(name)
            raise SettingsError(f"{option}: {options['optimizer']} rounds nothing; pass --optimizer quantized-adam")
    return settings
