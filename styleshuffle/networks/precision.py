"""The numbers that networks compute in: float32, or 16 bits, which take half the time where the processor knows them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import SettingsError
from ..settings import PRECISIONS

Network = TypeVar("Network", bound=nn.Module)

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # those that make products of bfloat16


def choose_precision(name: str, device: torch.device, gradients: bool = False) -> torch.dtype:
    """The type of number that networks compute in.

    "auto" is bfloat16 on a CPU that has instructions for it; without them bfloat16 is slower than float32. It goes by
    what torch says of the processor and measures nothing, so that the result does not depend on what else the machine
    does.
    On a GPU "auto" is float32, whose pictures are those of a CPU.

    Args:
        name: of `styleshuffle.settings.PRECISIONS`.
        gradients: "auto" is float32 then: gradients gain nothing from 16 bits, and lose digits.

    Raises:
        SettingsError: the name is unknown, or float16 is asked of a CPU, for which torch has no fast convolutions of it.
    """
    if name not in PRECISIONS:
        raise SettingsError(f"precision: {name!r} is unknown; use one of {', '.join(PRECISIONS)}")
    if name == "float16" and device.type == "cpu":
        raise SettingsError("precision: float16 needs a GPU; use bfloat16 or auto")
    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    return torch.bfloat16 if device.type == "cpu" and not gradients and has_bfloat16() else torch.float32


def has_bfloat16() -> bool:
    """Whether the processor makes products of bfloat16 in its own instructions, as far as torch knows."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    capabilities = ask() if ask else {}
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS)


def computing_in(net: Network, dtype: torch.dtype) -> Network:
    """The same network with weights of that type, except in a layer named `exact`; inputs and outputs stay float32."""
    exact = getattr(net, "exact", None)
    kept = set() if exact is None else {id(parameter) for parameter in exact.parameters()}
    for parameter in net.parameters():
        if id(parameter) not in kept:
            parameter.data = parameter.data.to(dtype)
    return net


def as_weights(values: Tensor, net: nn.Module) -> Tensor:
    """Values of the type of a network's weights."""
    return values.to(next(net.parameters()).dtype)
