"""Quantized Adam: what three processes agree on, survive and refuse together."""

from __future__ import annotations

import os
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
    SHAPES,
    WORKERS,
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

from styleshuffle.optim import QuantizedAdam, merged_state

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
    return records_of(work, WORKERS, tmp_path_factory.mktemp("workers"))


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
