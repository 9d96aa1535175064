"""Does generic Adam converge with these schedules? A condition on the schedules alone, known before training starts.

Chen, Shen, Zou and Liu, "Towards practical Adam: non-convexity, convergence theory, and mini-batch acceleration"
(arXiv:2101.05471), show that generic Adam converges on smooth non-convex stochastic problems with bounded gradients if

1. 0 <= beta_t <= beta < 1;
2. theta_t lies in (0, 1), does not decrease, and has a limit above beta^2;
3. alpha_t / sqrt(1 - theta_t) is almost non-increasing: within a constant factor of a non-increasing sequence;
4. sum_{t <= T} alpha_t sqrt(1 - theta_t) / (T alpha_T) tends to 0.

The quotient in 4 also bounds the gradient, so its decay is the rate. As recalled, what it bounds is
(E |grad f(x_tau)|^(4/3))^(3/2), tau drawn evenly from the first T steps; that is at most the mean of |grad f|^2.

For alpha_t = eta / t^s and theta_t = 1 - a / t^r, condition 3 means 0 <= r <= 2 s and condition 4 means r > 0 and s < 1;
the rate is T^(-r/2) where s + r/2 < 1, log T / T^(1-s) where it is 1 and T^(-(1-s)) where it is above. Ordinary Adam has
r = 0, which fails condition 4.

The conditions were written down from memory of the paper, and the closed forms worked out from them; where experiment
says otherwise, experiment is right. So far it agrees: docs/counterexample.md shows a schedule that fails going wrong and
schedules that hold going right, the sooner the better their rate; but one with a poor rate (r = 1/4) has not turned after
ten million steps. The condition is sufficient, not necessary: a schedule that fails it may still train well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError
from .schedules import Schedule, Schedules

HORIZON = 1_000_000  # first steps, at all of which functions are evaluated
LEAST_HORIZON = 1000

BETA = "0 <= beta_t <= beta < 1"
THETA = "theta_t in (0, 1), non-decreasing, limit above beta^2"
RATIO = "alpha_t / sqrt(1 - theta_t) almost non-increasing"
SUM = "sum of alpha_t sqrt(1 - theta_t) up to T / (T alpha_T) tends to 0"

Verdict = Literal["holds", "fails", "cannot tell"]


@dataclass(frozen=True)
class Condition:
    """One of the four conditions: what it demands, the verdict, and the numbers (or the reason) that say so."""

    name: str
    verdict: Verdict
    evidence: str

    @property
    def holds(self) -> bool:
        return self.verdict == "holds"

    @property
    def fails(self) -> bool:
        return self.verdict == "fails"


@dataclass(frozen=True)
class Convergence:
    """Whether the sufficient condition holds; ``str()`` of it is a report of several lines.

    Attributes:
        conditions: the four conditions, in the order of the module's docstring.
        rate: how the bound on the gradient falls with the number of steps T, as in "log T / sqrt(T)"; "none" unless all
            conditions hold.
        basis: "closed form", or where the schedules were evaluated: numbers support, but cannot prove, what is said
            about a limit.
    """

    conditions: tuple[Condition, ...]
    rate: str
    basis: str

    @property
    def verdict(self) -> Verdict:
        if self.converges:
            return "holds"
        return "fails" if any(condition.fails for condition in self.conditions) else "cannot tell"

    @property
    def converges(self) -> bool:
        """Whether all conditions hold; "cannot tell" is not enough."""
        return all(condition.holds for condition in self.conditions)

    @property
    def failing(self) -> tuple[Condition, ...]:
        """The conditions that do not hold, as far as can be told."""
        return tuple(condition for condition in self.conditions if not condition.holds)

    def __str__(self) -> str:
        said = {
            "holds": f"holds, rate {self.rate}",
            "fails": "does not hold, convergence is not guaranteed",
            "cannot tell": "cannot be confirmed",
        }[self.verdict]
        lines = [f"Generic Adam's sufficient condition {said} ({self.basis})"]
        words = {"holds": "holds", "fails": "FAILS", "cannot tell": "CANNOT TELL"}
        for number, condition in enumerate(self.conditions, start=1):
            lines.append(f"  {number}. {words[condition.verdict]}: {condition.name}: {condition.evidence}")
        return "\n".join(lines)


def check_convergence(
    *,
    s: float = 0.5,
    r: float = 1.0,
    a: float = 0.9,
    beta: float | Schedule = 0.9,
    alpha: Schedule | None = None,
    theta: Schedule | None = None,
    horizon: int = HORIZON,
) -> Convergence:
    """Check the condition, in closed form for the family, by evaluation for functions.

    Functions are evaluated at the steps t = 1, 2, ... up to ``horizon`` and at some steps far beyond, up to 10^12. Where
    the values do not settle on powers of t, or a function ends early, the verdict is "cannot tell", with the reason.

    Args:
        s, r, a, beta, alpha, theta: as of `GenericAdam`; eta does not matter.
        horizon: first steps, at all of which functions are evaluated; 1000 or more.

    Raises:
        SettingsError: the horizon is too short.
    """
    schedules = Schedules(s=s, r=r, a=a, beta=beta, alpha=alpha, theta=theta)
    if isinstance(beta, (int, float)) and schedules.are_family:
        return _of_family(s, r, a, beta)
    if horizon < LEAST_HORIZON:
        raise SettingsError(f"horizon is {horizon}, too short to see a limit; use {LEAST_HORIZON} or more")
    from .evaluation import measured

    return measured(schedules, horizon)


def _of_family(s: float, r: float, a: float, beta: float) -> Convergence:
    limit = 1.0 if r > 0 else 1 - a
    inside = r >= 0 and (0 < a < 1 or (a == 1 and r > 0))  # theta_1 = 0 is let pass: it only forgets v_0
    range_ = "" if inside else "theta_t leaves (0, 1), "
    conditions = (
        Condition(BETA, _verdict(0 <= beta < 1), f"beta = {beta:g}"),
        Condition(THETA, _verdict(inside and limit > beta**2), f"{range_}limit {limit:g}, beta^2 = {beta**2:g}"),
        Condition(RATIO, _verdict(0 <= r <= 2 * s), f"needs 0 <= r <= 2 s; r = {r:g}, 2 s = {2 * s:g}"),
        Condition(SUM, _verdict(r > 0 and s < 1), f"needs r > 0 and s < 1; r = {r:g}, s = {s:g}"),
    )
    return report(conditions, s, r, "closed form")


def _verdict(holds: bool) -> Verdict:
    return "holds" if holds else "fails"


def report(conditions: tuple[Condition, ...], s: float, r: float, basis: str) -> Convergence:
    """The verdicts together, with the rate of alpha_t = 1 / t^s and 1 - theta_t = 1 / t^r if all hold."""
    holds = all(condition.holds for condition in conditions)
    return Convergence(conditions, _rate(s, r) if holds else "none", basis)


def _rate(s: float, r: float) -> str:
    """How sum_{t <= T} t^-(s + r/2) / T^(1-s) falls with T."""
    excess = s + r / 2 - 1
    logarithm = math.isclose(excess, 0, abs_tol=1e-9)
    exponent = 1 - s if logarithm or excess > 0 else r / 2
    power = "sqrt(T)" if exponent == 0.5 else f"T^{exponent:.3g}"
    return f"{'log T' if logarithm else '1'} / {power}"
