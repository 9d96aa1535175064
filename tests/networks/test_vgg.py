"""The encoders: their features, their files, and how VGG-19 is fetched."""

from __future__ import annotations

import email.message
import hashlib
import io
import types
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from styleshuffle.errors import SettingsError, WeightsError
from styleshuffle.networks import download, vgg
from styleshuffle.networks.vgg import (
    CAFFE_INPUT,
    TORCHVISION_INPUT,
    VGG,
    detect_convention,
    load_compact,
    load_encoder,
    load_vgg19,
)
from styleshuffle.networks.weights import save_tensors


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


@pytest.fixture
def published(
    vgg19_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], types.SimpleNamespace, Path]:
    """A server with `vgg19_file`: the URLs that are fetched, what it sends and how, and where the file goes."""
    fetched: list[str] = []
    server = types.SimpleNamespace(content=vgg19_file.read_bytes(), timeouts=[])

    def opened(request: urllib.request.Request, timeout: float) -> urllib.response.addinfourl:
        fetched.append(request.full_url)
        server.timeouts.append(timeout)
        return urllib.response.addinfourl(io.BytesIO(server.content), email.message.Message(), request.full_url)

    monkeypatch.setattr(vgg, "VGG19_SHA256", hashlib.sha256(server.content).hexdigest())
    monkeypatch.setattr(vgg, "VGG19_BYTES", len(server.content))
    monkeypatch.setattr(download, "urlopen", opened)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return fetched, server, tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"


def test_vgg19_is_fetched_once_and_then_used_offline(
    published: tuple[list[str], types.SimpleNamespace, Path],
) -> None:
    fetched, server, path = published
    nets = [load_encoder("vgg19") for _ in range(2)]
    assert fetched == [torchvision.models.VGG19_Weights.IMAGENET1K_V1.url]
    assert server.timeouts[0] > 0 and path.read_bytes() == server.content
    assert torch.equal(nets[0].features[0].weight, nets[1].features[0].weight)


@pytest.mark.parametrize("change", [lambda content: content[:-1] + b"?", lambda c: c[:-1], lambda c: c + bytes(9)])
def test_another_file_than_the_published_one_is_not_stored(
    published: tuple[list[str], types.SimpleNamespace, Path], change: Callable[[bytes], bytes]
) -> None:
    _, server, path = published
    server.content = change(server.content)
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d.pth: the server sent another file .*`weights`"):
        load_encoder("vgg19")
    assert list(path.parent.iterdir()) == []


def test_a_changed_file_in_the_cache_is_refused(published: tuple[list[str], types.SimpleNamespace, Path]) -> None:
    fetched, server, path = published
    path.parent.mkdir()
    path.write_bytes(server.content[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d.pth: is not the file at https://.*; delete it"):
        load_encoder("vgg19")
    assert fetched == []


def test_the_published_sum_is_that_in_the_files_name() -> None:
    assert f"vgg19-{vgg.VGG19_SHA256[:8]}.pth" in torchvision.models.VGG19_Weights.IMAGENET1K_V1.url


def test_without_network_and_file_the_message_says_where_both_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(download, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError) as refusal:
        load_encoder("vgg19")
    url = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url
    path = tmp_path / "checkpoints" / url.rpartition("/")[2]
    assert str(refusal.value) == (
        f"{url}: cannot be downloaded: [Errno -2] Name or service not known; put the file at {path}, "
        "or name a file with `weights`"
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
