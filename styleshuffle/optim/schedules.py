"""The three schedules of generic Adam: step size alpha_t, and the decay rates theta_t and beta_t of its two averages.

Either the family alpha_t = eta / t^s, theta_t = 1 - a / t^r, beta_t = beta, or any functions of the step t = 1, 2, ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Schedules:
    """The three schedules, but for the factor eta of alpha_t.

    Attributes:
        s: alpha_t = 1 / t^s.
        r, a: theta_t = 1 - a / t^r.
        beta: beta_t, a number or a function of t.
        alpha: alpha_t as a function of t, in place of s.
        theta: theta_t as a function of t, in place of r and a.
    """

    s: float = 0.5
    r: float = 1.0
    a: float = 0.9
    beta: float | Schedule = 0.9
    alpha: Schedule | None = None
    theta: Schedule | None = None

    @property
    def are_family(self) -> bool:
        """Whether no schedule is a function."""
        return self.alpha is None and self.theta is None and not callable(self.beta)

    def alpha_at(self, t: int) -> float:
        return t**-self.s if self.alpha is None else float(self.alpha(t))

    def theta_at(self, t: int) -> float:
        return 1 - self.a * t**-self.r if self.theta is None else float(self.theta(t))

    def beta_at(self, t: int) -> float:
        return float(self.beta(t)) if callable(self.beta) else self.beta
