"""``styleshuffle-train``: train the networks that styleshuffle works with, in a single process or under torchrun.

Exit codes: 0 done; 1 a file is missing or damaged, or training cannot continue; 2 the command line is wrong; 130 stopped
by Ctrl-C; 143 stopped by SIGTERM.
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

from ..devices import is_out_of_memory
from ..errors import SettingsError, StyleShuffleError, WorkerError
from .console import Command, Commands, Console
from .options import ENCODER_WEIGHTS, convention_option, encoder_option, weights_option
from .training_options import plan_of, training_options

if TYPE_CHECKING:
    from ..training.loop import TrainingPlan, TrainingProgress
    from ..training.stopping import Stopping
    from ..training.workers import Workers

_FILE = click.Path(dir_okay=False, path_type=Path)


def _training(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator for a training command: passes the console, and ends a failed training with a one-line message."""

    @functools.wraps(function)
    def command(**options: Any) -> None:
        ctx = click.get_current_context()
        console: Console = ctx.obj
        try:
            with _warnings_shown(console):
                function(console, **options)
        except SystemExit as ended:  # after a signal; torchrun sends it to all workers when a worker has ended
            if _several() and type(ended) is SystemExit:  # a `Stopped` run has written its checkpoint
                console.error(
                    WorkerError(
                        f"worker {os.environ['RANK']}: told to stop by torchrun, because another worker has ended; see "
                        "why that worker ended, then start all workers again with --resume"
                    )
                )
            raise
        except Exception as error:
            if is_out_of_memory(error):
                error = StyleShuffleError("out of memory; give a smaller --batch, --side or --crops")
            console.error(error, "training")
            ctx.exit(2 if isinstance(error, SettingsError) else 1)

    return training_options(command)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Train the compact encoder, or the decoder chain or the refiner of an encoder."""


@main.command(cls=Command)
@_training
@click.option("--teacher", required=True, type=_FILE, help="VGG-19's weights: .safetensors or .pth.")
@convention_option("Input that the teacher's weights expect; default: detected.")
def encoder(console: Console, teacher: Path, convention: str | None, **options: Any) -> None:
    """Distil the compact encoder from VGG-19."""
    plan = plan_of("encoder", options)
    import torch

    from ..networks.vgg import load_vgg19
    from ..networks.weights import save_tensors
    from ..training import data, distillation
    from ..training.agreement import check_network
    from ..training.stopping import stopping
    from ..training.workers import joined

    with joined(options["device"], options["timeout"]) as workers:
        _hush(console, workers.first)
        teacher_net = load_vgg19(teacher, convention).to(workers.device)
        check_network(workers, "weights of the teacher", teacher_net.fingerprint())
        train_paths, held_out = data.split(options["images"], options["holdout"], plan.seed)
        crops = _crops(console, train_paths, options, plan, workers)
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
@_training
@encoder_option("The network whose features are decoded.")
@weights_option(ENCODER_WEIGHTS, _FILE)
@convention_option("Input that VGG-19's weights expect; default: detected.")
@click.option(
    "--start", "--start-from", "start", type=_FILE, help="A trained decoder to start from, instead of random weights."
)
@click.option(
    "--perceptual",
    default=0.0,
    type=click.FloatRange(0),
    help="Weight of the features of decoded pictures in the loss, beside their pixels.",
)
@click.option(
    "--validate",
    default=500,
    type=click.IntRange(1),
    help="Steps between two validations, which decode four held-out pictures.",
)
def decoder(
    console: Console,
    encoder: str,
    weights: Path | None,
    convention: str | None,
    start: Path | None,
    perceptual: float,
    **options: Any,
) -> None:
    """Train the decoder chain of an encoder."""
    plan = plan_of("decoder", options)
    import torch

    from ..networks.decoder import load_decoder, save_decoder
    from ..networks.vgg import load_encoder
    from ..training import data, decoding
    from ..training.agreement import check_network
    from ..training.stopping import stopping
    from ..training.workers import joined

    with joined(options["device"], options["timeout"]) as workers:
        _hush(console, workers.first)
        encoder_net = load_encoder(encoder, weights, convention, progress=workers.first and not console.quiet)
        encoder_net = encoder_net.to(workers.device).to(memory_format=torch.channels_last)
        check_network(workers, "weights of the encoder", encoder_net.fingerprint())
        train_paths, held_out = data.split(options["images"], options["holdout"], plan.seed)
        crops = _crops(console, train_paths, options, plan, workers)
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


@main.command(cls=Command)
@_training
@click.option(
    "--styles", required=True, type=click.Path(path_type=Path), help="Folder of paintings, which can be that of --images."
)
@click.option("--content-pattern", default="*", metavar="PATTERN", help="Which files of --images are contents.")
@click.option("--style-pattern", default="*", metavar="PATTERN", help="Which files of --styles are styles.")
@click.option(
    "--pairs", "count", default=400, type=click.IntRange(1), help="Pairs to stylize; crops come from the results."
)
@click.option("--pair-side", default=256, type=click.IntRange(64), help="Side of a pair, in pixels, a multiple of 8.")
@click.option("--pairs-on", metavar="DEVICE", help="Device to stylize the pairs on; default: --device.")
@encoder_option("The network whose features guide the refinement.")
@weights_option(ENCODER_WEIGHTS, _FILE)
@convention_option("Input that VGG-19's weights expect; default: detected.")
@click.option("--decoder", type=_FILE, help="The encoder's decoder, from styleshuffle-train; default: the bundled one.")
@click.option("--start", "--start-from", "start", type=_FILE, help="A trained refiner to start from.")
@click.option("--validate", default=500, type=click.IntRange(1), help="Steps between two validations.")
def refiner(console: Console, start: Path | None, count: int, pairs_on: str | None, **options: Any) -> None:
    """Train the refiner: a network whose steps refine pictures, in place of gradient steps."""
    plan = replace(plan_of("refiner", options), clip=1.0)
    import torch

    from ..networks.refiner import Refiner, load_refiner, save_refiner
    from ..stylizer import Stylizer
    from ..training import pairs, refining
    from ..training.agreement import check_options
    from ..training.stopping import stopping
    from ..training.workers import joined

    with joined(options["device"], options["timeout"]) as workers:
        _hush(console, workers.first)
        check_options(workers, options)
        networks = {name: options[name] for name in ("encoder", "weights", "convention", "decoder")}
        place = pairs_on or str(workers.device)
        stylizer = Stylizer(device=place, precision="float32", refine=0, show_download=not console.quiet, **networks)
        patterns = (options["content_pattern"], options["style_pattern"])
        trained, held_out = pairs.split_pairs(
            options["images"], options["styles"], patterns, options["holdout"], plan.seed
        )
        with _bar(console, "pairs", count) as bar:
            maker = pairs.Maker(stylizer, options["pair_side"], plan.seed)
            made, measured = refining.make_all(maker, trained, held_out, count, plan, workers, bar.update)
        torch.manual_seed(plan.seed)
        encoder_net = stylizer.encoder.to(workers.device)
        net = Refiner(encoder_net.channels) if start is None else load_refiner(encoder_net, start).requires_grad_()
        net = net.train().to(workers.device).to(memory_format=torch.channels_last)
        torch.backends.cudnn.benchmark = True  # from here on all crops have the same size
        with stopping() as wish:
            plan = replace(plan, stop=wish.asked)
            steps = refining.learn(net, encoder_net, made, options["crops"], options["side"], plan, workers, measured)
            _watch(console, steps, "refiner", wish)
    if workers.first:
        save_refiner(net, encoder_net, plan.folder / "refiner.safetensors")
        _report(console, plan.folder, refining.report(net, encoder_net, measured))


# ------------------------------------------------------------------------------------------------- what a user sees


def _several() -> bool:
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def _hush(console: Console, first: bool) -> None:
    """Silence all workers except the first, but for errors."""
    console.quiet = console.quiet or not first


@contextmanager
def _warnings_shown(console: Console) -> Iterator[None]:
    """Show the warnings of styleshuffle itself, each on a line."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=r"styleshuffle\.")
        warnings.showwarning = lambda message, *_, **__: console.warn(str(message))
        yield


def _crops(console: Console, paths: list[Path], options: dict[str, Any], plan: TrainingPlan, workers: Workers) -> Any:
    from ..training import data
    from ..training.agreement import check_crops, check_options

    check_options(workers, options)
    with _bar(console, "crops", options["crops"]) as bar:
        crops, unreadable = data.random_crops(
            paths, options["crops"], options["side"], plan.seed, lambda done: bar.update(done - bar.n)
        )
    _tell_unreadable(console, unreadable, paths)
    check_crops(workers, crops)
    return crops


def _tell_unreadable(console: Console, unreadable: list[Path], paths: Iterable[Path]) -> None:
    if unreadable:
        names = ", ".join(map(str, unreadable[:3])) + (", ..." if len(unreadable) > 3 else "")
        console.warn(f"{len(unreadable)} of {len(list(paths))} pictures cannot be read and are left out: {names}")


def _bar(console: Console, what: str, total: int) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=what,
        file=sys.stderr,
        disable=True if console.quiet else None,
        smoothing=0.1,
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {remaining} to go{postfix}",
    )


def _watch(console: Console, steps: Iterable[TrainingProgress], what: str, wish: Stopping) -> None:
    """Show the progress. If a signal has asked the run to stop, say so after its checkpoint, and end as asked."""
    from ..training.lines import Lines
    from ..training.stopping import Stopped

    bar, lines, progress = None, None, None
    try:
        for progress in steps:
            if bar is None or lines is None:  # made late, because earlier messages would break it
                bar = _bar(console, what, progress.steps)
                bar.n = bar.initial = progress.step - 1
                lines = Lines(what, progress.steps, progress.step - 1, console.note)
            bar.update()
            bar.set_postfix_str(f"loss {sum(progress.losses.values()):.4f}", refresh=False)
            if bar.disable:
                lines.step(progress.step, progress.losses)
    finally:
        if bar is not None:
            bar.close()
    if progress is not None and progress.stopped:
        console.note(f"{what}: stopped after step {progress.step:,}; the same command with --resume continues from there")
        if wish.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(128 + (wish.signal or signal.SIGTERM))


def _report(console: Console, folder: Path, figures: dict[str, float]) -> None:
    """Write the figures to report.json and show them."""
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        console.note(f"{name}: {value:.3f}")
