"""What copies and files of an optimiser need: tensors of their own, and a process group that is shared or refused."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from torch import Tensor

from ..errors import SettingsError


class SameGroup:
    """A process group in a copy of an optimiser: a copy has the same, a file cannot have one."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self.group = group

    def __deepcopy__(self, memo: dict[int, Any]) -> SameGroup:
        return self

    def __reduce__(self) -> tuple[type[SameGroup], tuple[None]]:
        if self.group is not None:
            raise SettingsError("process_group: a process group cannot be pickled; save the state_dict() instead")
        return SameGroup, (None,)


def owned(entries: dict[str, Any]) -> dict[str, Any]:
    """Without views of the large buffers, each of which would be saved as a whole."""
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in entries.items()}
