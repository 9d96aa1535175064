"""Quantized Adam with one worker: what it refuses, and hard cases that it takes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from quantized_runs import (
    flat,
    give_gradients,
    optimiser,
    parameters,
)
from torch import nn

from styleshuffle.errors import SettingsError, WorkerError
from styleshuffle.optim import QuantizedAdam, merged_state
from styleshuffle.optim.header import BYTES


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e25])
@pytest.mark.parametrize("bits", [None, 2])
def test_a_useless_gradient_is_refused_by_name_and_nothing_has_changed(value: float, bits: int | None) -> None:
    net = parameters()
    adam = optimiser(net, gradient_bits=bits, weight_bits=8)
    give_gradients(net, 0, 1)
    adam.step()
    before = deepcopy((adam.state_dict(), flat(net.values())))
    net["last.weight"].grad[1, 2, 0, 0] = value
    with pytest.raises(WorkerError, match=r"worker 0: the gradient of last\.weight is not finite") as caught:
        adam.step()
    assert "\n" not in str(caught.value)
    assert torch.equal(flat(net.values()), before[1])
    for index, entries in adam.state_dict()["state"].items():
        for name, kept_value in entries.items():
            assert torch.equal(torch.as_tensor(kept_value), torch.as_tensor(before[0]["state"][index][name]))


def test_parameters_without_names_are_called_by_number() -> None:
    net = parameters()
    adam = QuantizedAdam(net.values())
    net["first.bias"].grad = torch.full((4,), float("nan"))
    with pytest.raises(WorkerError, match=r"parameter 1 of shape \(4,\)"):
        adam.step()


@pytest.mark.parametrize("settings", [{}, {"a": 1.0}, {"gradient_bits": None, "a": 1.0}, {"weight_bits": 8}])
def test_gradients_of_zero_and_none_move_nothing(settings: dict[str, Any]) -> None:
    net = parameters()
    net["scale"].data.zero_()
    adam = optimiser(net, **settings)
    adam.step()
    start = flat(net.values())
    for _ in range(3):
        for parameter in list(net.values())[:2]:
            parameter.grad = torch.zeros_like(parameter)
        adam.step()
    assert torch.equal(flat(net.values()), start)


def test_groups_have_settings_of_their_own_and_a_new_one_can_join() -> None:
    one, other, late = (nn.Parameter(torch.zeros(3)) for _ in range(3))
    adam = QuantizedAdam([{"params": [one]}, {"params": [other], "lr": 0.2}], lr=0.1)
    for parameter in (one, other, late):
        parameter.grad = torch.tensor([1.0, -2.0, 3.0])
    adam.step()
    assert torch.allclose(other, 2 * one) and one.abs().max() > 0
    adam.add_param_group({"params": [late], "lr": 0.3})
    adam.step()
    assert torch.allclose(late, 3 * torch.sign(-late.grad) * 0.1 * 0.1 / 0.9**0.5)
    assert adam.state[one]["step"] == 2 and adam.state[late]["step"] == 1


def test_memory_formats_do_not_matter() -> None:
    nets = [parameters(), parameters()]
    nets[1]["last.weight"].data = nets[1]["last.weight"].data.contiguous(memory_format=torch.channels_last)
    for net in nets:
        adam = optimiser(net, weight_bits=8)
        for t in range(1, 4):
            give_gradients(net, 0, t)
            adam.step()
    assert torch.equal(flat(nets[0].values()), flat(nets[1].values()))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gradient_bits": 1}, "gradient_bits is 1; it must be 2, 3, 4 or None"),
        ({"gradient_bits": 8}, "gradient_bits is 8"),
        ({"weight_bits": 1}, "weight_bits is 1; it must be 2 to 16"),
        ({"lr": -1}, "lr is -1; give a number of at least 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": torch.tensor(0.1)}, r"lr is tensor.*of a tensor, lr\.item\(\)"),
        ({"server_bits": 8}, "server_bits is 8; it must be 2, 3, 4 or None"),
        ({"weight_range": 0.5}, "weight_range: weights are not rounded without weight_bits"),
        ({"weight_bits": 8, "weight_range": 0}, "weight_range is 0; it must be above 0"),
        ({"byte_budget": 0}, "byte_budget is 0; it must be at least 1"),
        ({"byte_budget": 100, "gradient_bits": None}, "byte_budget: there are no bits to choose"),
        ({"beta": 1}, "beta is 1"),
        ({"a": 0}, "a is 0"),
        ({"eps": 0}, "eps is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        optimiser(parameters(), **settings)


def test_parameters_in_other_precisions_are_refused() -> None:
    with pytest.raises(SettingsError, match="bfloat16"):
        QuantizedAdam([nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))])


def test_the_state_of_another_optimiser_is_refused() -> None:
    net = parameters()
    with pytest.raises(SettingsError, match="of another optimiser"):
        optimiser(net).load_state_dict(torch.optim.Adam(net.values()).state_dict())


def test_the_protocols_bytes() -> None:
    net = parameters()  # 89 weights in 4 tensors
    assert optimiser(net).protocol_bytes == (12 * 2 + 4 * 4 + BYTES, 89 * 4, 89 * 4)
    assert optimiser(net, gradient_bits=3, weight_bits=8).protocol_bytes == (12 * 3 + 4 * 4 + BYTES, 96 + 4 * 4, 89 * 4)
    assert optimiser(net, gradient_bits=None, weight_bits=4).protocol_bytes == (89 * 4 + BYTES, 48 + 4 * 4, 89 * 4)


def test_states_that_do_not_belong_together_are_not_merged() -> None:
    net = parameters()
    adam = optimiser(net)
    adam.step()
    early = deepcopy(adam.state_dict())
    adam.step()
    with pytest.raises(SettingsError, match="workers 0 and 1 are of different networks or steps"):
        merged_state([early, adam.state_dict()])
    with pytest.raises(SettingsError, match="no states"):
        merged_state([])
