"""Torch's fused kernel of Adam, made to do generic Adam's update: one pass over memory instead of seven.

At step infinity its bias corrections 1 - beta^t are 1, and what is left is v = theta v + (1 - theta) g^2,
m = beta m + (1 - beta) g and x <- x - alpha m / (sqrt(v) + eps). It exists since torch 2.4 for these types and devices.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KERNEL_TYPES = {torch.float64, torch.float32, torch.bfloat16, torch.float16}
KERNEL_ON = {"cpu", "cuda"}


def step_adam(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    schedule: tuple[float, float, float],
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """A step in place; all tensors of one type on one device, with the same strides in each place of the lists.

    Args:
        schedule: alpha_t, theta_t (below 1: the kernel divides by 1 - theta^t), beta_t.
    """
    alpha, theta, beta = schedule
    never = torch.full((), math.inf, dtype=torch.float32, device=parameters[0].device)
    torch._fused_adam_(
        parameters,
        gradients,
        means,
        squares,
        [],
        [never] * len(parameters),
        lr=alpha,
        beta1=beta,
        beta2=theta,
        weight_decay=weight_decay,
        # added to sqrt(v), which is 0 where theta_1 = 0 meets a gradient of 0; m is 0 too then
        eps=math.sqrt(torch.finfo(parameters[0].dtype).tiny),
        amsgrad=False,
        maximize=maximize,
        grad_scale=None,
        found_inf=None,
    )


def add_adam(
    update: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, schedule: tuple[float, float, float]
) -> None:
    """Do a step of the moments, and add alpha_t m / sqrt(v) to ``update``: a step in the other direction."""
    alpha, theta, beta = schedule
    step_adam([update], [gradient], [mean], [square], (-alpha, theta, beta))
