"""Time of a step of GenericAdam and QuantizedAdam beside torch's Adam, fused and not.

    python benchmarks/optimizer_speed.py
    python benchmarks/optimizer_speed.py --parameters 10e6 --steps 20 --threads 2

On the CPU, with the shapes of the compact decoder's parameters, or 40 equal tensors. Each optimiser has random parameters
and gradients of its own. They take turns, so that what else the machine does disturbs all alike; times are medians.
QuantizedAdam is measured alone, without communication: it rounds and feeds back, and nobody is told; and in a process
group of its own, where it also packs, sends itself the bytes, unpacks and decodes.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory

import click
from common import median_seconds


@click.command(context_settings={"show_default": True})
@click.option("--steps", default=300, type=click.IntRange(1), help="Steps that the medians are of.")
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of torch.")
@click.option("--parameters", "count", type=float, help="How many; default: those of the compact decoder.")
@click.option("--quick", is_flag=True, help="20 steps.")
def main(steps: int, threads: int, count: float | None, quick: bool) -> None:
    """Print the time of a step of each optimiser."""
    import torch
    import torch.distributed as dist

    from styleshuffle.networks.decoder import decoder_for
    from styleshuffle.networks.vgg import VGG
    from styleshuffle.optim import GenericAdam, QuantizedAdam

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    shapes = [parameter.shape for parameter in decoder_for(VGG()).parameters()]
    if count:
        shapes = [torch.Size([int(count) // 40])] * 40

    def parameters() -> list[torch.Tensor]:
        tensors = [torch.randn(shape).requires_grad_() for shape in shapes]
        for tensor in tensors:
            tensor.grad = torch.randn_like(tensor)
        return tensors

    optimizers: dict[str, torch.optim.Optimizer] = {
        "torch Adam, foreach": torch.optim.Adam(parameters(), foreach=True),
        "torch Adam, fused": torch.optim.Adam(parameters(), fused=True),
        "GenericAdam": GenericAdam(parameters()),
        "GenericAdam, foreach": GenericAdam(parameters(), foreach=True),
    }
    for bits in (None, 2, 3, 4):
        optimizers[f"QuantizedAdam, {f'{bits} bits' if bits else 'float32'}"] = QuantizedAdam(
            parameters(), gradient_bits=bits
        )
    optimizers["QuantizedAdam, 2 bits, weights 8"] = QuantizedAdam(parameters(), weight_bits=8)
    for optimizer in optimizers.values():
        optimizer.step()  # before there is a process group: these stay alone
    with TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        optimizers["QuantizedAdam, 2 bits, sent"] = QuantizedAdam(parameters())
        steps = 20 if quick else steps
        medians = median_seconds({name: optimizer.step for name, optimizer in optimizers.items()}, steps, warm_up=3)
        dist.destroy_process_group()
    total = sum(shape.numel() for shape in shapes)
    click.echo(f"{len(shapes)} tensors, {total:,} parameters, {threads} threads, torch {torch.__version__}")
    foreach, fused = medians["torch Adam, foreach"], medians["torch Adam, fused"]
    for name, value in medians.items():
        click.echo(
            f"{name:34} {value * 1e3:8.3f} ms a step, {value / foreach:5.2f} of foreach, {value / fused:5.2f} of fused"
        )


if __name__ == "__main__":
    main()
