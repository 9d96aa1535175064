"""Quantized Adam on four workers, each of which serves a part of the weights: what they hold, send, keep and refuse."""

from __future__ import annotations

import traceback
import warnings
from copy import deepcopy
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from quantized_runs import (
    exact_updates,
    flat,
    give_gradients,
    gradients,
    kept,
    optimiser,
    parameters,
    records_of,
    refusal,
)
from torch import Tensor, nn
from torch.amp import GradScaler

from styleshuffle.errors import SettingsError
from styleshuffle.optim import QuantizedAdam, merged_state
from styleshuffle.optim.quantisers import quantise_weights

WORKERS = 4


def work(rank: int, folder: str) -> None:
    """Every process goes through all scenarios and writes down what it saw."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=WORKERS, timeout=timedelta(seconds=60))
    two = dist.new_group([0, 1])
    records: dict[str, Any] = {}
    scenarios = (send_differences, send_weights, send_unrounded, count_bytes, skip_together, change_weights, raise_bits)
    try:
        for scenario in scenarios:
            records[scenario.__name__] = scenario(rank)
        records["refuse"] = refuse(rank)
        records["disagree"] = disagree(rank)
        records["resume"] = {str(bits): resume(rank, two, bits) for bits in (None, 8)}
    except Exception:
        records["failure"] = traceback.format_exc()
    torch.save(records, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def send_differences(rank: int) -> dict[str, Any]:
    net = parameters(seed=rank)  # other weights on every worker, at first
    adam = optimiser(net, server_bits=3)
    seen: dict[str, list[Any]] = {"weights": [], "error": [], "served": []}
    for t in range(1, 8):
        give_gradients(net, rank, t)
        adam.step()
        seen["weights"].append(flat(net.values()))
        seen["error"].append(kept(adam, net, "error"))
        seen["served"].append(kept(adam, net, "served_error"))
    return seen | {"way": adam.certificate()["bytes"]["way"]}


def send_weights(rank: int) -> list[dict[str, Any]]:
    """Q_x(x) comes down: with a scale a tensor, and with the fixed range of the paper, which some weights exceed."""
    records = []
    for settings in ({"weight_bits": 6}, {"weight_bits": 4, "weight_range": 0.5}):
        net = parameters(seed=rank)
        adam = optimiser(net, gradient_bits=None, server=True, **settings)
        for t in range(1, 4):
            give_gradients(net, rank, t)
            adam.step()
        with adam.full_precision():
            exact = flat(net.values())
        packed = [part.weights() for part in adam.packed_weights()]
        served = kept(adam, net, "served_weights")
        records.append({"exact": exact, "shown": flat(net.values()), "packed": flat(packed), "served": served})
    return records


def send_unrounded(rank: int) -> Tensor:
    net = parameters()
    adam = optimiser(net, gradient_bits=None, server=True)
    for t in range(1, 4):
        give_gradients(net, rank, t)
        adam.step()
    return flat(net.values())


def count_bytes(rank: int) -> dict[str, Any]:
    """A network of 100,000 weights."""
    net = [nn.Parameter(torch.zeros(300, 300)), nn.Parameter(torch.zeros(10_000))]
    adam = QuantizedAdam(net)
    counts = []
    for t in range(4):
        random = torch.Generator().manual_seed(10 * rank + t)
        for parameter in net:
            parameter.grad = torch.randn(parameter.shape, generator=random)
        adam.step()
        counts.append(adam.bytes_sent)
    return {"counts": counts, "certificate": adam.certificate()["bytes"]}


def skip_together(rank: int) -> dict[str, Any]:
    """Worker 2 has an inf under GradScaler in its second step; all go on with the third."""
    net = parameters()
    adam, scaler = optimiser(net), GradScaler("cpu", init_scale=8.0)
    weights = []
    for t in range(1, 4):
        for parameter in net.values():
            parameter.grad = None
        loss = sum((parameter * (rank + t)).sum() for parameter in net.values())
        scaler.scale(loss).backward()
        if (rank, t) == (2, 2):
            net["scale"].grad.fill_(float("inf"))
        scaler.step(adam)
        scaler.update()
        weights.append(flat(net.values()))
    plain = parameters()
    other = optimiser(plain)
    for t in (1, 3):
        for parameter in plain.values():
            parameter.grad = torch.full_like(parameter, rank + t)
        other.step()
    steps = adam.certificate()["steps"]
    return {"weights": weights, "steps": steps, "without scaler": flat(plain.values()), "scale": scaler.get_scale()}


def change_weights(rank: int) -> dict[str, Any]:
    """All clamp the weights after every step; then worker 1 alone changes some."""
    net = parameters()
    adam = optimiser(net, weight_bits=8, server=True)
    for t in range(1, 4):
        give_gradients(net, rank, t)
        adam.step()
        with torch.no_grad():
            for parameter in net.values():
                parameter.clamp_(-0.5, 0.5)
    with adam.full_precision():  # x as of the last step, before the last clamp
        exact = flat(net.values())

    net = parameters()
    adam = optimiser(net)

    def go_on_until_noticed() -> None:
        for t in range(1, 60):
            give_gradients(net, rank, t)
            adam.step()
            if (rank, t) == (1, 10):
                net["scale"].data.add_(1.0)

    return {"exact": exact, "message": refusal(go_on_until_noticed)}


def raise_bits(rank: int) -> dict[str, Any]:
    net = [nn.Parameter(torch.zeros(3000)), nn.Parameter(torch.zeros(20_000))]
    floor = QuantizedAdam(net).protocol_bytes
    free = QuantizedAdam(net, byte_budget=16_000)
    before = free.certificate()["bytes"]["sent_a_step"]
    for t in range(120):
        random = torch.Generator().manual_seed(7 * t + rank)
        for parameter in net:
            parameter.grad = torch.randn(parameter.shape, generator=random) ** 3
        free.step()
    refused = "none"
    try:
        QuantizedAdam(net, byte_budget=1000).protocol_bytes  # noqa: B018
    except SettingsError as error:
        refused = str(error)
    weights = flat(net)
    certificate = free.certificate()
    saved = deepcopy(free.state_dict())
    again = QuantizedAdam(net, byte_budget=16_000)
    again.load_state_dict(saved)
    return {
        "before": before,
        "bytes": certificate["bytes"],
        "floor": certificate["rounding"]["error_floor"],
        "again": again.certificate()["bytes"]["sent_a_step"],
        "refused": refused,
        "weights": weights,
        "up": floor.up,
    }


def refuse(rank: int) -> list[str]:
    """Worker 3 has another setting, another order of parameters, and, from its second step on, another lr."""
    messages = []
    for settings in ({"s": 0.6}, {"eps": 1e-8}, {"error_feedback": False}, {"server_bits": 2}, {"weight_decay": 0.1}):
        messages.append(refusal(optimiser(parameters(), **(settings if rank == 3 else {})).step))
    net = parameters()
    if rank == 3:
        net = dict(reversed(net.items()))
    messages.append(refusal(optimiser(net).step))
    adam = optimiser(parameters())
    adam.step()
    if rank == 3:
        adam.param_groups[0]["lr"] = 0.2
    messages.append(refusal(adam.step))
    try:
        adam.add_param_group({"params": [nn.Parameter(torch.zeros(3))]})
    except SettingsError as error:
        messages.append(str(error))
    return messages


def disagree(rank: int) -> dict[str, Any]:
    """Half of the workers have the gradient 10 (x - 1), the others x + 1; then all have the same, with noise."""

    def run(noise: float, differ: bool) -> dict[str, Any]:
        random = torch.Generator().manual_seed(rank)
        x = nn.Parameter(torch.zeros(8))
        adam = QuantizedAdam([x], lr=0.1, gradient_bits=None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(220):
                pull = 10 * (x.detach() - 1) if rank % 2 or not differ else x.detach() + 1
                x.grad = pull + noise * torch.randn(8, generator=random)
                adam.step()
        said = [str(warning.message) for warning in caught if "differ by more than chance" in str(warning.message)]
        conditions = {condition["name"]: condition["verdict"] for condition in adam.certificate()["conditions"]}
        return {"said": said, "verdict": conditions["all workers draw from the same data"], "x": float(x.mean())}

    return {"differ": run(0.0, True), "noisy": run(1.0, True), "alike": run(1.0, False)}


def resume(rank: int, two: dist.ProcessGroup, weight_bits: int | None) -> dict[str, Any]:
    """Six steps, saved after three; the others again on all four workers, and on two of them."""
    net = parameters()
    settings = {"weight_bits": weight_bits, "server": True}
    adam = optimiser(net, **settings)
    for t in range(1, 7):
        if t == 4:
            saved = deepcopy((adam.state_dict(), {name: value.detach() for name, value in net.items()}))
        give_gradients(net, rank, t)
        adam.step()
    record: dict[str, Any] = {"uninterrupted": flat(net.values())}
    states: list[Any] = [None] * WORKERS
    dist.all_gather_object(states, saved[0])

    def go_on(state: dict[str, Any], group: dist.ProcessGroup | None, **settings: Any) -> tuple[Tensor, Tensor]:
        again = {name: nn.Parameter(value.clone()) for name, value in saved[1].items()}
        resumed = optimiser(again, process_group=group, **settings)
        resumed.load_state_dict(deepcopy(state))
        for t in range(4, 7):
            give_gradients(again, rank, t)
            resumed.step()
        with resumed.full_precision():
            return flat(again.values()), kept(resumed, again, "error")

    record["again"] = go_on(saved[0], None, **settings)[0] if weight_bits is None else None
    if weight_bits is not None:  # as shown, not exact
        again = {name: nn.Parameter(value.clone()) for name, value in saved[1].items()}
        resumed = optimiser(again, **settings)
        resumed.load_state_dict(deepcopy(saved[0]))
        for t in range(4, 7):
            give_gradients(again, rank, t)
            resumed.step()
        record["again"] = flat(again.values())
    if rank < 2:
        record["on two"] = go_on(merged_state(states), two, weight_bits=weight_bits)
    merged = merged_state(states)["state"]
    whole = {
        name: flat(merged[index][name] for index in merged) if name in merged[0] else None
        for name in ("served_error", "served_weights", "error", "mean", "square")
    }
    return record | {"merged": whole, "saved": flat(saved[1].values())}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return records_of(work, WORKERS, tmp_path_factory.mktemp("servers"))


def mean_updates(steps: int) -> list[Tensor]:
    return [sum(of) / WORKERS for of in zip(*(exact_updates(rank, steps) for rank in range(WORKERS)), strict=True)]


def test_with_four_workers_each_serves_a_part_and_all_hold_the_same_weights(records: list[dict[str, Any]]) -> None:
    seen = [record["send_differences"] for record in records]
    assert {one["way"] for one in seen} == {"servers"}
    for first, *others in zip(*(one["weights"] for one in seen), strict=True):
        assert all(torch.equal(other, first) for other in others)
    assert sum(len(one["served"][0]) for one in seen) == 89
    assert len({len(one["served"][0]) for one in seen}) <= 2  # as equal as can be


def test_weights_minus_what_workers_and_servers_hold_back_move_by_the_mean_update(records: list[dict[str, Any]]) -> None:
    seen = [record["send_differences"] for record in records]
    expected = flat(parameters(seed=0).values()).double()  # rank 0's weights count
    for t, update in enumerate(mean_updates(7)):
        expected = expected - update
        error = sum(one["error"][t] for one in seen) / WORKERS
        served = torch.cat([one["served"][t] for one in seen])
        assert (seen[0]["weights"][t] - error - served - expected).abs().max() < 1e-5
    assert served.abs().max() > 1e-3


def test_quantised_weights_come_down_and_only_servers_know_the_exact_ones(records: list[dict[str, Any]]) -> None:
    expected = flat(parameters(seed=0).values()).double() - sum(mean_updates(3))
    for index, settings in enumerate([(6, None), (4, 0.5)]):
        seen = [record["send_weights"][index] for record in records]
        assert torch.equal(torch.cat([one["served"] for one in seen]), seen[0]["exact"])
        exact = seen[0]["exact"].split([12, 4, 1, 72])
        shown = torch.cat([quantise_weights(piece, *settings) for piece in exact])
        for one in seen:
            assert torch.equal(one["exact"], seen[0]["exact"])
            assert torch.equal(one["shown"], shown) and torch.equal(one["packed"], shown)
        assert (seen[0]["exact"] - expected).abs().max() < 1e-5
    assert shown.abs().max() == 0.5 and len(shown.unique()) <= 9


def test_unrounded_the_weights_move_by_the_mean_of_local_adams(records: list[dict[str, Any]]) -> None:
    expected = flat(parameters().values()) - sum(mean_updates(3))
    for record in records:
        assert (record["send_unrounded"] - expected).abs().max() < 1e-5


def test_a_step_sends_eight_times_fewer_bytes_than_a_ring_of_float32(records: list[dict[str, Any]]) -> None:
    for record in records:
        seen = record["count_bytes"]
        first, *steps = (later - earlier for earlier, later in pairwise([0, *seen["counts"]]))
        assert len(set(steps)) == 1 and first >= steps[0]
        ring = 2 * 3 / 4 * 4 * 100_000
        assert steps[0] <= seen["certificate"]["sent_a_step"] <= ring / 8
        assert seen["certificate"]["float32_ring_all_reduce_a_step"] == ring
        assert steps[0] > 3 / 4 * 100_000 * (2 + 4) / 8  # nothing was left out


def test_an_inf_on_one_worker_makes_all_skip_the_step_and_stay_in_step(records: list[dict[str, Any]]) -> None:
    for record in records:
        first, second, third = record["skip_together"]["weights"]
        assert torch.equal(first, second) and not torch.equal(second, third)
        assert torch.equal(third, records[0]["skip_together"]["weights"][2])
        assert torch.allclose(third, record["skip_together"]["without scaler"], atol=1e-6)
        assert record["skip_together"]["steps"] == {"done": 2, "skipped": 1}
    assert records[2]["skip_together"]["scale"] < records[0]["skip_together"]["scale"] == 8.0


def test_weights_changed_by_all_are_respected_and_by_one_are_noticed_by_all(records: list[dict[str, Any]]) -> None:
    for record in records:
        seen = record["change_weights"]
        moved = sum(0.1 / t**0.5 * 4 for t in range(3, 4))  # at most, in the one step since the clamp before
        assert seen["exact"].abs().max() < 0.5 + moved
        assert seen["message"].startswith("workers 0 and 1 differ: weights, after step 50: ")


def test_bits_are_raised_as_far_as_the_budget_goes(records: list[dict[str, Any]]) -> None:
    for record in records:
        seen = record["raise_bits"]
        assert seen["before"] < seen["bytes"]["sent_a_step"] <= 16_000
        assert seen["again"] == seen["bytes"]["sent_a_step"]  # saved with the state
        assert max(seen["bytes"]["bits_up"] + seen["bytes"]["bits_down"]) == 4 and "at step 100" in seen["floor"]
        assert torch.equal(seen["weights"], records[0]["raise_bits"]["weights"])
        assert "byte_budget is 1000, but a step sends " in seen["refused"]


def test_whatever_differs_is_named_on_all_workers(records: list[dict[str, Any]]) -> None:
    names = ["s", "eps", "error_feedback", "server_bits", "weight_decay"]
    for record in records:
        *settings, order, lr, late = record["refuse"]
        assert late == "param_groups: parts are served already; add all groups before the first step"
        for name, message in zip(names, settings, strict=True):
            assert message.startswith(f"workers 0 and 3 differ: {name}; "), message
        assert order.startswith("workers 0 and 3 differ: shapes of the parameters, names of the parameters; ")
        assert lr.startswith("workers 0 and 3 differ: lr; ")
        assert all("\n" not in message for message in record["refuse"])


def test_workers_with_different_data_are_warned_of_once(records: list[dict[str, Any]]) -> None:
    for record in records:
        for name in ("differ", "noisy"):
            seen = record["disagree"][name]
            assert len(seen["said"]) == 1 and "do all draw from the same data?" in seen["said"][0]
            assert seen["verdict"] == "fails"
        assert abs(record["disagree"]["differ"]["x"] - 9 / 11) > 0.1  # the optimum of the mean loss
        assert record["disagree"]["alike"]["said"] == [] and record["disagree"]["alike"]["verdict"] == "holds"


@pytest.mark.parametrize("weight_bits", ["None", "8"])
def test_the_same_workers_resume_bit_for_bit(records: list[dict[str, Any]], weight_bits: str) -> None:
    for record in records:
        seen = record["resume"][weight_bits]
        assert torch.equal(seen["again"], seen["uninterrupted"])


def test_fewer_workers_resume_and_lose_nothing_that_was_held_back(records: list[dict[str, Any]]) -> None:
    for weight_bits in ("None", "8"):
        seen = records[0]["resume"][weight_bits]
        merged = seen["merged"]
        start = merged["served_weights"] if weight_bits == "8" else seen["saved"] - merged["served_error"]
        expected = start.double() - merged["error"].double()
        moments = [(merged["mean"].double(), merged["square"].double())] * 2
        for t in range(4, 7):
            for rank, (m, v) in enumerate(moments):
                g = flat(gradients(rank, t))
                moments[rank] = m, v = 0.9 * m + 0.1 * g, (1 - 0.9 / t) * v + 0.9 / t * g**2
                expected -= 0.1 / t**0.5 * m / v**0.5 / 2
        weights, errors = zip(*(record["resume"][weight_bits]["on two"] for record in records[:2]), strict=True)
        assert torch.equal(*weights) and not torch.equal(*errors)
        assert (weights[0] - sum(errors) / 2 - expected).abs().max() < 1e-5
