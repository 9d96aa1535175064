"""Files of weights: what is refused, and that the bundled ones are verified."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from features import noise

from styleshuffle.errors import WeightsError
from styleshuffle.networks import vgg, weights
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
