"""Small parameters for Generic Adam, trained on fixed gradients, and the reference to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from styleshuffle.optim import GenericAdam

SHAPES = ((4, 3, 3), (5,), (), (2, 6))


def tensors(seed: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]


def parameters(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [tensor.requires_grad_() for tensor in tensors(0, dtype)]


def train(params: list[Tensor], optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps with gradients that depend on the step alone."""
    for t in range(first, last + 1):
        for parameter, gradient in zip(params, tensors(t), strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        optimizer.step()


def trained(steps: int = 20, dtype: torch.dtype = torch.float32, **settings: Any) -> list[Tensor]:
    params = parameters(dtype)
    train(params, GenericAdam(params, **settings), 1, steps)
    return [parameter.detach() for parameter in params]


def reference(
    steps: int,
    alpha: Callable[[int], float],
    theta: Callable[[int], float],
    beta: Callable[[int], float],
    eps: float,
    decay: float = 0.0,
) -> list[Tensor]:
    """The formulas once more, in float64."""
    xs = tensors(0, torch.float64)
    ms, vs = [torch.zeros_like(x) for x in xs], [torch.full_like(x, eps) for x in xs]
    for t in range(1, steps + 1):
        for i, g in enumerate(tensors(t, torch.float32)):
            g = g.double() + decay * xs[i]
            vs[i] = theta(t) * vs[i] + (1 - theta(t)) * g**2
            ms[i] = beta(t) * ms[i] + (1 - beta(t)) * g
            xs[i] = xs[i] - alpha(t) * ms[i] / vs[i].sqrt()
    return xs


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-12) -> None:
    for some, other in zip(found, expected, strict=True):
        assert torch.allclose(some.double(), other.double(), rtol=0, atol=tolerance)


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(some, other) for some, other in zip(found, expected, strict=True))
