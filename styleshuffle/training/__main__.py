"""``styleshuffle-train``: train the networks that styleshuffle works with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import StyleShuffleError

if TYPE_CHECKING:
    from .loop import Progress


class _Commands(click.Group):
    """Turns what styleshuffle refuses into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StyleShuffleError as error:
            raise click.ClickException(str(error)) from None


def _job(command: Any) -> Any:
    """Options that both trainings have."""
    for option in reversed(
        [
            click.option("--images", required=True, type=click.Path(path_type=Path), help="Folder of training pictures."),
            click.option(
                "--run",
                required=True,
                type=click.Path(path_type=Path),
                help="Folder of the run: log, checkpoint, result.",
            ),
            click.option("--steps", default=12000, show_default=True, type=click.IntRange(1), help="Steps in all."),
            click.option("--batch", default=8, show_default=True, type=click.IntRange(1), help="Crops a step."),
            click.option("--crops", default=4800, show_default=True, type=click.IntRange(8), help="Crops to train on."),
            click.option(
                "--side", default=128, show_default=True, type=click.IntRange(32), help="Side of a crop, in pixels."
            ),
            click.option(
                "--rate",
                default=2e-3,
                show_default=True,
                type=click.FloatRange(0, min_open=True),
                help="Largest step size.",
            ),
            click.option(
                "--holdout",
                default=60,
                show_default=True,
                type=click.IntRange(1),
                help="Pictures kept out, to measure with.",
            ),
            click.option(
                "--seed",
                default=0,
                show_default=True,
                type=click.IntRange(0),
                help="Of pictures held out, weights and batches.",
            ),
            click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps."),
            click.option(
                "--precision",
                default="float32",
                show_default=True,
                type=click.Choice(["float32", "bfloat16"]),
                help="Of the multiplications.",
            ),
            click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --run."),
        ]
    ):
        command = option(command)
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Train the compact encoder, or the decoder chain of an encoder."""


@main.command()
@_job
@click.option("--teacher", required=True, type=click.Path(path_type=Path), help="VGG-19's weights: .safetensors or .pth.")
@click.option(
    "--convention", default="caffe", type=click.Choice(["caffe", "torchvision"]), help="Input convention of the teacher."
)
def encoder(teacher: Path, convention: str, **job: Any) -> None:
    """Distil the compact encoder from VGG-19."""
    import torch

    from ..vgg import load_vgg19
    from ..weights import save_tensors
    from . import data
    from . import encoder as distillation

    plan, device = _plan(job)
    teacher_net = load_vgg19(teacher, convention).to(device)
    train_paths, held_out = data.split(job["images"], job["holdout"], plan.seed)
    with _bar("crops", job["crops"]) as bar:
        crops = data.random_crops(train_paths, job["crops"], job["side"], plan.seed, lambda: bar.update())
    with _bar("teacher", len(crops)) as bar:
        targets = distillation.teacher_targets(
            teacher_net, crops, plan.folder / "targets.safetensors", tick=lambda done: bar.update(done - bar.n)
        )
    torch.manual_seed(plan.seed)
    student = distillation.Student().to(device)
    _watch(distillation.distil(student, crops, targets, plan, job["batch"]), "encoder")
    student.eval()
    save_tensors(student.vgg.half().state_dict(), plan.folder / "encoder.safetensors")
    student.vgg.float()
    scores = distillation.explained_variance(
        student.vgg, teacher_net, crops[:480].float() / 255, data.centre_crops(held_out, 256)
    )
    _report(plan.folder, {f"R2 relu{level}_1": score for level, score in scores.items()})


@main.command()
@_job
@click.option(
    "--encoder",
    "encoder_file",
    type=click.Path(path_type=Path),
    help="The compact encoder's weights; default: the bundled ones.",
)
def decoder(encoder_file: Path | None, **job: Any) -> None:
    """Train the decoder chain of the compact encoder."""
    import torch

    from ..vgg import load_compact
    from ..weights import save_tensors
    from . import data
    from . import decoder as decoding

    plan, device = _plan(job)
    encoder_net = load_compact(encoder_file).to(device, memory_format=torch.channels_last)
    train_paths, held_out = data.split(job["images"], job["holdout"], plan.seed)
    with _bar("crops", job["crops"]) as bar:
        crops = data.random_crops(train_paths, job["crops"], job["side"], plan.seed, lambda: bar.update())
    torch.manual_seed(plan.seed)
    net = decoding.WhitenedDecoder(encoder_net, crops[:256]).to(device)
    _watch(decoding.learn(net, encoder_net, crops, plan, job["batch"]), "decoder")
    plain = net.folded(encoder_net).half()
    save_tensors(plain.state_dict(), plan.folder / "decoder.safetensors")
    pictures = data.centre_crops(held_out, 256).to(device)
    _report(
        plan.folder,
        {f"PSNR relu{level}_1": decoding.psnr(encoder_net, plain.float(), pictures, level) for level in net.levels},
    )


def _plan(job: dict[str, Any]) -> tuple[Any, str]:
    from ..stylizer import choose_device
    from .loop import Plan

    plan = Plan(
        folder=job["run"],
        steps=job["steps"],
        rate=job["rate"],
        seed=job["seed"],
        bfloat16=job["precision"] == "bfloat16",
        resume=job["resume"],
    )
    return plan, str(choose_device(job["device"]))


def _bar(what: str, total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=what, file=sys.stderr, disable=None, smoothing=0.1)


def _watch(steps: Iterator[Progress], what: str) -> None:
    bar = None
    for progress in steps:
        if bar is None:
            bar = _bar(what, progress.steps)
            bar.n = bar.initial = progress.step - 1
        bar.update()
        bar.set_postfix({name: f"{loss:.4f}" for name, loss in progress.losses.items()}, refresh=False)
    if bar is not None:
        bar.close()


def _report(folder: Path, figures: dict[str, float]) -> None:
    """Write the figures as report.json and say them."""
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        click.echo(f"{name}: {value:.3f}", err=True)


if __name__ == "__main__":
    main()
