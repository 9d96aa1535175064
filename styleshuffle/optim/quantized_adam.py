"""Adam on several workers that tell each other two bits a weight and step, and never lose what they rounded away.

Quantized Adam with error feedback (Chen, Shen, Huang and Liu, arXiv:2004.14180). Each of N workers i has its own data,
its own gradient g of its own mini-batch and its own moments; with the schedules of generic Adam (`GenericAdam`):

    v = theta_t v + (1 - theta_t) g^2,    v_0 = eps
    m = beta m + (1 - beta) g,            m_0 = 0
    sends     delta_i = Q_g(alpha_t m / sqrt(v) + e_i)
    keeps     e_i <- alpha_t m / sqrt(v) + e_i - delta_i,    e_i = 0 at first
    all       x <- x - (1/N) sum of delta_i,    and compute the next gradient at Q_x(x)

There is no bias correction. What one step rounds away the next steps make up for: x minus the mean of the e_i moves by
exactly the mean of the unquantised updates. Without quantisation this is the mean of N local Adam updates, which is not
Adam on the mean gradient; the optimiser therefore does its own communication. **Do not wrap the network in
DistributedDataParallel**: it would average the gradients, in full precision, before the optimiser sees them. The formulas
were written down from memory of the paper; the tests of the properties above are what vouches for them.

The paper has a parameter server: deltas go up, quantised weights come down. Here the workers give each other their deltas
(two collectives a step, of the scales and of the codes, always in this order); each decodes all of them and sums in the
order of the ranks. So all hold bit-identical weights after every step, nothing needs to come down, and no process is
special.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from ..errors import SettingsError, WorkerError
from .quantisers import dequantise, packed_size, quantise, quantise_weights, scales
from .schedules import Schedules

_FLOAT = 4  # bytes
_REASON = re.compile(r"(?:\[\S+\] )?(.*?)(?:\. |$)", re.MULTILINE)  # in gloo's errors: after the line of its source
_LEAST_SQUARE = torch.finfo(torch.float32).tiny  # v is 0 where theta_1 = 0 meets a gradient of 0; m is then 0 too


class ProtocolBytes(NamedTuple):
    """Bytes that a step costs each worker in the paper's protocol, with a parameter server.

    Attributes:
        up: the packed codes, a scale a tensor and a flag; this is also what a step here hands to the collectives.
        down: the quantised weights, packed, and a scale a tensor (float32 weights without ``weight_bits``). Here nothing
            is sent down; each worker instead receives what every other one sends up.
        float32: the same, up or down, without quantisation.
    """

    up: int
    down: int
    float32: int


class QuantizedAdam(Optimizer):
    """Generic Adam on every worker, with quantised communication and error feedback.

    Use it on each of N processes of a torch.distributed process group (gloo for parameters on the CPU, NCCL for CUDA),
    each with its own mini-batches; or without a process group, as one worker that quantises but sends nothing. All
    workers call `step` equally often.

    Args:
        params: float32 parameters on one device, or groups of them, in the same order on all workers; any of the settings
            up to ``eps`` can be a group's own. With ``named_parameters()`` (torch 2.6 or later), or a list
            ``param_names`` in each group, errors call parameters by their names.
        lr, s, r, a, beta, eps: as in `GenericAdam`, numbers only: alpha_t = lr / t^s, theta_t = 1 - a / t^r; s = r = 0
            is Adam with theta = 1 - a. Schedulers of torch may change lr, alike on all workers.
        gradient_bits: what Q_g sends for a weight: 2 (ternary), 3 or 4 bits, or None to send float32 unrounded.
        weight_bits: of Q_x, 2 to 16, or None for weights in full precision. From the first step on the parameters hold
            Q_x(x), so that is what the network runs with; x itself ("master") is in the state: see `full_precision`.
        error_feedback: False forgets what rounding took away, for comparison.
        process_group: the workers; the default group, if there is one, by default.

    At its first step, and at the first one after loading a state, each worker checks that all are alike and takes over
    the weights of rank 0 (its gradient is of its own weights then: seed or load all workers alike). A parameter without a
    gradient counts as one with a gradient of 0, on any worker.

    The state of a parameter is t ("step"), m ("mean"), v ("square"), e ("error", only if it is fed back) and x ("master",
    only with ``weight_bits``). All but t and x differ between workers: **each worker saves and loads its own
    ``state_dict()``**. Then it goes on bit for bit; with another number of workers all load the `merged_state`.

    Attributes:
        bytes_sent: what this worker has handed to collectives since it was made, in bytes; 0 without a process group.

    Raises:
        SettingsError: a setting is outside its range, a parameter is not float32, or another optimiser's state is loaded.
        WorkerError: see `step`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        *,
        s: float = 0.5,
        r: float = 1.0,
        a: float = 0.9,
        beta: float = 0.9,
        eps: float = 1e-12,
        gradient_bits: int | None = 2,
        weight_bits: int | None = None,
        error_feedback: bool = True,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        if gradient_bits not in (None, 2, 3, 4):
            raise SettingsError(f"gradient_bits is {gradient_bits}; it must be 2, 3, 4 or None")
        if weight_bits is not None and weight_bits not in range(2, 17):
            raise SettingsError(f"weight_bits is {weight_bits}; it must be 2 to 16, or None")
        self.gradient_bits, self.weight_bits = gradient_bits, weight_bits
        self.error_feedback = error_feedback and gradient_bits is not None  # nothing is rounded: nothing to feed back
        self.process_group = process_group
        self.bytes_sent = 0
        super().__init__(params, {"lr": lr, "s": s, "r": r, "a": a, "beta": beta, "eps": eps})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        _check(self.param_groups[-1])
        self._met = False

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not all(self.defaults.keys() <= group.keys() for group in state_dict["param_groups"]):
            raise SettingsError("the saved state is of another optimiser; load one of QuantizedAdam")
        super().load_state_dict(state_dict)
        self._met = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update, with all workers; returns the closure's loss, if there is one.

        Raises:
            WorkerError: on all workers alike if one has a gradient that is not finite, or too large to square, and at the
                first step if two workers differ in their networks, settings or number of steps. On those that are left
                if a worker is lost: at once with gloo if its process has ended, else when the process group's timeout is
                over. (With NCCL torch's watchdog by default ends the process instead, after that timeout.) No part of the
                step has been made then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self._met:
            self._meet()
        means, squares, updates = self._own_updates()
        own, mean = self._exchange(updates, squares)
        self._commit(means, squares, updates, own, mean)
        return loss

    def _own_updates(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """m, v and alpha m / sqrt(v) + e of every parameter after this step; the state is not changed yet."""
        means, squares, updates = [], [], []
        for group in self.param_groups:
            _check(group)
            states = [self.state[parameter] for parameter in group["params"]]
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in group["params"]]
            t = states[0]["step"] + 1
            schedules = Schedules(group["s"], group["r"], group["a"], group["beta"])
            theta = schedules.theta_at(t)
            m = torch._foreach_lerp([state["mean"] for state in states], gradients, 1 - schedules.beta_at(t))
            v = torch._foreach_mul([state["square"] for state in states], theta)
            torch._foreach_addcmul_(v, gradients, gradients, 1 - theta)
            torch._foreach_clamp_min_(v, _LEAST_SQUARE)
            root, alpha = torch._foreach_sqrt(v), float(group["lr"]) * schedules.alpha_at(t)
            if self.error_feedback:
                updates += torch._foreach_addcdiv([state["error"] for state in states], m, root, alpha)
            else:
                updates += torch._foreach_mul(torch._foreach_div(m, root), alpha)
            means += m
            squares += v
        return means, squares, updates

    def _exchange(self, updates: list[Tensor], squares: list[Tensor]) -> tuple[Tensor, Tensor]:
        """This worker's delta and the mean of all workers', flat: all tensors one after another."""
        useless = ~torch.stack([square.max() for square in squares]).isfinite()
        flag = (useless.any() * (useless.byte().argmax() + 1)).float()  # number of the first such parameter, from 1
        told = self._gather(torch.stack([*(scales(updates) if self.gradient_bits else []), flag])).tolist()
        for rank, (*_, number) in enumerate(told):
            if number:
                raise WorkerError(
                    f"worker {rank}: the gradient of {self._name(int(number) - 1)} is not finite, or too large to "
                    "square; all workers stopped before this step: lower lr, or clip the gradients"
                )
        if self.gradient_bits:
            payload = quantise(updates, told[self._rank][:-1], self.gradient_bits)
        else:
            payload = torch.cat([update.flatten() for update in updates])
        sizes = [update.numel() for update in updates]
        total = own = None
        for rank, received in enumerate(self._gather(payload)):
            delta = dequantise(received, told[rank][:-1], sizes, self.gradient_bits) if self.gradient_bits else received
            total = delta if total is None else total + delta
            own = delta if rank == self._rank else own
        return own, total / self._world

    def _commit(
        self, means: list[Tensor], squares: list[Tensor], updates: list[Tensor], own: Tensor, mean: Tensor
    ) -> None:
        if self.error_feedback:
            torch._foreach_sub_(updates, _split(own, updates))
        for parameter, m, v, e in zip(self._parameters(), means, squares, updates, strict=True):
            state = self.state[parameter]
            state["step"] += 1
            state["mean"], state["square"] = m, v
            if self.error_feedback:
                state["error"] = e
        weights = self._weights()
        # subtracting the mean, not adding -1/N times the sum: some processors would round that once, others twice
        torch._foreach_sub_(weights, _split(mean, weights))
        self._show_quantised()

    # ---------------------------------------------------------------------------------------------------- the weights

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _weights(self) -> list[Tensor]:
        """x of every parameter."""
        return [self.state[p]["master"] if self.weight_bits else p for p in self._parameters()]

    def _quantised(self) -> list[tuple[Tensor, Tensor]]:
        """The parameters with their x, once there is a difference."""
        pairs = [(parameter, self.state.get(parameter, {}).get("master")) for parameter in self._parameters()]
        return [(parameter, master) for parameter, master in pairs if self.weight_bits and master is not None]

    def _show_quantised(self) -> None:
        for parameter, master in self._quantised():
            parameter.copy_(quantise_weights(master, self.weight_bits))

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """In this context the parameters hold x instead of Q_x(x), to evaluate or to save; changes to them are lost."""
        with torch.no_grad():
            for parameter, master in self._quantised():
                parameter.copy_(master)
        try:
            yield
        finally:
            with torch.no_grad():
                self._show_quantised()

    def _name(self, index: int) -> str:
        names = [name for group in self.param_groups for name in group.get("param_names", ())]
        return names[index] if names else f"parameter {index} of shape {tuple(self._parameters()[index].shape)}"

    # ---------------------------------------------------------------------------------------------------- the workers

    def _meet(self) -> None:
        """Make the state that is missing, see that all workers are alike, take over the weights of rank 0."""
        together = dist.is_available() and dist.is_initialized()
        self._rank = dist.get_rank(self.process_group) if together else 0
        self._world = dist.get_world_size(self.process_group) if together else 1
        self._together = together
        for group in self.param_groups:
            for parameter in group["params"]:
                self._complete(self.state[parameter], parameter, group["eps"])
        self._compare()
        weights = self._weights()
        first = torch.cat([weight.flatten() for weight in weights])
        self._broadcast(first)
        torch._foreach_copy_(weights, _split(first, weights))
        self._show_quantised()
        self._met = True

    def _complete(self, state: dict[str, Any], parameter: Tensor, eps: float) -> None:
        if "step" not in state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.full_like(parameter, eps)
        if self.error_feedback and "error" not in state:
            state["error"] = torch.zeros_like(parameter)
        if self.weight_bits and "master" not in state:
            state["master"] = parameter.clone()
        if not self.weight_bits and "master" in state:  # saved with weight_bits, goes on without
            parameter.copy_(state.pop("master"))

    def _compare(self) -> None:
        parameters = self._parameters()
        shapes = repr([tuple(parameter.shape) for parameter in parameters])
        own = {
            "shapes of the parameters": zlib.crc32(shapes.encode()),
            "gradient_bits": self.gradient_bits or 0,
            "weight_bits": self.weight_bits or 0,
            "number of steps done": self.state[parameters[0]]["step"],
        }
        told = self._gather(torch.tensor(list(own.values()), device=parameters[0].device)).tolist()
        for rank, values in enumerate(told):
            differing = [name for name, one, other in zip(own, values, told[0], strict=True) if one != other]
            if differing:
                raise WorkerError(
                    f"workers 0 and {rank} differ: {', '.join(differing)}; make the same network and settings on all "
                    "workers, and let each load its own state, or all the merged one"
                )

    def _gather(self, tensor: Tensor) -> Tensor:
        """The tensors (n,) of all workers, in the order of the ranks: (N, n)."""
        if not self._together:
            return tensor[None]
        gathered = tensor.new_empty(self._world * len(tensor))
        self.bytes_sent += tensor.nbytes
        with self._failures_explained():
            dist.all_gather_into_tensor(gathered, tensor, group=self.process_group)
        return gathered.view(self._world, -1)

    def _broadcast(self, tensor: Tensor) -> None:
        """Rank 0's tensor to all workers, in place."""
        if self._together:
            self.bytes_sent += tensor.nbytes if self._rank == 0 else 0
            with self._failures_explained():
                source = dist.get_global_rank(self.process_group or dist.group.WORLD, 0)
                dist.broadcast(tensor, source, group=self.process_group)

    @contextmanager
    def _failures_explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = _REASON.match(str(error))[1] or type(error).__name__
            raise WorkerError(
                f"worker {self._rank}: lost contact with the other workers: {reason}; see how they ended, then start all "
                "again from the last checkpoint"
            ) from None

    @property
    def protocol_bytes(self) -> ProtocolBytes:
        """What a step costs in the paper's protocol; see `ProtocolBytes`."""
        parameters = self._parameters()
        count, tensors = sum(parameter.numel() for parameter in parameters), len(parameters)
        float32 = _FLOAT * count
        up = packed_size(count, self.gradient_bits) + _FLOAT * tensors if self.gradient_bits else float32
        down = math.ceil(self.weight_bits * count / 8) + _FLOAT * tensors if self.weight_bits else float32
        return ProtocolBytes(up + _FLOAT, down, float32)


def merged_state(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One ``state_dict()`` of `QuantizedAdam` from those of all workers, to go on with another number of workers.

    All new workers load it. The errors, like the moments, become the mean of the old ones: their mean over the workers is
    then what it was, so nothing that was rounded away is lost. (A worker that loads only its own state goes on too, but
    what those workers kept that are no more is lost.)

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
        for name in entries.keys() & {"mean", "square", "error"}:
            entries[name] = torch.stack([state["state"][index][name].cpu() for state in states]).mean(0)
    return merged


def _outline(state: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Shapes and steps."""
    return {
        index: {name: tuple(value.shape) if isinstance(value, Tensor) else value for name, value in entries.items()}
        for index, entries in state["state"].items()
    }


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    pieces = flat.split([tensor.numel() for tensor in like])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]


def _check(group: dict[str, Any]) -> None:
    for name, fits, wanted in (
        ("lr", 0 <= group["lr"] < math.inf, "at least 0"),
        ("s", 0 <= group["s"] < math.inf, "at least 0"),
        ("r", 0 <= group["r"] < math.inf, "at least 0"),
        ("a", 0 < group["a"] <= 1, "above 0 and at most 1"),
        ("beta", 0 <= group["beta"] < 1, "at least 0 and below 1"),
        ("eps", 0 < group["eps"] < math.inf, "above 0"),
    ):
        if not fits:
            raise SettingsError(f"{name} is {group[name]}; it must be {wanted}")
    for parameter in group["params"]:
        if parameter.dtype != torch.float32:
            raise SettingsError(
                f"a parameter is {parameter.dtype}; QuantizedAdam takes float32 (use autocast to save time)"
            )
