"""A training loop that can be killed at any time and resumed with the same result, in a single process or in several.

A step depends on the network, the seed, the number of crops seen so far, and the states of all workers' optimisers. A
checkpoint holds all of these, and the losses that are not logged yet. The first worker collects them in a file, which it
first writes under another name. So there is always a complete checkpoint, and the workers need not share a folder.
"""

from __future__ import annotations

import json
import math
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
from ..files import written_whole
from ..optim import GenericAdam, QuantizedAdam, merged_state
from .data import draw
from .log import Log
from .workers import Workers

_LOG_EVERY = 20  # steps
_WARMUP = 200  # steps of adam
_GO_ON, _SAVE, _STOP = 0, 1, 2  # what the first worker decides after a step


@dataclass(frozen=True)
class TrainingPlan:
    """How long, how fast and by which optimiser to train.

    Attributes:
        folder: of the checkpoint and the log.
        steps: number of steps.
        rate: step size. With "adam" it rises to this value over 200 steps, then falls linearly to 0 at the last step.
            With "generic-adam" and "quantized-adam" it is rate / t^s at step t, and nothing else changes it.
        batch: crops that each worker sees a step.
        optimizer: "adam", "generic-adam" (`GenericAdam`) or "quantized-adam" (`QuantizedAdam`).
        settings: of the optimiser, by the names of its arguments: s, r and a; of "quantized-adam" also gradient_bits,
            weight_bits and error_feedback.
        seed: of the initial weights and of the crops that each step sees.
        clip: the largest norm of all gradients together; longer gradients are shortened. Not for "quantized-adam".
        bfloat16: multiply in bfloat16 (weights stay float32); about twice as fast on processors that support it.
        checkpoint_seconds: time between two checkpoints.
        validate: steps between two validations.
        tensorboard: also log for TensorBoard.
        until: time (`time.monotonic`) at which the run ends, even if it has not taken all steps. Adam's step size falls
            with the share of the steps or of that time, whichever is larger, so it is 0 at the end in both cases. The
            number of steps depends on the machine, so such a run cannot be repeated exactly.
        resume: continue from the folder's checkpoint, if it has any. Without `resume` such a folder is refused, unless
            torchrun has restarted the workers of this very run. The seed, the optimiser and the kind of network must be
            those of the checkpoint; all else may change.
        stop: asked after every step; if the first worker's says yes, the run ends after a checkpoint.
    """

    folder: Path
    steps: int
    rate: float
    batch: int = 8
    optimizer: str = "adam"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    clip: float = math.inf
    bfloat16: bool = False
    checkpoint_seconds: float = 180
    validate: int = 500
    tensorboard: bool = False
    until: float = math.inf
    resume: bool = False
    stop: Callable[[], bool] = lambda: False

    def share_of_time(self, share: float) -> float:
        """The time (`time.monotonic`) when that share of the time from now to the end has passed."""
        return self.until if self.until == math.inf else (1 - share) * time.monotonic() + share * self.until


@dataclass(frozen=True)
class TrainingProgress:
    """The state after a step.

    Attributes:
        step, steps: its number, from 1, and the number of steps.
        losses: this worker's smoothed losses by name.
        stopped: whether the run ends here because it was asked to.
    """

    step: int
    steps: int
    losses: dict[str, float]
    stopped: bool = False


def train(
    net: nn.Module,
    losses: Callable[[Tensor], dict[str, Tensor]],
    crops: int,
    plan: TrainingPlan,
    workers: Workers | None = None,
    kind: str = "a network",
    validate: Callable[[], tuple[Tensor, dict[str, float]]] | None = None,
) -> Iterator[TrainingProgress]:
    """Minimise the sum of the losses, yielding after each step. At the end the network has its unrounded weights.

    Args:
        net: the network to train, on its device; all workers start with the weights of the first worker.
        losses: takes the numbers of crops, int64 (batch,), and returns their losses by name, already weighted.
        crops: the number of crops to draw from. An epoch sees each crop once, on any of the workers.
        plan: see `TrainingPlan`; the same on all workers.
        workers: the processes that train together, see `joined`; by default this process alone.
        kind: of the network, in words; a checkpoint of another kind is refused.
        validate: makes a picture, (3, H, W) in [0, 1], and figures, for the log; only the first worker calls it.

    Raises:
        SettingsError: a setting of the optimiser is out of range, or the folder holds another run.
        WeightsError: the checkpoint is damaged or belongs to another network.
        WorkerError: a gradient is not finite, or a worker is lost; see `Workers` and `QuantizedAdam`.

    If the number of workers has changed since the checkpoint, the run continues at the same position in the epoch. With
    "quantized-adam" each worker then starts from the mean of the old workers' moments and rounding errors, and a warning
    says so.
    """
    workers = workers or Workers()
    device = next(net.parameters()).device
    optimizer = _optimizer(net, plan)
    checkpoint = plan.folder / "checkpoint.pt"
    made = {"with `seed`": plan.seed, "with `optimizer`": plan.optimizer, "as": kind}  # a resumed run must agree on these
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
    clock, keeper = _Clock(plan.until, state.get("passed", 0.0)), _Keeper(checkpoint, made, net, optimizer, workers)
    if not done:
        keeper.save(0, 0, 0.0, {})  # from the first step on there is a checkpoint
    passed = clock.passed(workers)
    with closing(Log(plan.folder if workers.first else None, done, plan.tensorboard)) as log:
        for step in range(done, plan.steps if passed < 1 else done):
            chosen = draw(crops, plan.seed, seen + workers.rank * plan.batch, plan.batch)
            seen += workers.world * plan.batch
            if plan.optimizer == "adam":
                for group in optimizer.param_groups:
                    group["lr"] = plan.rate * min(1, (step + 1) / _WARMUP) * (1 - max(step / plan.steps, passed))
            with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
                parts = losses(chosen)
            optimizer.zero_grad()
            sum(parts.values()).backward()
            known = {name: float(loss.detach()) for name, loss in parts.items()}
            if isinstance(optimizer, QuantizedAdam):
                optimizer.tell_loss(sum(known.values()))
            else:
                workers.average_gradients(net.named_parameters())
                if plan.clip < math.inf:
                    nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
            optimizer.step()
            means.add(known)
            if (step + 1) % _LOG_EVERY == 0:
                log.row("losses", step + 1, means.taken())
            if validate is not None and (step + 1) % plan.validate == 0:
                _validate(validate, optimizer, workers, log, step + 1)
            passed = clock.passed(workers)
            ended = step + 1 == plan.steps or passed >= 1
            due = ended or keeper.age > plan.checkpoint_seconds
            decided = workers.agreed(_STOP if plan.stop() and not ended else _SAVE if due else _GO_ON)
            if decided != _GO_ON:
                keeper.save(step + 1, seen, passed, means.sums)
            yield TrainingProgress(step + 1, plan.steps, means.smoothed, decided == _STOP)
            if ended or decided == _STOP:
                break
    with _full_precision(optimizer):
        unrounded = _kept(net)
    net.load_state_dict(unrounded)


def _validate(
    validate: Callable[[], tuple[Tensor, dict[str, float]]],
    optimizer: torch.optim.Optimizer,
    workers: Workers,
    log: Log,
    step: int,
) -> None:
    """Log what validation shows of the weights in full precision."""
    with _full_precision(optimizer):  # all workers together: perhaps none has all of the weights
        shown = validate() if workers.first else None
    if shown is not None:
        log.picture("validation", step, shown[0])
        log.row("validation", step, shown[1])


# --------------------------------------------------------------------------------------------------------- optimisers


def _optimizer(net: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    names, parameters = zip(*net.named_parameters(), strict=True)
    if plan.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=plan.rate, betas=(0.9, 0.99), **plan.settings)
    if plan.optimizer == "generic-adam":
        return GenericAdam(parameters, lr=plan.rate, **plan.settings)
    if plan.optimizer == "quantized-adam":
        return QuantizedAdam([{"params": parameters, "param_names": list(names)}], lr=plan.rate, **plan.settings)
    raise SettingsError(f"optimizer: {plan.optimizer!r} is unknown; use adam, generic-adam or quantized-adam")


def _full_precision(optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
    return optimizer.full_precision() if isinstance(optimizer, QuantizedAdam) else nullcontext()


def _states(optimizer: torch.optim.Optimizer, workers: Workers) -> list[dict[str, Any]]:
    """On the first worker: the states of all workers' optimisers, on the CPU; a single state if all are the same."""
    state = optimizer.state_dict()
    state["state"] = {index: _on_cpu(entries) for index, entries in state["state"].items()}
    return workers.gathered(state) if isinstance(optimizer, QuantizedAdam) else [state]


def _load(optimizer: torch.optim.Optimizer, states: list[dict[str, Any]], workers: Workers) -> None:
    """Give the optimiser the state of this worker from a checkpoint. It keeps its own settings."""
    if not states:
        return
    if not isinstance(optimizer, QuantizedAdam):
        state = states[0]
    elif len(states) == workers.world:
        state = states[workers.rank]
    else:
        warnings.warn(
            f"the checkpoint is of {len(states)} workers, not {workers.world}: each starts from the mean of the old "
            "moments and rounding errors, so no update is lost",
            stacklevel=2,
        )
        state = merged_state(states)
    kept: dict[str, Any] = {name: state[name] for name in ("state", "protocol") if name in state}
    optimizer.load_state_dict({**optimizer.state_dict(), **kept})


# --------------------------------------------------------------------------------------------------------- checkpoints


def _begin(checkpoint: Path, there: list[bool], made: dict[str, Any], net: nn.Module, resume: bool) -> dict[str, Any]:
    """The start of a run: the checkpoint, or the network as it is. ``there`` says which workers see a checkpoint."""
    if resume and any(there) and not there[0]:
        raise SettingsError(
            f"{checkpoint}: worker {there.index(True)} has it, but not worker 0, which reads it; copy it to that "
            "machine, or give all machines the same `run` folder"
        )
    if not there[0]:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        return {"step": 0, "seen": 0, "losses": {}, "net": _kept(net), "optimizers": []}
    if not resume:
        raise SettingsError(
            f"{checkpoint.parent}: holds another training run; pass `resume` to continue it, or another `run` folder"
        )
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        differing = [how for how in made if state["made"][how] != made[how]]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise _refusal(checkpoint, error) from None
    for how in differing:
        raise SettingsError(
            f"{checkpoint}: was trained {how} {state['made'][how]}, not {made[how]}; go on alike, or pass another `run`"
        )
    return state


def _refusal(checkpoint: Path, error: Exception) -> WeightsError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return WeightsError(f"{checkpoint}: not a checkpoint of this network: {reason}; remove it")


class _Keeper:
    """Writes checkpoints, on the first worker, with the states of all; and quantized Adam's certificate beside them."""

    def __init__(
        self,
        checkpoint: Path,
        made: dict[str, Any],
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        workers: Workers,
    ) -> None:
        self._checkpoint, self._made = checkpoint, made
        self._net, self._optimizer, self._workers = net, optimizer, workers
        self._saved = time.monotonic()

    @property
    def age(self) -> float:
        """Of the last checkpoint, in seconds."""
        return time.monotonic() - self._saved

    def save(self, step: int, seen: int, passed: float, losses: dict[str, float]) -> None:
        optimizers = _states(self._optimizer, self._workers) if step else []
        if self._workers.first:
            run = {"made": self._made, "step": step, "seen": seen, "passed": passed, "losses": losses}
            with written_whole(self._checkpoint) as file:
                torch.save({**run, "net": _kept(self._net), "optimizers": optimizers}, file)
            if isinstance(self._optimizer, QuantizedAdam) and step:
                certificate = json.dumps(self._optimizer.certificate(), indent=2) + "\n"
                with written_whole(self._checkpoint.with_name("certificate.json")) as file:
                    file.write(certificate.encode())
        self._saved = time.monotonic()


def _kept(net: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def _on_cpu(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value.cpu() if isinstance(value, Tensor) else value for name, value in entries.items()}


class _Clock:
    """What share of its time a run has used, going on from ``before``; 0 where no time is set."""

    def __init__(self, until: float, before: float) -> None:
        self.begun, self.until, self.before = time.monotonic(), until, before

    def passed(self, workers: Workers) -> float:
        """The first worker's clock counts for all."""
        if self.until == math.inf:
            return 0.0
        share = (time.monotonic() - self.begun) / max(self.until - self.begun, 1e-9)
        return workers.from_first(lambda: min(1.0, self.before + (1 - self.before) * share))


class _Means:
    """Mean losses since the last row of the log, and smoothed ones to show."""

    def __init__(self, sums: Mapping[str, float], count: int) -> None:
        self.sums, self.count = dict(sums), count
        self.smoothed: dict[str, float] = {}

    def add(self, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
            self.smoothed[name] = 0.98 * self.smoothed.get(name, loss) + 0.02 * loss
        self.count += 1

    def taken(self) -> dict[str, float]:
        means = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means
