"""A training loop that can be killed at any time and goes on as if nothing had happened.

What step t does depends on the seed and on t alone, so that a checkpoint holds just the network, the optimiser and t.
"""

from __future__ import annotations

import csv
import os
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import SettingsError, WeightsError

_LOG_EVERY = 20  # steps
_WARMUP = 200  # steps


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        folder: where the checkpoint and the log go.
        steps: number of steps in all.
        rate: Adam's step size after the warm-up; falls linearly to 0 at the last step.
        seed: of the initial weights and of what each step sees.
        bfloat16: multiply in bfloat16 (weights stay float32); about twice as fast where the processor can.
        checkpoint_seconds: time between two checkpoints.
        resume: go on from the folder's checkpoint; without it a folder that has one is refused.
    """

    folder: Path
    steps: int
    rate: float
    seed: int = 0
    bfloat16: bool = False
    checkpoint_seconds: float = 180
    resume: bool = False


@dataclass(frozen=True)
class Progress:
    """What is known after a step: its number (from 1), of how many, and the smoothed losses by name."""

    step: int
    steps: int
    losses: dict[str, float]


def train(net: nn.Module, losses: Callable[[torch.Generator], dict[str, Tensor]], plan: Plan) -> Iterator[Progress]:
    """Minimise the sum of the losses, yielding after each step.

    Args:
        net: what is trained, on its device.
        losses: given a generator that is fresh each step, draws a batch and returns named losses, already weighted.
        plan: see `Plan`.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    device = next(net.parameters()).device
    optimizer = torch.optim.Adam(net.parameters(), lr=plan.rate, betas=(0.9, 0.99))
    checkpoint = plan.folder / "checkpoint.pt"
    done, pending = 0, {}
    if plan.resume and checkpoint.exists():
        done, pending = _restore(checkpoint, net, optimizer, plan)
    elif checkpoint.exists():
        raise SettingsError(f"{plan.folder}: holds another training run; pass --resume to go on, or another --run folder")
    log = _Log(plan.folder / "losses.csv", done, pending)
    saved = time.monotonic()
    for step in range(done, plan.steps):
        rate = plan.rate * min(1, (step + 1) / _WARMUP) * (1 - step / plan.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
            parts = losses(generator)
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
        smoothed = log.add(step + 1, {name: float(loss.detach()) for name, loss in parts.items()})
        if time.monotonic() - saved > plan.checkpoint_seconds or step + 1 == plan.steps:
            _save(checkpoint, net, optimizer, plan, step + 1, log.sums)
            saved = time.monotonic()
        yield Progress(step + 1, plan.steps, smoothed)


def _save(
    path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, step: int, pending: dict[str, float]
) -> None:
    beside = path.with_suffix(".tmp")
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seed": plan.seed,
        "pending": pending,
    }
    torch.save(state, beside)
    os.replace(beside, path)


def _restore(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan) -> tuple[int, dict[str, float]]:
    try:
        state = torch.load(path, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path}: not a checkpoint of this network: {reason}; remove it") from None
    if state["seed"] != plan.seed:
        raise SettingsError(f"{path}: was trained with --seed {state['seed']}; pass that seed, or another --run folder")
    return state["step"], state["pending"]


class _Log:
    """losses.csv: step and mean losses since the row before; rows after a checkpoint's step are dropped on resume."""

    def __init__(self, path: Path, done: int, pending: dict[str, float]) -> None:
        self.path, self.sums, self.count, self.smoothed = path, dict(pending), done % _LOG_EVERY, {}
        rows = list(csv.reader(path.open())) if path.exists() and done else []
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(row for row in rows if not row[0].isdigit() or int(row[0]) <= done)
        self.header = bool(rows)

    def add(self, step: int, losses: dict[str, float]) -> dict[str, float]:
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
            self.smoothed[name] = 0.98 * self.smoothed.get(name, loss) + 0.02 * loss
        self.count += 1
        if step % _LOG_EVERY == 0:
            with self.path.open("a", newline="") as file:
                writer = csv.writer(file)
                if not self.header:
                    writer.writerow(["step", *self.sums])
                    self.header = True
                writer.writerow([step, *(f"{value / self.count:.6f}" for value in self.sums.values())])
            self.sums, self.count = {}, 0
        return self.smoothed
