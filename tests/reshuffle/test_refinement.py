"""Finishing in the image domain, and the encoder without a decoder, through the Python interface."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers import sample_tensor
from torch import Tensor

from styleshuffle import Progress, Settings, Stylizer
from styleshuffle.evaluation.measures import measure
from styleshuffle.networks.vgg import VGG
from styleshuffle.networks.weights import bundled_folder
from styleshuffle.reshuffle.guide import Guide
from styleshuffle.reshuffle.targets import MatchedTargets, content_share


@pytest.fixture(scope="module")
def content() -> Tensor:
    return sample_tensor("content/cat.jpg", (160, 128))


@pytest.fixture(scope="module")
def style() -> Tensor:
    return sample_tensor("style/swirling_night.jpg", (160, 128))


def make(content: Tensor, style: Tensor, **options: object) -> tuple[Tensor, list[Progress]]:
    stylizer, steps = Stylizer(device="cpu", **options), []
    return stylizer.apply(content, stylizer.prepare(style), steps.append), steps


@pytest.mark.parametrize("optimizer", ["learned", "adam", "lbfgs", "generic-adam"])
def test_refinement_brings_the_picture_nearer_to_the_style(
    encoder: VGG, content: Tensor, style: Tensor, optimizer: str
) -> None:
    little_content = {"content_weights": (0.2, 0.1, 0.8, 0.9), "encoder_blends": (0.5, 0.4, 0.4), "palette": 0}
    before, _ = make(content, style, refine=0, **little_content)
    after, steps = make(content, style, refine=8, optimizer=optimizer, **little_content)
    one, other = measure(encoder, before, content, style), measure(encoder, after, content, style)
    assert other.coherence < 0.95 * one.coherence
    assert other.completeness < 0.97 * one.completeness
    assert after.shape == content.shape and float(after.min()) >= 0 and float(after.max()) <= 1
    assert [step.stage for step in steps[-8:]] == ["refine"] * 8
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert torch.is_inference_mode_enabled() is False and torch.is_grad_enabled()


def test_the_gradient_is_that_of_the_loss(content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    slopes = []

    class Probe:
        def __init__(self, _name: str, layers: list[Tensor], *_options: float) -> None:
            self.layers = layers

        def zero_grad(self) -> None:
            for layer in self.layers:
                layer.grad = None

        def step(self, loss: Callable[[], Tensor]) -> None:
            loss()
            gradients = [layer.grad.clone() for layer in self.layers]
            generator = torch.Generator().manual_seed(0)
            with torch.no_grad():
                # short, for the features have kinks: 1e-3 of the gradients is a step over many of them
                ways = [1e-5 * (g + g.abs().mean() * torch.randn(g.shape, generator=generator)) for g in gradients]
                losses = []
                for sign in (1, -2):
                    for layer, way in zip(self.layers, ways, strict=True):
                        layer.add_(way, alpha=sign)
                    with torch.enable_grad():
                        losses.append(float(loss()))
            expected = sum(float((g * way).sum()) for g, way in zip(gradients, ways, strict=True))
            slopes.append((losses[0] - losses[1]) / 2 / expected)

    monkeypatch.setattr("styleshuffle.reshuffle.refinement.make_optimizer", Probe)
    make(content, style, refine=1, optimizer="adam")
    assert slopes == [pytest.approx(1, abs=0.02)]


@pytest.mark.parametrize("optimizer", ["learned", "adam"])
def test_refinement_is_deterministic(content: Tensor, style: Tensor, optimizer: str) -> None:
    one, other = (make(content, style, refine=2, optimizer=optimizer)[0] for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("optimizer", "steps"), [("learned", None), ("learned", 8), ("adam", 8)])
def test_a_refined_photograph_without_style_stays_one(
    content: Tensor, style: Tensor, optimizer: str, steps: int | None
) -> None:
    before, _ = make(content, style, refine=0, strength=0)
    after, _ = make(content, style, refine=steps, optimizer=optimizer, strength=0)
    errors = [float((picture - content).square().mean()) for picture in (before, after)]
    assert errors[1] <= errors[0] < 0.002
    assert (errors[1] < errors[0]) == (optimizer == "adam")  # the network takes no step at strength 0


@pytest.mark.parametrize("optimizer", ["learned", "adam"])
def test_a_caller_in_inference_mode_gets_the_same(content: Tensor, style: Tensor, optimizer: str) -> None:
    with torch.inference_mode():
        inside, _ = make(content, style, optimizer=optimizer)
    assert torch.equal(inside, make(content, style, optimizer=optimizer)[0])


def pixels(progress: Progress) -> bytes:
    preview = progress.preview(4096)
    assert preview is not None
    return preview.tobytes()


@pytest.mark.parametrize(("optimizer", "before"), [("learned", 12), ("adam", 10)])
def test_matches_are_found_anew_after_ten_steps_by_gradient(
    content: Tensor, style: Tensor, optimizer: str, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    until, after = (make(content, style, refine=steps, optimizer=optimizer)[1] for steps in (before, before + 1))
    assert pixels(until[-1]) == pixels(after[-2])
    monkeypatch.setattr(MatchedTargets, "rematch", lambda self, features: None)
    without = make(content, style, refine=before + 1, optimizer=optimizer)[1]
    assert pixels(without[-2]) == pixels(after[-2]) and pixels(without[-1]) != pixels(after[-1])


@pytest.mark.parametrize("levels", [(4,), (4, 3), (2, 1), (1,)])
def test_any_levels_can_be_refined(content: Tensor, style: Tensor, levels: tuple[int, ...]) -> None:
    before, after = (make(content, style, levels=levels, refine=steps)[0] for steps in (0, 2))
    assert after.isfinite().all() and not torch.equal(before, after)


def test_the_share_of_the_content_counts_what_coarser_levels_bring() -> None:
    settings = Settings(levels=(3, 2, 1), content_weights=(0, 0.5, 0.8, 1), encoder_blends=(0.3, 0.25, 0))
    shares = [content_share(level, settings, Guide(), (1, 1)) for level in settings.levels]
    # relu3_1 has only the encoder's content before it
    assert shares == pytest.approx([0.5, 0.8 * (0.25 + 0.75 * 0.5), 0.5])


def test_where_the_content_is_flat_its_share_follows_the_flat_weights() -> None:
    settings = Settings(
        levels=(2, 1), content_weights=(0, 0, 0.8, 1), flat_weights=(0, 0, 0.2, 0), encoder_blends=(0, 0, 0.5)
    )
    guide = Guide(structure=torch.tensor([[0.0, 1.0]]))
    assert content_share(2, settings, guide, (1, 2)).tolist() == [pytest.approx([0.2, 0.8])]  # type: ignore[union-attr]
    assert content_share(1, settings, guide, (1, 2)).tolist() == [pytest.approx([0, 0.9])]  # type: ignore[union-attr]


def test_weights_of_the_content_hold_at_half_strength_and_fall_with_it() -> None:
    assert [Settings(strength=strength).faded(0.5) for strength in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0.5**4])


def test_without_strength_there_is_nothing_but_content() -> None:
    settings = Settings(strength=0)
    assert {content_share(level, settings, Guide(), (1, 1)) for level in settings.levels} == {1}


def test_an_encoder_without_a_decoder_is_inverted(encoder: VGG) -> None:
    content, style = (sample_tensor(f"{name}.jpg", (96, 80)) for name in ("content/cat", "style/swirling_night"))
    own = bundled_folder() / "encoder.safetensors"  # as a file, so that its bundled decoder is not taken
    result, steps = make(content, style, weights=own, refine=0)
    decoded, _ = make(content, style, refine=0)
    inverted, usual = measure(encoder, result, content, style), measure(encoder, decoded, content, style)
    unchanged = measure(encoder, content, content, style)
    assert inverted.gram < 0.7 * unchanged.gram
    assert inverted.coherence < 1.05 * usual.coherence
    assert {step.stage for step in steps} >= {f"inversion of relu{level}_1" for level in (4, 3, 2, 1)}
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1
