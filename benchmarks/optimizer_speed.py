"""Time of a step of GenericAdam beside torch's Adam, on the parameters of the compact decoder.

    python benchmarks/optimizer_speed.py
    python benchmarks/optimizer_speed.py --steps 500 --threads 2

On the CPU. Each optimiser has random parameters and gradients of its own. They take turns, so that what else the machine
does disturbs all alike; times are medians.
"""

from __future__ import annotations

import click
from common import median_seconds


@click.command(context_settings={"show_default": True})
@click.option("--steps", default=300, type=click.IntRange(1), help="Steps that the medians are of.")
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of torch.")
def main(steps: int, threads: int) -> None:
    """Print the time of a step of each optimiser."""
    import torch

    from styleshuffle.decoder import Decoder
    from styleshuffle.optim import GenericAdam
    from styleshuffle.vgg import VGG

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    shapes = [parameter.shape for parameter in Decoder(VGG().channels).parameters()]

    def parameters() -> list[torch.Tensor]:
        tensors = [torch.randn(shape).requires_grad_() for shape in shapes]
        for tensor in tensors:
            tensor.grad = torch.randn_like(tensor)
        return tensors

    optimizers = {
        "torch Adam, as torch chooses": torch.optim.Adam(parameters()),
        "torch Adam, foreach": torch.optim.Adam(parameters(), foreach=True),
        "GenericAdam": GenericAdam(parameters()),
        "GenericAdam, foreach=False": GenericAdam(parameters(), foreach=False),
    }
    medians = median_seconds({name: optimizer.step for name, optimizer in optimizers.items()}, steps, warm_up=10)
    best = min(value for name, value in medians.items() if name.startswith("torch"))
    count = sum(shape.numel() for shape in shapes)
    click.echo(f"{len(shapes)} tensors, {count:,} parameters, {threads} threads, torch {torch.__version__}")
    for name, value in medians.items():
        click.echo(f"{name:30} {value * 1e3:7.3f} ms a step, {value / best:.2f} of torch's faster one")


if __name__ == "__main__":
    main()
