"""Pictures found by gradient: that they fit, where the search ends, and that it takes a decoder's place."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from helpers import sample_tensor
from torch import Tensor

from styleshuffle.errors import SettingsError
from styleshuffle.networks.vgg import VGG
from styleshuffle.reshuffle import inversion
from styleshuffle.reshuffle.inversion import InversionStep, Inverter, invert
from styleshuffle.reshuffle.levels import decode_to_picture, reshuffle
from styleshuffle.reshuffle.style import prepare_style
from styleshuffle.settings import Settings

OPTIMIZERS = ("adam", "lbfgs", "generic-adam")


@pytest.fixture(scope="module")
def tiny() -> VGG:
    """A random encoder of four levels. Its weights ask for gradients, as those of a network in training do."""
    torch.manual_seed(0)
    net = VGG(((4, 4), (6, 6), (8, 8), (8,)))
    for weight in net.parameters():
        if weight.dim() > 1:
            torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
    return net


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return sample_tensor("content/cat.jpg", (64, 48))


def grey(picture: Tensor) -> Tensor:
    return torch.full_like(picture, 0.5)


@torch.no_grad()
def encoded(net: VGG, picture: Tensor, level: int) -> Tensor:
    return net(picture, [level])[level]


def last(net: VGG, target: Tensor, level: int, start: Tensor, *options: int | str) -> InversionStep:
    *_, step = invert(net, target, level, start, *options)
    return step


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * math.log10(float((one - other).square().mean()))


# ------------------------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("level", [1, 3])
def test_the_loss_falls_and_the_picture_encodes_to_the_target(
    tiny: VGG, picture: Tensor, optimizer: str, level: int
) -> None:
    target = encoded(tiny, picture, level)
    steps = list(invert(tiny, target, level, grey(picture), 40, optimizer))
    assert all(later.loss <= earlier.loss for earlier, later in pairwise(steps))
    assert [step.step for step in steps] == list(range(1, len(steps) + 1)) and steps[0].steps == 40
    found = steps[-1].picture
    assert found.shape == picture.shape and float(found.min()) >= 0 and float(found.max()) <= 1
    misfit = (encoded(tiny, found, level) - target).square().mean() / target.var((2, 3)).mean()
    assert float(misfit) < 0.3 and steps[0].loss > 1
    assert float(misfit) <= steps[-1].loss * 1.01


@pytest.mark.parametrize(("level", "floor"), [(2, 27.0), (4, 17.0)])
def test_the_bundled_encoders_features_give_a_photograph_back_from_mid_grey(
    encoder: VGG, level: int, floor: float
) -> None:
    photograph = sample_tensor("content/cat.jpg", (128, 96))
    found = last(encoder, encoded(encoder, photograph, level), level, grey(photograph)).picture
    assert psnr(found, photograph) > floor


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_picture_that_fits_stays_as_it_is_to_the_bit(tiny: VGG, picture: Tensor, optimizer: str) -> None:
    """And the search for what cannot get better ends, long before the last step."""
    steps = list(invert(tiny, encoded(tiny, picture, 3), 3, picture, 1000, optimizer))
    assert steps[-1].loss == 0 and len(steps) == 1000 // 8 + 1
    assert torch.equal(steps[-1].picture, picture)


def test_the_search_ends_when_the_loss_stalls(tiny: VGG, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    target = encoded(tiny, picture.flip(3), 2)
    monkeypatch.setattr(inversion, "_LEAST_GAIN", 0.5)
    steps = list(invert(tiny, target, 2, picture, 80))
    losses = [step.loss for step in steps]
    assert 10 < len(steps) < 80
    assert losses[-1] >= 0.5 * losses[-11]  # ten steps did not halve it
    assert all(losses[i] < 0.5 * losses[i - 10] for i in range(10, len(losses) - 1))  # and never before


def test_a_search_that_gains_enough_takes_all_its_steps(
    tiny: VGG, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion, "_LEAST_GAIN", -1.0)  # anything is enough
    assert len(list(invert(tiny, encoded(tiny, picture, 2), 2, picture.flip(3), 30))) == 30


def test_the_result_is_never_worse_than_the_start(tiny: VGG, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    target = encoded(tiny, picture.roll(1, 3), 2)
    alone = last(tiny, target, 2, picture, 1)  # one evaluation: the start's own
    monkeypatch.setattr(inversion, "_RATE", 3.0)  # far too much
    assert last(tiny, target, 2, picture, 20).loss <= alone.loss
    assert torch.equal(alone.picture, picture)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_search_finds_the_same_bytes(tiny: VGG, picture: Tensor, optimizer: str) -> None:
    target = encoded(tiny, picture, 3)
    once, again = (last(tiny, target, 3, grey(picture), 12, optimizer).picture for _ in range(2))
    assert torch.equal(once, again)


def test_what_is_passed_is_left_alone(tiny: VGG, picture: Tensor) -> None:
    target, start = encoded(tiny, picture, 2), grey(picture)
    kept = target.clone()
    last(tiny, target, 2, start, 5)
    assert torch.equal(target, kept) and torch.equal(start, grey(picture))
    assert not (target.requires_grad or start.requires_grad)
    assert all(weight.grad is None and weight.requires_grad for weight in tiny.parameters())


def test_what_becomes_of_the_target_and_the_start_between_steps_does_not_matter(tiny: VGG, picture: Tensor) -> None:
    target, start = encoded(tiny, picture, 2), grey(picture)
    expected = last(tiny, target, 2, start, 5)
    found = []
    for step in invert(tiny, target, 2, start, 5):
        found.append(step)
        target.zero_()
        start.zero_()
    assert found[-1].loss == expected.loss and torch.equal(found[-1].picture, expected.picture)


def test_inference_mode_makes_no_difference_and_is_there_between_the_steps(tiny: VGG, picture: Tensor) -> None:
    expected = last(tiny, encoded(tiny, picture, 2), 2, grey(picture), 6).picture
    with torch.inference_mode():
        target = tiny(picture, [2])[2]
        assert target.is_inference()
        found = []
        for step in invert(tiny, target, 2, grey(picture), 6):
            assert torch.is_inference_mode_enabled()
            found.append(step.picture)
    assert torch.equal(found[-1], expected)


def test_constant_features_are_no_trouble(tiny: VGG, picture: Tensor) -> None:
    flat = torch.full_like(encoded(tiny, picture, 3), 0.2)
    step = last(tiny, flat, 3, picture, 12)
    assert math.isfinite(step.loss) and step.picture.isfinite().all()


def test_unknown_optimizers_are_refused(tiny: VGG, picture: Tensor) -> None:
    with pytest.raises(SettingsError, match="optimizer: 'sgd' is unknown; use one of adam, lbfgs, generic-adam"):
        next(invert(tiny, encoded(tiny, picture, 1), 1, picture, optimizer="sgd"))


def test_a_ramp_has_the_slope_of_a_ramp() -> None:
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 4, 5) * 2 + torch.arange(4.0).view(1, 1, 4, 1) * 3
    assert float(inversion._squared_slope(ramp)) == 2**2 + 3**2


# -------------------------------------------------------------------------------------------------- in place of a decoder


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_it_gives_what_a_decoder_gives(tiny: VGG, picture: Tensor, level: int) -> None:
    found = Inverter(tiny, grey(picture), steps=3)(encoded(tiny, picture, level), level)
    assert found.shape == (encoded(tiny, picture, level - 1).shape if level > 1 else picture.shape)
    assert float(found.min()) >= 0 and not found.requires_grad


def test_each_level_starts_from_the_coarser_levels_picture_and_the_first_from_the_content(
    tiny: VGG, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    def watched(net: VGG, target: Tensor, level: int, start: Tensor, *options: int | str) -> object:
        starts.append(start)
        return invert(net, target, level, start, *options)

    monkeypatch.setattr(inversion, "invert", watched)
    seen: dict[int, Tensor] = {}
    inverter = Inverter(tiny, grey(picture), steps=4, progress=lambda step: seen.update({step.level: step.picture}))
    for level in (4, 3, 4):
        inverter(encoded(tiny, picture, level), level)
    assert torch.equal(starts[0], grey(picture)) and torch.equal(starts[2], grey(picture))
    assert not torch.equal(starts[1], grey(picture))
    assert torch.equal(starts[1], seen[4])  # the second search at relu4_1 came to the same picture as the first


def test_progress_is_told_of_every_step_and_can_stop_the_work(tiny: VGG, picture: Tensor) -> None:
    told: list[tuple[int, int]] = []

    def tell(step: InversionStep) -> None:
        told.append((step.level, step.step))
        if step.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Inverter(tiny, grey(picture), progress=tell)(encoded(tiny, picture, 2), 2)
    assert told == [(2, 1), (2, 2), (2, 3)]


def test_a_picture_is_shuffled_without_a_decoder(tiny: VGG, picture: Tensor) -> None:
    """At relu2_1 and relu1_1, in inference mode, as `Stylizer` does it."""
    settings = Settings(levels=(2, 1), descriptor_channels=4)
    with torch.inference_mode():
        content, style = ({level: tiny(one, [level])[level][0] for level in (2, 1)} for one in (picture, picture.flip(2)))
        inverter = Inverter(tiny, picture, steps=12)
        *_, last = reshuffle(content, prepare_style(style, settings), inverter, settings)
        done = decode_to_picture(last.features, last.level, inverter)
    assert done.shape == picture.shape[1:] and done.isfinite().all()
    assert float((done - picture[0]).abs().mean()) > 0.01
