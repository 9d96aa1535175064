"""Does generic Adam converge with these schedules? A condition on the schedules alone, known before training starts.

Chen, Shen, Zou and Liu, "Towards practical Adam: non-convexity, convergence theory, and mini-batch acceleration"
(arXiv:2101.05471), show that generic Adam converges on smooth non-convex stochastic problems with bounded gradients if

1. 0 <= beta_t <= beta < 1;
2. theta_t lies in (0, 1), does not decrease, and has a limit above beta^2;
3. alpha_t / sqrt(1 - theta_t) is almost non-increasing: within a constant factor of a non-increasing sequence;
4. sum_{t <= T} alpha_t sqrt(1 - theta_t) / (T alpha_T) tends to 0.

The quotient in 4 also bounds the squared norm of the gradient, so its decay is the rate.

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

import numpy as np

from ..errors import SettingsError
from .schedules import Schedule, Schedules

HORIZON = 1_000_000  # steps over which functions are evaluated
_LEAST_HORIZON = 1000
_FLAT = 0.02  # exponents below it count as 0: no finite number of steps tells t^0.01 from a constant

_BETA = "0 <= beta_t <= beta < 1"
_THETA = "theta_t in (0, 1), non-decreasing, limit above beta^2"
_RATIO = "alpha_t / sqrt(1 - theta_t) almost non-increasing"
_SUM = "sum of alpha_t sqrt(1 - theta_t) up to T / (T alpha_T) tends to 0"


@dataclass(frozen=True)
class Condition:
    """One of the four conditions: what it demands, whether it holds, and the numbers that say so."""

    name: str
    holds: bool
    evidence: str


@dataclass(frozen=True)
class Convergence:
    """Whether the sufficient condition holds; ``str()`` of it is a report of several lines.

    Attributes:
        conditions: the four conditions, in the order of the module's docstring.
        rate: how the bound on the squared gradient norm falls with the number of steps T, as in "log T / sqrt(T)";
            "none" if a condition fails.
        basis: "closed form", or up to which step the schedules were evaluated: numbers support, but cannot prove, what
            is said about a limit.
    """

    conditions: tuple[Condition, ...]
    rate: str
    basis: str

    @property
    def converges(self) -> bool:
        return not self.failing

    @property
    def failing(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.conditions if not condition.holds)

    def __str__(self) -> str:
        verdict = f"holds, rate {self.rate}" if self.converges else "does not hold, convergence is not guaranteed"
        lines = [f"Generic Adam's sufficient condition {verdict} ({self.basis})"]
        for number, condition in enumerate(self.conditions, start=1):
            lines.append(f"  {number}. {'holds' if condition.holds else 'FAILS'}: {condition.name}: {condition.evidence}")
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
    """Check the condition, in closed form for the family and on the first ``horizon`` steps for functions.

    Args:
        s, r, a, beta, alpha, theta: as of `GenericAdam`; eta does not matter.
        horizon: steps t = 1, 2, ... at which functions are evaluated; 1000 or more.

    Raises:
        SettingsError: the horizon is too short.
    """
    schedules = Schedules(s=s, r=r, a=a, beta=beta, alpha=alpha, theta=theta)
    if schedules.are_family:
        return _of_family(s, r, a, beta)
    if horizon < _LEAST_HORIZON:
        raise SettingsError(f"horizon is {horizon}, too short to see a limit; use {_LEAST_HORIZON} or more")
    return _measured(schedules, horizon)


# ------------------------------------------------------------------------------------------------------- closed form


def _of_family(s: float, r: float, a: float, beta: float) -> Convergence:
    limit = 1.0 if r > 0 else 1 - a
    inside = r >= 0 and (0 < a < 1 or (a == 1 and r > 0))  # theta_1 = 0 is let pass: it only forgets v_0
    range_ = "" if inside else "theta_t leaves (0, 1), "
    conditions = (
        Condition(_BETA, 0 <= beta < 1, f"beta = {beta:g}"),
        Condition(_THETA, inside and limit > beta**2, f"{range_}limit {limit:g}, beta^2 = {beta**2:g}"),
        Condition(_RATIO, 0 <= r <= 2 * s, f"needs 0 <= r <= 2 s; r = {r:g}, 2 s = {2 * s:g}"),
        Condition(_SUM, r > 0 and s < 1, f"needs r > 0 and s < 1; r = {r:g}, s = {s:g}"),
    )
    return _report(conditions, s, r, "closed form")


def _report(conditions: tuple[Condition, ...], s: float, r: float, basis: str) -> Convergence:
    holds = all(condition.holds for condition in conditions)
    return Convergence(conditions, _rate(s, r) if holds else "none", basis)


def _rate(s: float, r: float) -> str:
    """How sum_{t <= T} t^-(s + r/2) / T^(1-s) falls with T."""
    excess = s + r / 2 - 1
    logarithm = math.isclose(excess, 0, abs_tol=1e-9)
    exponent = 1 - s if logarithm or excess > 0 else r / 2
    power = "sqrt(T)" if exponent == 0.5 else f"T^{exponent:.3g}"
    return f"{'log T' if logarithm else '1'} / {power}"


# ---------------------------------------------------------------------------------------------------------- measured


def _measured(schedules: Schedules, horizon: int) -> Convergence:
    steps = range(1, horizon + 1)
    alpha, theta, beta = (
        np.fromiter((at(t) for t in steps), float, horizon)
        for at in (schedules.alpha_at, schedules.theta_at, schedules.beta_at)
    )
    conditions = [_beta_condition(beta), _theta_condition(theta, float(beta.max()))]
    basis = f"evaluated for t = 1 to {horizon:,}"
    undefined = _first("alpha_t is no positive number", ~((alpha > 0) & (alpha < np.inf))) or _first(
        "theta_t leaves [0, 1)", ~((theta >= 0) & (theta < 1))
    )
    if undefined:
        conditions += [Condition(name, False, undefined) for name in (_RATIO, _SUM)]
        return Convergence(tuple(conditions), "none", basis)
    root = np.sqrt(1 - theta)
    conditions += [_ratio_condition(alpha / root), _sum_condition(alpha, root)]
    return _report(tuple(conditions), -round(_exponent(alpha), 2), -round(2 * _exponent(root), 2), basis)


def _beta_condition(beta: np.ndarray) -> Condition:
    outside = _first("beta_t leaves [0, 1)", ~((beta >= 0) & (beta < 1)))
    if outside:
        return Condition(_BETA, False, outside)
    gap = -_exponent(1 - np.maximum.accumulate(beta))
    if gap > _FLAT:
        return Condition(_BETA, False, f"beta_t tends to 1, as 1 - c / t^{gap:.2g}")
    return Condition(_BETA, True, f"beta_t is at most {beta.max():g}")


def _theta_condition(theta: np.ndarray, beta: float) -> Condition:
    # theta_1 = 0 is let pass: the first step forgets v_0, nothing worse
    inside = (theta > 0) & (theta < 1)
    inside[0] |= theta[0] == 0
    outside = _first("theta_t leaves (0, 1)", ~inside) or _first("theta_t decreases", np.diff(theta, prepend=0) < -1e-12)
    if outside:
        return Condition(_THETA, False, outside)
    closing = -_exponent(1 - theta)
    limit = f"rises to 1 as 1 - c / t^{closing:.2g}" if closing > _FLAT else f"ends at {theta[-1]:g}"
    above = closing > _FLAT or theta[-1] > beta**2
    return Condition(_THETA, bool(above), f"theta_t {limit}, beta^2 = {beta**2:g}")


def _ratio_condition(ratio: np.ndarray) -> Condition:
    # the smallest constant: by how much a value exceeds an earlier one at most; it must stop growing
    factor = np.maximum.accumulate(ratio / np.minimum.accumulate(ratio))
    growth = _exponent(factor)
    evidence = f"no value exceeds an earlier one by more than the factor {factor[-1]:.3g}"
    if growth > _FLAT:
        evidence += f", which grows as t^{growth:.2g}"
    return Condition(_RATIO, bool(growth <= _FLAT), evidence)


def _sum_condition(alpha: np.ndarray, root: np.ndarray) -> Condition:
    steps = np.arange(1, len(alpha) + 1)
    quotient = np.cumsum(alpha * root) / (steps * alpha)
    exponent = _exponent(quotient)
    some = [len(alpha) // 100, len(alpha) // 10, len(alpha)]
    values = ", ".join(f"{quotient[step - 1]:.3g}" for step in some)
    places = ", ".join(f"{step:,}" for step in some)
    evidence = f"{values} at T = {places}; there it goes as T^{exponent:.2g}"
    return Condition(_SUM, bool(exponent < -_FLAT), evidence)


def _first(what: str, where: np.ndarray) -> str | None:
    """Where something first happens, if it does."""
    return f"{what}, first at t = {int(where.argmax()) + 1:,}" if where.any() else None


def _exponent(values: np.ndarray) -> float:
    """p of the power t^p that fits positive values best over the last tenfold of the steps."""
    steps = np.unique(np.geomspace(len(values) / 10, len(values), 200).astype(int))
    slope, _ = np.polyfit(np.log(steps), np.log(values[steps - 1]), 1)
    return float(slope)
