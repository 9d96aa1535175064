"""Training in one process: crops that repeat, runs that go on exactly where they were killed, refusals in one line."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import Tensor, nn

from styleshuffle import cli
from styleshuffle.console import Console
from styleshuffle.decoder import decoder_for, load_decoder, save_decoder
from styleshuffle.errors import PictureError, SettingsError, StyleShuffleError, WeightsError, WorkerError
from styleshuffle.optim import GenericAdam
from styleshuffle.training import __main__ as training
from styleshuffle.training import data
from styleshuffle.training import decoder as decoding
from styleshuffle.training import encoder as distillation
from styleshuffle.training.__main__ import main
from styleshuffle.training.lines import Lines, spoken
from styleshuffle.training.log import Log
from styleshuffle.training.loop import Plan, Progress, train
from styleshuffle.training.stopping import stopping
from styleshuffle.vgg import VGG, VGG19_WIDTHS, load_compact
from styleshuffle.weights import load_tensors, save_tensors


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures, one in a subfolder, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    (folder / "sub").mkdir()
    for number in range(9):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        name = f"sub/{number}.PNG" if number == 8 else f"{number}.png"
        Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(folder / name, format="PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19 to relu4_1 with random weights under torchvision's names."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "vgg19.safetensors"
    save_tensors(VGG((*VGG19_WIDTHS[:3], (512,))).state_dict(), path)
    return path


def crops_of(count: int, side: int = 32) -> Tensor:
    coarse = torch.rand((count, 3, side // 4, side // 4), generator=torch.Generator().manual_seed(0))
    return (nn.functional.interpolate(coarse, (side, side), mode="bilinear") * 255).byte()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith("styleshuffle: error: ") and result.output.count("\n") == 1
    assert all(word in result.output for word in words), result.output


# -------------------------------------------------------------------------------------------------------------- data


def test_split_keeps_out_as_many_as_asked_and_uses_all_others(pictures: Path) -> None:
    train_paths, held_out = data.split(pictures, 3, seed=0)
    assert len(held_out) == 3 and not set(train_paths) & set(held_out)
    assert sorted(path.name for path in train_paths + held_out) == [f"{i}.png" for i in range(8)] + ["8.PNG"]
    assert data.split(pictures, 3, seed=0) == (train_paths, held_out)
    assert any(data.split(pictures, 3, seed=seed)[1] != held_out for seed in (1, 2, 3))


def test_split_refuses_to_leave_nothing_to_train_with(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="9 pictures, of which 9 are held out"):
        data.split(pictures, 9, seed=0)
    with pytest.raises(SettingsError, match="no such folder"):
        data.split(tmp_path / "none", 1, seed=0)


def test_crops_are_the_same_for_the_same_seed_only_however_many_threads_read(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _ = data.split(pictures, 1, seed=0)
    told: list[int] = []
    crops, unreadable = data.random_crops(paths, 20, 32, seed=5, tick=told.append)
    assert crops.shape == (20, 3, 32, 32) and crops.dtype == torch.uint8 and unreadable == []
    assert told == sorted(told) and told[-1] == 20
    monkeypatch.setattr(data, "_THREADS", 1)
    assert torch.equal(data.random_crops(paths, 20, 32, seed=5)[0], crops)
    assert not torch.equal(data.random_crops(paths, 20, 32, seed=6)[0], crops)


def test_crops_come_evenly_from_all_pictures(tmp_path: Path) -> None:
    for shade in (10, 80, 150):
        Image.new("RGB", (64, 50), (shade, shade, shade)).save(tmp_path / f"{shade}.png")
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 12, 32, seed=0)
    assert crops.flatten(1).min(1).values.sort().values.tolist() == [10] * 4 + [80] * 4 + [150] * 4
    assert torch.equal(crops.flatten(1).min(1).values, crops.flatten(1).max(1).values)
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 5, 32, seed=0)
    assert sorted(crops.flatten(1).min(1).values.unique(return_counts=True)[1].tolist()) == [1, 2, 2]
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 2, 32, seed=0)
    assert len(crops.flatten(1).min(1).values.unique()) == 2


def test_unreadable_pictures_are_counted_and_made_up_for_unless_there_is_no_other(pictures: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    short = tmp_path / "short.png"
    short.write_bytes((pictures / "1.png").read_bytes()[:-200])
    crops, unreadable = data.random_crops([broken, pictures / "1.png", short, pictures / "2.png"], 7, 32, seed=0)
    assert len(crops) == 7 and unreadable == [broken, short]
    assert len(torch.unique(crops, dim=0)) == 7
    crops, unreadable = data.centre_crops([broken, pictures / "1.png"], 32)
    assert len(crops) == 1 and unreadable == [broken]
    with pytest.raises(PictureError, match="none of the 1 training pictures can be read"):
        data.random_crops([broken], 6, 32, seed=0)
    with pytest.raises(PictureError, match="none of the 1 pictures held out can be read"):
        data.centre_crops([broken], 32)


def test_photographs_are_upright(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: then the top is white
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    (found,), _ = data.centre_crops([tmp_path / "turned.png"], 40)
    assert found[:, :15].min() == 1 and found[:, 25:].max() == 0


@pytest.mark.parametrize(("workers", "batch"), [(1, 5), (2, 3), (3, 7), (2, 20)])
def test_all_crops_are_drawn_once_an_epoch_by_one_worker_or_another(workers: int, batch: int) -> None:
    steps = 12
    drawn = [data.draw(12, 3, (s * workers + rank) * batch, batch) for s in range(steps) for rank in range(workers)]
    epochs = torch.cat(drawn)[: steps * workers * batch // 12 * 12].view(-1, 12)
    assert len(epochs) >= 5 and torch.equal(epochs.sort(1).values, torch.arange(12).expand_as(epochs))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(data.draw(12, 3, 0, 60), epochs[:5].flatten())
    assert not torch.equal(data.draw(12, 4, 0, 60), epochs[:5].flatten())


def test_centre_crops_are_the_middle_and_small_pictures_are_enlarged(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:36, 14:46] = 255
    Image.fromarray(pixels).save(tmp_path / "frame.png")
    Image.new("RGB", (10, 30), (51, 102, 153)).save(tmp_path / "small.png")
    found, _ = data.centre_crops([tmp_path / "frame.png", tmp_path / "small.png"], 32)
    assert torch.equal(found[0], torch.ones(3, 32, 32))
    assert torch.allclose(found[1], torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1).expand(3, 32, 32))


# -------------------------------------------------------------------------------------------------------------- loop


CROPS = torch.randn((24, 4), generator=torch.Generator().manual_seed(7))
OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "generic-adam", "settings": {"r": 0.9, "s": 0.45}},
    {"optimizer": "quantized-adam", "settings": {"gradient_bits": 3, "weight_bits": 8}},
]


def small_run(plan: Plan, poison: float = 1.0, **options: Any) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        x = CROPS[chosen]
        error = poison * net(x) - x[:, :2] * x[:, 2:]
        return {"square": error.square().mean(), "size": 0.01 * error.abs().mean()}

    return net, train(net, losses, len(CROPS), plan, **options)


def advance(steps: Iterator[Progress], to: int) -> None:
    """Go on to a step and drop the run there, as a kill does."""
    assert next(progress for progress in steps if progress.step == to)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["optimizer"])
@pytest.mark.parametrize("killed_at", [1, 27, 40, 59])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, killed_at: int, optimizer: dict[str, Any]) -> None:
    whole, steps = small_run(Plan(tmp_path / "whole", 60, 0.05, 5, **optimizer))
    assert [progress.step for progress in steps] == list(range(1, 61))
    plan = Plan(tmp_path / "parts", 60, 0.05, 5, checkpoint_seconds=-1, **optimizer)
    advance(small_run(plan)[1], killed_at)
    resumed, steps = small_run(replace(plan, resume=True))
    assert [progress.step for progress in steps][-1] == 60
    assert_same_weights(resumed, whole)
    rows = (tmp_path / "whole" / "losses.csv").read_text()
    assert rows.splitlines()[0] == "step,square,size" and len(rows.splitlines()) == 4
    assert (tmp_path / "parts" / "losses.csv").read_text() == rows


def test_steps_after_the_last_checkpoint_are_done_again_and_logged_once(tmp_path: Path) -> None:
    whole, steps = small_run(Plan(tmp_path / "whole", 80, 0.05))
    list(steps)
    often = Plan(tmp_path / "parts", 80, 0.05, checkpoint_seconds=-1)
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
    list(small_run(Plan(tmp_path, 400, 0.05, **optimizer))[1])
    rows = [line.split(",") for line in (tmp_path / "losses.csv").read_text().splitlines()[1:]]
    assert float(rows[-1][1]) < 0.3 * float(rows[0][1])


def test_a_folder_with_a_run_is_refused_without_resume_and_left_as_it_was(tmp_path: Path) -> None:
    list(small_run(Plan(tmp_path, 20, 0.05))[1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SettingsError, match="--resume"):
        next(small_run(Plan(tmp_path, 20, 0.05))[1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_run_resumed_does_nothing(tmp_path: Path) -> None:
    trained, steps = small_run(Plan(tmp_path, 20, 0.05))
    list(steps)
    again, steps = small_run(Plan(tmp_path, 20, 0.05, resume=True))
    assert list(steps) == []
    assert_same_weights(again, trained)


def test_a_checkpoint_of_another_seed_network_or_of_nothing_is_refused(tmp_path: Path) -> None:
    list(small_run(Plan(tmp_path, 3, 0.05))[1])
    again = Plan(tmp_path, 3, 0.05, resume=True)
    with pytest.raises(SettingsError, match="was trained with --seed 0, not 1; go on alike"):
        next(small_run(replace(again, seed=1))[1])
    with pytest.raises(SettingsError, match="was trained with --optimizer adam, not generic-adam"):
        next(small_run(replace(again, optimizer="generic-adam"))[1])
    with pytest.raises(SettingsError, match="was trained as a network, not decoder of X"):
        next(small_run(again, kind="decoder of X")[1])
    other = nn.Linear(3, 3)
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        next(train(other, lambda chosen: {"x": other(torch.ones(3)).sum()}, 24, again))
    for content in (b"garbage that is no checkpoint", b""):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
            next(small_run(Plan(tmp_path, 3, 0.05, resume=True))[1])


def test_there_is_a_checkpoint_from_the_beginning_on_and_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    whole, steps = small_run(Plan(tmp_path / "whole", 12, 0.05))
    list(steps)
    done: list[int] = []
    plan = Plan(tmp_path / "parts", 12, 0.05, stop=lambda: len(done) == 4)
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
    plan = Plan(tmp_path, 20, 0.05, optimizer="quantized-adam", checkpoint_seconds=-1)
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
    net, steps = small_run(Plan(tmp_path / "adam", 9, 0.05))
    list(steps)
    assert_same_weights(net, reference(lambda some: torch.optim.Adam(some, betas=(0.9, 0.99)), rates))
    family = {"r": 0.8, "s": 0.6, "a": 0.5}
    net, steps = small_run(Plan(tmp_path / "generic", 9, 0.05, optimizer="generic-adam", settings=family))
    list(steps)
    assert_same_weights(net, reference(lambda some: GenericAdam(some, lr=0.05, **family)))


def test_resuming_takes_the_new_step_size(tmp_path: Path) -> None:
    """An error about a gradient says to lower it."""
    plan = Plan(tmp_path, 10, 0.05, checkpoint_seconds=-1, optimizer="generic-adam")
    advance(small_run(plan)[1], 4)
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["net"]
    net, steps = small_run(replace(plan, rate=1e-9, resume=True))
    assert len(list(steps)) == 6
    assert all(torch.allclose(value, before[name], atol=1e-7) for name, value in net.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["optimizer"])
def test_a_gradient_that_is_not_finite_ends_the_run_by_name_and_leaves_the_checkpoint(
    tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    plan = Plan(tmp_path, 10, 0.05, checkpoint_seconds=-1, **optimizer)
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

    plan = Plan(tmp_path, 7, 0.05, optimizer="quantized-adam", settings=settings, validate=3)
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
    plan = Plan(tmp_path, 6, 0.05, optimizer="quantized-adam", checkpoint_seconds=-1)
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

    plan = Plan(tmp_path, 40, 0.05, tensorboard=True, validate=20)
    list(small_run(plan, validate=lambda: (torch.rand(3, 8, 8), {"PSNR": 20.0}))[1])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("losses/square")] == [20, 40]
    assert [event.value for event in events.Scalars("validation/PSNR")] == [20, 20]
    assert [event.step for event in events.Images("validation")] == [20, 40]


# ----------------------------------------------------------------------------------------------- encoder and decoder


def learned_decoder(plan: Plan) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    encoder, crops = load_compact(), crops_of(8)
    net = decoding.WhitenedDecoder(encoder, crops)
    return net, decoding.learn(net, encoder, crops, plan)


def distilled_student(plan: Plan) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    student = distillation.Student()
    random = torch.Generator().manual_seed(1)
    shapes = {2: (8, 64, 16, 16), 3: (8, 128, 8, 8), 4: (8, 256, 4, 4)}
    targets = {str(level): torch.randn(shape, generator=random).half() for level, shape in shapes.items()}
    return student, distillation.distil(student, crops_of(8), targets, plan)


@pytest.mark.parametrize("job", [learned_decoder, distilled_student])
def test_the_jobs_resume_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job) -> None:
    monkeypatch.setattr("styleshuffle.training.loop._LOG_EVERY", 2)
    whole, steps = job(Plan(tmp_path / "whole", 6, 2e-3, 4))
    assert all(np.isfinite(list(progress.losses.values())).all() for progress in steps)
    plan = Plan(tmp_path / "parts", 6, 2e-3, 4, checkpoint_seconds=-1)
    advance(job(plan)[1], 4)
    resumed, steps = job(replace(plan, resume=True))
    assert [progress.step for progress in steps] == [5, 6]
    assert_same_weights(resumed, whole)
    rows = (tmp_path / "whole" / "losses.csv").read_text()
    assert len(rows.splitlines()) == 4
    assert (tmp_path / "parts" / "losses.csv").read_text() == rows


@pytest.mark.parametrize("batch", [4, 5, 8, 10, 32])
def test_every_level_has_its_part_of_a_batch(batch: int) -> None:
    counts = decoding.starting_levels(batch, [4, 3, 2, 1])
    assert list(counts) == [4, 3, 2, 1] and sum(counts.values()) == batch
    assert min(counts.values()) >= 1 and counts[4] == max(counts.values())


def test_teacher_targets_hold_their_share_of_the_variance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    small = VGG(((4,), (6,), (8,), (8,))).requires_grad_(False)
    ticks: list[int] = []
    targets = distillation.teacher_targets(small, crops_of(20), tmp_path / "t.safetensors", 8, ticks.append)
    assert ticks == [8, 16, 20]
    for level, width in {2: 6, 3: 8, 4: 8}.items():  # all components of narrow levels: all of the variance
        target = targets[str(level)].float()
        assert target.shape == (20, width, 32 >> level - 1, 32 >> level - 1)
        assert float(target.square().sum(1).mean()) == pytest.approx(1, abs=0.01)
        assert torch.allclose(target.mean((0, 2, 3)), torch.zeros(width), atol=1e-3)
    assert all(torch.equal(value, targets[key]) for key, value in load_tensors(tmp_path / "t.safetensors").items())
    monkeypatch.setattr(VGG, "forward", None)  # kept targets cost no teacher
    kept = distillation.teacher_targets(small, crops_of(20), tmp_path / "t.safetensors")
    assert all(torch.equal(kept[key], targets[key]) for key in targets)


def test_kept_targets_of_other_crops_are_not_used(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = VGG(((4,), (6,), (8,), (8,))).requires_grad_(False)
    distillation.teacher_targets(small, crops_of(8), tmp_path / "t.safetensors")
    try:
        targets = distillation.teacher_targets(small, crops_of(10), tmp_path / "t.safetensors")
    except StyleShuffleError:
        return
    assert {len(value) for value in targets.values()} == {10}


def test_a_network_explains_itself_and_another_less_of_it() -> None:
    torch.manual_seed(0)
    one, other = (VGG(((4,), (6,), (8,), (8,))).requires_grad_(False) for _ in range(2))
    fit, held_out = crops_of(40)[:32].float() / 255, crops_of(40)[32:].float() / 255
    itself = distillation.explained_variance(one, one, fit, held_out)
    assert list(itself) == [2, 3, 4] and min(itself.values()) > 0.999
    others = distillation.explained_variance(other, one, fit, held_out)
    assert all(others[level] < itself[level] for level in itself)


# -------------------------------------------------------------------------------------------------------------- CLI


@pytest.fixture
def job(pictures: Path, tmp_path: Path) -> list[object]:
    """A short training of the decoder."""
    small = ["--crops", 8, "--side", 32, "--batch", 4, "--holdout", 1, "--steps", 2]
    return ["decoder", "--images", pictures, "--run", tmp_path / "run", *small]


def test_decoder_training_writes_weights_that_load_and_can_be_resumed(job: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(*job, "--validate", 1)
    assert result.exit_code == 0, result.output
    load_decoder(load_compact(), folder / "decoder.safetensors")
    report = json.loads((folder / "report.json").read_text())
    names = ["PSNR relu4_1", "PSNR relu3_1", "PSNR relu2_1", "PSNR relu1_1"]
    assert list(report) == names
    assert all(5 < value < 60 for value in report.values())
    rows = (folder / "validation.csv").read_text().splitlines()
    assert rows[0] == ",".join(["step", *names]) and len(rows) == 3
    # the only picture held out, so the same figures; weights are stored in half precision
    assert [float(value) for value in rows[2].split(",")[1:]] == pytest.approx(list(report.values()), abs=0.02)
    with Image.open(folder / "validation" / "step-000002.png") as sheet:
        assert sheet.size == (5 * 256, 256)
    written = (folder / "decoder.safetensors").read_bytes()
    assert_refused(run(*job), 2, "--resume")
    assert run(*job, "--resume").exit_code == 0
    assert (folder / "decoder.safetensors").read_bytes() == written


def test_optimisers_and_their_settings_arrive(job: list[object], tmp_path: Path) -> None:
    rounding = ["--gradient-bits", 4, "--weight-bits", 16, "--no-error-feedback"]
    result = run(*job, "--optimizer", "quantized-adam", "--lr", 3e-3, "--decay", "r=0.9,s=0.7", *rounding)
    assert result.exit_code == 0, result.output
    (state,) = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["optimizers"]
    group = state["param_groups"][0]
    assert [group[name] for name in ("lr", "r", "s", "a")] == [3e-3, 0.9, 0.7, 0.9]
    assert state["state"][0].keys() == {"step", "mean", "square", "master"}
    plan = training._plan(main.commands["decoder"].make_context("decoder", list(map(str, job[1:]))).params)
    assert (plan.optimizer, plan.rate, plan.settings) == ("adam", 2e-3, {})


def test_what_styleshuffle_warns_of_is_one_line(job: list[object], pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in pictures.glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    for name in "abcd":
        (folder / f"{name}.jpg").write_bytes(b"no picture")
    result = run(*job, "--images", folder, "--holdout", 2, "--optimizer", "generic-adam", "--decay", "r=0,a=0.01")
    assert result.exit_code == 0, result.output
    warned = [line for line in result.output.splitlines() if line.startswith("styleshuffle: warning: ")]
    assert sum("pictures cannot be read and are left out" in line for line in warned) >= 1
    assert sum("GenericAdam may not converge" in line for line in warned) == 1
    quiet = run(
        *job, "--images", folder, "--holdout", 2, "--resume", "-q", "--optimizer", "generic-adam", "--decay", "r=0"
    )
    assert quiet.exit_code == 0 and quiet.output == ""


def test_encoder_training_writes_weights_that_load(pictures: Path, teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    job = ["--images", pictures, "--run", folder, "--crops", 8, "--side", 32, "--batch", 4, "--holdout", 1]
    result = run("encoder", *job, "--steps", 2, "--teacher", teacher)
    assert result.exit_code == 0, result.output
    load_compact(folder / "encoder.safetensors")
    report = json.loads((folder / "report.json").read_text())
    assert list(report) == ["R2 relu2_1", "R2 relu3_1", "R2 relu4_1"]
    assert all(value <= 1 for value in report.values())


def test_what_cannot_be_trained_with_is_refused_in_one_line(
    job: list[object], pictures: Path, teacher: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(run(*job, "--images", tmp_path / "empty"), 2, "empty", "0 pictures")
    assert_refused(run(*job, "--images", tmp_path / "none"), 2, "none", "no such folder")
    assert_refused(run(*job, "--weights", tmp_path / "none.pth"), 1, "none.pth")
    assert_refused(run(*job, "--encoder", "vgg19", "--weights", tmp_path / "none.pth"), 1, "none.pth")
    assert_refused(run(*job, "--device", "cuda:77"), 2, "cuda:77")
    assert_refused(run(*job, "--batch", 1), 2, "batch: 1 is too small")
    save_decoder(decoder_for(VGG()), VGG(), tmp_path / "other.safetensors")
    assert_refused(run(*job, "--start", tmp_path / "other.safetensors"), 1, "was trained for another encoder")
    (tmp_path / "other.pth").write_bytes(b"no weights")
    distil = ["encoder", "--images", pictures, "--run", tmp_path / "run", "--holdout", 1]
    assert_refused(run(*distil, "--teacher", tmp_path / "other.pth"), 1, "other.pth")
    assert_refused(run(*distil, "--teacher", tmp_path / "none.pth"), 1, "none.pth", "no such")
    assert not (tmp_path / "run").exists()


def test_settings_of_another_optimiser_are_refused_in_one_line(job: list[object]) -> None:
    assert_refused(run(*job, "--decay", "r=1"), 2, "--decay: adam has its own schedule; pass --optimizer generic-adam")
    generic = [*job, "--optimizer", "generic-adam"]
    assert_refused(run(*generic, "--gradient-bits", 2), 2, "--gradient-bits: generic-adam rounds nothing")
    assert_refused(run(*generic, "--no-error-feedback"), 2, "--no-error-feedback: generic-adam rounds nothing")
    assert_refused(run(*job, "--weight-bits", "none"), 2, "--weight-bits: adam rounds nothing")
    assert_refused(run(*generic, "--decay", "a=0"), 2, "a is 0")


@pytest.mark.parametrize("decay", ["r", "r=x", "r=1;s=2", "q=1", "r=1,,s=1", ""])
def test_a_decay_that_is_none_is_refused(job: list[object], decay: str) -> None:
    result = run(*job, "--optimizer", "generic-adam", "--decay", decay)
    assert result.exit_code == 2 and f"{decay!r} does not say r, s or a by number" in " ".join(result.output.split())


def test_without_tensorboard_the_remedy_is_named(job: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert_refused(run(*job, "--tensorboard"), 2, "--tensorboard", "pip install 'styleshuffle[tensorboard]'")


def test_ctrl_c_ends_the_run_after_a_checkpoint(
    job: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(lines: Lines, step: int, losses: Any) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Lines, "step", interrupt)
    result = run(*job, "--steps", 9)
    assert result.exit_code == 130
    assert result.output.splitlines()[-1].startswith("decoder: stopped after step 3; ") and "--resume" in result.output
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 3
    assert not (tmp_path / "run" / "decoder.safetensors").exists()


def test_the_bar_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "tqdm", None, raising=False)
    bar = training._bar(Console(False, False), "decoder", 12_000)
    shown = bar.format_meter(**{**bar.format_dict, "n": 9999, "ncols": 80, "elapsed": 99999.0, "postfix": "loss 0.1234"})
    assert len(shown) <= 80 and "loss 0.1234" in shown and "9999/12000" in shown
    bar.close()


def test_stopping_says_nothing_but_to_workers(job: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(error: BaseException) -> Any:
        def plan(job: dict[str, Any]) -> None:
            raise error

        return plan

    monkeypatch.setattr(training, "_plan", stopped(KeyboardInterrupt()))
    assert (run(*job).exit_code, run(*job).output) == (130, "")
    monkeypatch.setattr(training, "_plan", stopped(SystemExit(143)))
    assert (run(*job).exit_code, run(*job).output) == (143, "")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert_refused(run(*job), 143, "worker 1: told to stop", "--resume")


def test_running_out_of_memory_names_what_to_lower(job: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(data, "random_crops", full)
    assert_refused(run(*job), 1, "out of memory; give a smaller --batch, --side or --crops")


def test_torchrun_leaves_all_options_to_the_training(pictures: Path) -> None:
    """It takes what begins as one of its own options for that."""
    from torch.distributed.run import get_args_parser

    for name, command in main.commands.items():
        for option in command.params:
            longest = max(option.opts, key=len)
            given = get_args_parser().parse_args(["-m", "styleshuffle.training", name, longest, "1"])
            assert given.training_script_args == [name, longest, "1"]


def test_the_commands_of_the_manual_can_be_parsed() -> None:
    from torch.distributed.run import get_args_parser

    manual = (Path(__file__).parent.parent / "docs" / "training.md").read_text()
    lines = [
        shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", manual, re.DOTALL) for line in block.splitlines()
    ]
    lines += [shlex.split(line) for line in re.findall(r"`(styleshuffle-train [^`]*)`", manual)]
    assert {name for name, *_ in lines} == {"pip", "styleshuffle-train", "styleshuffle", "torchrun"}
    for name, *arguments in lines:
        if name == "torchrun":
            given = get_args_parser().parse_args(arguments)
            assert given.module and given.training_script == "styleshuffle.training"
            name, arguments = "styleshuffle-train", given.training_script_args
        if name == "styleshuffle-train":
            command, *arguments = arguments
            main.commands[command].make_context(command, arguments)
        if name == "styleshuffle":
            cli.main.make_context(name, arguments)


def test_the_module_ends_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "styleshuffle.training", "decoder", "--images", str(tmp_path)]
    command += ["--run", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.startswith("styleshuffle: error: ") and done.stderr.count("\n") == 1
