"""Ranges of the settings that both optimisers have, and the gradients that neither takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ..errors import SettingsError

_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: 0 <= value < math.inf, "a number of at least 0"),
    "s": (lambda value: 0 <= value < math.inf, "a number of at least 0"),
    "r": (lambda value: 0 <= value < math.inf, "a number of at least 0"),
    "a": (lambda value: 0 < value <= 1, "a number above 0 and at most 1"),
    "beta": (lambda value: 0 <= value < 1, "a number of at least 0 and below 1"),
    "eps": (lambda value: 0 < value < math.inf, "a number above 0"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "a number of at least 0"),
}


def check_settings(group: dict[str, Any], schedules: Collection[str] = ()) -> None:
    """See that the settings of a group of parameters are numbers in their ranges.

    Args:
        schedules: names of settings that can also be functions of the step.

    Raises:
        SettingsError: one is not; names it, its value and its range.
    """
    for name, (fits, range_) in _RANGES.items():
        value = group[name]
        if name in schedules and callable(value):
            continue
        if not (isinstance(value, Real) and fits(float(value))):
            remedy = ", or a function of the step" if name in schedules else ""
            if isinstance(value, Tensor):
                remedy += f" (of a tensor, {name}.item())"
            raise SettingsError(f"{name} is {value!r}; give {range_}{remedy}")


def refuse_gradient(parameter: Tensor, optimiser: str) -> None:
    """Refuse what the optimiser of this name cannot train.

    Raises:
        SettingsError: the gradient is sparse, or the parameter is complex.
    """
    gradient = parameter.grad
    if gradient is not None and gradient.layout != torch.strided:
        raise SettingsError(f"{optimiser} cannot use a sparse gradient; make it dense (sparse=False in embeddings)")
    if parameter.is_complex():
        raise SettingsError(f"{optimiser} cannot train a complex parameter; train its torch.view_as_real")
