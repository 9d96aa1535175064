"""``styleshuffle-train``: train the networks that styleshuffle works with, in one process or under torchrun.

Exit codes: 0 done; 1 a file is missing or damaged, or training cannot go on; 2 the command line cannot be meant so; 130
and 143 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import Command, Console, device_option, is_memory
from ..errors import SettingsError, StyleShuffleError, WorkerError
from ..names import CONVENTIONS, ENCODERS

if TYPE_CHECKING:
    from .loop import Plan, Progress
    from .stopping import Stopping
    from .workers import Workers

_FILE = click.Path(dir_okay=False, path_type=Path)
_RATES = {"adam": 2e-3, "generic-adam": 1e-2, "quantized-adam": 1e-2}


class _Decay(click.ParamType):  # type: ignore[type-arg]
    """Settings of the schedules of generic Adam by name."""

    name = "decay"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        try:
            settings = {name.strip(): float(number) for name, number in (part.split("=") for part in value.split(","))}
        except ValueError:
            settings = {"?": 0.0}
        if not settings.keys() <= {"r", "s", "a"}:
            self.fail(f"{value!r} does not say r, s or a by number, such as r=1,s=0.5,a=0.9", param, ctx)
        return settings


def _job(function: Callable[..., None]) -> Callable[..., None]:
    """The options that both trainings have, and the end of a training that fails: one line.

    --run and --start have longer names too, for torchrun takes the short ones for abbreviations of its own options.
    """

    @functools.wraps(function)
    def job(**options: Any) -> None:
        ctx = click.get_current_context()
        console: Console = ctx.obj
        try:
            with _warnings_shown(console):
                function(console, **options)
        except SystemExit as ended:  # by a signal; torchrun sends one to all workers when one has ended
            if _several() and type(ended) is SystemExit:  # not after a checkpoint
                console.error(
                    WorkerError(
                        f"worker {os.environ['RANK']}: told to stop, as torchrun does when another worker has ended; see "
                        "how that ended, then start all again with --resume"
                    )
                )
            raise
        except Exception as error:
            if is_memory(error):
                error = StyleShuffleError("out of memory; give a smaller --batch, --side or --crops")
            console.error(error, "training")
            ctx.exit(2 if isinstance(error, SettingsError) else 1)

    for option in reversed(
        [
            click.option("--images", required=True, type=click.Path(path_type=Path), help="Folder of training pictures."),
            click.option(
                "--run",
                "--run-folder",
                "run",
                type=click.Path(file_okay=False, path_type=Path),
                default=Path("runs", function.__name__),
                help="Folder of the run: log, checkpoint, result.",
            ),
            click.option("--steps", default=12000, type=click.IntRange(1), help="Steps in all."),
            click.option(
                "--batch",
                default=8,
                type=click.IntRange(1),
                help="Crops a step, of each worker; for a decoder at least one for each of its levels, 4.",
            ),
            click.option("--crops", default=4800, type=click.IntRange(8), help="Crops to train on."),
            click.option("--side", default=128, type=click.IntRange(32), help="Side of a crop, in pixels."),
            click.option(
                "--optimizer",
                default="adam",
                type=click.Choice(list(_RATES)),
                help="adam; generic-adam, whose schedules make it converge; quantized-adam, whose workers also send "
                "each other little.",
            ),
            click.option(
                "--lr",
                "--rate",
                "rate",
                type=click.FloatRange(0, min_open=True),
                help="Step size: the largest of adam, which warms up and falls to 0 at the end (default: 0.002); the "
                "first of the others, which take lr / t^s at step t (default: 0.01).",
            ),
            click.option(
                "--decay",
                type=_Decay(),
                metavar="r=R,s=S,a=A",
                help="Schedules of generic-adam and quantized-adam, any of: s, see --lr (default: 0.5); r and a, of the "
                "squared gradients' decay rate 1 - a / t^r (default: 1 and 0.9).",
            ),
            click.option(
                "--gradient-bits",
                type=click.Choice(["2", "3", "4", "none"]),
                help="Bits a weight that workers of quantized-adam send each other a step (default: 2).",
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
                help="Fixed range of the rounded weights, 0.5 in the paper, beyond which they are clipped; default: that "
                "of each tensor.",
            ),
            click.option(
                "--byte-budget",
                type=click.IntRange(1),
                metavar="BYTES",
                help="Most bytes that a worker of quantized-adam may send a step: bits of single tensors are raised up "
                "to it where rounding holds back too much.",
            ),
            click.option(
                "--no-error-feedback", is_flag=True, help="Forget what the rounding of gradients took away, to compare."
            ),
            click.option("--holdout", default=60, type=click.IntRange(1), help="Pictures kept out, to measure with."),
            click.option("--seed", default=0, type=click.IntRange(0), help="Of pictures held out, weights and batches."),
            device_option,
            click.option(
                "--precision",
                default="float32",
                type=click.Choice(["float32", "bfloat16"]),
                help="Of the multiplications.",
            ),
            click.option(
                "--timeout",
                default=120.0,
                type=click.FloatRange(1),
                help="Seconds that workers wait for one that does not answer.",
            ),
            click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too, which has to be installed."),
            click.option("--resume", is_flag=True, help="Go on from the checkpoint in --run, if there is one."),
            click.option("-q", "--quiet", is_flag=True, help="Show errors only."),
            click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an unexpected error."),
        ]
    ):
        job = option(job)
    return job


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Train the compact encoder, or the decoder chain of an encoder."""


@main.command(cls=Command)
@_job
@click.option("--teacher", required=True, type=_FILE, help="VGG-19's weights: .safetensors or .pth.")
@click.option(
    "--convention", type=click.Choice(CONVENTIONS), help="Input convention of the teacher's weights; default: detected."
)
def encoder(console: Console, teacher: Path, convention: str | None, **job: Any) -> None:
    """Distil the compact encoder from VGG-19."""
    plan = _plan(job)
    import torch

    from ..vgg import load_vgg19
    from ..weights import save_tensors
    from . import data
    from . import encoder as distillation
    from .stopping import stopping
    from .workers import joined

    with joined(job["device"], job["timeout"]) as workers:
        _hush(console, workers.first)
        teacher_net = load_vgg19(teacher, convention).to(workers.device)
        train_paths, held_out = data.split(job["images"], job["holdout"], plan.seed)
        crops = _crops(console, train_paths, job, plan, workers)
        with _bar(console, "teacher", len(crops)) as bar:
            targets = distillation.teacher_targets(
                teacher_net, crops, plan.folder / "targets.safetensors", tick=lambda done: bar.update(done - bar.n)
            )
        torch.manual_seed(plan.seed)
        student = distillation.Student().to(workers.device)
        with stopping() as wish:
            plan = replace(plan, stop=wish.asked)
            _watch(console, distillation.distil(student, crops, targets, plan, workers), "encoder", wish)
    if workers.first:
        student.eval()
        save_tensors(student.vgg.half().state_dict(), plan.folder / "encoder.safetensors")
        student.vgg.float()
        pictures, unreadable = data.centre_crops(held_out, 256)
        _tell_unreadable(console, unreadable, held_out)
        scores = distillation.explained_variance(student.vgg, teacher_net, crops[:480].float() / 255, pictures)
        _report(console, plan.folder, {f"R2 relu{level}_1": score for level, score in scores.items()})


@main.command(cls=Command)
@_job
@click.option("--encoder", default="compact", type=click.Choice(ENCODERS), help="Whose features are decoded.")
@click.option(
    "--weights",
    type=_FILE,
    help="The encoder's weights; default: the bundled ones, or torchvision's VGG-19, downloaded once.",
)
@click.option(
    "--convention", type=click.Choice(CONVENTIONS), help="Input convention of VGG-19's weights; default: detected."
)
@click.option(
    "--start", "--start-from", "start", type=_FILE, help="A trained decoder to go on from, instead of random weights."
)
@click.option(
    "--perceptual",
    default=0.0,
    type=click.FloatRange(0),
    help="Weight of the features of decoded pictures, beside their pixels.",
)
@click.option(
    "--validate",
    default=500,
    type=click.IntRange(1),
    help="Steps between two sheets of four decoded pictures that are held out.",
)
def decoder(
    console: Console,
    encoder: str,
    weights: Path | None,
    convention: str | None,
    start: Path | None,
    perceptual: float,
    **job: Any,
) -> None:
    """Train the decoder chain of an encoder."""
    plan = _plan(job)
    import torch

    from ..decoder import load_decoder, save_decoder
    from ..vgg import load_encoder
    from . import data
    from . import decoder as decoding
    from .stopping import stopping
    from .workers import joined

    with joined(job["device"], job["timeout"]) as workers:
        _hush(console, workers.first)
        encoder_net = load_encoder(encoder, weights, convention, progress=workers.first and not console.quiet)
        encoder_net = encoder_net.to(workers.device, memory_format=torch.channels_last)
        train_paths, held_out = data.split(job["images"], job["holdout"], plan.seed)
        crops = _crops(console, train_paths, job, plan, workers)
        torch.manual_seed(plan.seed)
        net = decoding.WhitenedDecoder(encoder_net, crops[:256]).to(workers.device)
        if start is not None:
            net.start_from(load_decoder(encoder_net, start))
        pictures, unreadable = data.centre_crops(held_out, 256)
        _tell_unreadable(console, unreadable, held_out)
        with stopping() as wish:
            plan = replace(plan, stop=wish.asked)
            steps = decoding.learn(net, encoder_net, crops, plan, perceptual, workers, pictures[:4])
            _watch(console, steps, "decoder", wish)
    if workers.first:
        plain = net.folded(encoder_net)
        save_decoder(plain, encoder_net, plan.folder / "decoder.safetensors")
        pictures = pictures.to(workers.device)
        _report(
            console,
            plan.folder,
            {f"PSNR relu{level}_1": decoding.psnr(encoder_net, plain, pictures, level) for level in net.levels},
        )


# -------------------------------------------------------------------------------------------- from options to a plan


def _plan(job: dict[str, Any]) -> Plan:
    settings = _settings(job)
    from .log import check_tensorboard
    from .loop import Plan

    if job["tensorboard"]:
        check_tensorboard()
    return Plan(
        folder=job["run"],
        steps=job["steps"],
        rate=job["rate"] or _RATES[job["optimizer"]],
        batch=job["batch"],
        optimizer=job["optimizer"],
        settings=settings,
        seed=job["seed"],
        bfloat16=job["precision"] == "bfloat16",
        validate=job.get("validate", 0),
        tensorboard=job["tensorboard"],
        resume=job["resume"],
    )


def _settings(job: dict[str, Any]) -> dict[str, Any]:
    """Those of the optimiser that were given; another optimiser's are refused."""
    if job["decay"] and job["optimizer"] == "adam":
        raise SettingsError("--decay: adam has its own schedule; pass --optimizer generic-adam or quantized-adam")
    settings: dict[str, Any] = dict(job["decay"] or {})
    for name in ("gradient_bits", "weight_bits"):
        if job[name]:
            settings[name] = None if job[name] == "none" else int(job[name])
    settings |= {name: job[name] for name in ("weight_range", "byte_budget") if job[name] is not None}
    if job["no_error_feedback"]:
        settings["error_feedback"] = False
    for name in settings.keys() - {"r", "s", "a"}:
        if job["optimizer"] != "quantized-adam":
            option = "--no-error-feedback" if name == "error_feedback" else f"--{name.replace('_', '-')}"
            raise SettingsError(f"{option}: {job['optimizer']} rounds nothing; pass --optimizer quantized-adam")
    return settings


# ------------------------------------------------------------------------------------------------- what a user sees


def _several() -> bool:
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def _hush(console: Console, first: bool) -> None:
    """Let only the first worker say more than how it ended."""
    console.quiet = console.quiet or not first


@contextmanager
def _warnings_shown(console: Console) -> Iterator[None]:
    """Show what styleshuffle itself warns of, in one line."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=r"styleshuffle\.")
        warnings.showwarning = lambda message, *_, **__: console.warn(str(message))
        yield


def _crops(console: Console, paths: list[Path], job: dict[str, Any], plan: Plan, workers: Workers) -> Any:
    from . import data
    from .agreement import check_crops, check_options

    check_options(workers, job)
    with _bar(console, "crops", job["crops"]) as bar:
        crops, unreadable = data.random_crops(
            paths, job["crops"], job["side"], plan.seed, lambda done: bar.update(done - bar.n)
        )
    _tell_unreadable(console, unreadable, paths)
    check_crops(workers, crops)
    return crops


def _tell_unreadable(console: Console, unreadable: list[Path], paths: Iterable[Path]) -> None:
    if unreadable:
        names = ", ".join(map(str, unreadable[:3])) + (", ..." if len(unreadable) > 3 else "")
        console.warn(f"{len(unreadable)} of {len(list(paths))} pictures cannot be read and are left out: {names}")


def _bar(console: Console, what: str, total: int) -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm(
        total=total,
        desc=what,
        file=sys.stderr,
        disable=True if console.quiet else None,
        smoothing=0.1,
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {remaining} to go{postfix}",
    )


def _watch(console: Console, steps: Iterable[Progress], what: str, wish: Stopping) -> None:
    """Show the progress; if a signal has ended the run early, say so and end as it would have."""
    from .lines import Lines
    from .stopping import Stopped

    bar, lines, progress = None, None, None
    try:
        for progress in steps:
            if bar is None or lines is None:  # not before: what is said until here would go through the bar
                bar, lines = (
                    _bar(console, what, progress.steps),
                    Lines(what, progress.steps, progress.step - 1, console.note),
                )
                bar.n = bar.initial = progress.step - 1
            bar.update()
            bar.set_postfix_str(f"loss {sum(progress.losses.values()):.4f}", refresh=False)
            if bar.disable:
                lines.step(progress.step, progress.losses)
    finally:
        if bar is not None:
            bar.close()
    if progress is not None and progress.step < progress.steps:
        console.note(f"{what}: stopped after step {progress.step:,}; the same command with --resume goes on from there")
        if wish.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(128 + (wish.signal or signal.SIGTERM))


def _report(console: Console, folder: Path, figures: dict[str, float]) -> None:
    """Write the figures as report.json and say them."""
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        console.note(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
