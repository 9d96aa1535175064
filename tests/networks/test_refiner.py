"""Refinement by a trained network: what it does to real pictures, when it is used, and whose weights it takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from helpers import sample_tensor
from torch import Tensor

from styleshuffle import Settings, Stylizer
from styleshuffle.errors import WeightsError
from styleshuffle.networks import weights as stored
from styleshuffle.networks.refiner import Refiner, load_compact_refiner, load_refiner, save_refiner, without_grid
from styleshuffle.networks.vgg import VGG
from styleshuffle.networks.weights import bundled_folder, save_tensors
from styleshuffle.progress import Progress
from styleshuffle.reshuffle.refinement import refine_by_gradient, refine_by_network
from styleshuffle.reshuffle.targets import MatchedTargets, Targets, gradient_of, loss_of


@pytest.fixture(scope="module")
def content() -> Tensor:
    return sample_tensor("content/cat.jpg", (160, 128))


@pytest.fixture(scope="module")
def style() -> Tensor:
    return sample_tensor("style/swirling_night.jpg", (160, 128))


@pytest.fixture(scope="module")
def fed_forward(content: Tensor, style: Tensor) -> tuple[Tensor, MatchedTargets]:
    """A picture before its refinement, and its targets."""
    stylizer = Stylizer(device="cpu", refine=0)
    prepared = stylizer.prepare(style)
    return stylizer.draft(content, prepared)


@torch.no_grad()
def loss(encoder: VGG, picture: Tensor, targets: Targets) -> float:
    return float(loss_of(targets.residuals(encoder(picture[None], targets.levels))))


def untrained(encoder: VGG, seed: int = 0) -> Refiner:
    torch.manual_seed(seed)
    net = Refiner(encoder.channels)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return net.requires_grad_(False)


# ------------------------------------------------------------------------------------------------------- the targets


def test_residuals_and_loss_of_known_features() -> None:
    targets = Targets({2: torch.full((1, 2, 2), 3.0), 1: torch.full((1, 4, 4), 1.0)}, {2: 2.0, 1: 0.5})
    residuals = targets.residuals({2: torch.full((1, 1, 2, 2), 1.0), 1: torch.full((1, 1, 4, 4), 1.5)})
    assert residuals[2].unique().item() == 1 and residuals[1].unique().item() == -1
    assert loss_of(residuals).item() == pytest.approx(1.0 * 1 + 0.5 * 1)  # relu2_1 counts 1, relu1_1 half
    assert targets.features[2].unique().item() == 3


def test_the_gradient_written_out_is_that_of_the_loss() -> None:
    torch.manual_seed(0)
    features = {level: torch.rand(1, 5, 8, 8, requires_grad=True) for level in (3, 2, 1)}
    targets = Targets({level: torch.rand(5, 8, 8) for level in features}, {3: 0.2, 2: 0.7, 1: 3.0})
    (7 * loss_of(targets.residuals(features))).backward()
    residuals = targets.residuals({level: own.detach() for level, own in features.items()})
    for level, gradient in gradient_of(residuals, targets.deviations, 7).items():
        assert torch.allclose(gradient, features[level].grad, rtol=1e-4)


def test_a_flat_style_leaves_the_residuals_finite(content: Tensor) -> None:
    stylizer = Stylizer(device="cpu")
    result = stylizer.apply(content, stylizer.prepare(torch.full((1, 3, 64, 64), 0.5)))
    assert result.isfinite().all()


# ------------------------------------------------------------------------------------------------------- the network


def test_each_step_brings_a_real_picture_nearer(fed_forward: tuple[Tensor, MatchedTargets], encoder: VGG) -> None:
    picture, targets = fed_forward
    steps = [picture, *refine_by_network(picture, encoder, targets, 2, load_compact_refiner(encoder))]
    losses = [loss(encoder, step, targets) for step in steps]
    assert losses[1] < 0.75 * losses[0] and losses[2] < 0.95 * losses[1]
    for step in steps:
        assert step.shape == picture.shape and step.min() >= 0 and step.max() <= 1


def test_two_learned_steps_beat_four_by_gradient(fed_forward: tuple[Tensor, MatchedTargets], encoder: VGG) -> None:
    picture, targets = fed_forward
    *_, learned = refine_by_network(picture, encoder, targets, 2, load_compact_refiner(encoder))
    *_, by_gradient = refine_by_gradient(picture, encoder, targets, 4)
    assert loss(encoder, learned, targets) < loss(encoder, by_gradient, targets)


def test_each_further_step_is_by_gradient_and_brings_the_picture_nearer(content: Tensor, style: Tensor) -> None:
    stylizer = Stylizer(device="cpu", precision="float32", refine=8)
    picture, targets = stylizer.draft(content, stylizer.prepare(style))
    assert stylizer.steps_by_kind == (2, 6)
    with torch.inference_mode():
        steps = list(stylizer.refined(picture, targets))
    losses = [loss(stylizer.encoder, step, targets) for step in steps]
    assert len(steps) == 8 and losses == sorted(losses, reverse=True)
    two = Stylizer(device="cpu", precision="float32")
    assert two.steps_by_kind == (2, 0)
    assert torch.equal(list(two.refined(picture, targets))[-1], steps[1])


def test_no_graph_is_kept_outside_of_inference_mode(fed_forward: tuple[Tensor, MatchedTargets], encoder: VGG) -> None:
    picture, targets = fed_forward
    refiner = Refiner(encoder.channels)  # its weights want gradients
    assert all(not step.requires_grad for step in refine_by_network(picture, encoder, targets, 2, refiner))


def test_the_first_step_has_weights_of_its_own_and_later_ones_share(encoder: VGG) -> None:
    net, picture = untrained(encoder), torch.rand(1, 3, 16, 24)
    residuals = {level: torch.randn(1, encoder.channels[level], 16 >> level - 1, 24 >> level - 1) for level in (3, 2, 1)}
    first, second, third = (net(picture, residuals, step) for step in range(3))
    assert first.shape == picture.shape and torch.equal(second, third) and not torch.equal(first, second)


def test_an_untrained_refiner_changes_nothing(encoder: VGG) -> None:
    picture = torch.rand(1, 3, 16, 16)
    residuals = {level: torch.randn(1, encoder.channels[level], 16 >> level - 1, 16 >> level - 1) for level in (3, 2, 1)}
    assert torch.equal(Refiner(encoder.channels)(picture, residuals, 0), picture)


def test_a_grid_is_taken_away_and_all_else_is_kept() -> None:
    tile = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0))
    grid = (tile - tile.mean((1, 2), keepdim=True)).repeat(1, 20, 36)[None]
    slope = torch.arange(256.0).expand(1, 3, 40, 256)
    texture = torch.randn(1, 3, 40, 72, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(without_grid(grid), torch.zeros_like(grid), atol=1e-5)
    assert torch.allclose(without_grid(slope)[..., 48:-48], slope[..., 48:-48])
    assert float((without_grid(slope) - slope).abs().max()) < 0.5  # of a pixel's step, at the border
    assert float((without_grid(texture) - texture).square().mean()) < 0.03
    assert without_grid(grid[..., :16, :2]).shape == (1, 3, 16, 2)


def peak(picture: Tensor, other: Tensor) -> float:
    """The largest power of (3, H, W) at alternating pixels, over its neighbourhood, in units of another picture's."""
    ratios = []
    for x in (picture, other):
        grey = x.mean(0)[:128, :128]
        window = torch.hann_window(128)
        power = torch.fft.fft2((grey - grey.mean()) * window[:, None] * window).abs().square()
        places = [(64, 0), (0, 64), (64, 64)]
        around = [(dy, dx) for dy in range(-6, 7) for dx in range(-6, 7) if max(abs(dy), abs(dx)) > 2]
        ratios.append(
            max(
                float(power[y, x])
                / float(torch.stack([power[(y + dy) % 128, (x + dx) % 128] for dy, dx in around]).mean())
                for y, x in places
            )
        )
    return ratios[0] / ratios[1]


def test_no_grid_is_left_in_a_flat_picture(style: Tensor) -> None:
    flat, stylizer = torch.full((1, 3, 128, 160), 0.7), Stylizer(device="cpu")
    picture, targets = stylizer.draft(flat, stylizer.prepare(style))
    *_, refined = stylizer.refined(picture, targets)
    assert peak(refined, picture) < 3


# --------------------------------------------------------------------------------------------------- when it is used


def stages(content: Tensor, style: Tensor, **options: object) -> list[str]:
    seen: list[Progress] = []
    stylizer = Stylizer(device="cpu", **options)
    stylizer.apply(content, stylizer.prepare(style), seen.append)
    return [step.stage for step in seen]


def test_two_steps_are_learned_by_default_and_six_by_gradient(content: Tensor, style: Tensor) -> None:
    assert stages(content, style).count("refine") == 2
    assert stages(content, style, optimizer="adam").count("refine") == 6
    assert stages(content, style, refine=3).count("refine") == 3
    assert [Settings(refine=steps).refine_steps(learned=True) for steps in (None, 0, 5)] == [2, 0, 5]
    assert Stylizer(device="cpu", refine=1).steps_by_kind == (1, 0)
    assert Stylizer(device="cpu", optimizer="adam", refine=5).steps_by_kind == (0, 5)


def test_without_refinement_no_network_is_loaded(content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styleshuffle.stylizer.load_compact_refiner", None)
    assert stages(content, style, refine=0)[-1] == "decode"
    assert Stylizer(device="cpu", optimizer="adam").refiner is None


@pytest.mark.parametrize("options", [{"weights": bundled_folder() / "encoder.safetensors"}, {"levels": (4, 3, 2)}])
def test_adam_stands_in_where_there_is_no_network(content: Tensor, options: dict[str, object]) -> None:
    """For encoders other than the bundled one, and for levels that the network was not trained for."""
    stylizer = Stylizer(device="cpu", **options)
    assert stylizer.refiner is None and stylizer.refine_steps == 6
    assert stylizer.settings.gradient_optimizer == "adam"


def test_a_refiner_of_ones_own_is_used(content: Tensor, style: Tensor, encoder: VGG, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    save_refiner(untrained(encoder), encoder, file)
    results = []
    for options in {}, {"refiner": file}, {"refiner": file, "weights": bundled_folder() / "encoder.safetensors"}:
        decoder = bundled_folder() / "decoder.safetensors"
        stylizer = Stylizer(device="cpu", decoder=decoder, **options)
        results.append(stylizer.apply(content, stylizer.prepare(style)))
    assert not torch.equal(results[0], results[1]) and torch.equal(results[1], results[2])


# ------------------------------------------------------------------------------------------------------- its weights


def test_a_refiner_belongs_to_its_encoder(encoder: VGG, tmp_path: Path) -> None:
    file = tmp_path / "refiner.safetensors"
    net = untrained(encoder)
    save_refiner(net, encoder, file)
    loaded = load_refiner(encoder, file)
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    with pytest.raises(WeightsError, match=r"refiner\.safetensors: was trained for another encoder; .* refiner$"):
        load_refiner(VGG(), file)


def test_other_networks_and_damaged_files_are_refused(encoder: VGG, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_tensors(encoder.state_dict(), file)
    with pytest.raises(WeightsError, match=r"other\.safetensors: no tensor 'stages\.0\."):
        load_refiner(encoder, file)
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"other\.safetensors: cannot load weights"):
        load_refiner(encoder, file)
    with pytest.raises(WeightsError, match=r"none\.safetensors: no such weights file"):
        load_refiner(encoder, tmp_path / "none.safetensors")


def test_an_encoder_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    shallow = VGG(((4, 4), (4,)))
    deep = VGG(((4, 4), (4, 4), (4,)))
    save_refiner(untrained(deep), deep, tmp_path / "refiner.safetensors")
    shallow.features[0].load_state_dict(deep.features[0].state_dict())
    with pytest.raises(WeightsError, match="needs relu3_1, which the encoder does not have"):
        load_refiner(shallow, tmp_path / "refiner.safetensors")


def test_bundled_weights_are_verified(encoder: VGG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "bundled")
    file = tmp_path / "bundled" / "refiner.safetensors"
    monkeypatch.setattr(stored, "bundled_folder", lambda: tmp_path / "bundled")
    load_compact_refiner(encoder)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"refiner\.safetensors: damaged weights"):
        load_compact_refiner(encoder)
    file.unlink()
    with pytest.raises(WeightsError, match="cannot read the bundled weights"):
        load_compact_refiner(encoder)


def test_all_bundled_weights_fit_into_eight_megabytes() -> None:
    assert sum(path.stat().st_size for path in bundled_folder().glob("*.safetensors")) <= 8e6
