"""One worker's own part of a step: generic Adam's moments and updates, in flat buffers, window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .kernel import KERNEL_ON, add_adam
from .layout import Window
from .schedules import Schedules
from .settings import refuse_gradient

_LEAST_SQUARE = torch.finfo(torch.float32).tiny  # v is 0 where theta_1 = 0 meets a gradient of 0; m is then 0 too
_LARGEST = math.sqrt(torch.finfo(torch.float32).max)  # whose square is still finite


class LocalAdam:
    """m, v and e of all parameters, one after another, and room for the gradient.

    Attributes:
        mean, square, error: flat float32 buffers (n,); no error (None) where nothing is fed back.
        work: (n,): the gradient, then what the workers agree on.
    """

    def __init__(self, parameters: Sequence[Tensor], feedback: bool) -> None:
        device = parameters[0].device
        self.sizes = [parameter.numel() for parameter in parameters]
        self._shapes = [parameter.shape for parameter in parameters]
        total = sum(self.sizes)
        self.work, self.mean, self.square = (torch.zeros(total, device=device) for _ in range(3))
        self.error = torch.zeros(total, device=device) if feedback else None

    def views(self, flat: Tensor) -> list[Tensor]:
        """A flat buffer as tensors of the parameters' shapes."""
        return [piece.view(shape) for piece, shape in zip(flat.split(self.sizes), self._shapes, strict=True)]

    def load(self, groups: Sequence[dict[str, Any]], grad_scale: float) -> float:
        """Copy the gradients; returns their largest magnitude, not finite if one is not.

        A parameter without a gradient has one of 0. Weight decay and maximize are as in torch's Adam.
        """
        pieces = iter(self.views(self.work))
        for group in groups:
            views, gradients = [], []
            for parameter in group["params"]:
                refuse_gradient(parameter, "QuantizedAdam")
                view = next(pieces)
                if parameter.grad is None:
                    view.zero_()
                else:
                    views.append(view)
                    gradients.append(parameter.grad)
            factor = (-1.0 if group["maximize"] else 1.0) / grad_scale
            if views:
                torch._foreach_copy_(views, gradients)
                if factor != 1:
                    torch._foreach_mul_(views, factor)
            if group["weight_decay"]:
                own = self._of(group, groups)
                torch._foreach_add_(own, group["params"], alpha=group["weight_decay"])
        if not len(self.work):
            return 0.0
        low, high = torch.aminmax(self.work)
        return max(-float(low), float(high)) if math.isfinite(float(low)) else math.inf

    def _of(self, group: dict[str, Any], groups: Sequence[dict[str, Any]]) -> list[Tensor]:
        """The gradients of a group."""
        views, start = self.views(self.work), 0
        for other in groups:
            if other is group:
                break
            start += len(other["params"])
        return views[start : start + len(group["params"])]

    def useless(self) -> int:
        """The number of the first parameter whose gradient is not finite or too large to square; -1 if there is none."""
        for index, piece in enumerate(self.work.split(self.sizes)):
            if not bool((piece.abs() <= _LARGEST).all()):
                return index
        return -1

    def update(self, window: Window, group: dict[str, Any], t: int) -> Tensor:
        """Do step t of the moments of a window; returns alpha_t m / sqrt(v) + e, which takes the place of e."""
        schedules = Schedules(group["s"], group["r"], group["a"], group["beta"])
        alpha, theta, beta = float(group["lr"]) * schedules.alpha_at(t), schedules.theta_at(t), schedules.beta_at(t)
        here = slice(window.start, window.stop)
        g, m, v = self.work[here], self.mean[here], self.square[here]
        update = torch.zeros_like(g) if self.error is None else self.error[here]
        if theta < 1 and g.device.type in KERNEL_ON:
            add_adam(update, g, m, v, (alpha, theta, beta))
            return update
        m.lerp_(g, 1 - beta)
        v.mul_(theta).addcmul_(g, g, value=1 - theta).clamp_min_(_LEAST_SQUARE)
        return update.addcdiv_(m, v.sqrt(), value=alpha)

    def update_squares(self, groups: Sequence[dict[str, Any]], times: Sequence[int]) -> list[float]:
        """|alpha_t m / sqrt(v)|^2 of every parameter, of the step that was just made."""
        squares, means, roots = [], iter(self.mean.split(self.sizes)), iter(self.square.split(self.sizes))
        for group, t in zip(groups, times, strict=True):
            alpha = float(group["lr"]) * Schedules(group["s"], group["r"], group["a"], group["beta"]).alpha_at(t)
            squares += [alpha**2 * float((next(means).square() / next(roots)).sum()) for _ in group["params"]]
        return squares

    def keep(self, window: Window, update: Tensor, sent: Tensor) -> Tensor:
        """Remember what rounding took away from the update of a window; returns that."""
        if self.error is None:
            return update - sent
        return self.error[window.start : window.stop].sub_(sent)  # where the update is


def is_useless(largest: float) -> bool:
    """Whether a gradient with this largest magnitude cannot be used."""
    return not largest <= _LARGEST
