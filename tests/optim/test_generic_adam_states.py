"""Generic Adam: saved and resumed, settings and schedules that are refused, and the counterexample."""

from __future__ import annotations

import copy
import io
import math
import warnings
from typing import Any

import pytest
import torch
from generic_runs import assert_same, parameters, tensors, train, trained

from styleshuffle.errors import SettingsError
from styleshuffle.optim import GenericAdam

SHAPES = ((4, 3, 3), (5,), (), (2, 6))


# ----------------------------------------------------------------------------------------------------- save and resume


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1, "a": 0.5, "foreach": False},
        {"alpha": lambda t: 0.1 / t**0.5, "theta": lambda t: 1 - 0.9 / t, "beta": lambda t: 0.8 + 0.1 / t},
    ],
)
def test_a_resumed_optimiser_goes_on_bit_for_bit(settings: dict[str, Any]) -> None:
    expected = trained(20, **settings)
    params = parameters()
    optimizer = GenericAdam(params, **settings)
    train(params, optimizer, 1, 9)
    file = io.BytesIO()
    torch.save({"params": params, "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = [parameter.detach().requires_grad_() for parameter in saved["params"]]
    # numbers come from what is loaded, functions from the new optimiser
    functions = {name: value for name, value in settings.items() if callable(value)}
    other = GenericAdam(resumed, lr=7.0, **functions)
    other.load_state_dict(saved["optimizer"])
    train(resumed, other, 10, 20)
    assert_same(resumed, expected)


def test_saving_leaves_the_optimisers_own_functions_alone() -> None:
    params = parameters()
    optimizer = GenericAdam(params, theta=lambda t: 1 - 0.9 / t)
    state = optimizer.state_dict()
    assert "theta" not in state["param_groups"][0] and state["param_groups"][0]["alpha"] is None
    train(params, optimizer, 1, 2)
    assert callable(optimizer.param_groups[0]["theta"])


def test_a_state_saved_with_a_function_asks_for_it() -> None:
    saved = GenericAdam(parameters(), theta=lambda t: 1 - 0.9 / t).state_dict()
    with pytest.raises(SettingsError, match="function for theta; give the same one"):
        GenericAdam(parameters()).load_state_dict(saved)


def test_the_state_of_another_optimiser_is_refused() -> None:
    saved = torch.optim.Adam(parameters()).state_dict()
    with pytest.raises(SettingsError, match="the saved state is of another optimiser; load one of GenericAdam"):
        GenericAdam(parameters()).load_state_dict(saved)


def test_a_saved_number_replaces_a_function() -> None:
    saved = GenericAdam(parameters(), beta=0.7).state_dict()
    optimizer = GenericAdam(parameters(), beta=lambda t: 0.5)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["beta"] == 0.7


def test_a_state_with_other_groups_is_refused_by_torch() -> None:
    x, y = parameters()[:2]
    saved = GenericAdam([{"params": [x]}, {"params": [y]}]).state_dict()
    with pytest.raises(ValueError, match="parameter groups"):
        GenericAdam([x]).load_state_dict(saved)


def test_a_copy_goes_on_as_the_original() -> None:
    params = parameters()
    optimizer = GenericAdam(params, beta=lambda t: 0.9 - 0.1 / t)
    train(params, optimizer, 1, 3)
    twin = copy.deepcopy(optimizer)
    others = twin.param_groups[0]["params"]
    train(params, optimizer, 4, 6)
    train(others, twin, 4, 6)
    assert_same(others, params)


# --------------------------------------------------------------------------------------------- settings and schedules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr is -1.0; give a number of at least 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "fast"}, "lr is 'fast'; give a number"),
        ({"lr": torch.tensor(0.1)}, r"lr is tensor.*of a tensor, lr\.item\(\)"),
        ({"s": -0.5}, "s is -0.5"),
        ({"r": math.inf}, "r is inf"),
        ({"a": 0.0}, "a is 0.0; give a number above 0 and at most 1"),
        ({"a": 1.1}, "a is 1.1"),
        ({"beta": 1.0}, "beta is 1.0; give a number of at least 0 and below 1"),
        ({"eps": 0.0}, "eps is 0.0; give a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"alpha": 0.1}, "alpha is 0.1; give a function of the step .s=0 "),
        ({"theta": 0.99}, "theta is 0.99; give a function of the step .r=0, a=1-theta "),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    for groups, rest in ((parameters(), settings), ([{"params": parameters(), **settings}], {})):
        with pytest.raises(ValueError, match=message) as raised:
            GenericAdam(groups, **rest)
        assert isinstance(raised.value, SettingsError) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theta": lambda t: 1.5 if t == 3 else 0.99}, "theta is 1.5 at step 3"),
        ({"beta": lambda t: -0.5 if t == 3 else 0.9}, "beta is -0.5 at step 3"),
        ({"alpha": lambda t: math.nan if t == 3 else 0.1}, "alpha is nan at step 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_a_function_that_leaves_its_range_stops_before_it_does_harm(settings: dict[str, Any], message: str) -> None:
    params = parameters()
    optimizer = GenericAdam(params, **settings)
    train(params, optimizer, 1, 2)
    before = [parameter.detach().clone() for parameter in params]
    with pytest.raises(SettingsError, match=message):
        train(params, optimizer, 3, 3)
    assert_same(params, before)


@pytest.mark.parametrize(
    ("settings", "condition"),
    [
        ({"r": 0, "a": 0.001}, "tends to 0 .needs r > 0"),
        ({"r": 1.5}, "almost non-increasing"),
        ({"theta": lambda t: 0.999}, "tends to 0"),
        ({"beta": lambda t: 1 - 1 / t}, "beta_t tends to 1"),
    ],
)
def test_wrong_schedules_train_after_one_warning_that_names_the_condition(
    settings: dict[str, Any], condition: str
) -> None:
    params = parameters()
    groups = [{"params": params[:2]}, {"params": params[2:]}]
    with pytest.warns(UserWarning, match=condition) as caught:
        optimizer = GenericAdam(groups, **settings)
        train(params, optimizer, 1, 3)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not any(torch.equal(parameter, start) for parameter, start in zip(params, tensors(0), strict=True))


def test_right_schedules_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GenericAdam(parameters())
        GenericAdam(parameters(), alpha=lambda t: t**-0.5, theta=lambda t: 1 - 0.9 / t, beta=lambda t: 0.9)


# ----------------------------------------------------------------------------------------------------- counterexample


@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_on_the_counterexample_constant_theta_goes_wrong_and_r_of_1_goes_right() -> None:
    """As benchmarks/counterexample.py, 8,000 steps: 64 runs from 0.5 in [-1, 1] on a loss of mean slope 0.2."""
    runs = {r: torch.full((64,), 0.5, requires_grad=True) for r in (0, 1)}
    optimizers = {r: GenericAdam([x], lr=0.5, r=r, a=0.01 + 0.99 * r) for r, x in runs.items()}
    generator = torch.Generator().manual_seed(0)
    slopes = torch.where(torch.rand(8000, 64, generator=generator) < 0.01, 1010.0, -10.0)
    halfway = {}
    for t, slope in enumerate(slopes, start=1):
        for r, x in runs.items():
            x.grad = slope
            optimizers[r].step()
            x.detach().clamp_(-1, 1)
        if t == 1000:
            halfway = {r: x.mean().item() for r, x in runs.items()}
    final = {r: x.mean().item() for r, x in runs.items()}
    assert final[0] > 0.85 and final[0] > halfway[0] + 0.1  # away from the optimum at -1
    assert final[1] < 0.35 and final[1] < halfway[1] - 0.1  # towards it
