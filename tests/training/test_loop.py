"""The training loop in one process: runs that go on exactly where they were killed, refusals in one line, tables."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_runs import advance, assert_same_weights

from styleshuffle.errors import SettingsError, WeightsError, WorkerError
from styleshuffle.optim import GenericAdam
from styleshuffle.training import data
from styleshuffle.training.lines import Lines, spoken
from styleshuffle.training.log import Log
from styleshuffle.training.loop import TrainingPlan, TrainingProgress, train
from styleshuffle.training.stopping import stopping

CROPS = torch.randn((24, 4), generator=torch.Generator().manual_seed(7))
OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "generic-adam", "settings": {"r": 0.9, "s": 0.45}},
    {"optimizer": "quantized-adam", "settings": {"gradient_bits": 3, "weight_bits": 8}},
]


def small_run(plan: TrainingPlan, poison: float = 1.0, **options: Any) -> tuple[nn.Module, Iterator[TrainingProgress]]:
    torch.manual_seed(plan.seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        x = CROPS[chosen]
        error = poison * net(x) - x[:, :2] * x[:, 2:]
        return {"square": error.square().mean(), "size": 0.01 * error.abs().mean()}

    return net, train(net, losses, len(CROPS), plan, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["optimizer"])
@pytest.mark.parametrize("killed_at", [1, 27, 40, 59])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, killed_at: int, optimizer: dict[str, Any]) -> None:
    whole, steps = small_run(TrainingPlan(tmp_path / "whole", 60, 0.05, 5, **optimizer))
    assert [progress.step for progress in steps] == list(range(1, 61))
    plan = TrainingPlan(tmp_path / "parts", 60, 0.05, 5, checkpoint_seconds=-1, **optimizer)
    advance(small_run(plan)[1], killed_at)
    resumed, steps = small_run(replace(plan, resume=True))
    assert [progress.step for progress in steps][-1] == 60
    assert_same_weights(resumed, whole)
    rows = (tmp_path / "whole" / "losses.csv").read_text()
    assert rows.splitlines()[0] == "step,square,size" and len(rows.splitlines()) == 4
    assert (tmp_path / "parts" / "losses.csv").read_text() == rows


def test_steps_after_the_last_checkpoint_are_done_again_and_logged_once(tmp_path: Path) -> None:
    whole, steps = small_run(TrainingPlan(tmp_path / "whole", 80, 0.05))
    list(steps)
    often = TrainingPlan(tmp_path / "parts", 80, 0.05, checkpoint_seconds=-1)
    advance(small_run(often)[1], 20)
    seldom = replace(often, resume=True, checkpoint_seconds=1e9)
    advance(small_run(seldom)[1], 65)  # rows for 40 and 60 are written, the checkpoint is still that of 20
    resumed, steps = small_run(seldom)
    assert next(steps).step == 21
    list(steps)
    assert_same_weights(resumed, whole)
    assert (tmp_path / "parts" / "losses.csv").read_text() == (tmp_path / "whole" / "losses.csv").read_text()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["optimizer"])
def test_training_lowers_the_loss(tmp_path: Path, optimizer: dict[str, Any]) -> None:
    list(small_run(TrainingPlan(tmp_path, 400, 0.05, **optimizer))[1])
    rows = [line.split(",") for line in (tmp_path / "losses.csv").read_text().splitlines()[1:]]
    assert float(rows[-1][1]) < 0.3 * float(rows[0][1])


def test_a_folder_with_a_run_is_refused_without_resume_and_left_as_it_was(tmp_path: Path) -> None:
    list(small_run(TrainingPlan(tmp_path, 20, 0.05))[1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SettingsError, match="`resume`"):
        next(small_run(TrainingPlan(tmp_path, 20, 0.05))[1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_run_resumed_does_nothing(tmp_path: Path) -> None:
    trained, steps = small_run(TrainingPlan(tmp_path, 20, 0.05))
    list(steps)
    again, steps = small_run(TrainingPlan(tmp_path, 20, 0.05, resume=True))
    assert list(steps) == []
    assert_same_weights(again, trained)


def test_a_checkpoint_of_another_seed_network_or_of_nothing_is_refused(tmp_path: Path) -> None:
    list(small_run(TrainingPlan(tmp_path, 3, 0.05))[1])
    again = TrainingPlan(tmp_path, 3, 0.05, resume=True)
    with pytest.raises(SettingsError, match="was trained with `seed` 0, not 1; go on alike"):
        next(small_run(replace(again, seed=1))[1])
    with pytest.raises(SettingsError, match="was trained with `optimizer` adam, not generic-adam"):
        next(small_run(replace(again, optimizer="generic-adam"))[1])
    with pytest.raises(SettingsError, match="was trained as a network, not decoder of X"):
        next(small_run(again, kind="decoder of X")[1])
    other = nn.Linear(3, 3)
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        next(train(other, lambda chosen: {"x": other(torch.ones(3)).sum()}, 24, again))
    for content in (b"garbage that is no checkpoint", b""):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
            next(small_run(TrainingPlan(tmp_path, 3, 0.05, resume=True))[1])


def test_there_is_a_checkpoint_from_the_beginning_on_and_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    whole, steps = small_run(TrainingPlan(tmp_path / "whole", 12, 0.05))
    list(steps)
    done: list[int] = []
    plan = TrainingPlan(tmp_path / "parts", 12, 0.05, stop=lambda: len(done) == 4)
    _, steps = small_run(plan)
    for progress in steps:
        assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == (5 if len(done) == 4 else 0)
        done.append(progress.step)
    assert done == [1, 2, 3, 4, 5]
    resumed, steps = small_run(replace(plan, resume=True))
    assert [progress.step for progress in steps] == list(range(6, 13))
    assert_same_weights(resumed, whole)


def test_a_first_signal_asks_to_stop_and_a_second_one_does_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: taken.append(number))
    taken: list[int] = []
    try:
        with stopping() as wish:
            assert not wish.asked()
            os.kill(os.getpid(), signal.SIGTERM)
            assert wish.asked() and wish.signal == signal.SIGTERM and taken == []
            os.kill(os.getpid(), signal.SIGTERM)
            assert taken == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_a_terminal_a_line_a_minute_says_how_far_it_is() -> None:
    now, said = 0.0, []
    lines = Lines("decoder", 10_000, 100, said.append, lambda: now)
    for step in range(101, 701):
        now += 0.5
        lines.step(step, {"a": 0.25, "b": 0.5})
    assert len(said) == 5
    assert said[0] == "decoder: step 220 of 10,000, loss 0.7500, 500 ms a step, 1 h 22 min to go"
    assert [spoken(seconds) for seconds in (0.0123, 59.94, 60, 3599, 7260)] == [
        "12 ms",
        "59.9 s",
        "1 min",
        "1 h 0 min",
        "2 h 1 min",
    ]


def test_a_run_with_quantised_adam_leaves_a_certificate(tmp_path: Path) -> None:
    plan = TrainingPlan(tmp_path, 20, 0.05, optimizer="quantized-adam", checkpoint_seconds=-1)
    advance(small_run(plan)[1], 10)
    list(small_run(replace(plan, resume=True))[1])
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["steps"] == {"done": 20, "skipped": 0}  # it travels with the run
    assert certificate["observed"]["loss"] is not None and len(certificate["conditions"]) == 9


def test_the_schedules_are_those_that_the_plan_states(tmp_path: Path) -> None:
    def reference(make: Any, rates: list[float] | None = None) -> nn.Module:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = make(net.parameters())
        for step in range(9):
            if rates:
                optimizer.param_groups[0]["lr"] = rates[step]
            x = CROPS[data.draw(len(CROPS), 0, 8 * step, 8)]
            error = net(x) - x[:, :2] * x[:, 2:]
            optimizer.zero_grad()
            (error.square().mean() + 0.01 * error.abs().mean()).backward()
            optimizer.step()
        return net

    rates = [0.05 * (step + 1) / 200 * (1 - step / 9) for step in range(9)]
    net, steps = small_run(TrainingPlan(tmp_path / "adam", 9, 0.05))
    list(steps)
    assert_same_weights(net, reference(lambda some: torch.optim.Adam(some, betas=(0.9, 0.99)), rates))
    family = {"r": 0.8, "s": 0.6, "a": 0.5}
    net, steps = small_run(TrainingPlan(tmp_path / "generic", 9, 0.05, optimizer="generic-adam", settings=family))
    list(steps)
    assert_same_weights(net, reference(lambda some: GenericAdam(some, lr=0.05, **family)))


def test_resuming_takes_the_new_step_size(tmp_path: Path) -> None:
    """An error about a gradient says to lower it."""
    plan = TrainingPlan(tmp_path, 10, 0.05, checkpoint_seconds=-1, optimizer="generic-adam")
    advance(small_run(plan)[1], 4)
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["net"]
    net, steps = small_run(replace(plan, rate=1e-9, resume=True))
    assert len(list(steps)) == 6
    assert all(torch.allclose(value, before[name], atol=1e-7) for name, value in net.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["optimizer"])
def test_a_gradient_that_is_not_finite_ends_the_run_by_name_and_leaves_the_checkpoint(
    tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    plan = TrainingPlan(tmp_path, 10, 0.05, checkpoint_seconds=-1, **optimizer)
    advance(small_run(plan)[1], 4)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(WorkerError, match=r"worker 0: the gradient of 0\.weight is not finite"):
        list(small_run(replace(plan, resume=True), poison=float("nan"))[1])
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_weights_are_judged_and_handed_over_unrounded(tmp_path: Path) -> None:
    settings = {"weight_bits": 2}
    seen: list[Tensor] = []

    def look() -> tuple[Tensor, dict[str, float]]:
        seen.append(net[0].weight.detach().clone())
        return torch.zeros(3, 4, 4), {"PSNR": float(len(seen))}

    plan = TrainingPlan(tmp_path, 7, 0.05, optimizer="quantized-adam", settings=settings, validate=3)
    net, steps = small_run(plan, validate=look)
    for progress in steps:
        assert len(net[0].weight.unique()) <= 3, progress
    assert len(seen) == 2 and all(len(weight.unique()) > 3 for weight in (*seen, net[0].weight))
    again, steps = small_run(replace(plan, resume=True))
    assert list(steps) == []
    assert_same_weights(again, net)
    assert (tmp_path / "validation.csv").read_text().splitlines() == ["step,PSNR", "3,1.000000", "6,2.000000"]
    assert sorted(path.name for path in (tmp_path / "validation").iterdir()) == ["step-000003.png", "step-000006.png"]


def test_a_checkpoint_of_more_workers_goes_on_with_a_warning_and_loses_no_rounding_error(tmp_path: Path) -> None:
    plan = TrainingPlan(tmp_path, 6, 0.05, optimizer="quantized-adam", checkpoint_seconds=-1)
    advance(small_run(plan)[1], 3)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    (own,) = state["optimizers"]
    errorless = {
        index: {name: torch.zeros_like(value) if name == "error" else value for name, value in entries.items()}
        for index, entries in own["state"].items()
    }
    state["optimizers"] = [own, {**own, "state": errorless}, {**own, "state": errorless}]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="the checkpoint is of 3 workers, not 1: each starts from the mean"):
        advance(small_run(replace(plan, resume=True, rate=1e-30, settings={"gradient_bits": None}))[1], 4)
    after = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for index, entries in after["optimizers"][0]["state"].items():
        assert torch.allclose(entries["error"], own["state"][index]["error"] / 3) and entries["error"].any()


def test_new_losses_get_a_header_of_their_own_and_later_rows_are_dropped(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.row("losses", 20, {"a": 1})
    log.row("losses", 40, {"a": 2})
    log.row("losses", 60, {"a": 3})
    resumed = Log(tmp_path, 50)
    resumed.row("losses", 60, {"a": 4})
    resumed.row("losses", 80, {"a": 5, "b": 6})
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    assert lines == ["step,a", "20,1.000000", "40,2.000000", "60,4.000000", "step,a,b", "80,5.000000,6.000000"]
    Log(None).row("losses", 20, {"a": 1})
    Log(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_shows_what_the_tables_hold(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plan = TrainingPlan(tmp_path, 40, 0.05, tensorboard=True, validate=20)
    list(small_run(plan, validate=lambda: (torch.rand(3, 8, 8), {"PSNR": 20.0}))[1])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("losses/square")] == [20, 40]
    assert [event.value for event in events.Scalars("validation/PSNR")] == [20, 20]
    assert [event.step for event in events.Images("validation")] == [20, 40]
