"""A small network for Quantized Adam, its gradients by worker and step, and its updates, written down exactly."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from styleshuffle.errors import WorkerError
from styleshuffle.optim import QuantizedAdam

SHAPES = {"first.weight": (4, 3), "first.bias": (4,), "scale": (), "last.weight": (2, 4, 3, 3)}
WORKERS = 3


def parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    random = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}


def optimiser(net: dict[str, nn.Parameter], **settings: Any) -> QuantizedAdam:
    return QuantizedAdam([{"params": list(net.values()), "param_names": list(net)}], **{"lr": 0.1, **settings})


def gradients(rank: int, step: int) -> list[Tensor]:
    """Noise about a mean that depends on the worker, and sizes that depend on the parameter."""
    random = torch.Generator().manual_seed(1000 * rank + step)
    return [
        (torch.randn(shape, generator=random) + 0.5 * rank) * 10.0**-index for index, shape in enumerate(SHAPES.values())
    ]


def give_gradients(net: dict[str, nn.Parameter], rank: int, step: int) -> None:
    for parameter, gradient in zip(net.values(), gradients(rank, step), strict=True):
        parameter.grad = gradient


def flat(tensors: Any) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def kept(adam: QuantizedAdam, net: dict[str, nn.Parameter], name: str) -> Tensor:
    return flat(adam.state[parameter][name] for parameter in net.values())


def exact_updates(rank: int, steps: int, lr: float = 0.1, s: float = 0.5, r: float = 1.0, a: float = 0.9) -> list[Tensor]:
    """alpha_t m / sqrt(v) of every step, written down as in the module's docstring, in float64."""
    m, v, updates = 0.0, 1e-12, []
    for t in range(1, steps + 1):
        g = flat(gradients(rank, t)).double()
        theta = 1 - a / t**r
        v = theta * v + (1 - theta) * g**2
        m = 0.9 * m + 0.1 * g
        updates.append(lr / t**s * m / v**0.5)
    return updates


def refusal(action: Callable[[], Any]) -> str:
    try:
        action()
    except WorkerError as error:
        return str(error)
    return "none"


def records_of(work: Callable[[int, str], None], workers: int, folder: Path) -> list[dict[str, Any]]:
    """What processes have written down that each went through all scenarios of ``work(rank, folder)``."""
    context = get_context("forkserver")  # imports torch once, not in each process
    context.set_forkserver_preload(["pytest", "torch.distributed", "torch._dynamo"])
    processes = [context.Process(target=work, args=(rank, str(folder)), daemon=True) for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    records = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(workers)]
    for record in records:
        assert "failure" not in record, record["failure"]
    return records
