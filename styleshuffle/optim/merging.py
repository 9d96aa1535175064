"""States of `QuantizedAdam` of all workers, made into one for another number of workers."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ..errors import SettingsError

PARTS = ("served_error", "served_weights")  # of which each worker has what it serves


def merged_state(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One ``state_dict()`` of `QuantizedAdam` from those of all workers, to go on with another number of workers.

    All new workers load it. The errors, like the moments, become the mean of the old ones: their mean over the workers
    is then what it was, so nothing that was rounded away is lost. What each worker had as a server of a part is put
    together. (A worker that loads only its own state goes on too, but what those workers kept that are no more is
    lost.)

    Args:
        states: of all old workers, in the order of their ranks, after the same step.

    Raises:
        SettingsError: there are none, or they belong to different networks or steps.
    """
    if not states:
        raise SettingsError("no states to merge; load those of all workers")
    for rank, state in enumerate(states):
        if _outline(state) != _outline(states[0]):
            raise SettingsError(
                f"the states of workers 0 and {rank} are of different networks or steps; load those of one step"
            )
    merged = deepcopy(states[0])
    for index, entries in merged["state"].items():
        of_all = [state["state"][index] for state in states]
        for name in entries.keys() & {"mean", "square", "error"}:
            entries[name] = torch.stack([some[name].cpu() for some in of_all]).mean(0)
        for name in entries.keys() & set(PARTS):
            entries[name] = torch.cat([some[name].cpu() for some in of_all])
    return merged


def _outline(state: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Shapes and steps."""
    return {
        index: {
            name: tuple(value.shape) if isinstance(value, Tensor) else value
            for name, value in entries.items()
            if name not in PARTS
        }
        for index, entries in state["state"].items()
    }
