"""Random numbers that depend on their seed alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def seeded_noise(shape: Sequence[int], seed: int | torch.Generator) -> Tensor:
    """Standard normal numbers, float32 on the CPU: the same on every device, and whatever torch's defaults are.

    torch's own random state stays where it is.

    Args:
        seed: a number, or a generator whose numbers go on.
    """
    generator = generator_of(seed) if isinstance(seed, int) else seed
    return torch.randn(*shape, generator=generator, dtype=torch.float32, device="cpu")


def generator_of(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)
