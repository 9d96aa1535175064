"""What users of ``styleshuffle-train`` rely on: what it writes, what it refuses, and that the manual is right."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers import ROOT, environment, invoke, raising
from PIL import Image

from styleshuffle.commands import stylize as cli
from styleshuffle.commands import train as training
from styleshuffle.commands.console import Console
from styleshuffle.commands.train import main
from styleshuffle.commands.training_options import plan_of
from styleshuffle.networks.decoder import decoder_for, load_decoder, save_decoder
from styleshuffle.networks.vgg import VGG, VGG19_WIDTHS, load_compact
from styleshuffle.networks.weights import save_tensors
from styleshuffle.training import data
from styleshuffle.training.lines import Lines

run = partial(invoke, main)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19 to relu4_1 with random weights under torchvision's names."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "vgg19.safetensors"
    save_tensors(VGG((*VGG19_WIDTHS[:3], (512,))).state_dict(), path)
    return path


def assert_refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith("styleshuffle: error: ") and result.output.count("\n") == 1
    assert all(word in result.output for word in words), result.output


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
    plan = plan_of("decoder", main.commands["decoder"].make_context("decoder", list(map(str, job[1:]))).params)
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
    assert_refused(run(*job, "--byte-budget", 100), 2, "--byte-budget: adam rounds nothing")
    quantized = [*job, "--optimizer", "quantized-adam"]
    assert_refused(run(*quantized, "--weight-range", 0.5), 2, "weights are not rounded without")
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


def test_the_bar_fits_a_narrow_terminal() -> None:
    bar = training._bar(Console(False, False), "decoder", 12_000)
    shown = bar.format_meter(**{**bar.format_dict, "n": 9999, "ncols": 80, "elapsed": 99999.0, "postfix": "loss 0.1234"})
    assert len(shown) <= 80 and "loss 0.1234" in shown and "9999/12000" in shown
    bar.close()


def test_stopping_says_nothing_but_to_workers(job: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "plan_of", raising(KeyboardInterrupt()))
    assert (run(*job).exit_code, run(*job).output) == (130, "")
    monkeypatch.setattr(training, "plan_of", raising(SystemExit(143)))
    assert (run(*job).exit_code, run(*job).output) == (143, "")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert_refused(run(*job), 143, "worker 1: told to stop", "--resume")


def test_running_out_of_memory_names_what_to_lower(job: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "random_crops", raising(MemoryError()))
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

    manual = (ROOT / "docs" / "training.md").read_text()
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
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.startswith("styleshuffle: error: ") and done.stderr.count("\n") == 1
