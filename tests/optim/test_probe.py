"""What a sample of the gradient tells: its true size under noise, and whether workers pull in different directions."""

from __future__ import annotations

import math

import pytest
import torch

from styleshuffle.optim.probe import BUCKETS, SPAN, Agreement, Probe


@pytest.mark.parametrize("count", [1, 5, 300, 20_000, 3_000_000])
def test_without_noise_the_estimate_is_the_squared_norm(count: int) -> None:
    probe, gradient = Probe(count, torch.device("cpu")), torch.full((count,), -0.5)
    sums, first = probe.look(gradient, torch.ones(count))
    assert math.isnan(first) and len(sums) == BUCKETS
    assert probe.look(gradient, torch.ones(count))[1] == pytest.approx(0.25 * count)


def test_noise_averages_out_of_the_estimate_and_not_out_of_the_norm() -> None:
    random, count = torch.Generator().manual_seed(0), 50_000
    probe, truth = Probe(count, torch.device("cpu")), 0.1 * torch.randn(count, generator=random)
    gradients = [truth + torch.randn(count, generator=random) for _ in range(400)]
    estimates = [probe.look(gradient, torch.ones(count))[1] for gradient in gradients][1:]
    assert sum(estimates) / len(estimates) == pytest.approx(float(truth @ truth), rel=0.25)
    assert float(gradients[0] @ gradients[0]) > 50 * float(truth @ truth)


def test_gradients_and_moments_of_zero_do_no_harm() -> None:
    sums, _ = Probe(10, torch.device("cpu")).look(torch.zeros(10), torch.zeros(10))
    assert sums == (0.0,) * BUCKETS


def judged(shift: float, noise: float, workers: int = 3, spans: int = 20) -> tuple[Agreement, list[int]]:
    """Sums of workers whose means differ by ``shift``; at which steps a warning was due."""
    random, agreement = torch.Generator().manual_seed(1), Agreement()
    due = []
    for step in range(1, spans * SPAN + 1):
        table = 0.3 + noise * torch.randn(workers, BUCKETS, generator=random)
        table[0] += shift
        if agreement.add(table.tolist()):
            due.append(step)
    return agreement, due


def test_workers_that_differ_by_chance_are_not_warned_of() -> None:
    agreement, due = judged(0.0, 1.0, spans=100)
    assert due == [] and not agreement.warned and agreement.quotient < 2


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_a_difference_that_persists_is_warned_of_once_after_two_spans(noise: float) -> None:
    agreement, due = judged(1.0, noise)
    assert due == [2 * SPAN] and agreement.warned and agreement.share > 0.2


def test_a_small_difference_is_measured_but_not_warned_of() -> None:
    agreement, due = judged(0.02, 0.001)
    assert due == [] and agreement.quotient > 4 and 0 < agreement.share < 0.05


def test_one_worker_agrees_with_itself() -> None:
    agreement = Agreement()
    assert not any(agreement.add([[1.0] * BUCKETS]) for _ in range(3 * SPAN)) and math.isnan(agreement.share)


def test_equal_gradients_agree() -> None:
    assert judged(0.0, 0.0)[1] == []
