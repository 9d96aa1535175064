"""The four conditions of convergence of schedules that are functions, judged by their values.

A false "holds" is the worst that can come out: whoever reads it stops looking. So a condition on a limit holds or fails
only where the values have settled on powers of t (`tails`); else it cannot be told, because ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .convergence import BETA, RATIO, SUM, THETA, Condition, Convergence, Verdict, report
from .schedules import Schedules
from .tails import Trend, evaluated, far_steps, tail, trend

_NONE, _CLEAR = 0.02, 0.05  # exponents up to the first count as 0; beyond the second they are clearly not 0
_LEAST_GAP = 1e-9  # of theta_t to 1: below it the difference is rounding error


@dataclass(frozen=True)
class _Values:
    """One schedule: at t = 1 to the horizon, and at far steps as long as its values make sense."""

    dense: np.ndarray
    far: np.ndarray
    steps: np.ndarray

    def trend(self, of: np.ndarray, far: np.ndarray) -> Trend:
        return trend(*tail(of, far, self.steps))


def measured(schedules: Schedules, horizon: int) -> Convergence:
    """The verdicts on schedules of which at least one is a function."""
    steps, far = np.arange(1, horizon + 1), far_steps(horizon)
    alpha, theta, beta = (
        _Values(np.fromiter((at(t) for t in steps.tolist()), float, horizon), evaluated(at, far), far)
        for at in (schedules.alpha_at, schedules.theta_at, schedules.beta_at)
    )
    conditions = [_beta_condition(beta), _theta_condition(theta, float(beta.dense.max()))]
    basis = f"evaluated for t = 1 to {horizon:,} and at {len(far)} steps up to {far[-1]:.0e}"
    undefined = _first("alpha_t is no positive number", ~((alpha.dense > 0) & (alpha.dense < np.inf))) or _first(
        "theta_t leaves [0, 1)", ~((theta.dense >= 0) & (theta.dense < 1))
    )
    if undefined:
        conditions += [Condition(name, "fails", undefined) for name in (RATIO, SUM)]
        return Convergence(tuple(conditions), "none", basis)
    usable = _usable(alpha.far, theta.far)
    gap = 1 - theta.dense
    trends = [
        trend(*tail(values, values_far[:usable], far))
        for values, values_far in ((alpha.dense, alpha.far), (gap, 1 - theta.far))
    ]
    why = _cut_short(alpha, usable, horizon)
    conditions += [
        _ratio_condition(alpha.dense / np.sqrt(gap), alpha.far[:usable] / np.sqrt(1 - theta.far[:usable]), far, why),
        _sum_condition(alpha.dense, np.sqrt(gap), trends[0], trends[1], why),
    ]
    return report(tuple(conditions), -round(trends[0].exponent, 2), -round(trends[1].exponent, 2), basis)


def _usable(alpha: np.ndarray, theta: np.ndarray) -> int:
    """How many far steps have values that mean something."""
    with np.errstate(invalid="ignore"):
        good = (alpha > 1e-300) & (alpha < np.inf) & (1 - theta > _LEAST_GAP) & (theta >= 0)
    return len(good) if good.all() else int(good.argmin())


def _cut_short(alpha: _Values, usable: int, horizon: int) -> str:
    """Why alpha_t says little about its limit; empty if it does."""
    if usable == len(alpha.far) or alpha.far[usable] > 0:
        return ""
    step = int(alpha.steps[usable])
    return f"beyond t = {horizon:,} alpha_t is not defined, or no positive number, at t = {step:.2g}"


def _beta_condition(beta: _Values) -> Condition:
    outside = _first("beta_t leaves [0, 1)", ~((beta.dense >= 0) & (beta.dense < 1)))
    if outside:
        return Condition(BETA, "fails", outside)
    far = beta.far[: int(np.argmin(beta.far < 1)) if not (beta.far < 1).all() else None]
    gap = 1 - np.maximum.accumulate(np.concatenate([beta.dense, far]))
    horizon = len(beta.dense)
    usable = int((gap[horizon:] > _LEAST_GAP).sum())
    closing = beta.trend(gap[:horizon], gap[horizon : horizon + usable])
    if closing.exponent < -_CLEAR and closing.settled:
        return Condition(BETA, "fails", f"beta_t tends to 1, as 1 - c / t^{-closing.exponent:.2g}")
    if closing.exponent < -_NONE or not closing.settled:
        return Condition(BETA, "cannot tell", "cannot tell, because beta_t still comes nearer to 1")
    return Condition(BETA, "holds", f"beta_t is at most {1 - gap.min():g}")


def _theta_condition(theta: _Values, beta: float) -> Condition:
    # theta_1 = 0 is let pass: the first step forgets v_0, nothing worse
    inside = (theta.dense > 0) & (theta.dense < 1)
    inside[0] |= theta.dense[0] == 0
    outside = _first("theta_t leaves (0, 1)", ~inside) or _first(
        "theta_t decreases", np.diff(theta.dense, prepend=0) < -1e-12
    )
    if outside:
        return Condition(THETA, "fails", outside)
    far = _until_rounding(theta)
    if isinstance(far, str):
        return Condition(THETA, "fails", far)
    closing = theta.trend(1 - theta.dense, 1 - far)
    last = far[-1] if len(far) else theta.dense[-1]
    squared = f"beta^2 = {beta**2:g}"
    if closing.exponent < -_CLEAR and closing.settled:
        return Condition(THETA, "holds", f"theta_t rises to 1 as 1 - c / t^{-closing.exponent:.2g}, {squared}")
    if last > beta**2:  # it does not decrease, so its limit is no smaller
        return Condition(THETA, "holds", f"theta_t ends at {last:.9g}, {squared}")
    if closing.exponent < -_NONE:
        return Condition(THETA, "cannot tell", f"cannot tell, because theta_t still rises at {last:.9g}, {squared}")
    return Condition(THETA, "fails", f"theta_t ends at {last:.9g}, {squared}")


def _until_rounding(theta: _Values) -> np.ndarray | str:
    """The far values as long as 1 - theta_t is more than rounding error; or what is wrong with them."""
    before = theta.dense[-1]
    for index, (step, value) in enumerate(zip(theta.steps.tolist(), theta.far.tolist(), strict=True)):
        if np.isnan(value):
            return theta.far[:index]
        if value < before - 1e-12:
            return f"theta_t decreases, first seen at t = {step:.2g}"
        if value >= 1 and 1 - before > 1e-6:
            return f"theta_t leaves (0, 1), first seen at t = {step:.2g}"
        if 1 - value < _LEAST_GAP:
            return theta.far[:index]
        before = value
    return theta.far


def _ratio_condition(ratio: np.ndarray, far: np.ndarray, steps: np.ndarray, why: str) -> Condition:
    # only the end counts: an early hump, however high, is a constant factor
    end = trend(*tail(ratio, far, steps))
    factor = float(np.max(ratio / np.minimum.accumulate(ratio)))
    evidence = f"up to t = {len(ratio):,} no value exceeds an earlier one by more than the factor {factor:.3g}"
    if end.falls or (end.settled and end.exponent <= _NONE):
        return Condition(RATIO, "cannot tell" if why else "holds", f"cannot tell, because {why}" if why else evidence)
    if end.settled and end.exponent >= _CLEAR:
        return Condition(RATIO, "fails", f"it grows as t^{end.exponent:.2g} from t = {end.start:.2g} on")
    reason = "it goes up and down" if not (end.settled or end.rises) else "it rises too slowly to tell from a constant"
    return Condition(RATIO, "cannot tell", f"cannot tell, because {reason} from t = {end.start:.2g} on")


def _sum_condition(alpha: np.ndarray, root: np.ndarray, of_alpha: Trend, of_gap: Trend, why: str) -> Condition:
    quotient = np.cumsum(alpha * root) / (np.arange(1, len(alpha) + 1) * alpha)
    some = [len(alpha) // 100, len(alpha) // 10, len(alpha)]
    values = ", ".join(f"{quotient[step - 1]:.3g}" for step in some)
    places = ", ".join(f"{step:,}" for step in some)
    evidence = (
        f"{values} at T = {places}; far out alpha_t goes as t^{_plain(of_alpha)}, 1 - theta_t as t^{_plain(of_gap)}"
    )
    verdict, reason = _of_exponents(-of_alpha.exponent, -of_gap.exponent)
    if verdict != "fails":
        if why:
            verdict, reason = "cannot tell", why
        elif not of_alpha.settled:
            verdict, reason = "cannot tell", f"alpha_t follows no power of t from t = {of_alpha.start:.2g} on"
        elif not of_gap.settled:
            verdict, reason = "cannot tell", f"1 - theta_t follows no power of t from t = {of_gap.start:.2g} on"
    return Condition(SUM, verdict, f"cannot tell, because {reason}; {evidence}" if verdict == "cannot tell" else evidence)


def _of_exponents(s: float, r: float) -> tuple[Verdict, str]:
    """Of alpha_t = 1 / t^s and 1 - theta_t = 1 / t^r."""
    if r <= _NONE or s >= 1 - _NONE:
        return "fails", ""
    if r < _CLEAR:
        return "cannot tell", "1 - theta_t falls too slowly to tell from a constant"
    if s > 1 - _CLEAR:
        return "cannot tell", "alpha_t falls nearly as 1 / t"
    return "holds", ""


def _plain(of: Trend) -> str:
    return f"{of.exponent + 0.0:.2g}" if abs(of.exponent) >= 0.005 else "0"


def _first(what: str, where: np.ndarray) -> str | None:
    """Where something first happens, if it does."""
    return f"{what}, first at t = {int(where.argmax()) + 1:,}" if where.any() else None
