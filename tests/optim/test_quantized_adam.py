"""Quantized Adam with one worker: what it computes, saves, copies and certifies."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
import torch
from quantized_runs import (
    exact_updates,
    flat,
    give_gradients,
    gradients,
    kept,
    optimiser,
    parameters,
)
from torch import nn

from styleshuffle.errors import SettingsError
from styleshuffle.optim import GenericAdam, QuantizedAdam
from styleshuffle.optim.quantisers import magnitudes, quantise_weights

# --------------------------------------------------------------------------------------------------------- one worker


@pytest.mark.parametrize("schedule", [{}, {"s": 0, "r": 0, "a": 0.001}])
def test_one_worker_that_rounds_nothing_is_adam_without_bias_correction(schedule: dict[str, float]) -> None:
    net = parameters()
    adam = optimiser(net, gradient_bits=None, **schedule)
    expected = flat(net.values()).double()
    for t, update in enumerate(exact_updates(0, 30, **schedule), 1):
        give_gradients(net, 0, t)
        adam.step()
        expected -= update
        assert (flat(net.values()) - expected).abs().max() < 1e-5
    assert adam.bytes_sent == 0


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_weights_minus_error_move_by_the_unquantised_update(bits: int) -> None:
    net = parameters()
    adam = optimiser(net, gradient_bits=bits)
    start = flat(net.values()).double()
    done = torch.zeros_like(start)
    for t, update in enumerate(exact_updates(0, 30), 1):
        before = flat(net.values())
        give_gradients(net, 0, t)
        adam.step()
        done += update
        assert (flat(net.values()) - kept(adam, net, "error") - (start - done)).abs().max() < 1e-5
        for moved in (flat(net.values()) - before).split([12, 4, 1, 72]):
            units = (moved / moved.abs().max()).mul(1024).round().abs().unique() / 1024
            assert set(units.tolist()) <= set(magnitudes(bits))
    assert kept(adam, net, "error").abs().max() > 1e-3


def test_without_feedback_nothing_is_kept_and_the_errors_remain() -> None:
    net = parameters()
    adam = optimiser(net, error_feedback=False)
    expected = flat(net.values()).double() - sum(exact_updates(0, 30))
    for t in range(1, 31):
        give_gradients(net, 0, t)
        adam.step()
    assert (flat(net.values()) - expected).abs().max() > 0.01
    assert all("error" not in adam.state[parameter] for parameter in net.values())


def test_error_feedback_makes_up_for_ternary_rounding() -> None:
    """A quadratic with noise: one coordinate is far off, the updates of the others are less than half as large as its."""

    def mean_distance(**settings: Any) -> float:
        random = torch.Generator().manual_seed(0)
        x = nn.Parameter(torch.tensor([1000.0] + [1.0] * 15))
        adam = QuantizedAdam([x], lr=0.2, beta=0.97, **settings)
        distances = []
        for _ in range(600):
            x.grad = x.detach() + 2 * torch.randn(16, generator=random)
            adam.step()
            distances.append(float(x.detach()[1:].norm()))
        return sum(distances[-200:]) / 200

    unrounded = mean_distance(gradient_bits=None)
    assert mean_distance(gradient_bits=2) == pytest.approx(unrounded, rel=0.05)
    assert mean_distance(gradient_bits=2, error_feedback=False) > 2 * unrounded


def test_schedulers_set_the_step_size() -> None:
    nets = [parameters(), parameters()]
    adams = [optimiser(net, gradient_bits=None) for net in nets]
    scheduler = torch.optim.lr_scheduler.LambdaLR(adams[1], lambda step: 0.5)
    starts = [flat(net.values()) for net in nets]
    for net, adam in zip(nets, adams, strict=True):
        give_gradients(net, 0, 1)
        adam.step()
    scheduler.step()
    moved = [flat(net.values()) - start for net, start in zip(nets, starts, strict=True)]
    assert torch.allclose(moved[1], 0.5 * moved[0], atol=1e-6)


def test_the_network_runs_with_quantised_weights_and_full_precision_is_kept() -> None:
    net, whole = parameters(), parameters()
    adam, reference = optimiser(net, weight_bits=4), optimiser(whole)
    with adam.full_precision():  # before the first step there is no difference yet
        assert torch.equal(flat(net.values()), flat(whole.values()))
    for t in range(1, 6):
        for some, one in ((net, adam), (whole, reference)):
            give_gradients(some, 0, t)
            one.step()
        shown = [parameter.detach().clone() for parameter in net.values()]
        for value, exact in zip(shown, whole.values(), strict=True):
            assert torch.equal(value, quantise_weights(exact.detach(), 4))
        assert len(net["last.weight"].unique()) <= 15
        with adam.full_precision():
            assert torch.equal(flat(net.values()), flat(whole.values()))
        assert torch.equal(flat(net.values()), flat(shown))


def test_weights_saved_with_quantised_ones_go_on_without() -> None:
    net = parameters()
    adam = optimiser(net, weight_bits=2, error_feedback=False)
    give_gradients(net, 0, 1)
    adam.step()
    with adam.full_precision():
        exact = flat(net.values())
    assert not torch.equal(flat(net.values()), exact)
    whole = optimiser(net, lr=0, error_feedback=False)
    whole.load_state_dict(deepcopy(adam.state_dict()) | {"param_groups": whole.state_dict()["param_groups"]})
    whole.step()
    assert torch.equal(flat(net.values()), exact)


@pytest.mark.parametrize("settings", [{}, {"gradient_bits": 4, "weight_bits": 8}, {"error_feedback": False}])
def test_a_saved_state_goes_on_bit_for_bit(settings: dict[str, Any]) -> None:
    net = parameters()
    adam = optimiser(net, **settings)
    for t in range(1, 9):
        if t == 5:
            file = BytesIO()
            torch.save([adam.state_dict(), {name: value.detach() for name, value in net.items()}], file)
        give_gradients(net, 0, t)
        adam.step()
    file.seek(0)
    state, values = torch.load(file, weights_only=True)
    resumed = {name: nn.Parameter(value) for name, value in values.items()}
    again = optimiser(resumed, lr=5.0, **settings)  # lr is taken from the state
    again.load_state_dict(state)
    for t in range(5, 9):
        give_gradients(resumed, 0, t)
        again.step()
    assert torch.equal(flat(resumed.values()), flat(net.values()))
    for name in adam.state[net["scale"]].keys() - {"step"}:
        assert torch.equal(kept(again, resumed, name), kept(adam, net, name))


@pytest.mark.parametrize("settings", [{}, {"weight_bits": 8, "gradient_bits": 4}])
@pytest.mark.parametrize("copied", [deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_as_the_original(settings: dict[str, Any], copied: Callable[[Any], Any]) -> None:
    net = parameters()
    adam = optimiser(net, **settings)
    for t in range(1, 4):
        give_gradients(net, 0, t)
        adam.step()
    twin_net, twin = copied((net, adam))
    assert twin.param_groups[0]["params"][0] is twin_net["first.weight"]
    for some, one in ((net, adam), (twin_net, twin)):
        for t in range(4, 7):
            give_gradients(some, 0, t)
            one.step()
    assert torch.equal(flat(twin_net.values()), flat(net.values()))
    assert torch.equal(kept(twin, twin_net, "error"), kept(adam, net, "error"))
    assert twin.certificate()["steps"] == {"done": 6, "skipped": 0}


@pytest.mark.parametrize("settings", [{}, {"weight_bits": 4}, {"weight_bits": 4, "weight_range": 0.5}])
def test_weights_that_were_changed_between_steps_stay_changed(settings: dict[str, Any]) -> None:
    net = parameters()
    adam = optimiser(net, lr=1e-4, **settings)
    give_gradients(net, 0, 1)
    adam.step()
    with torch.no_grad():
        net["first.weight"].clamp_(-0.25, 0.25)
        net["last.weight"].data[0] = 0.3  # past autograd's bookkeeping
    loaded = nn.ParameterList(net.values())
    loaded.load_state_dict(loaded.state_dict() | {"1": torch.full((4,), 0.35)})
    give_gradients(net, 0, 2)
    adam.step()
    assert net["first.weight"].abs().max() < 0.2502
    with adam.full_precision():
        assert net["first.weight"].abs().max() < 0.32  # a weight that is shown as 0.25, and so was not changed
        assert (net["first.bias"] - 0.35).abs().max() < 2e-4
        assert (net["last.weight"][0] - 0.3).abs().max() < 2e-4
        assert net["last.weight"][1].abs().max() > 0.3  # what was not touched is as exact as it was


@pytest.mark.parametrize("settings", [{"weight_decay": 0.3}, {"maximize": True}, {"weight_decay": 0.3, "maximize": True}])
def test_weight_decay_and_maximize_are_those_of_generic_adam(settings: dict[str, Any]) -> None:
    nets = [parameters(), parameters()]
    for net, adam in (
        (nets[0], optimiser(nets[0], gradient_bits=None, **settings)),
        (nets[1], GenericAdam(nets[1].values(), lr=0.1, **settings)),
    ):
        for t in range(1, 6):
            give_gradients(net, 0, t)
            adam.step()
    assert torch.allclose(flat(nets[0].values()), flat(nets[1].values()), atol=1e-5)
    for parameter, gradient in zip(nets[0].values(), gradients(0, 5), strict=True):
        assert torch.equal(parameter.grad, gradient)  # left as it was


def test_an_empty_tensor_does_no_harm_and_a_sparse_gradient_is_refused() -> None:
    net = [nn.Parameter(torch.empty(0, 3)), nn.Parameter(torch.ones(2))]
    adam = QuantizedAdam(net, lr=0.1, weight_bits=8)
    for parameter in net:
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    assert net[0].shape == (0, 3) and net[1].max() < 1
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(SettingsError, match=r"QuantizedAdam cannot use a sparse gradient; make it dense"):
        QuantizedAdam(table.parameters()).step()


def test_a_gradient_scaler_makes_it_skip_and_unscales() -> None:
    nets = [parameters(), parameters()]
    adam, plain = optimiser(nets[0]), optimiser(nets[1])
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for t in range(1, 5):
        for parameter in nets[0].values():
            parameter.grad = None
        loss = sum((parameter * t).sum() for parameter in nets[0].values())
        scaler.scale(loss * (float("inf") if t == 2 else 1)).backward()
        scaler.step(adam)
        scaler.update()
        if t != 2:
            for parameter in nets[1].values():
                parameter.grad = torch.full_like(parameter, t)
            plain.step()
    assert torch.equal(flat(nets[0].values()), flat(nets[1].values()))
    assert adam.certificate()["steps"] == {"done": 3, "skipped": 1} and scaler.get_scale() == 512


def test_the_packed_weights_are_what_the_network_runs_with() -> None:
    net = parameters()
    adam = optimiser(net, weight_bits=4)
    with pytest.raises(SettingsError, match="no quantised weights"):
        adam.packed_weights()
    give_gradients(net, 0, 1)
    adam.step()
    for packed, parameter in zip(adam.packed_weights(), net.values(), strict=True):
        assert torch.equal(packed.weights(), parameter)
        assert packed.bytes == 4 * ((parameter.numel() + 7) // 8) + 4


def test_the_certificate_says_what_holds_and_what_was_measured() -> None:
    net = parameters()
    adam = optimiser(net, weight_bits=8)
    random = torch.Generator().manual_seed(0)

    def closure() -> float:
        for parameter in net.values():
            parameter.grad = parameter.detach() + 0.1 * torch.randn(parameter.shape, generator=random)
        return float(sum((parameter.detach() ** 2).sum() / 2 for parameter in net.values()))

    for _ in range(200):
        adam.step(closure)
    certificate = json.loads(json.dumps(adam.certificate()))
    assert certificate["verdict"] == "holds"
    assert [condition["verdict"] for condition in certificate["conditions"]] == ["holds"] * 9
    assert certificate["steps"] == {"done": 200, "skipped": 0}
    first, last = certificate["observed"]["loss"]
    assert last < first / 5
    assert certificate["observed"]["times_smaller"] > 1 and certificate["promised"]["times_smaller"] > 1
    assert certificate["promised"]["rate"] == "log T / sqrt(T)"
    assert 0 < certificate["rounding"]["contraction_at_most"] < 1
    assert [(row["first"], row["last"]) for row in certificate["rows"]] == [
        (2**k, min(2 ** (k + 1) - 1, 200)) for k in range(8)
    ]
    alpha = [0.1 / t**0.5 for t in range(1, 201)]
    quotient = sum(a * (0.9 / t) ** 0.5 for t, a in enumerate(alpha, 1)) / (200 * alpha[-1])
    assert certificate["rows"][-1]["quotient"] == pytest.approx(quotient)


def test_the_certificate_does_not_hold_what_cannot_be_told() -> None:
    net = parameters()
    adam = optimiser(net, s=0, r=0, a=0.001, error_feedback=False)
    give_gradients(net, 0, 1)
    adam.step()
    assert adam.certificate()["verdict"] == "fails"  # Adam with constant theta
    adam = optimiser(net)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(adam, 0.5)
    for t in range(1, 4):
        give_gradients(net, 0, t)
        adam.step()
        scheduler.step()
    certificate = adam.certificate()
    assert certificate["verdict"] == "cannot tell"
    assert "lr was changed while training" in certificate["conditions"][3]["evidence"]


def test_nothing_is_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    net = parameters()
    adam = optimiser(net)
    for t in range(1, 4):
        give_gradients(net, 0, t)
        adam.step()
    deepcopy(adam).state_dict()
    assert [str(warning.message) for warning in recwarn] == []
