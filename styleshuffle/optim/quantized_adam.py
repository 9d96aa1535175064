"""Adam on several workers that tell each other a few bits a weight and step, and never lose what they rounded away.

Quantized Adam with error feedback (Chen, Shen, Huang and Liu, arXiv:2004.14180). Each of N workers i has its own data,
its own gradient g of its own mini-batch and its own moments; with the schedules of generic Adam (`GenericAdam`):

    v = theta_t v + (1 - theta_t) g^2,    v_0 = eps
    m = beta m + (1 - beta) g,            m_0 = 0
    sends     delta_i = Q_g(alpha_t m / sqrt(v) + e_i)
    keeps     e_i <- alpha_t m / sqrt(v) + e_i - delta_i,    e_i = 0 at first
    server    x <- x - (1/N) sum of delta_i
    all       compute the next gradient at Q_x(x)

There is no bias correction. What one step rounds away the next steps make up for: x minus the mean of the e_i moves by
exactly the mean of the unquantised updates. Without quantisation this is the mean of N local Adam updates, which is not
Adam on the mean gradient; the optimiser therefore does its own communication. **Do not wrap the network in
DistributedDataParallel**: it would average the gradients, in full precision, before the optimiser sees them. The formulas
were written down from memory of the paper; the tests of the properties above are what vouches for them.

**All workers must draw from the same data.** Each divides by the size of its own gradients, so with different data the
limit is not the optimum of the mean loss: two workers with the gradients 10 (x - 1) and x + 1 should meet at 9 / 11,
where these add up to 0, and stay near 0 or anywhere else between -1 and 1, for their steps are equally long whatever
their gradients. This is in the nature of local Adams. It is noticed (see `probe`), and a warning says so.

How updates travel is in `server`; that the workers stay in step, in `header`; what is certified, in `certificate`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NamedTuple, overload

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from ..errors import SettingsError, WorkerError
from .budget import REVIEW
from .certificate import Certificate
from .copying import SameGroup, owned
from .header import BYTES, GO, SKIP, USELESS, Header, check_alike, checksum, digest, exchange
from .local import is_useless
from .probe import Agreement
from .rounding import Rounding
from .schedules import Schedules
from .settings import check_settings
from .weights import PackedWeights
from .worker import Worker

_SETTINGS = ("lr", "s", "r", "a", "beta", "eps", "weight_decay", "maximize")
_CHECKSUM_EVERY = 50  # steps; it reads all weights


class ProtocolBytes(NamedTuple):
    """Bytes that a step costs each worker in the paper's protocol, with a parameter server.

    Attributes:
        up: the packed codes with their scales, and the header.
        down: the quantised weights, packed, or the quantised differences; what servers send down, if there are any.
        float32: the same, up or down, without quantisation.
    """

    up: int
    down: int
    float32: int


class QuantizedAdam(Optimizer):
    """Generic Adam on every worker, with quantised communication and error feedback.

    Use it on each of N processes of a torch.distributed process group (gloo for parameters on the CPU, NCCL for CUDA),
    each with its own mini-batches; or without a process group, as one worker that quantises but sends nothing. All
    workers call `step` equally often; GradScaler may call it (a step that one worker skips, all skip).

    Args:
        params: float32 parameters on one device, or groups of them, in the same order on all workers; any of the settings
            up to ``maximize`` can be a group's own. With ``named_parameters()`` (torch 2.6 or later), or a list
            ``param_names`` in each group, errors call parameters by their names.
        lr, s, r, a, beta, eps, weight_decay, maximize: as in `GenericAdam`, numbers only: alpha_t = lr / t^s,
            theta_t = 1 - a / t^r; s = r = 0 is Adam with theta = 1 - a. Schedulers of torch may change lr.
        gradient_bits: what Q_g sends for a weight: 2 (ternary), 3 or 4 bits, or None to send float32 unrounded.
        weight_bits: of Q_x, 2 to 16, or None for weights in full precision. From the first step on the parameters hold
            Q_x(x), so that is what the network runs with; see `full_precision`. Whoever changes the parameters between
            two steps (alike on all workers) changes x.
        weight_range: the fixed range of Q_x, 0.5 in the paper, beyond which weights are clipped; None for a scale of its
            own for every tensor, which clips nothing.
        error_feedback: False forgets what rounding took away, for comparison.
        server: True lets every worker serve a part of the weights, False lets everyone tell everyone; by default what
            sends fewer bytes. See `server`.
        server_bits: of the differences that servers send down, 2, 3 or 4, or None for float32; not used with weight_bits,
            nor with gradient_bits=None, where float32 goes both ways.
        byte_budget: most bytes that a worker may send a step. Bits of single tensors are then raised above those given,
            where rounding holds back too much, as long as the budget lasts; see `budget`.
        process_group: the workers; the default group, if there is one, by default.

    A worker whose network, settings or step differ, or whose weights were changed, is noticed by all at the next step. At
    their first step, and at the first one after loading a state, all take over the weights of rank 0 (a gradient is of a
    worker's own weights then: seed or load all workers alike). A parameter without a gradient counts as one with a
    gradient of 0, on any worker.

    The state of a parameter is t ("step"), m ("mean"), v ("square"), e ("error", only if it is fed back), x ("master",
    only with ``weight_bits``), and, of a server, what it has of e or x of its part ("served_error", "served_weights").
    All but t and "master" differ between workers: **each worker saves and loads its own ``state_dict()``**. Then it
    goes on bit for bit; with another number of workers all load the `merged_state`.

    Raises:
        SettingsError: a setting is outside its range, a parameter is not float32, or another optimiser's state is loaded.
        WorkerError: see `step`.
    """

    _step_supports_amp_scaling = True  # GradScaler then calls `step` even where it found inf

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
        weight_decay: float = 0.0,
        maximize: bool = False,
        gradient_bits: int | None = 2,
        weight_bits: int | None = None,
        weight_range: float | None = None,
        error_feedback: bool = True,
        server: bool | None = None,
        server_bits: int | None = 4,
        byte_budget: int | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        self.rounding = Rounding(
            gradient_bits, weight_bits, weight_range, error_feedback, server, server_bits, byte_budget
        )
        self.process_group = process_group
        self._bits: list[list[int]] | None = None  # of the codes of all tensors, up and down, after the first review
        self._worker: Worker | None = None
        self._new = True  # whether the weights of rank 0 are still to be taken over
        self._certificate, self._agreement = Certificate(), Agreement()
        self._loss = float("nan")
        self._sent_before = 0
        values = (lr, s, r, a, beta, eps, weight_decay, maximize)
        super().__init__(params, dict(zip(_SETTINGS, values, strict=True)))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self._worker is not None and self._worker.served:
            raise SettingsError("param_groups: parts are served already; add all groups before the first step")
        super().add_param_group(param_group)
        check_settings(self.param_groups[-1])
        for parameter in self.param_groups[-1]["params"]:
            if parameter.dtype != torch.float32:
                raise SettingsError(
                    f"a parameter is {parameter.dtype}; QuantizedAdam takes float32 (use autocast to save time)"
                )
        self._bits = None
        self._leave()

    # ------------------------------------------------------------------------------------------------------- the step

    @overload
    def step(self, closure: None = ...) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update, with all workers; returns the closure's loss, if there is one.

        Raises:
            WorkerError: on all workers alike, before the step, if one has a gradient that is not finite or too large to
                square (with GradScaler all skip the step instead), or if two workers differ. On those that are left if a
                worker is lost: at once with gloo if its process has ended, else when the process group's timeout is
                over; the weights are then as they were. (With NCCL torch's watchdog by default ends the process instead,
                after that timeout.)
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
            self.tell_loss(loss)
        worker = self._made()
        told = exchange(self._header(worker), worker.link, worker.device)
        check_alike(told, self._facts(), worker.link, worker.device)
        if any(some.new for some in told):
            worker.start_alike()
        self._new = False
        for rank, some in enumerate(told):
            if some.state == USELESS:
                raise WorkerError(
                    f"worker {rank}: the gradient of {self._name(some.parameter)} is not finite, or too large to "
                    "square; all workers stopped before this step: lower lr, or clip the gradients"
                )
        if any(some.state == SKIP for some in told):
            self._certificate.skipped += 1
            return loss
        self._make_step(worker)
        self._note(told)
        return loss

    def tell_loss(self, loss: float | Tensor) -> None:
        """Say what the loss of this worker's mini-batch is, for the certificate; a closure's is known."""
        self._loss = float(loss)

    def _made(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(self.param_groups, self.state, self.rounding, self.process_group, self._bits)
            self._worker.link.bytes_sent = self._sent_before
        return self._worker

    def _header(self, worker: Worker) -> Header:
        scale, found = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        largest = worker.local.load(self.param_groups, 1.0 if scale is None else float(scale))
        state = SKIP if found is not None and float(found) else USELESS if is_useless(largest) else GO
        sums, gradient = Header.probe, float("nan")
        if state == GO:
            sums, gradient = worker.probe.look(worker.local.work, worker.local.square)
        loss, self._loss = self._loss, float("nan")
        checked = self._steps % _CHECKSUM_EVERY == 0 and worker.link.world > 1
        up, down, exact = worker.exchange.up, worker.exchange.down, worker.exact
        tells_weights = exact is not None and (worker.served or worker.link.rank == 0)
        return Header(
            step=self._steps,
            digest=digest(self._facts()),
            state=state,
            parameter=worker.local.useless() if state == USELESS else 0,
            new=int(self._new),
            checksum=checksum(worker.parameters) if checked else 0,
            largest=largest if state == GO else 0.0,
            update=float(up.value),
            update_error=float(up.error),
            served=float(down.value),
            served_error=float(down.error),
            weights_error=float(exact.error) if exact is not None and tells_weights else 0.0,
            loss=loss,
            gradient=gradient,
            probe=sums,
        )

    def _make_step(self, worker: Worker) -> None:
        times = [self.state[group["params"][0]]["step"] + 1 for group in self.param_groups]
        review = self.rounding.feeds_back and times[0] % REVIEW == 0
        tables = worker.make_step(self.param_groups, times, review)
        for parameter in worker.parameters:
            self.state[parameter]["step"] += 1
        if tables is not None:
            self._certificate.floor = f"at step {times[0]} " + worker.review(tables, self.param_groups, times)
            self._bits = worker.bits

    def _note(self, told: list[Header]) -> None:
        if self._agreement.add([some.probe for some in told]):
            warnings.warn(
                f"the workers' gradients differ by more than chance (by {self._agreement.share:.0%} of their size): do "
                "all draw from the same data? If not, quantized Adam does not converge to the optimum of the mean loss",
                stacklevel=4,
            )
        group = self.param_groups[0]
        schedules, t = Schedules(group["s"], group["r"], group["a"], group["beta"]), self._steps
        lr = float(group["lr"])
        self._certificate.note(told, lr, lr * schedules.alpha_at(t), schedules.theta_at(t), self._agreement)

    @property
    def _steps(self) -> int:
        """How many were done."""
        return int(self.state[self.param_groups[0]["params"][0]].get("step", 0))

    def _facts(self) -> dict[str, Any]:
        """What has to be alike on all workers, by name."""
        shapes = [tuple(parameter.shape) for group in self.param_groups for parameter in group["params"]]
        facts: dict[str, Any] = {
            "shapes of the parameters": shapes,
            "names of the parameters": [group.get("param_names") for group in self.param_groups],
        }
        for name in _SETTINGS:
            facts[name] = [float(group[name]) for group in self.param_groups]
        return facts | asdict(self.rounding) | {"bits of the codes": self._bits}

    def _name(self, index: int) -> str:
        names = [name for group in self.param_groups for name in group.get("param_names", ())]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        return names[index] if names else f"parameter {index} of shape {tuple(parameters[index].shape)}"

    # ---------------------------------------------------------------------------------------------------- the weights

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """In this context the parameters hold x instead of Q_x(x), to evaluate or to save; changes to them are lost.

        Where workers serve parts of quantised weights, no one has all of x: then all workers have to enter together.
        """
        some = self._worker is not None or (self.rounding.weight_bits and self.state)  # made, or loaded
        exact = self._made().exact_weights() if some else None
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        shown = [parameter.detach().clone() for parameter in parameters] if exact is not None else []
        with torch.no_grad():
            for parameter, value in zip(parameters, exact or (), strict=exact is not None):
                parameter.copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, shown, strict=exact is not None):
                    parameter.copy_(value)

    def packed_weights(self) -> list[PackedWeights]:
        """The quantised weights as a device would hold them, in the order of the parameters, once a step was made.

        Raises:
            SettingsError: weights are not quantised, or no step was made yet.
        """
        if self._worker is None or self._worker.exact is None:
            raise SettingsError("there are no quantised weights; give weight_bits, and make a step")
        return self._worker.exact.packed(self._worker.parameters)

    # ------------------------------------------------------------------------------------------- what it says of itself

    @property
    def bytes_sent(self) -> int:
        """What has left this worker for others since it was made, in bytes; 0 without a process group. See `Link`."""
        return self._sent_before if self._worker is None else self._worker.link.bytes_sent

    @property
    def protocol_bytes(self) -> ProtocolBytes:
        """What a step costs in the paper's protocol; see `ProtocolBytes`."""
        worker = self._made()
        return ProtocolBytes(worker.exchange.bytes_up + BYTES, worker.bytes_down, 4 * sum(worker.local.sizes))

    def certificate(self) -> dict[str, Any]:
        """Which conditions of the papers hold, what was promised and observed, and bytes; see `certificate.py`.

        All workers have the same, but for the bytes, which are each worker's own. It can be written as JSON.
        """
        worker, group = self._made(), self.param_groups[0]
        count, world = sum(worker.local.sizes), worker.link.world
        ring = 2 * (world - 1) / world * 4 * count
        up, down = worker.bits
        way = "servers" if worker.served else "everyone tells everyone" if world > 1 else "one worker"
        sent = {
            "way": way,
            "sent_by_this_worker": self.bytes_sent,
            "sent_a_step": worker.bytes_a_step,
            "float32_ring_all_reduce_a_step": round(ring),
            "times_fewer": round(ring / worker.bytes_a_step, 2) if worker.bytes_a_step else None,
            "budget_a_step": self.rounding.byte_budget,
            "bits_up": sorted(set(up)),
            "bits_down": sorted(set(down)) if worker.exchange.served_error is not None else None,
        }
        rounding = {
            "gradient_bits": self.rounding.gradient_bits,
            "weight_bits": self.rounding.weight_bits,
            "server_bits": self.rounding.server_bits if worker.exchange.served_error is not None else None,
            "workers": world,
        }
        return self._certificate.report({name: group[name] for name in ("s", "r", "a", "beta")}, rounding, sent)

    # ------------------------------------------------------------------------------------------------- save and resume

    def state_dict(self) -> dict[str, Any]:
        """As of any optimiser, with tensors of their own; "protocol" holds the bits chosen and the certificate."""
        state = super().state_dict()
        state["state"] = {index: owned(entries) for index, entries in state["state"].items()}
        return state | {"protocol": {"bits": self._bits, "certificate": self._certificate.state()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of another optimiser, or of workers that served other parts: see the errors of the class."""
        if not all(self.defaults.keys() <= group.keys() for group in state_dict["param_groups"]):
            raise SettingsError("the saved state is of another optimiser; load one of QuantizedAdam")
        super().load_state_dict(state_dict)
        protocol = state_dict.get("protocol") or {}
        self._bits = protocol.get("bits")
        if protocol.get("certificate"):
            self._certificate = Certificate.of(protocol["certificate"])
        self._leave()

    def _leave(self) -> None:
        """Make the worker anew at the next step."""
        self._sent_before, self._worker, self._new = self.bytes_sent, None, True

    def __getstate__(self) -> dict[str, Any]:
        own = {name: self.__dict__[name] for name in ("rounding", "_bits", "_certificate", "_agreement", "_loss")}
        state = {parameter: owned(entries) for parameter, entries in self.state.items()}
        group = {"process_group": SameGroup(self.process_group)}
        return super().__getstate__() | {"state": state} | own | group

    def __setstate__(self, state: dict[str, Any]) -> None:
        group = state.pop("process_group", None)  # torch calls this for a loaded state_dict too, which has none
        super().__setstate__(state)
        if group is not None:
            self.process_group, self._worker, self._sent_before, self._new = group.group, None, 0, True
