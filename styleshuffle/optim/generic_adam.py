"""Adam with schedules that make it converge.

Generic Adam (Chen, Shen, Zou and Liu, "Towards practical Adam: non-convexity, convergence theory, and mini-batch
acceleration", arXiv:2101.05471), for gradients g_t, t = 1, 2, ..., elementwise:

    v_t = theta_t v_{t-1} + (1 - theta_t) g_t^2,    v_0 = eps > 0
    m_t = beta_t m_{t-1} + (1 - beta_t) g_t,        m_0 = 0
    x_{t+1} = x_t - alpha_t m_t / sqrt(v_t)

There is no bias correction. With a constant theta_t this is otherwise the usual Adam, which can run away from the optimum
for ever; with theta_t rising to 1 at the right pace it converges. `check_convergence` tells which is which, and
docs/counterexample.md shows both. The formulas were written down from memory of the paper; that experiment vouches for
them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import SettingsError
from .convergence import check_convergence
from .kernel import KERNEL_ON, KERNEL_TYPES, step_adam
from .schedules import Schedule, Schedules
from .settings import check_settings, refuse_gradient

_SCHEDULES = tuple(field.name for field in fields(Schedules))
_CONSTANTS = {"alpha": "s=0 makes a constant one", "theta": "r=0, a=1-theta makes a constant one"}
_LR = 1e-2
_CHECKED_STEPS = 100_000  # of functions, when an optimiser is made: about a tenth of a second


class GenericAdam(Optimizer):
    """Generic Adam: alpha_t = lr / t^s, theta_t = 1 - a / t^r, beta_t = beta, or functions of the step t = 1, 2, ...

    The defaults fulfil the condition for convergence with the best rate of the family, log T / sqrt(T). Schedules that do
    not fulfil it still train, after one warning that names what fails.

    Args:
        params: parameters, or groups of them; any of the settings below can be a group's own.
        lr: eta, the step size at t = 1; default 0.01, which at t = 100 has fallen to Adam's customary 0.001. With
            ``alpha`` a factor of it, by default 1. Torch's schedulers may change it; the condition does not know of that.
        s, r, a: exponents and factor of the family; s = r = 0 is Adam without bias correction, with theta = 1 - a.
        beta: decay rate of the mean gradient, in [0, 1), or a function of t.
        alpha, theta: functions of t in place of s, and of r and a; alpha_t at least 0, theta_t in [0, 1]. All functions
            are evaluated for the check of the condition, up to t = 100,000.
        eps: v_0, in units of the squared gradient; its share in v_t fades.
        weight_decay: as in `torch.optim.Adam` an L2 penalty: this multiple of the parameters is added to their gradients.
        maximize: go up instead of down.
        fused: take torch's fused kernel of Adam, the fastest way, which also needs no memory besides the state; by
            default wherever there is one and ``foreach`` is not given.
        foreach: without the fused kernel, update all parameters together; False takes them one by one and saves the
            memory of one more copy of them. These two compute the same, bit for bit; the kernel rounds otherwise.

    t counts the updates of a parameter, so a parameter that gets its first gradient later starts its schedules then.
    The state of a parameter is t ("step"), m ("mean") and v ("square"), in the parameter's precision; float16 is too
    coarse for v: train such networks with float32 parameters and autocast.

    ``state_dict()`` leaves out functions, which cannot be saved safely: give the same ones to the optimiser that loads
    it, and it goes on bit for bit. All other settings are taken from what is loaded.

    Raises:
        SettingsError: a setting is outside its range (also while stepping, if a function returns such a value);
            a gradient is sparse, or a parameter is complex; the state of another optimiser is loaded.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float | None = None,
        *,
        s: float = 0.5,
        r: float = 1.0,
        a: float = 0.9,
        beta: float | Schedule = 0.9,
        alpha: Schedule | None = None,
        theta: Schedule | None = None,
        eps: float = 1e-12,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "s": s,
            "r": r,
            "a": a,
            "beta": beta,
            "alpha": alpha,
            "theta": theta,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "fused": fused,
        }
        super().__init__(params, defaults)
        self._warn()

    def _warn(self) -> None:
        for group in self.param_groups:
            report = check_convergence(**{name: group[name] for name in _SCHEDULES}, horizon=_CHECKED_STEPS)
            if not report.converges:
                reasons = "; ".join(
                    f"{'not met' if condition.fails else 'not confirmed'}: {condition.name} ({condition.evidence})"
                    for condition in report.failing
                )
                warnings.warn(f"GenericAdam may not converge with these schedules: {reasons}", stacklevel=3)
                return

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        group = {**self.defaults, **param_group}
        if group["lr"] is None:
            group["lr"] = _LR if group["alpha"] is None else 1.0
        _check(group)
        super().add_param_group(group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # of a state that was saved before there was this setting
            group.setdefault("fused", None)

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        for group in state["param_groups"]:
            for name in _SCHEDULES:
                if callable(group[name]):
                    del group[name]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not all({"a", "weight_decay"} <= group.keys() for group in state_dict["param_groups"]):
            raise SettingsError("the saved state is of another optimiser; load one of GenericAdam")
        functions = [{name: group[name] for name in _SCHEDULES if callable(group[name])} for group in self.param_groups]
        for saved, given in zip(state_dict["param_groups"], functions, strict=False):  # torch compares their number
            for name in _SCHEDULES:
                if name not in saved and name not in given:
                    raise SettingsError(
                        f"the saved optimiser had a function for {name}; give the same one to this optimiser"
                    )
        super().load_state_dict(state_dict)
        for group, given in zip(self.param_groups, functions, strict=True):
            for name, function in given.items():
                group.setdefault(name, function)

    @overload
    def step(self, closure: None = ...) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch._disable_dynamo  # a compiled caller would be compiled anew for every t
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update; returns the closure's loss, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for (t, *_), parameters in self._batches(group).items():
                self._update(parameters, group, t)
        return loss

    def _batches(self, group: dict[str, Any]) -> dict[tuple[Any, ...], list[Tensor]]:
        """The group's parameters that have gradients, by the number of their next step, type, device and way."""
        batches: dict[tuple[Any, ...], list[Tensor]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            refuse_gradient(parameter, "GenericAdam")
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["mean"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state["square"] = torch.full_like(parameter, group["eps"], memory_format=torch.preserve_format)
            fused = _takes_kernel(parameter, state["mean"], group)
            way = "fused" if fused else id(parameter) if group["foreach"] is False else "foreach"
            batches.setdefault((state["step"] + 1, parameter.dtype, parameter.device, way), []).append(parameter)
        return batches

    def _update(self, parameters: list[Tensor], group: dict[str, Any], t: int) -> None:
        """Step t of parameters of one type on one device, in one way."""
        alpha, theta, beta = _at(t, group)
        states = [self.state[parameter] for parameter in parameters]
        means, squares = [state["mean"] for state in states], [state["square"] for state in states]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if theta < 1 and _takes_kernel(parameters[0], means[0], group):
            decay, maximize = group["weight_decay"], group["maximize"]
            step_adam(parameters, gradients, means, squares, (alpha, theta, beta), decay, maximize)
        else:
            _step_by_lists(parameters, gradients, means, squares, (alpha, theta, beta), group)
        for state in states:
            state["step"] = t


def _takes_kernel(parameter: Tensor, mean: Tensor, group: dict[str, Any]) -> bool:
    """Whether the fused kernel is wanted and possible: it walks through the memory of all tensors alike."""
    wanted = group["fused"] or (group["fused"] is None and group["foreach"] is None)
    gradient = parameter.grad
    return bool(
        wanted
        and gradient is not None
        and parameter.dtype in KERNEL_TYPES
        and parameter.device.type in KERNEL_ON
        and gradient.dtype == parameter.dtype
        and parameter.stride() == gradient.stride() == mean.stride()
        and (parameter.is_contiguous() or parameter.is_contiguous(memory_format=torch.channels_last))
    )


def _step_by_lists(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    schedule: tuple[float, float, float],
    group: dict[str, Any],
) -> None:
    alpha, theta, beta = schedule
    if group["maximize"]:
        gradients = list(torch._foreach_neg(gradients))
    if group["weight_decay"]:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
    torch._foreach_mul_(squares, theta)
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - theta)
    # v becomes 0 where theta_1 = 0 meets a gradient of 0, and where it underflows: then m / sqrt(v) shall be about 0
    torch._foreach_clamp_min_(squares, torch.finfo(parameters[0].dtype).tiny)
    torch._foreach_lerp_(means, gradients, 1 - beta)
    torch._foreach_addcdiv_(parameters, means, torch._foreach_sqrt(squares), value=-alpha)


def _at(t: int, group: dict[str, Any]) -> tuple[float, float, float]:
    """alpha_t, theta_t, beta_t; what functions and schedulers make of them is judged here."""
    schedules = Schedules(**{name: group[name] for name in _SCHEDULES})
    alpha, theta, beta = group["lr"] * schedules.alpha_at(t), schedules.theta_at(t), schedules.beta_at(t)
    if not 0 <= alpha < math.inf:
        raise SettingsError(f"alpha is {alpha} at step {t}; make lr and alpha give a finite number of at least 0")
    for name, value in (("theta", theta), ("beta", beta)):
        if not 0 <= value <= 1:
            raise SettingsError(f"{name} is {value} at step {t}; give a function with values in [0, 1]")
    return alpha, theta, beta


def _check(group: dict[str, Any]) -> None:
    check_settings(group, schedules=("beta",))
    for name, constant in _CONSTANTS.items():
        if not (group[name] is None or callable(group[name])):
            raise SettingsError(f"{name} is {group[name]!r}; give a function of the step ({constant})")
