"""The certificate of a run: which conditions of the two papers hold, by what was measured, and what was promised.

Chen, Shen, Zou and Liu (arXiv:2101.05471) prove the convergence of generic Adam under four conditions on its schedules,
for gradients that are bounded; Chen, Shen, Huang and Liu (arXiv:2004.14180) that of quantized Adam with error feedback,
if Q_g takes away less than everything and Q_x moves weights by a bounded distance, to a neighbourhood of that size.
(All as recalled; no full text could be reached.) What depends on the schedules alone is known before training. The rest
is measured while training, and so are the two sides of the bound:

- promised: how much the quotient sum_{t <= T} alpha_t sqrt(1 - theta_t) / (T alpha_T) has fallen, which bounds
  (E |grad f|^(4/3))^(3/2) up to a constant that nobody knows;
- observed: how much the mean of |grad f|^2 over the first T steps has fallen, which is at least as large, by the
estimates
  of `probe`; and the loss, where it was told.

A certificate is a record, not a proof: "holds" of a measured condition means so far.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from .convergence import RATIO, SUM, Condition, Verdict, check_convergence
from .header import Header
from .probe import Agreement

BOUNDED = "gradients are bounded"
CONTRACTS = "|u - Q_g(u)| <= (1 - delta) |u| with delta > 0, for updates sent up"
CONTRACTS_DOWN = "|u - Q_g(u)| <= (1 - delta) |u| with delta > 0, for differences sent down"
NEAR = "|x - Q_x(x)| is bounded, for the weights"
ALIKE = "all workers draw from the same data"


@dataclass
class Row:
    """What was measured in steps first to last; means over these steps, and the two running quantities at the last."""

    first: int
    last: int
    quotient: float
    gradient: float
    loss: float | None


@dataclass
class Certificate:
    """What is measured from the first step on; it is saved with the optimiser's state. All workers have the same.

    Attributes:
        steps, skipped: done by all, and left out by all because one worker's gradient was not finite.
        rows: measurements over steps 1, 2 to 3, 4 to 7, 8 to 15, ...
        contraction, contraction_down: the largest |u - Q(u)| / |u| so far.
        weights_error: the largest |x - Q_x(x)| so far.
    """

    steps: int = 0
    skipped: int = 0
    largest_gradient: float = 0.0
    contraction: float = 0.0
    last_contraction: float = 0.0
    contraction_down: float = 0.0
    weights_error: float = 0.0
    disagreement: float = math.nan
    quotient: float = math.nan
    warned: bool = False
    judged: bool = False
    lr_changed: bool = False
    floor: str = ""
    rows: list[Row] = field(default_factory=list)
    _lr: float = math.nan
    _sum: float = 0.0
    _gradients: list[float] = field(default_factory=lambda: [0.0, 0])
    _losses: list[float] = field(default_factory=lambda: [0.0, 0])

    def note(self, told: list[Header], lr: float, alpha: float, theta: float, agreement: Agreement) -> None:
        """Take what all workers said of a step that they made; alpha_t, theta_t are those of the first group."""
        self.steps += 1
        self.largest_gradient = max(self.largest_gradient, *(header.largest for header in told))
        value, error = sum(header.update for header in told), sum(header.update_error for header in told)
        if value > 0:
            self.last_contraction = math.sqrt(error / value)
            self.contraction = max(self.contraction, self.last_contraction)
        value, error = sum(header.served for header in told), sum(header.served_error for header in told)
        if value > 0:
            self.contraction_down = max(self.contraction_down, math.sqrt(error / value))
        self.weights_error = max(self.weights_error, math.sqrt(sum(header.weights_error for header in told)))
        self.lr_changed = self.lr_changed or (self.steps > 1 and lr != self._lr)
        self._lr = lr
        if not math.isnan(agreement.share):
            self.judged, self.disagreement, self.quotient = True, agreement.share, agreement.quotient
        self.warned = self.warned or agreement.warned
        self._sum += alpha * math.sqrt(max(1 - theta, 0))
        self._measure(told, alpha)

    def _measure(self, told: list[Header], alpha: float) -> None:
        if self.steps & (self.steps - 1) == 0:
            self.rows.append(Row(self.steps, self.steps, 0.0, 0.0, None))
            self._losses = [0.0, 0]
        for mean, values in ((self._gradients, [h.gradient for h in told]), (self._losses, [h.loss for h in told])):
            known = [value for value in values if math.isfinite(value)]
            if known:
                mean[0] += sum(known) / len(known)
                mean[1] += 1
        row = self.rows[-1]
        row.last = self.steps
        row.quotient = self._sum / (self.steps * alpha) if alpha > 0 else math.inf
        row.gradient = max(self._gradients[0], 0.0) / self._gradients[1] if self._gradients[1] else math.nan
        row.loss = self._losses[0] / self._losses[1] if self._losses[1] else None

    def state(self) -> dict[str, Any]:
        """Numbers, texts and lists, to be saved."""
        return asdict(self)

    @staticmethod
    def of(state: dict[str, Any]) -> Certificate:
        """What `state` gave."""
        return Certificate(**{**state, "rows": [Row(**row) for row in state["rows"]]})

    # ------------------------------------------------------------------------------------------------------ the report

    def conditions(self, schedule: dict[str, Any], rounding: dict[str, Any]) -> list[Condition]:
        """The verdicts on all conditions.

        Args:
            schedule: s, r, a and beta of the first group.
            rounding: gradient_bits, weight_bits, server_bits (None where nothing is rounded) and workers.
        """
        conditions = list(check_convergence(**schedule).conditions)
        if self.lr_changed:
            so_far = f"so far the quotient is {self.rows[-1].quotient:.3g}" if self.rows else "no step was made"
            why = f"cannot tell, because lr was changed while training; {so_far}"
            conditions = [
                Condition(some.name, "cannot tell", why) if some.name in (RATIO, SUM) else some for some in conditions
            ]
        conditions.append(
            Condition(BOUNDED, "holds" if self.steps else "cannot tell", f"so far by {self.largest_gradient:.3g}")
        )
        for name, bits, most in (
            (CONTRACTS, rounding["gradient_bits"], self.contraction),
            (CONTRACTS_DOWN, rounding["server_bits"], self.contraction_down),
        ):
            if bits is None:
                conditions.append(Condition(name, "holds", "nothing is rounded, or nothing is sent"))
            else:
                told: Verdict = "cannot tell" if not most else "holds" if most < 1 else "fails"
                conditions.append(Condition(name, told, f"at most {most:.3g} |u| was taken away so far"))
        bits = rounding["weight_bits"]
        near = f"at most {self.weights_error:.3g} so far" if bits else "weights are not rounded"
        conditions.append(Condition(NEAR, "holds" if self.steps or not bits else "cannot tell", near))
        conditions.append(self._alike(rounding["workers"]))
        return conditions

    def _alike(self, workers: int) -> Condition:
        if workers == 1:
            return Condition(ALIKE, "holds", "there is one worker")
        if not self.judged:
            return Condition(ALIKE, "cannot tell", "cannot tell, because too few steps were made")
        share = f"persistent differences are {self.disagreement:.1%} of the size of the gradients"
        times = f"{self.quotient:.2g} times what chance explains"
        return Condition(ALIKE, "fails" if self.warned else "holds", f"{share}, {times}")

    def report(self, schedule: dict[str, Any], rounding: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        """The certificate as it is written: dictionaries, lists, numbers (None where not known) and texts."""
        conditions = self.conditions(schedule, rounding)
        verdicts = {condition.verdict for condition in conditions}
        verdict = "fails" if "fails" in verdicts else "cannot tell" if "cannot tell" in verdicts else "holds"
        return {
            "verdict": verdict,
            "conditions": [asdict(condition) for condition in conditions],
            "promised": self._fall("quotient") | {"rate": check_convergence(**schedule).rate},
            "observed": self._fall("gradient") | {"loss": self._ends("loss")},
            "steps": {"done": self.steps, "skipped": self.skipped},
            "rounding": {
                **rounding,
                "contraction": _known(self.last_contraction),
                "contraction_at_most": _known(self.contraction),
                "contraction_down_at_most": _known(self.contraction_down),
                "weights_error_at_most": _known(self.weights_error),
                "error_floor": self.floor or "not reviewed",
            },
            "workers_disagree": {"share": _known(self.disagreement), "times_chance": _known(self.quotient)},
            "bytes": sent,
            "rows": [{name: _known(value) for name, value in asdict(row).items()} for row in self.rows],
        }

    def _fall(self, name: str) -> dict[str, Any]:
        """How many times smaller a running mean has become since the first row from step 8 on that has it."""
        known = [row for row in self.rows if row.first >= 8 and math.isfinite(getattr(row, name))]
        if len(known) < 2 or getattr(known[-1], name) <= 0:
            return {"times_smaller": None, "since_step": None}
        fell = getattr(known[0], name) / getattr(known[-1], name)
        return {"times_smaller": _known(fell), "since_step": known[0].last}

    def _ends(self, name: str) -> list[float] | None:
        known = [getattr(row, name) for row in self.rows if getattr(row, name) is not None]
        return [known[0], known[-1]] if known else None


def _known(value: Any) -> Any:
    """JSON has no nan and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
