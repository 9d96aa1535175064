"""Quantized Adam: what it computes alone, and what three processes agree on, survive and refuse together."""

from __future__ import annotations

import json
import os
import pickle
import traceback
import warnings
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from io import BytesIO
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from styleshuffle.errors import SettingsError, WorkerError
from styleshuffle.optim import GenericAdam, QuantizedAdam, merged_state
from styleshuffle.optim.header import BYTES
from styleshuffle.optim.quantisers import magnitudes, quantise_weights

SHAPES = {"first.weight": (4, 3), "first.bias": (4,), "scale": (), "last.weight": (2, 4, 3, 3)}
WORKERS = 3


def parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    random = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}


def optimiser(net: dict[str, nn.Parameter], **settings: Any) -> QuantizedAdam:
    return QuantizedAdam([{"params": list(net.values()), "param_names": list(net)}], **{"lr": 0.1, **settings})


def gradients(rank: int, step: int) -> list[Tensor]:
    """Noise about a mean that depends on the worker, and sizes that depend on the parameter."""
    random = torch.Generator().manual_seed(1000 * rank + step)
    return [
        (torch.randn(shape, generator=random) + 0.5 * rank) * 10.0**-index for index, shape in enumerate(SHAPES.values())
    ]


def give_gradients(net: dict[str, nn.Parameter], rank: int, step: int) -> None:
    for parameter, gradient in zip(net.values(), gradients(rank, step), strict=True):
        parameter.grad = gradient


def flat(tensors: Any) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def kept(adam: QuantizedAdam, net: dict[str, nn.Parameter], name: str) -> Tensor:
    return flat(adam.state[parameter][name] for parameter in net.values())


def exact_updates(rank: int, steps: int, lr: float = 0.1, s: float = 0.5, r: float = 1.0, a: float = 0.9) -> list[Tensor]:
    """alpha_t m / sqrt(v) of every step, written down as in the module's docstring, in float64."""
    m, v, updates = 0.0, 1e-12, []
    for t in range(1, steps + 1):
        g = flat(gradients(rank, t)).double()
        theta = 1 - a / t**r
        v = theta * v + (1 - theta) * g**2
        m = 0.9 * m + 0.1 * g
        updates.append(lr / t**s * m / v**0.5)
    return updates


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


# ------------------------------------------------------------------------------------------------------ three workers
#
# Every process goes through all scenarios and writes down what it saw; the tests look at the records.


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")  # such as torch's of collectives that have new names
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=WORKERS, timeout=timedelta(seconds=60))
    two = dist.new_group([0, 1])
    records: dict[str, Any] = {}
    try:
        for scenario in (quantise_everything, send_unrounded, take_turns_with_nan, leave_one_gradient_out, differ):
            records[scenario.__name__] = scenario(rank)
        records["resume"] = resume(rank, two)
        records["lose_a_worker"] = lose_a_worker(rank)
    except Exception:
        records["failure"] = traceback.format_exc()
    torch.save(records, Path(folder) / f"{rank}.pt")
    os._exit(0)  # without waiting for the lost worker


def refusal(action: Callable[[], Any]) -> str:
    try:
        action()
    except WorkerError as error:
        return str(error)
    return "none"


def quantise_everything(rank: int) -> dict[str, list[Tensor]]:
    net = parameters(seed=rank)  # other weights on every worker, at first
    adam = optimiser(net, gradient_bits=2, weight_bits=8)
    seen: dict[str, list[Any]] = {"shown": [], "exact": [], "error": [], "bytes": []}
    for t in range(1, 8):
        give_gradients(net, rank, t)
        adam.step()
        seen["shown"].append(flat(net.values()))
        seen["exact"].append(kept(adam, net, "master"))
        seen["error"].append(kept(adam, net, "error"))
        seen["bytes"].append(adam.bytes_sent)
    return seen


def send_unrounded(rank: int) -> Tensor:
    net = parameters()
    adam = optimiser(net, gradient_bits=None)
    for t in range(1, 4):
        give_gradients(net, rank, t)
        adam.step()
    return flat(net.values())


def take_turns_with_nan(rank: int) -> dict[str, Any]:
    """A step that fails on all because of worker 1, then one that does not."""
    net = parameters()
    adam = optimiser(net)
    give_gradients(net, rank, 1)
    adam.step()
    before = flat([*net.values(), *(kept(adam, net, name) for name in ("mean", "square", "error"))])
    if rank == 1:
        net["first.bias"].grad[2] = float("nan")
    message = refusal(adam.step)
    after = flat([*net.values(), *(kept(adam, net, name) for name in ("mean", "square", "error"))])
    give_gradients(net, rank, 2)
    adam.step()
    return {"message": message, "before": before, "after": after, "then": flat(net.values())}


def leave_one_gradient_out(rank: int) -> list[Tensor]:
    """Worker 2 has no gradient for a parameter; and the same with a gradient of 0."""
    results = []
    for absent in (None, torch.zeros(SHAPES["first.weight"])):
        net = parameters()
        adam = optimiser(net)
        for t in range(1, 4):
            give_gradients(net, rank, t)
            if rank == 2:
                net["first.weight"].grad = absent
            adam.step()
        results.append(flat(net.values()))
    return results


def differ(rank: int) -> list[str]:
    """Worker 2 sends more bits; worker 1 has another network; worker 2 is a step ahead."""
    bits = optimiser(parameters(), gradient_bits=3 if rank == 2 else 2)
    shape = QuantizedAdam([nn.Parameter(torch.zeros(4 if rank == 1 else 5))])
    ahead = optimiser(parameters())
    ahead.step()
    state = deepcopy(ahead.state_dict())
    for entry in state["state"].values():
        entry["step"] += int(rank == 2)
    ahead.load_state_dict(state)
    return [refusal(adam.step) for adam in (bits, shape, ahead)]


def resume(rank: int, two: dist.ProcessGroup) -> dict[str, Any]:
    """Four steps, saved after two; the others again on all three workers, and on two of them."""
    net = parameters()
    adam = optimiser(net)
    for t in range(1, 5):
        if t == 3:
            saved = deepcopy((adam.state_dict(), flat(net.values())))
        give_gradients(net, rank, t)
        adam.step()
    uninterrupted = flat(net.values())

    def go_on(state: dict[str, Any], group: dist.ProcessGroup | None) -> list[Tensor]:
        again = parameters(seed=9 + rank)
        for parameter, value in zip(again.values(), saved[1].split([p.numel() for p in net.values()]), strict=True):
            parameter.data = value.view(parameter.shape).clone()
        resumed = optimiser(again, process_group=group)
        resumed.load_state_dict(deepcopy(state))
        for t in (3, 4):
            give_gradients(again, rank, t)
            resumed.step()
        return [flat(again.values()), kept(resumed, again, "error")]

    states: list[Any] = [None] * WORKERS
    dist.all_gather_object(states, saved[0])
    record = {"saved": saved[1], "states": states, "uninterrupted": uninterrupted, "again": go_on(saved[0], None)[0]}
    if rank < 2:
        record["on two"] = go_on(merged_state(states), two)
    return record


def lose_a_worker(rank: int) -> dict[str, Any]:
    net = parameters()
    adam = optimiser(net)
    adam.step()
    before = flat(net.values())
    give_gradients(net, rank, 1)
    if rank == 2:
        return {}
    return {"message": refusal(adam.step), "before": before, "after": flat(net.values())}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("workers")
    context = get_context("forkserver")  # imports torch once, not in each process
    context.set_forkserver_preload(["pytest", "torch.distributed", "torch._dynamo"])
    processes = [context.Process(target=work, args=(rank, str(folder)), daemon=True) for rank in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    found = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORKERS)]
    for record in found:
        assert "failure" not in record, record["failure"]
    return found


def test_all_workers_hold_the_same_weights_after_every_step(records: list[dict[str, Any]]) -> None:
    seen = [record["quantise_everything"] for record in records]
    for name in ("shown", "exact"):
        for first, *others in zip(*(one[name] for one in seen), strict=True):
            assert all(torch.equal(other, first) for other in others)
    assert not torch.equal(seen[0]["shown"][-1], seen[0]["exact"][-1])
    assert not torch.equal(seen[0]["error"][-1], seen[1]["error"][-1])


def test_weights_minus_mean_error_move_by_the_mean_unquantised_update(records: list[dict[str, Any]]) -> None:
    seen = [record["quantise_everything"] for record in records]
    expected = flat(parameters(seed=0).values()).double()  # rank 0's weights count
    updates = zip(*(exact_updates(rank, 7) for rank in range(WORKERS)), strict=True)
    for t, of_workers in enumerate(updates):
        expected -= sum(of_workers) / WORKERS
        error = sum(one["error"][t] for one in seen) / WORKERS
        assert (seen[0]["exact"][t] - error - expected).abs().max() < 1e-5


def test_unrounded_the_weights_move_by_the_mean_of_local_adams(records: list[dict[str, Any]]) -> None:
    updates = [sum(exact_updates(rank, 3)) for rank in range(WORKERS)]
    expected = flat(parameters().values()) - sum(updates) / WORKERS
    for record in records:
        assert (record["send_unrounded"] - expected).abs().max() < 1e-5
        assert torch.equal(record["send_unrounded"], records[0]["send_unrounded"])


def test_bytes_are_counted(records: list[dict[str, Any]]) -> None:
    for rank, record in enumerate(records):
        counts = record["quantise_everything"]["bytes"]
        step = (WORKERS - 1) * optimiser(parameters()).protocol_bytes.up
        assert [later - earlier for earlier, later in pairwise(counts)] == [step] * 6
        assert counts[0] - step == (89 * 4 if rank == 0 else 0)  # at first rank 0 also gives away its weights


def test_nan_on_one_worker_stops_all_before_the_step_and_all_can_go_on(records: list[dict[str, Any]]) -> None:
    for record in records:
        seen = record["take_turns_with_nan"]
        assert seen["message"].startswith("worker 1: the gradient of first.bias is not finite")
        assert torch.equal(seen["before"], seen["after"])
        assert torch.equal(seen["then"], records[0]["take_turns_with_nan"]["then"])
        assert not torch.equal(seen["then"], seen["before"][: len(seen["then"])])


def test_a_gradient_that_one_worker_lacks_counts_as_zero(records: list[dict[str, Any]]) -> None:
    for record in records:
        absent, zero = record["leave_one_gradient_out"]
        assert torch.equal(absent, zero)
        assert torch.equal(absent, records[0]["leave_one_gradient_out"][0])


def test_workers_that_differ_are_told_so(records: list[dict[str, Any]]) -> None:
    for record in records:
        bits, shape, step = record["differ"]
        assert bits.startswith("workers 0 and 2 differ: gradient_bits; ")
        assert shape.startswith("workers 0 and 1 differ: shapes of the parameters; ")
        assert step.startswith("workers 0 and 2 differ: number of steps done (1 and 2): ")


def test_the_same_workers_resume_bit_for_bit(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert torch.equal(record["resume"]["again"], record["resume"]["uninterrupted"])


def test_fewer_workers_resume_and_lose_no_error(records: list[dict[str, Any]]) -> None:
    states = records[0]["resume"]["states"]
    e = sum(flat(entry["error"] for entry in state["state"].values()) for state in states) / WORKERS
    m = sum(flat(entry["mean"] for entry in state["state"].values()) for state in states).double() / WORKERS
    v = sum(flat(entry["square"] for entry in state["state"].values()) for state in states).double() / WORKERS
    assert e.abs().max() > 1e-3
    moments = [(m, v), (m, v)]
    expected = records[0]["resume"]["saved"] - e.double()
    for t in (3, 4):
        for rank, (m, v) in enumerate(moments):
            g = flat(gradients(rank, t))
            moments[rank] = m, v = 0.9 * m + 0.1 * g, (1 - 0.9 / t) * v + 0.9 / t * g**2
            expected -= 0.1 / t**0.5 * m / v**0.5 / 2
    weights, errors = zip(*(record["resume"]["on two"] for record in records[:2]), strict=True)
    assert torch.equal(*weights) and not torch.equal(*errors)
    assert (weights[0] - sum(errors) / 2 - expected).abs().max() < 1e-5


def test_a_lost_worker_ends_the_others_in_one_line(records: list[dict[str, Any]]) -> None:
    for rank in (0, 1):
        seen = records[rank]["lose_a_worker"]
        assert seen["message"].startswith(f"worker {rank}: lost contact with the other workers: ")
        assert "\n" not in seen["message"] and seen["message"].endswith("from the last checkpoint")
        assert torch.equal(seen["before"], seen["after"])
