"""Files of weights: what is refused, and that the bundled ones are verified."""

from __future__ import annotations

import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from features import noise

from styleshuffle.errors import WeightsError
from styleshuffle.networks import vgg, weights
from styleshuffle.networks.decoder import load_decoder
from styleshuffle.networks.refiner import Refiner, load_refiner, save_refiner
from styleshuffle.networks.vgg import VGG, load_compact
from styleshuffle.networks.weights import bundled_folder, load_bundled, load_tensors, save_tensors


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


ODD = {
    "sparse": (lambda weight: weight.to_sparse(), "is sparse (sparse_coo)"),
    "compressed rows": (lambda weight: weight.flatten(1).to_sparse_csr(), "is sparse (sparse_csr)"),
    "meta": (lambda weight: weight.to("meta"), "has no values"),
    "quantised": (lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "is quantised"),
    "complex": (lambda weight: weight.to(torch.complex64), "is complex"),
    "4 TB": (lambda weight: torch.zeros(1).expand(2**20, 2**20), "repeats few values 1,099,511,627,776 times"),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR|.*quantiz.*")
@pytest.mark.parametrize("kind", ODD)
def test_tensors_without_all_their_values_are_refused_by_name(tmp_path: Path, encoder: VGG, kind: str) -> None:
    make, reason = ODD[kind]
    tensors = encoder.state_dict()
    torch.save({**tensors, "features.2.weight": make(tensors["features.2.weight"])}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=re.escape(f"odd.pth: tensor 'features.2.weight' {reason}")):
        load_compact(tmp_path / "odd.pth")


USELESS = {
    "NaN": (lambda weight: weight.index_fill(0, torch.tensor(3), float("nan")), "holds NaN or infinity"),
    "infinity": (lambda weight: weight.index_fill(0, torch.tensor(3), float("-inf")), "holds NaN or infinity"),
    "too large": (lambda weight: weight.double() * 1e300, "holds NaN or infinity"),
    "zeros": (torch.zeros_like, "holds nothing but zeros"),
    "whole numbers": (lambda weight: weight.to(torch.int8), "holds int8"),
}


@pytest.mark.parametrize("kind", USELESS)
@pytest.mark.parametrize(
    ("name", "key", "load"),
    [
        ("encoder", "features.2.weight", lambda encoder, path: load_compact(path)),
        ("decoder", "segments.2.0.weight", load_decoder),
        ("refiner", "stages.0.coarse.0.weight", load_refiner),
    ],
)
def test_weights_that_cannot_work_are_refused_by_name(
    tmp_path: Path, encoder: VGG, kind: str, name: str, key: str, load: Callable[[VGG, Path], object]
) -> None:
    change, reason = USELESS[kind]
    tensors = load_bundled(f"{name}.safetensors")
    save_tensors({**tensors, key: change(tensors[key])}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=re.escape(f"w.safetensors: tensor '{key}' {reason}")):
        load(encoder, tmp_path / "w.safetensors")


def test_an_untrained_refiner_which_changes_nothing_is_no_fault(tmp_path: Path, encoder: VGG) -> None:
    save_refiner(Refiner(encoder.channels), encoder, tmp_path / "r.safetensors")
    assert not load_refiner(encoder, tmp_path / "r.safetensors").stages[0].fine[1].weight.any()


def test_a_file_of_compressed_parts_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for part in plain.infolist():
            bomb.writestr(part.filename, plain.read(part))
    assert load_tensors(tmp_path / "plain.pth")["a"].numel() == 10**6
    with pytest.raises(WeightsError, match=r"bomb\.pth: its parts are larger than the file"):
        load_tensors(tmp_path / "bomb.pth")


@pytest.mark.parametrize("name", ["a\nb\x1b[31m.pth", "a\nb.safetensors"])
def test_names_cannot_break_the_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"a\\nb.*: no such weights file"):
        load_tensors(tmp_path / name)
    save_tensors({"x\ny": torch.ones(1)}, tmp_path / "w.safetensors")
    torch.save({"x\ny\x1b": torch.ones(1).to_sparse()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"tensor 'x\\ny\\x1b' is sparse"):
        load_tensors(tmp_path / "w.pth")


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
