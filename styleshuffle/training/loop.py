"""A training loop that can be killed at any time and goes on as if nothing had happened, in one process or in several.

What a step does depends on the seed, on how many crops were seen, and on the states of all workers' optimisers. So that,
the network and the losses not yet logged are a checkpoint. The first worker collects all of it in one file, which it
writes under another name first: there is always one whole checkpoint, and workers need not share a folder.
"""

from __future__ import annotations

import json
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SettingsError, WeightsError
from ..optim import GenericAdam, QuantizedAdam, merged_state
from .data import draw
from .log import Log
from .workers import Workers

_LOG_EVERY = 20  # steps
_WARMUP = 200  # steps of adam
_GO_ON, _SAVE, _STOP = 0, 1, 2  # what the first worker decides after a step


@dataclass(frozen=True)
class Plan:
    """How long, how fast and by which optimiser to train.

    Attributes:
        folder: where the checkpoint and the log go.
        steps: number of steps in all.
        rate: step size. Of "adam" the largest: it rises over 200 steps, then falls linearly to 0 at the last step. Of
            "generic-adam" and "quantized-adam" that of the first step: at step t it is rate / t^s, and nothing else
            changes it.
        batch: crops a step and worker.
        optimizer: "adam", "generic-adam" (`GenericAdam`) or "quantized-adam" (`QuantizedAdam`).
        settings: of the optimiser, by the names of its arguments: s, r and a; of "quantized-adam" also gradient_bits,
            weight_bits and error_feedback.
        seed: of the initial weights and of what each step sees.
        bfloat16: multiply in bfloat16 (weights stay float32); about twice as fast where the processor can.
        checkpoint_seconds: time between two checkpoints.
        validate: steps between two validations.
        tensorboard: write the log for TensorBoard too.
        resume: go on from the folder's checkpoint, if there is one; without it a folder that has one is refused, unless
            torchrun has restarted the workers of this very run. All but the seed and the optimiser can be another than
            before.
        stop: asked after every step; when the first worker's says so, the run ends after a checkpoint.
    """

    folder: Path
    steps: int
    rate: float
    batch: int = 8
    optimizer: str = "adam"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    bfloat16: bool = False
    checkpoint_seconds: float = 180
    validate: int = 500
    tensorboard: bool = False
    resume: bool = False
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Progress:
    """What is known after a step: its number (from 1), of how many, and this worker's smoothed losses by name."""

    step: int
    steps: int
    losses: dict[str, float]


def train(
    net: nn.Module,
    losses: Callable[[Tensor], dict[str, Tensor]],
    crops: int,
    plan: Plan,
    workers: Workers | None = None,
    kind: str = "a network",
    validate: Callable[[], tuple[Tensor, dict[str, float]]] | None = None,
) -> Iterator[Progress]:
    """Minimise the sum of the losses, yielding after each step; at the end the network has its weights unrounded.

    Args:
        net: what is trained, on its device; all workers start with the weights of the first one.
        losses: of the crops with these numbers, int64 (batch,), by name and already weighted.
        crops: how many there are to draw from. All are seen once an epoch, by one worker or another.
        plan: see `Plan`; the same on all workers.
        workers: who trains together, see `joined`; by default this process alone.
        kind: what the network is, in words; a checkpoint of another kind is refused.
        validate: makes a picture, (3, H, W) in [0, 1], and figures, for the log; only the first worker calls it.

    Raises:
        SettingsError: a setting of the optimiser is out of its range, or the folder holds another run.
        WeightsError: the checkpoint is damaged or of another network.
        WorkerError: a gradient is not finite, or a worker is lost; see `Workers` and `QuantizedAdam`.

    If the number of workers has changed since the checkpoint, the run goes on from the same position in the epoch.
    "quantized-adam" then also warns: each worker starts from the mean of the old ones' moments and rounding errors.
    """
    workers = workers or Workers()
    device = next(net.parameters()).device
    optimizer = _optimizer(net, plan)
    checkpoint = plan.folder / "checkpoint.pt"
    made = {"with --seed": plan.seed, "with --optimizer": plan.optimizer, "as": kind}  # what a run may not change
    there = workers.gathered(checkpoint.exists())
    resume = plan.resume or workers.restarted(str(checkpoint.resolve()))
    state = workers.from_first(lambda: _begin(checkpoint, there, made, net, resume))
    try:
        done, seen, means = state["step"], state["seen"], _Means(state["losses"], state["step"] % _LOG_EVERY)
        net.load_state_dict(state["net"])
        _load(optimizer, state["optimizers"], workers)
    except (RuntimeError, KeyError, ValueError) as error:
        raise _refusal(checkpoint, error) from None
    workers.begin(str(checkpoint.resolve()))

    def save(step: int) -> None:
        optimizers = _states(optimizer, workers) if step else []
        if workers.first:
            run = {"made": made, "step": step, "seen": seen, "losses": means.sums}
            _save(checkpoint, {**run, "net": _kept(net), "optimizers": optimizers})
            if isinstance(optimizer, QuantizedAdam) and step:
                _write_certificate(plan.folder / "certificate.json", optimizer)

    if not done:
        save(0)  # so that there is one from the first step on
    saved = time.monotonic()
    with closing(Log(plan.folder if workers.first else None, done, plan.tensorboard)) as log:
        for step in range(done, plan.steps):
            chosen = draw(crops, plan.seed, seen + workers.rank * plan.batch, plan.batch)
            seen += workers.world * plan.batch
            if plan.optimizer == "adam":
                for group in optimizer.param_groups:
                    group["lr"] = plan.rate * min(1, (step + 1) / _WARMUP) * (1 - step / plan.steps)
            with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
                parts = losses(chosen)
            optimizer.zero_grad()
            sum(parts.values()).backward()
            known = {name: float(loss.detach()) for name, loss in parts.items()}
            if isinstance(optimizer, QuantizedAdam):
                optimizer.tell_loss(sum(known.values()))
            else:
                workers.average_gradients(net.named_parameters())
            optimizer.step()
            means.add(known)
            if (step + 1) % _LOG_EVERY == 0:
                log.row("losses", step + 1, means.taken())
            if validate is not None and (step + 1) % plan.validate == 0:
                _validate(validate, optimizer, workers, log, step + 1)
            due = time.monotonic() - saved > plan.checkpoint_seconds or step + 1 == plan.steps
            decided = workers.agreed(_STOP if plan.stop() else _SAVE if due else _GO_ON)
            if decided != _GO_ON:
                save(step + 1)
                saved = time.monotonic()
            yield Progress(step + 1, plan.steps, means.smoothed)
            if decided == _STOP:
                break
    with _full_precision(optimizer):
        unrounded = _kept(net)
    net.load_state_dict(unrounded)


# --------------------------------------------------------------------------------------------------------- optimisers


def _optimizer(net: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    names, parameters = zip(*net.named_parameters(), strict=True)
    if plan.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=plan.rate, betas=(0.9, 0.99), **plan.settings)
    if plan.optimizer == "generic-adam":
        return GenericAdam(parameters, lr=plan.rate, **plan.settings)
    if plan.optimizer == "quantized-adam":
        return QuantizedAdam([{"params": parameters, "param_names": list(names)}], lr=plan.rate, **plan.settings)
    raise SettingsError(f"optimizer: {plan.optimizer!r} is unknown; use adam, generic-adam or quantized-adam")


def _validate(
    validate: Callable[[], tuple[Tensor, dict[str, float]]],
    optimizer: torch.optim.Optimizer,
    workers: Workers,
    log: Log,
    step: int,
) -> None:
    """Log what validation shows of the weights in full precision."""
    with _full_precision(optimizer):  # all workers together: none may have all of the weights
        shown = validate() if workers.first else None
    if shown is not None:
        log.picture("validation", step, shown[0])
        log.row("validation", step, shown[1])


def _write_certificate(path: Path, optimizer: QuantizedAdam) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(optimizer.certificate(), indent=2) + "\n")
    os.replace(beside, path)


def _full_precision(optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
    return optimizer.full_precision() if isinstance(optimizer, QuantizedAdam) else nullcontext()


def _states(optimizer: torch.optim.Optimizer, workers: Workers) -> list[dict[str, Any]]:
    """The states of all workers' optimisers on the first worker, on the CPU; just one where all are the same."""
    state = optimizer.state_dict()
    state["state"] = {index: _on_cpu(entries) for index, entries in state["state"].items()}
    return workers.gathered(state) if isinstance(optimizer, QuantizedAdam) else [state]


def _load(optimizer: torch.optim.Optimizer, states: list[dict[str, Any]], workers: Workers) -> None:
    """Give the optimiser this worker's state out of those of a checkpoint, but leave it its settings."""
    if not states:
        return
    if not isinstance(optimizer, QuantizedAdam):
        state = states[0]
    elif len(states) == workers.world:
        state = states[workers.rank]
    else:
        warnings.warn(
            f"the checkpoint is of {len(states)} workers, not {workers.world}: each starts from the mean of their "
            "moments and rounding errors, so no update is lost",
            stacklevel=2,
        )
        state = merged_state(states)
    kept: dict[str, Any] = {name: state[name] for name in ("state", "protocol") if name in state}
    optimizer.load_state_dict({**optimizer.state_dict(), **kept})


# --------------------------------------------------------------------------------------------------------- checkpoints


def _begin(checkpoint: Path, there: list[bool], made: dict[str, Any], net: nn.Module, resume: bool) -> dict[str, Any]:
    """What the run starts from: the checkpoint, which workers may find ``there`` or not, or the network as it is."""
    if resume and any(there) and not there[0]:
        raise SettingsError(
            f"{checkpoint}: worker {there.index(True)} has it, but not worker 0, which reads it; copy it to that "
            "machine, or give all machines the same --run folder"
        )
    if not there[0]:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        return {"step": 0, "seen": 0, "losses": {}, "net": _kept(net), "optimizers": []}
    if not resume:
        raise SettingsError(
            f"{checkpoint.parent}: holds another training run; pass --resume to go on, or another --run folder"
        )
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        differing = [how for how in made if state["made"][how] != made[how]]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise _refusal(checkpoint, error) from None
    for how in differing:
        raise SettingsError(
            f"{checkpoint}: was trained {how} {state['made'][how]}, not {made[how]}; go on alike, or pass another --run"
        )
    return state


def _refusal(checkpoint: Path, error: Exception) -> WeightsError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return WeightsError(f"{checkpoint}: not a checkpoint of this network: {reason}; remove it")


def _save(checkpoint: Path, state: dict[str, Any]) -> None:
    beside = checkpoint.with_suffix(".tmp")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, checkpoint)


def _kept(net: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def _on_cpu(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value.cpu() if isinstance(value, Tensor) else value for name, value in entries.items()}


class _Means:
    """Mean losses since the last row of the log, and smoothed ones to show."""

    def __init__(self, sums: Mapping[str, float], count: int) -> None:
        self.sums, self.count, self.smoothed = dict(sums), count, {}

    def add(self, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
            self.smoothed[name] = 0.98 * self.smoothed.get(name, loss) + 0.02 * loss
        self.count += 1

    def taken(self) -> dict[str, float]:
        means = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means
