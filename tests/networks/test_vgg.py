"""The encoder, the decoder chain, their files, and the moments of features."""

from __future__ import annotations

import email.message
import hashlib
import pickle
import shutil
import types
import urllib.error
import urllib.request
import urllib.response
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from styleshuffle.errors import SettingsError, WeightsError
from styleshuffle.images import read
from styleshuffle.networks import vgg, weights
from styleshuffle.networks.decoder import SEGMENTS, decoder_for, load_compact_decoder, load_decoder, save_decoder
from styleshuffle.networks.vgg import (
    CAFFE_INPUT,
    TORCHVISION_INPUT,
    VGG,
    detect_convention,
    load_compact,
    load_encoder,
    load_vgg19,
)
from styleshuffle.networks.weights import bundled_folder, load_bundled, load_tensors, save_tensors
from styleshuffle.reshuffle.moments import match_moments, moments
from styleshuffle.training.decoding import WhitenedDecoder, psnr, reconstruct

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def encoder() -> VGG:
    return load_compact()


# ----------------------------------------------------------------------------------------------------------- moments


def test_moments_of_a_known_case() -> None:
    found = moments(torch.tensor([[[0.0, 2.0]], [[1.0, 5.0]]]))
    assert found.mean.tolist() == [1, 3]
    assert found.covariance.tolist() == [[1, 2], [2, 4]]


@pytest.mark.parametrize("seed", range(3))
def test_transferred_features_have_the_styles_mean_and_covariance(seed: int) -> None:
    mix = noise(6, 6, seed=seed + 20)
    content = noise(6, 20, 15, seed=seed) * torch.linspace(0.3, 3, 6)[:, None, None] + 4
    style = moments(torch.einsum("ij,jhw->ihw", mix, noise(6, 11, 18, seed=seed + 10)) - 1)
    moved = moments(match_moments(content, style))
    assert torch.allclose(moved.mean, style.mean, atol=1e-4)
    assert float((moved.covariance - style.covariance).norm() / style.covariance.norm()) < 0.01


def test_transfer_of_one_channel_scales_and_shifts() -> None:
    content = noise(1, 8, 8)
    style = moments(7 + 3 * noise(1, 9, 5, seed=1))
    expected = (content - content.mean()) * (style.covariance[0, 0].sqrt() / content.std(correction=0)) + style.mean[0]
    assert torch.allclose(match_moments(content, style), expected, atol=1e-3)


def test_transfer_to_its_own_moments_changes_nothing() -> None:
    features = torch.einsum("ij,jhw->ihw", noise(6, 6, seed=1), noise(6, 16, 16)) + 2
    assert torch.allclose(match_moments(features, moments(features)), features, atol=0.01 * float(features.std()))


def test_transfer_moves_features_less_than_whitening_and_colouring_does() -> None:
    """The optimal map, against another one to the same moments (by Cholesky factors)."""
    content = torch.einsum("ij,jhw->ihw", noise(5, 5, seed=1), noise(5, 16, 16))
    style = moments(torch.einsum("ij,jhw->ihw", noise(5, 5, seed=3), noise(5, 16, 16, seed=4)) + 1)
    own = moments(content)
    other = torch.linalg.cholesky(style.covariance) @ torch.linalg.inv(torch.linalg.cholesky(own.covariance))
    coloured = (other @ (content.flatten(1) - own.mean[:, None]) + style.mean[:, None]).view_as(content)
    least = match_moments(content, style)
    assert float((least - content).square().mean()) < 0.95 * float((coloured - content).square().mean())


def test_known_content_moments_give_the_same_as_found_ones() -> None:
    content, style = noise(4, 9, 9), moments(noise(4, 8, 8, seed=1))
    assert torch.equal(match_moments(content, style, moments(content)), match_moments(content, style))


def test_constant_and_degenerate_features_give_finite_ones() -> None:
    constant, lively = torch.full((4, 6, 6), 0.3), noise(4, 6, 6)
    one_direction = noise(1, 6, 6).expand(4, 6, 6)
    zero = torch.zeros(4, 6, 6)
    for content in (constant, lively, one_direction, zero):
        for style in (constant, lively, one_direction, zero):
            moved = match_moments(content, moments(style))
            assert moved.isfinite().all()
            assert torch.allclose(moved.mean((1, 2)), style.mean((1, 2)), atol=1e-3)
    flat = lively.mean((1, 2), keepdim=True).expand(4, 6, 6)
    assert torch.allclose(match_moments(constant, moments(lively)), flat, atol=1e-3)
    assert torch.allclose(match_moments(lively, moments(constant)), constant, atol=1e-2)


# --------------------------------------------------------------------------------------------------------------- VGG


def test_features_have_the_levels_size_and_are_not_negative(encoder: VGG) -> None:
    found = encoder(torch.rand(2, 3, 48, 32), [1, 2, 3, 4])
    sizes = {level: (2, encoder.channels[level], 48 >> level - 1, 32 >> level - 1) for level in (1, 2, 3, 4)}
    assert {level: tuple(features.shape) for level, features in found.items()} == sizes
    assert all(float(features.min()) >= 0 and float(features.max()) > 0 for features in found.values())


@pytest.mark.parametrize("widths", [vgg.COMPACT_WIDTHS, ((4,), (8,), (8, 8), (4,))])
def test_pooling_before_the_relu_changes_nothing(widths: tuple[tuple[int, ...], ...]) -> None:
    torch.manual_seed(0)
    net = VGG(widths).requires_grad_(False)
    picture = torch.rand(1, 3, 37, 50)
    found = net(picture, net.taps)
    x = (picture - net.mean) / net.deviation
    for index, layer in enumerate(net.features):
        x = layer(x.clone())
        for level in [level for level, tap in net.taps.items() if tap == index]:
            assert torch.equal(found[level], x)


def test_levels_are_the_same_whichever_are_asked_for(encoder: VGG) -> None:
    picture = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder(picture, [2])[2], encoder(picture, [4, 2])[2])
    assert list(encoder(picture, [3])) == [3]


@pytest.fixture(scope="session")
def torchvision_vgg() -> torch.nn.Module:
    """VGG-19 with torchvision's layers and random weights; its classifier, 120 million numbers, is left out."""
    torch.manual_seed(0)
    with torch.device("meta"):
        layers = torchvision.models.vgg19().features
    layers = layers[:30].to_empty(device="cpu")  # to relu5_1
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.uniform_(layer.bias, -0.1, 0.1)
    return layers.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def vgg19_file(torchvision_vgg: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg19") / "vgg19.pth"
    tensors = {f"features.{key}": value for key, value in torchvision_vgg.state_dict().items()}
    torch.save({**tensors, "classifier.0.weight": torch.zeros(3, 3)}, path)
    return path


def test_vgg19_is_torchvisions(torchvision_vgg: torch.nn.Module, vgg19_file: Path) -> None:
    net = load_vgg19(vgg19_file, "torchvision", padding_mode="zeros")
    picture = torch.rand(1, 3, 64, 48)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (picture - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    expected = {}
    for index, layer in enumerate(torchvision_vgg):
        x = layer(x)
        if index in (1, 6, 11, 20, 29):
            expected[len(expected) + 1] = x.clone()
    found = net(picture, [1, 2, 3, 4, 5])
    for level in range(1, 6):
        assert float((found[level] - expected[level]).norm() / expected[level].norm()) < 1e-5


def test_caffe_weights_see_blue_green_red_in_0_to_255(vgg19_file: Path) -> None:
    net = load_vgg19(vgg19_file, "caffe", padding_mode="zeros")
    first = torch.load(vgg19_file, weights_only=True)
    picture = torch.rand(1, 3, 16, 16)
    caffe = picture.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    expected = torch.conv2d(caffe, first["features.0.weight"], first["features.0.bias"], padding=1).relu()
    found = net(picture, [1])[1]
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_a_shallower_file_gives_a_shallower_network(vgg19_file: Path, tmp_path: Path) -> None:
    tensors = torch.load(vgg19_file, weights_only=True)
    to_relu3_1 = {key: value for key, value in tensors.items() if key.split(".")[1] in ("0", "2", "5", "7", "10")}
    save_tensors(to_relu3_1, tmp_path / "short.safetensors")
    net = load_vgg19(tmp_path / "short.safetensors")
    assert sorted(net.channels) == [1, 2, 3]
    assert net(torch.rand(1, 3, 16, 16), [3])[3].shape == (1, 256, 4, 4)


def test_a_wrong_tensor_is_refused_by_name(vgg19_file: Path, tmp_path: Path) -> None:
    tensors = torch.load(vgg19_file, weights_only=True)
    torch.save({**tensors, "features.5.weight": torch.zeros(1, 2, 3, 3)}, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError, match=r"wrong\.pth: tensor 'features\.5\.weight' is \(1, 2, 3, 3\)"):
        load_vgg19(tmp_path / "wrong.pth")
    torch.save({"conv1_1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth: not VGG-19"):
        load_vgg19(tmp_path / "other.pth")


def test_a_file_with_a_gap_is_another_network(vgg19_file: Path, tmp_path: Path) -> None:
    tensors = torch.load(vgg19_file, weights_only=True)
    vgg16_like = {key: value for key, value in tensors.items() if not key.startswith("features.16.")}
    torch.save(vgg16_like, tmp_path / "vgg16.pth")
    with pytest.raises(WeightsError, match=r"vgg16\.pth: not VGG-19: no tensor 'features\.16\.weight'"):
        load_vgg19(tmp_path / "vgg16.pth")


def test_the_convention_is_told_by_the_first_kernels_signs() -> None:
    torch.manual_seed(0)
    first = torch.randn(64, 3, 3, 3)
    assert detect_convention(first) == "torchvision"
    signs = torch.tensor([1.0 if vgg._CAFFE_SIGNS >> (63 - kernel) & 1 else -1.0 for kernel in range(64)])
    first[:, 1, 1, 1] = first[:, 1, 1, 1].abs() * signs
    assert detect_convention(first) == detect_convention(0.01 * first.half()) == "caffe"
    first[:8, 1, 1, 1] *= -1
    assert detect_convention(first) == "caffe"
    first[8, 1, 1, 1] *= -1
    assert detect_convention(first) == "torchvision"


def test_a_forced_convention_is_obeyed_and_an_unknown_one_refused(vgg19_file: Path) -> None:
    assert torch.equal(load_encoder("vgg19", vgg19_file).mean.flatten(), torch.tensor(TORCHVISION_INPUT[0]))
    assert torch.equal(load_encoder("vgg19", vgg19_file, "caffe").mean.flatten(), torch.tensor(CAFFE_INPUT[0]))
    with pytest.raises(SettingsError, match=r"convention: 'bgr' is unknown; use one of caffe, torchvision"):
        load_encoder("vgg19", vgg19_file, "bgr")
    with pytest.raises(SettingsError, match=r"encoder: 'vgg16' is unknown"):
        load_encoder("vgg16")
    with pytest.raises(SettingsError, match=r"convention: is for vgg19 only"):
        load_encoder("compact", convention="caffe")


def test_vgg19_is_fetched_once_and_then_used_offline(
    vgg19_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def opened(request: urllib.request.Request, *args: Any, **kwargs: Any) -> urllib.response.addinfourl:
        fetched.append(request.full_url)
        return urllib.response.addinfourl(vgg19_file.open("rb"), email.message.Message(), request.full_url)

    sha256 = hashlib.sha256(vgg19_file.read_bytes()).hexdigest()
    url = f"https://example.org/vgg19-{sha256[:8]}.pth"
    published = types.SimpleNamespace(url=url)
    monkeypatch.setattr(torchvision.models, "VGG19_Weights", types.SimpleNamespace(IMAGENET1K_V1=published))
    monkeypatch.setattr(torch.hub, "urlopen", opened)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    nets = [load_encoder("vgg19") for _ in range(2)]
    assert fetched == [url]
    assert torch.equal(nets[0].features[0].weight, nets[1].features[0].weight)

    published.url = url[:-12] + "00000000.pth"
    with pytest.raises(WeightsError, match=r"cannot be downloaded: invalid hash value.*put the file at .*`weights`"):
        load_encoder("vgg19")


def test_without_network_and_file_the_message_says_where_both_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError) as refusal:
        load_encoder("vgg19")
    url = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url
    path = tmp_path / "checkpoints" / url.rpartition("/")[2]
    assert str(refusal.value) == (
        f"{url}: cannot be downloaded: [Errno -2] Name or service not known; put the file at {path}, "
        "or name one with `weights`"
    )


def test_the_compact_encoder_refuses_another_networks_file(encoder: VGG, tmp_path: Path) -> None:
    tensors = {**encoder.state_dict(), "features.2.bias": torch.zeros(7)}
    save_tensors(tensors, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError, match=r"wrong\.safetensors: tensor 'features\.2\.bias' is \(7,\)"):
        load_compact(tmp_path / "wrong.safetensors")
    del tensors["features.2.bias"]
    save_tensors(tensors, tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match=r"less\.safetensors: no tensor 'features\.2\.bias'"):
        load_compact(tmp_path / "less.safetensors")


# ------------------------------------------------------------------------------------------------------------- files


class _Code:
    """Unpickling this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_weights_file_is_refused_and_not_run(tmp_path: Path, new_format: bool) -> None:
    trace, path = tmp_path / "ran", tmp_path / "weights.pth"
    if new_format:
        torch.save({"features.0.weight": _Code(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"features.0.weight": _Code(trace)}, protocol=2))
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        load_tensors(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", bytes(2000)])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_tensors(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ") and "\n" not in str(caught.value)


def test_a_file_cut_short_and_one_of_other_things_are_refused(tmp_path: Path) -> None:
    save_tensors({"a": torch.ones(100)}, tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-8])
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        load_tensors(tmp_path / "cut.safetensors")
    torch.save({"step": 3}, tmp_path / "numbers.pth")
    with pytest.raises(WeightsError, match=r"numbers\.pth: not a dictionary of tensors"):
        load_tensors(tmp_path / "numbers.pth")
    with pytest.raises(WeightsError, match=r"none\.pth: no such weights file"):
        load_tensors(tmp_path / "none.pth")


def test_saved_tensors_come_back_and_no_draft_is_left(tmp_path: Path) -> None:
    tensors = {"a": noise(3, 4).T, "b": noise(5).half()}
    save_tensors(tensors, tmp_path / "w.safetensors")
    found = load_tensors(tmp_path / "w.safetensors")
    assert all(torch.equal(found[key], tensors[key]) and found[key].dtype == tensors[key].dtype for key in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("name", ["encoder.safetensors", "decoder.safetensors"])
def test_bundled_weights_are_verified(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundled"
    shutil.copytree(bundled_folder(), folder)
    assert load_bundled(name, folder).keys() == load_bundled(name).keys()
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(WeightsError, match=f"{name}: damaged weights"):
        load_bundled(name, folder)
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"{name}: cannot read the bundled weights"):
        load_bundled(name, folder)


def test_bundled_weights_without_their_sum_are_refused(tmp_path: Path) -> None:
    shutil.copy(bundled_folder() / "encoder.safetensors", tmp_path)
    with pytest.raises(WeightsError, match="SHA256SUMS: cannot read"):
        load_bundled("encoder.safetensors", tmp_path)
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(WeightsError, match="damaged"):
        load_bundled("encoder.safetensors", tmp_path)


def test_damaged_bundled_weights_stop_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "bundled")
    (tmp_path / "bundled" / "encoder.safetensors").write_bytes(b"none")
    monkeypatch.setattr(weights, "bundled_folder", lambda: tmp_path / "bundled")
    with pytest.raises(WeightsError, match=r"encoder\.safetensors"):
        vgg.load_compact()


# ----------------------------------------------------------------------------------------------------------- decoder


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_each_segment_gives_the_next_finer_level(encoder: VGG, level: int) -> None:
    decoder = decoder_for(encoder)
    with torch.inference_mode():
        found = decoder(torch.rand(2, encoder.channels[level], 4, 6), level)
    assert found.shape == ((2, encoder.channels[level - 1], 8, 12) if level > 1 else (2, 3, 4, 6))
    assert level == 1 or float(found.min()) >= 0


def test_the_folded_decoder_is_the_same_function(encoder: VGG) -> None:
    torch.manual_seed(0)
    crops = (torch.rand(6, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3) * 255).byte()
    whitened = WhitenedDecoder(encoder, crops)
    for name, parameter in whitened.named_parameters():  # biases start at 0, which would hide a wrong fold
        if name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.2, 0.2)
    plain = whitened.folded(encoder)
    with torch.inference_mode():
        for level, features in encoder(crops.float() / 255, SEGMENTS["compact"]).items():
            expected, found = whitened(features, level), plain(features, level)
            assert float(expected.std()) > 0
            assert float((found - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize(("level", "floor"), [(2, 22.0), (4, 16.0)])
@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
def test_the_bundled_networks_give_photographs_back(encoder: VGG, name: str, level: int, floor: float) -> None:
    picture = read(SAMPLES / "content" / name).tensor((192, 128))
    decoder = load_compact_decoder(encoder)
    assert psnr(encoder, decoder, picture, level) > floor
    back = reconstruct(encoder, decoder, picture, level)
    assert back.shape == picture.shape and float(back.min()) >= 0 and float(back.max()) <= 1


def test_psnr_of_a_known_error(encoder: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    from styleshuffle.training import decoding as decoding

    monkeypatch.setattr(decoding, "reconstruct", lambda encoder, decoder, pictures, level: pictures + 0.1)
    assert psnr(encoder, None, torch.rand(5, 3, 8, 8), 1, batch=2) == pytest.approx(20, abs=1e-3)


def test_a_decoder_belongs_to_its_encoder(encoder: VGG, tmp_path: Path) -> None:
    torch.manual_seed(0)
    decoder = decoder_for(encoder)
    save_decoder(decoder, encoder, tmp_path / "decoder.safetensors")
    loaded = load_decoder(encoder, tmp_path / "decoder.safetensors")
    for key, value in decoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float())
    with pytest.raises(WeightsError, match=r"decoder\.safetensors: was trained for another encoder"):
        load_decoder(VGG(), tmp_path / "decoder.safetensors")
