"""Training: crops that repeat, runs that go on exactly where they were killed, refusals in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import Tensor, nn

from styleshuffle.decoder import load_compact_decoder
from styleshuffle.errors import PictureError, SettingsError, StyleShuffleError, WeightsError
from styleshuffle.training import data
from styleshuffle.training import decoder as decoding
from styleshuffle.training import encoder as distillation
from styleshuffle.training.__main__ import main
from styleshuffle.training.loop import Plan, Progress, train
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


def assert_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith("Error: ") and result.output.count("\n") == 1
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


def test_crops_are_the_same_for_the_same_seed_only(pictures: Path) -> None:
    paths, _ = data.split(pictures, 1, seed=0)
    crops = data.random_crops(paths, 20, 32, seed=5)
    assert crops.shape == (20, 3, 32, 32) and crops.dtype == torch.uint8
    assert torch.equal(data.random_crops(paths, 20, 32, seed=5), crops)
    assert not torch.equal(data.random_crops(paths, 20, 32, seed=6), crops)


def test_crops_come_evenly_from_all_pictures(tmp_path: Path) -> None:
    for shade in (10, 80, 150):
        Image.new("RGB", (64, 50), (shade, shade, shade)).save(tmp_path / f"{shade}.png")
    crops = data.random_crops(sorted(tmp_path.iterdir()), 12, 32, seed=0)
    assert crops.flatten(1).min(1).values.sort().values.tolist() == [10] * 4 + [80] * 4 + [150] * 4
    assert torch.equal(crops.flatten(1).min(1).values, crops.flatten(1).max(1).values)


def test_unreadable_pictures_are_passed_over_unless_there_is_no_other(pictures: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert len(data.random_crops([broken, pictures / "1.png"], 6, 32, seed=0)) == 6
    assert len(data.centre_crops([broken, pictures / "1.png"], 32)) == 1
    with pytest.raises(PictureError, match="none of the 1 training pictures can be read"):
        data.random_crops([broken], 6, 32, seed=0)
    with pytest.raises(StyleShuffleError):
        data.centre_crops([broken], 32)


def test_centre_crops_are_the_middle_and_small_pictures_are_enlarged(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:36, 14:46] = 255
    Image.fromarray(pixels).save(tmp_path / "frame.png")
    Image.new("RGB", (10, 30), (51, 102, 153)).save(tmp_path / "small.png")
    found = data.centre_crops([tmp_path / "frame.png", tmp_path / "small.png"], 32)
    assert torch.equal(found[0], torch.ones(3, 32, 32))
    assert torch.allclose(found[1], torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1).expand(3, 32, 32))


# -------------------------------------------------------------------------------------------------------------- loop


def small_run(plan: Plan) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        x = torch.randn((8, 4), generator=generator)
        error = net(x) - x[:, :2] * x[:, 2:]
        return {"square": error.square().mean(), "size": 0.01 * error.abs().mean()}

    return net, train(net, losses, plan)


def advance(steps: Iterator[Progress], to: int) -> None:
    """Go on to a step and drop the run there, as a kill does."""
    assert next(progress for progress in steps if progress.step == to)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("killed_at", [1, 20, 27, 40, 59])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, killed_at: int) -> None:
    whole, steps = small_run(Plan(tmp_path / "whole", 60, 0.05))
    assert [progress.step for progress in steps] == list(range(1, 61))
    plan = Plan(tmp_path / "parts", 60, 0.05, checkpoint_seconds=-1)
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


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    list(small_run(Plan(tmp_path, 400, 0.05))[1])
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
    with pytest.raises(SettingsError, match="--seed 0"):
        next(small_run(Plan(tmp_path, 3, 0.05, seed=1, resume=True))[1])
    other = nn.Linear(3, 3)
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        next(train(other, lambda generator: {"x": other(torch.ones(3)).sum()}, Plan(tmp_path, 3, 0.05, resume=True)))
    for content in (b"garbage that is no checkpoint", b""):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
            next(small_run(Plan(tmp_path, 3, 0.05, resume=True))[1])


# ----------------------------------------------------------------------------------------------- encoder and decoder


def learned_decoder(plan: Plan) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    encoder, crops = load_compact(), crops_of(8)
    net = decoding.WhitenedDecoder(encoder, crops)
    return net, decoding.learn(net, encoder, crops, plan, batch=4)


def distilled_student(plan: Plan) -> tuple[nn.Module, Iterator[Progress]]:
    torch.manual_seed(plan.seed)
    student = distillation.Student()
    random = torch.Generator().manual_seed(1)
    shapes = {2: (8, 64, 16, 16), 3: (8, 128, 8, 8), 4: (8, 256, 4, 4)}
    targets = {str(level): torch.randn(shape, generator=random).half() for level, shape in shapes.items()}
    return student, distillation.distil(student, crops_of(8), targets, plan, batch=4)


@pytest.mark.parametrize("job", [learned_decoder, distilled_student])
def test_the_jobs_resume_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job) -> None:
    monkeypatch.setattr("styleshuffle.training.loop._LOG_EVERY", 2)
    whole, steps = job(Plan(tmp_path / "whole", 6, 2e-3))
    assert all(np.isfinite(list(progress.losses.values())).all() for progress in steps)
    plan = Plan(tmp_path / "parts", 6, 2e-3, checkpoint_seconds=-1)
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


def test_decoder_training_writes_weights_that_load_and_can_be_resumed(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    job = ["decoder", "--images", pictures, "--run", folder, "--crops", 8, "--side", 32, "--batch", 4, "--holdout", 1]
    result = run(*job, "--steps", 2)
    assert result.exit_code == 0, result.output
    load_compact_decoder(load_compact(), folder / "decoder.safetensors")
    report = json.loads((folder / "report.json").read_text())
    assert list(report) == ["PSNR relu4_1", "PSNR relu3_1", "PSNR relu2_1", "PSNR relu1_1"]
    assert all(5 < value < 60 for value in report.values())
    written = (folder / "decoder.safetensors").read_bytes()
    assert_refused(run(*job, "--steps", 2), "--resume")
    assert run(*job, "--steps", 2, "--resume").exit_code == 0
    assert (folder / "decoder.safetensors").read_bytes() == written


def test_encoder_training_writes_weights_that_load(pictures: Path, teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    job = ["--images", pictures, "--run", folder, "--crops", 8, "--side", 32, "--batch", 4, "--holdout", 1]
    result = run("encoder", *job, "--steps", 2, "--teacher", teacher)
    assert result.exit_code == 0, result.output
    load_compact(folder / "encoder.safetensors")
    report = json.loads((folder / "report.json").read_text())
    assert list(report) == ["R2 relu2_1", "R2 relu3_1", "R2 relu4_1"]
    assert all(value <= 1 for value in report.values())


def test_what_cannot_be_trained_with_is_refused_in_one_line(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ends = ["--run", tmp_path / "run", "--steps", 1]
    assert_refused(run("decoder", "--images", tmp_path / "empty", *ends), "empty", "0 pictures")
    assert_refused(run("decoder", "--images", tmp_path / "none", *ends), "none", "no such folder")
    nowhere = tmp_path / "none.pth"
    assert_refused(run("encoder", "--images", pictures, "--teacher", nowhere, *ends), "none.pth", "no such")
    (tmp_path / "other.pth").write_bytes(b"no weights")
    assert_refused(run("encoder", "--images", pictures, "--teacher", tmp_path / "other.pth", *ends), "other.pth")
    assert_refused(run("decoder", "--images", pictures, "--encoder", tmp_path / "none.pth", *ends), "none.pth")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_refused_in_one_line(pictures: Path, tmp_path: Path) -> None:
    ends = ["--images", pictures, "--run", tmp_path / "run", "--steps", 1, "--holdout", 1]
    assert_refused(run("decoder", *ends, "--device", "toaster"), "toaster")


def test_a_batch_too_small_for_the_levels_is_refused_in_one_line(pictures: Path, tmp_path: Path) -> None:
    ends = ["--run", tmp_path / "run", "--steps", 1, "--crops", 8, "--side", 32, "--holdout", 1]
    result = run("decoder", "--images", pictures, *ends, "--batch", 1)
    if result.exit_code:  # a smaller batch may also be made to work
        assert result.exit_code in (1, 2) and "batch" in result.output
    else:
        assert "nan" not in (tmp_path / "run" / "report.json").read_text().lower()


def test_the_module_ends_with_one_line_and_exit_code_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "styleshuffle.training", "decoder", "--images", str(tmp_path)]
    command += ["--run", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 1
    assert done.stdout == "" and done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
