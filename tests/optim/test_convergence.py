"""The check of convergence: closed form and measurement, each condition failing on its own, and what the report says."""

from __future__ import annotations

import math

import pytest

from styleshuffle.errors import SettingsError
from styleshuffle.optim import Convergence, check_convergence

FAST = 100_000  # steps that are plenty for smooth schedules


def holds(report: Convergence) -> list[bool]:
    return [condition.holds for condition in report.conditions]


def measured(s: float, r: float, a: float = 0.9) -> Convergence:
    return check_convergence(alpha=lambda t: 0.3 / t**s, theta=lambda t: 1 - a / t**r, horizon=FAST)


# ------------------------------------------------------------------------------------------------------- closed form


def test_the_defaults_converge_at_the_best_rate() -> None:
    report = check_convergence()
    assert report.converges and holds(report) == [True] * 4
    assert report.rate == "log T / sqrt(T)" and report.basis == "closed form"


@pytest.mark.parametrize(
    ("s", "r", "rate"),
    [
        (0.5, 1, "log T / sqrt(T)"),
        (0.5, 0.25, "1 / T^0.125"),
        (0.25, 0.5, "1 / T^0.25"),
        (0.6, 0.8, "log T / T^0.4"),
        (0.6, 1.2, "1 / T^0.4"),
        (0.9, 1.8, "1 / T^0.1"),
    ],
)
def test_rates_of_the_family_closed_form_and_measured(s: float, r: float, rate: str) -> None:
    assert check_convergence(s=s, r=r).rate == rate
    assert measured(s, r).rate == rate


@pytest.mark.parametrize("s", [0.25, 0.5, 0.75, 1.0, 1.25])
@pytest.mark.parametrize("r", [0, 0.25, 0.5, 1, 1.5])
def test_closed_form_and_measurement_agree(s: float, r: float) -> None:
    closed = check_convergence(s=s, r=r)
    assert holds(closed) == holds(measured(s, r))
    assert closed.converges == (0 < r <= 2 * s and s < 1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"beta": 1.0}, [False, False, True, True]),  # the limit 1 is not above beta^2 either
        ({"beta": -0.1}, [False, True, True, True]),
        ({"r": 0, "a": 0.001}, [True, True, True, False]),  # Adam with decaying steps
        ({"r": 0, "s": 0, "a": 0.001}, [True, True, True, False]),  # Adam
        ({"r": 0, "a": 0.19}, [True, False, True, False]),  # 0.81 = 0.9^2 is not above it
        ({"a": 1.5}, [True, False, True, True]),
        ({"a": 0}, [True, False, True, True]),
        ({"r": 0, "a": 1}, [True, False, True, False]),
        ({"a": 1}, [True, True, True, True]),  # theta_1 = 0 alone
        ({"r": -0.5}, [True, False, False, False]),
        ({"r": 1.5}, [True, True, False, True]),
        ({"s": 1.2}, [True, True, True, False]),
    ],
)
def test_which_conditions_of_the_family_fail(settings: dict[str, float], expected: list[bool]) -> None:
    report = check_convergence(**settings)
    assert holds(report) == expected
    assert report.converges == all(expected)
    assert (report.rate == "none") == (not all(expected))


# ---------------------------------------------------------------------------------------------------------- measured


def test_functions_of_the_family_converge_at_the_fitted_rate() -> None:
    report = check_convergence(alpha=lambda t: 0.5 / t**0.5, theta=lambda t: 1 - 0.9 / t, beta=0.9)
    assert report.converges and report.rate == "log T / sqrt(T)"
    assert "1,000,000" in report.basis


def test_a_function_and_the_rest_of_the_family_together() -> None:
    assert check_convergence(theta=lambda t: 1 - 0.9 / t, horizon=FAST).rate == "log T / sqrt(T)"
    assert check_convergence(alpha=lambda t: t**-0.5, r=1, horizon=FAST).rate == "log T / sqrt(T)"
    assert check_convergence(beta=lambda t: 0.9 - 0.5 / t, horizon=FAST).rate == "log T / sqrt(T)"


def test_beta_that_tends_to_1_fails_though_every_value_is_below() -> None:
    report = check_convergence(beta=lambda t: 1 - 1 / t, horizon=FAST)
    assert not report.conditions[0].holds and "tends to 1" in report.conditions[0].evidence


def test_beta_outside_its_range_fails_and_names_the_step() -> None:
    report = check_convergence(beta=lambda t: 0.9 if t < 70 else 1.0, horizon=1000)
    assert not report.conditions[0].holds and "t = 70" in report.conditions[0].evidence


@pytest.mark.parametrize(
    ("theta", "evidence"),
    [
        (lambda t: 0.999 - 0.1 * (t >= 500), "decreases, first at t = 500"),
        (lambda t: 1 - 0.9 / t if t < 300 else 1.0, "leaves (0, 1), first at t = 300"),
        (lambda t: 0.0 if t < 3 else 0.99, "leaves (0, 1), first at t = 2"),
        (lambda t: math.nan if t == 40 else 0.99, "leaves (0, 1), first at t = 40"),
        (lambda t: 0.75 - 0.05 / t, "ends at 0.75, beta^2 = 0.81"),
    ],
)
def test_theta_that_fails_says_where(theta: object, evidence: str) -> None:
    condition = check_convergence(theta=theta, horizon=1000).conditions[1]
    assert not condition.holds and evidence in condition.evidence


def test_theta_may_still_be_below_beta_squared_at_the_horizon_if_it_rises_to_1() -> None:
    report = check_convergence(theta=lambda t: 1 - 0.9 / t**0.25, beta=0.99, horizon=10_000)  # 0.91 at the end, not 0.98
    assert report.conditions[1].holds


def test_a_warm_up_is_almost_non_increasing_with_its_factor() -> None:
    report = check_convergence(alpha=lambda t: min(1, t / 1000) / t**0.5, horizon=FAST)
    assert report.converges
    assert "factor 1e+03" in report.conditions[2].evidence


def test_a_ratio_that_grows_without_bound_is_found_and_its_growth_fitted() -> None:
    report = check_convergence(alpha=lambda t: t**-0.25, horizon=FAST)  # over sqrt(0.9 / t): t^0.25
    assert holds(report) == [True, True, False, True]
    assert "t^0.25" in report.conditions[2].evidence


def test_steps_that_shrink_geometrically_stop_too_early() -> None:
    report = check_convergence(alpha=lambda t: 0.99**t, horizon=1000)
    assert [condition.name for condition in report.failing] == [report.conditions[3].name]


@pytest.mark.parametrize("alpha", [lambda t: 1 - t / 500, lambda t: math.inf if t == 500 else 1.0])
def test_an_alpha_that_is_no_positive_number_names_the_step(alpha: object) -> None:
    report = check_convergence(alpha=alpha, horizon=1000)
    assert holds(report) == [True, True, False, False]
    assert "t = 500" in report.conditions[3].evidence and report.rate == "none"


def test_a_horizon_too_short_for_a_limit_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"horizon is 999.* 1000 or more"):
        check_convergence(alpha=lambda t: 1 / t, horizon=999)


# ----------------------------------------------------------------------------------------- what first steps can hide


def test_theta_that_runs_into_a_bound_below_1_fails_the_sum_though_the_quotient_still_falls() -> None:
    for bound in (0.9999, 0.9999999):  # reached at t = 9,000, and at 9,000,000, beyond the horizon
        report = check_convergence(theta=lambda t, bound=bound: min(bound, 1 - 0.9 / t))
        assert [condition.verdict for condition in report.conditions] == ["holds", "holds", "holds", "fails"]
        assert report.verdict == "fails" and "1 - theta_t as t^0" in report.conditions[3].evidence


def test_an_early_hump_does_not_hide_that_the_ratio_grows() -> None:
    def cosine(t: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * min(t, 1000) / 1000)) + 1e-12

    report = check_convergence(alpha=cosine, horizon=FAST)
    assert report.verdict == "fails" and report.conditions[2].fails
    assert "grows as t^0.5" in report.conditions[2].evidence
    assert "3.98e+08" in report.conditions[3].evidence  # the quotient that made the bound worthless


def test_one_late_drop_of_the_step_size_does_no_harm() -> None:
    report = check_convergence(alpha=lambda t: t**-0.5 / (10 if t >= 500_000 else 1))
    assert report.converges and report.rate == "log T / sqrt(T)"


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (lambda t: t**-0.5 * (2 + math.sin(t / 100)), "follows no power of t"),
        (lambda t: 0.5 * (1 + math.cos(math.pi * t / FAST)) + 1e-12, "follows no power of t"),
        (lambda t: t**-0.5 * 10.0 ** -math.floor(math.log10(t)), "follows no power of t"),  # drops again and again
        (lambda t: (0.1 / t**0.5,)[t // 200_000], "is not defined, or no positive number"),  # a table that ends
    ],
)
def test_what_cannot_be_told_is_neither_said_to_hold_nor_to_fail(alpha: object, reason: str) -> None:
    report = check_convergence(alpha=alpha, horizon=FAST)
    assert not report.converges and report.verdict == "cannot tell" and report.rate == "none"
    assert report.conditions[3].verdict == "cannot tell"
    assert "cannot tell, because" in report.conditions[3].evidence and reason in report.conditions[3].evidence
    assert "cannot be confirmed" in str(report) and "4. CANNOT TELL: " in str(report)


def test_a_gap_to_1_that_falls_slower_than_any_power_cannot_be_told_from_a_constant() -> None:
    report = check_convergence(theta=lambda t: 1 - 1 / math.log(t + 3), horizon=FAST)
    assert report.conditions[3].verdict == "cannot tell" and "too slowly" in report.conditions[3].evidence


# ------------------------------------------------------------------------------------------------------------ report


def test_the_report_reads_verdict_first_then_a_line_a_condition() -> None:
    lines = str(check_convergence(r=0, a=0.001)).splitlines()
    assert len(lines) == 5
    assert "does not hold" in lines[0] and "closed form" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["1. holds", "2. holds", "3. holds", "4. FAILS"]
    assert "r = 0" in lines[4]
    assert "holds, rate log T / sqrt(T)" in str(check_convergence()).splitlines()[0]
