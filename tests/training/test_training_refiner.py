"""Training the refiner: pairs that are made once and alike, crops that fit their targets, runs that resume exactly."""

from __future__ import annotations

import json
import time
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

from styleshuffle import Stylizer
from styleshuffle.commands.train import main
from styleshuffle.errors import PictureError, SettingsError
from styleshuffle.networks.refiner import Refiner, load_refiner, save_refiner
from styleshuffle.networks.vgg import VGG, load_compact
from styleshuffle.training import pairs as making
from styleshuffle.training import refining
from styleshuffle.training.loop import TrainingPlan, TrainingProgress, train
from styleshuffle.training.pairs import Maker, Pairs, split_pairs

CPU = torch.device("cpu")


def paint(path: Path, seed: int, size: tuple[int, int] = (72, 64)) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs and paintings in one folder, told apart by their names."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        paint(folder / f"photo_{number}.png", number)
        paint(folder / f"art_{number}.png", 100 + number, (64, 80))
    return folder


@pytest.fixture(scope="session")
def maker() -> Maker:
    return Maker(Stylizer(device="cpu", refine=0), 64, seed=3)


@pytest.fixture(scope="session")
def made(folder: Path, maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pairs, Path]:
    where = tmp_path_factory.mktemp("made")
    return maker.make(sorted(folder.glob("photo*")), sorted(folder.glob("art*")), 5, where), where


def equal(one: Pairs, other: Pairs) -> bool:
    return torch.equal(one.pictures, other.pictures) and all(
        torch.equal(one.targets[level], other.targets[level])
        and torch.equal(one.deviations[level], other.deviations[level])
        for level in (3, 2, 1)
    )


# -------------------------------------------------------------------------------------------------------------- pairs


def test_a_pair_is_what_the_stylizer_starts_its_refinement_from(folder: Path, maker: Maker, tmp_path: Path) -> None:
    plain = replace(maker, varied=False)
    pairs = plain.make([folder / "photo_1.png"], [folder / "art_2.png"], 1, tmp_path)
    picture, targets = pairs.whole(0, CPU)
    assert picture.shape == (3, 64, 64) and pairs.pictures.dtype == torch.float16
    assert {level: tuple(own.shape) for level, own in targets.features.items()} == {
        level: (maker.stylizer.encoder.channels[level], 64 >> level - 1, 64 >> level - 1) for level in (3, 2, 1)
    }
    expected, exact = plain._pair([folder / "photo_1.png"], [folder / "art_2.png"], 0)
    # pairs are made by several threads, each of which computes alone: rounding differs, and single matches flip
    assert float((picture - expected).abs().mean()) < 0.02
    for level, own in targets.features.items():
        spread = exact.features[level].std()
        assert float((own - exact.features[level]).abs().mean()) < 0.1 * float(spread)
        assert float(targets.deviations[level]) == pytest.approx(float(exact.deviations[level]), rel=1e-3)


def test_pairs_vary_and_are_the_same_for_the_same_seed(
    folder: Path, maker: Maker, made: tuple[Pairs, Path], tmp_path: Path
) -> None:
    photos, paintings = sorted(folder.glob("photo*")), sorted(folder.glob("art*"))
    assert equal(maker.make(photos, paintings, 5, tmp_path / "again"), made[0])
    assert not equal(replace(maker, seed=4).make(photos, paintings, 5, tmp_path / "other"), made[0])
    assert len({float(picture.float().mean()) for picture in made[0].pictures}) == 5
    drawn = [making._varied(maker.stylizer.settings, np.random.default_rng(seed)) for seed in range(40)]
    assert min(one.strength for one in drawn) < 0.3 and max(one.strength for one in drawn) > 0.8
    assert len({one.seed for one in drawn}) > 30 and len({one.style_scale for one in drawn}) == 40
    assert 10 < sum(one.content_weights == maker.stylizer.settings.content_weights for one in drawn) < 30


def test_pairs_that_are_there_are_kept_and_the_rest_is_made(
    folder: Path, maker: Maker, made: tuple[Pairs, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, paintings = sorted(folder.glob("photo*")), sorted(folder.glob("art*"))
    monkeypatch.setattr(making, "_NOTE_EVERY", 2)
    stopped: list[int] = []

    def stop(more: int) -> None:
        stopped.append(more)
        if sum(stopped) == 4:  # 1, then 2 of which both are noted, then one more
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maker.make(photos, paintings, 5, tmp_path, tick=stop)
    numbers: list[int] = []
    whole = Maker._pair

    def counted(self: Maker, contents: Any, styles: Any, number: int) -> Any:
        numbers.append(number)
        return whole(self, contents, styles, number)

    monkeypatch.setattr(Maker, "_pair", counted)
    ticks: list[int] = []
    assert equal(maker.make(photos, paintings, 5, tmp_path, tick=ticks.append), made[0])
    assert sorted(numbers) == [3, 4] and sum(ticks) == 5
    assert equal(maker.make(photos, paintings, 5, tmp_path), made[0]) and len(numbers) == 2
    maker.make(photos[1:], paintings, 5, tmp_path)  # of other pictures: all anew
    assert len(numbers) == 7
    (tmp_path / "pairs.json").write_text("cut sho")
    maker.make(photos, paintings, 1, tmp_path)
    assert len(numbers) == 8


def test_when_time_is_up_there_is_at_least_a_pair(folder: Path, maker: Maker, tmp_path: Path) -> None:
    pairs = maker.make([folder / "photo_1.png"], [folder / "art_2.png"], 9, tmp_path, until=time.monotonic() - 1)
    assert len(pairs) == 1 and all(len(own) == 1 for own in (*pairs.targets.values(), *pairs.deviations.values()))


def test_crops_are_cut_from_where_their_targets_are(made: tuple[Pairs, Path]) -> None:
    pairs = made[0]
    chosen, corners = torch.tensor([2, 4, 2]), np.array([[0.0, 0.0], [0.999, 0.0], [0.5, 0.999]])
    pictures, targets = pairs.crops(chosen, corners, 32, CPU)
    assert pictures.dtype == torch.float32 and pictures.shape == (3, 3, 32, 32)
    for index, (pair, top, left) in enumerate([(2, 0, 0), (4, 32, 0), (2, 16, 32)]):
        assert torch.equal(pictures[index], pairs.pictures[pair, :, top : top + 32, left : left + 32].float())
        for level, own in targets.features.items():
            part, t, x = 32 >> level - 1, top >> level - 1, left >> level - 1
            assert torch.equal(own[index], pairs.targets[level][pair, :, t : t + part, x : x + part].float())
            assert targets.deviations[level][index].item() == pairs.deviations[level][pair].item()


def test_pictures_that_cannot_be_read_are_passed_over(folder: Path, maker: Maker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    plain = replace(maker, varied=False)
    pairs = plain.make([broken, folder / "photo_1.png"], [folder / "art_2.png"], 2, tmp_path / "pairs")
    assert pairs.pictures.float().std((1, 2, 3)).min() > 0
    with pytest.raises(PictureError, match="none of 1 pictures can be read"):
        plain.make([broken], [folder / "art_2.png"], 1, tmp_path / "none")


def test_contents_and_styles_of_one_folder_are_told_apart_by_name(folder: Path, tmp_path: Path) -> None:
    (contents, styles), (held_contents, held_styles) = split_pairs(folder, folder, ("photo_*", "art_*"), 4, seed=1)
    assert {path.name[:4] for path in (*contents, *held_contents)} == {"phot"}
    assert {path.name[:4] for path in (*styles, *held_styles)} == {"art_"}
    assert len(held_contents) + len(held_styles) == 4 and len(contents) + len(styles) == 8
    assert not {*contents, *styles} & {*held_contents, *held_styles}
    with pytest.raises(SettingsError, match=r"no picture to train with is named drawing_\*"):
        split_pairs(folder, folder, ("photo_*", "drawing_*"), 4, seed=1)
    with pytest.raises(SettingsError, match="no such folder"):
        split_pairs(folder, tmp_path / "none", ("*", "*"), 4, seed=1)


# ----------------------------------------------------------------------------------------------------------- training


def learned(made: tuple[Pairs, Path], plan: TrainingPlan) -> tuple[nn.Module, Iterator[TrainingProgress]]:
    torch.manual_seed(plan.seed)
    encoder = load_compact()
    net = Refiner(encoder.channels)
    return net, refining.learn(net, encoder, made[0], 12, 48, plan)


def test_the_refiner_resumes_exactly(made: tuple[Pairs, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styleshuffle.training.loop._LOG_EVERY", 2)
    whole, steps = learned(made, TrainingPlan(tmp_path / "whole", 6, 2e-3, 3, clip=1.0))
    assert all(np.isfinite(list(progress.losses.values())).all() for progress in steps)
    plan = TrainingPlan(tmp_path / "parts", 6, 2e-3, 3, clip=1.0, checkpoint_seconds=-1)
    assert next(progress for progress in learned(made, plan)[1] if progress.step == 4)
    resumed, steps = learned(made, replace(plan, resume=True))
    assert [progress.step for progress in steps] == [5, 6]
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in resumed.state_dict().items())
    assert (tmp_path / "parts" / "losses.csv").read_text() == (tmp_path / "whole" / "losses.csv").read_text()


def test_training_lowers_the_loss_after_each_step(made: tuple[Pairs, Path], tmp_path: Path) -> None:
    encoder = load_compact()
    net, steps = learned(made, TrainingPlan(tmp_path, 60, 2e-2, 3, clip=1.0))
    list(steps)
    losses = refining.mean_losses(encoder, made[0], 2, net)
    assert losses[1] < 0.9 * losses[0] and losses[2] < losses[1]
    assert losses[0] == pytest.approx(refining.mean_losses(encoder, made[0], 1)[0])


def test_the_border_of_a_crop_does_not_count() -> None:
    residuals = {level: torch.zeros(1, 2, 32 >> level - 1, 32 >> level - 1) for level in (3, 2, 1)}
    for own in residuals.values():
        own[..., 0, :] = own[..., -1] = 9
    assert [tuple(own.shape[2:]) for own in refining._inner(residuals).values()] == [(4, 4), (8, 8), (16, 16)]
    assert all(not own.any() for own in refining._inner(residuals).values())


@pytest.mark.parametrize("side", [72, 20])
def test_crops_that_pairs_have_no_room_for_are_refused(made: tuple[Pairs, Path], tmp_path: Path, side: int) -> None:
    encoder = load_compact()
    with pytest.raises(SettingsError, match=f"side: {side} cannot be cut from pairs of 64"):
        refining.learn(Refiner(encoder.channels), encoder, made[0], 12, side, TrainingPlan(tmp_path, 2, 1e-3))


# --------------------------------------------------------------------------------------------- runs that end by time


def timed_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int = 0, **options: Any
) -> tuple[list[int], list[float]]:
    """Numbers and step sizes of the steps, of which each takes ten seconds, from second 100 on."""
    torch.manual_seed(0)
    net, now, rates, taken = nn.Linear(2, 1), [100.0], [], []
    step_of_adam = torch.optim.Adam.step

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        now[0] += 10
        return {"square": net(torch.ones(2)).square().mean()}

    def noting(self: torch.optim.Adam, *args: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step_of_adam(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        patch.setattr(torch.optim.Adam, "step", noting)
        patch.setattr("styleshuffle.training.loop._WARMUP", 1)
        for progress in train(net, losses, 8, TrainingPlan(folder, rate=1.0, checkpoint_seconds=-1, **options)):
            taken.append(progress.step)
            if progress.step == stop_at:
                break
    return taken, rates


def test_a_run_with_a_time_ends_by_it_and_its_step_size_falls_to_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, rates = timed_run(tmp_path, monkeypatch, steps=1000, until=140.0)
    assert taken == [1, 2, 3, 4] and rates == pytest.approx([1, 0.75, 0.5, 0.25])
    assert timed_run(tmp_path, monkeypatch, steps=1000, until=140.0, resume=True) == ([], [])
    # without a time it goes on to its number of steps
    assert timed_run(tmp_path, monkeypatch, steps=6, resume=True)[0] == [5, 6]


def test_steps_that_are_done_before_the_time_is_up_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, rates = timed_run(tmp_path, monkeypatch, steps=4, until=1e6)
    assert taken == [1, 2, 3, 4] and rates == pytest.approx([1, 0.75, 0.5, 0.25], abs=1e-3)


def test_a_resumed_run_goes_on_with_the_share_that_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timed_run(tmp_path, monkeypatch, stop_at=2, steps=1000, until=140.0)[0] == [1, 2]
    taken, rates = timed_run(tmp_path, monkeypatch, steps=1000, until=140.0, resume=True)
    assert taken == [3, 4, 5, 6] and rates == pytest.approx([0.5, 0.375, 0.25, 0.125])


# -------------------------------------------------------------------------------------------------------------- CLI


@pytest.fixture
def job(folder: Path, tmp_path: Path) -> list[object]:
    """A short training of the refiner."""
    names = ["--content-pattern", "photo_*", "--style-pattern", "art_*", "--holdout", 4, "--seed", 1]
    small = ["--pairs", 3, "--pair-side", 64, "--side", 48, "--crops", 9, "--batch", 2, "--steps", 2]
    return ["refiner", "--images", folder, "--styles", folder, *names, "--run", tmp_path / "run", *small]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result: Result, code: int, *words: str) -> bool:
    lines = result.output.splitlines()
    return result.exit_code == code and len(lines) == 1 and all(word in lines[0] for word in words)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "_MEASURED", 2)


def test_the_command_writes_weights_that_load_and_can_be_resumed(job: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(*job, "--validate", 1)
    assert result.exit_code == 0, result.output
    load_refiner(load_compact(), folder / "refiner.safetensors")
    report = json.loads((folder / "report.json").read_text())
    assert report["loss after 6 steps of Adam"] < report["loss after 2 steps of Adam"] < report["loss fed forward"]
    rows = [row.split(",") for row in (folder / "validation.csv").read_text().splitlines()]
    assert rows[0] == ["step", *(f"loss after {step}" for step in range(4))] and len(rows) == 3
    assert float(rows[2][3]) == pytest.approx(report["loss after 2 learned steps"], abs=2e-3)
    with Image.open(folder / "validation" / "step-000002.png") as sheet:
        assert sheet.size == (4 * 64, 2 * 64)
    written = (folder / "refiner.safetensors").read_bytes()
    assert refused(run(*job), 2, "--resume")
    assert run(*job, "--resume").exit_code == 0
    assert (folder / "refiner.safetensors").read_bytes() == written


def test_a_trained_refiner_is_gone_on_from(job: list[object], tmp_path: Path) -> None:
    encoder = load_compact()
    torch.manual_seed(5)
    net = Refiner(encoder.channels)
    nn.init.normal_(net.stages[0].fine[1].weight, std=0.01)
    save_refiner(net, encoder, tmp_path / "start.safetensors")
    assert run(*job, "--start", tmp_path / "start.safetensors", "--lr", 1e-9).exit_code == 0
    after = load_refiner(encoder, tmp_path / "run" / "refiner.safetensors").state_dict()
    assert all(torch.allclose(after[key], value, atol=1e-3) for key, value in net.state_dict().items())


def test_a_time_ends_the_command(job: list[object], tmp_path: Path) -> None:
    result = run(*job, "--steps", 100000, "--minutes", 0.02)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "report.json").exists()


def test_what_cannot_be_trained_with_is_refused_in_one_line(job: list[object], tmp_path: Path) -> None:
    assert refused(run(*job, "--styles", tmp_path / "none"), 2, "none", "no such folder")
    assert refused(run(*job, "--style-pattern", "x*"), 2, "named x*")
    assert refused(run(*job, "--pair-side", 70), 2, "--pair-side: 70 is not a multiple of 8")
    assert refused(run(*job, "--start", tmp_path / "none.safetensors"), 1, "none.safetensors")
    save_refiner(Refiner(VGG().channels), VGG(), tmp_path / "other.safetensors")
    assert refused(run(*job, "--start", tmp_path / "other.safetensors"), 1, "was trained for another encoder")
