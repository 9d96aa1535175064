"""Training the decoder and the compact encoder: exact resumption, and what the teacher gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_runs import advance, assert_same_weights

from styleshuffle.errors import StyleShuffleError
from styleshuffle.networks.vgg import VGG, load_compact
from styleshuffle.networks.weights import load_tensors
from styleshuffle.training import decoding, distillation
from styleshuffle.training.loop import TrainingPlan, TrainingProgress


def crops_of(count: int, side: int = 32) -> Tensor:
    coarse = torch.rand((count, 3, side // 4, side // 4), generator=torch.Generator().manual_seed(0))
    return (nn.functional.interpolate(coarse, (side, side), mode="bilinear") * 255).byte()


def learned_decoder(plan: TrainingPlan) -> tuple[nn.Module, Iterator[TrainingProgress]]:
    torch.manual_seed(plan.seed)
    encoder, crops = load_compact(), crops_of(8)
    net = decoding.WhitenedDecoder(encoder, crops)
    return net, decoding.learn(net, encoder, crops, plan)


def distilled_student(plan: TrainingPlan) -> tuple[nn.Module, Iterator[TrainingProgress]]:
    torch.manual_seed(plan.seed)
    student = distillation.Student()
    random = torch.Generator().manual_seed(1)
    shapes = {2: (8, 64, 16, 16), 3: (8, 128, 8, 8), 4: (8, 256, 4, 4)}
    targets = {str(level): torch.randn(shape, generator=random).half() for level, shape in shapes.items()}
    return student, distillation.distil(student, crops_of(8), targets, plan)


@pytest.mark.parametrize("job", [learned_decoder, distilled_student])
def test_the_jobs_resume_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job) -> None:
    monkeypatch.setattr("styleshuffle.training.loop._LOG_EVERY", 2)
    whole, steps = job(TrainingPlan(tmp_path / "whole", 6, 2e-3, 4))
    assert all(np.isfinite(list(progress.losses.values())).all() for progress in steps)
    plan = TrainingPlan(tmp_path / "parts", 6, 2e-3, 4, checkpoint_seconds=-1)
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
