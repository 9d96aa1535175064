"""What tests of training runs share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from styleshuffle.training.loop import TrainingProgress


def advance(steps: Iterator[TrainingProgress], to: int) -> None:
    """Go on to a step and drop the run there, as a kill does."""
    assert next(progress for progress in steps if progress.step == to)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in one.state_dict().items())
