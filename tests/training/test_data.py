"""Pictures for training: what is held out, and crops that repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from styleshuffle.errors import PictureError, SettingsError
from styleshuffle.training import data
from styleshuffle.training import decoding as decoding
from styleshuffle.training import distillation as distillation


def test_split_keeps_out_as_many_as_asked_and_uses_all_others(pictures: Path) -> None:
    train_paths, held_out = data.split(pictures, 3, seed=0)
    assert len(held_out) == 3 and not set(train_paths) & set(held_out)
    assert sorted(path.name for path in train_paths + held_out) == [f"{i}.png" for i in range(8)] + ["8.PNG"]
    assert data.split(pictures, 3, seed=0) == (train_paths, held_out)
    assert any(data.split(pictures, 3, seed=seed)[1] != held_out for seed in (1, 2, 3))


def test_split_refuses_to_leave_nothing_to_train_with(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="9 pictures, of which 9 are held out"):
        data.split(pictures, 9, seed=0)
    with pytest.raises(SettingsError, match="no such folder"):
        data.split(tmp_path / "none", 1, seed=0)


def test_crops_are_the_same_for_the_same_seed_only_however_many_threads_read(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _ = data.split(pictures, 1, seed=0)
    told: list[int] = []
    crops, unreadable = data.random_crops(paths, 20, 32, seed=5, tick=told.append)
    assert crops.shape == (20, 3, 32, 32) and crops.dtype == torch.uint8 and unreadable == []
    assert told == sorted(told) and told[-1] == 20
    monkeypatch.setattr(data, "_THREADS", 1)
    assert torch.equal(data.random_crops(paths, 20, 32, seed=5)[0], crops)
    assert not torch.equal(data.random_crops(paths, 20, 32, seed=6)[0], crops)


def test_crops_come_evenly_from_all_pictures(tmp_path: Path) -> None:
    for shade in (10, 80, 150):
        Image.new("RGB", (64, 50), (shade, shade, shade)).save(tmp_path / f"{shade}.png")
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 12, 32, seed=0)
    assert crops.flatten(1).min(1).values.sort().values.tolist() == [10] * 4 + [80] * 4 + [150] * 4
    assert torch.equal(crops.flatten(1).min(1).values, crops.flatten(1).max(1).values)
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 5, 32, seed=0)
    assert sorted(crops.flatten(1).min(1).values.unique(return_counts=True)[1].tolist()) == [1, 2, 2]
    crops, _ = data.random_crops(sorted(tmp_path.iterdir()), 2, 32, seed=0)
    assert len(crops.flatten(1).min(1).values.unique()) == 2


def test_unreadable_pictures_are_counted_and_made_up_for_unless_there_is_no_other(pictures: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    short = tmp_path / "short.png"
    short.write_bytes((pictures / "1.png").read_bytes()[:-200])
    crops, unreadable = data.random_crops([broken, pictures / "1.png", short, pictures / "2.png"], 7, 32, seed=0)
    assert len(crops) == 7 and unreadable == [broken, short]
    assert len(torch.unique(crops, dim=0)) == 7
    crops, unreadable = data.centre_crops([broken, pictures / "1.png"], 32)
    assert len(crops) == 1 and unreadable == [broken]
    with pytest.raises(PictureError, match="none of the 1 training pictures can be read"):
        data.random_crops([broken], 6, 32, seed=0)
    with pytest.raises(PictureError, match="none of the 1 pictures held out can be read"):
        data.centre_crops([broken], 32)


def test_photographs_are_upright(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: then the top is white
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    (found,), _ = data.centre_crops([tmp_path / "turned.png"], 40)
    assert found[:, :15].min() == 1 and found[:, 25:].max() == 0


@pytest.mark.parametrize(("workers", "batch"), [(1, 5), (2, 3), (3, 7), (2, 20)])
def test_all_crops_are_drawn_once_an_epoch_by_one_worker_or_another(workers: int, batch: int) -> None:
    steps = 12
    drawn = [data.draw(12, 3, (s * workers + rank) * batch, batch) for s in range(steps) for rank in range(workers)]
    epochs = torch.cat(drawn)[: steps * workers * batch // 12 * 12].view(-1, 12)
    assert len(epochs) >= 5 and torch.equal(epochs.sort(1).values, torch.arange(12).expand_as(epochs))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(data.draw(12, 3, 0, 60), epochs[:5].flatten())
    assert not torch.equal(data.draw(12, 4, 0, 60), epochs[:5].flatten())


def test_centre_crops_are_the_middle_and_small_pictures_are_enlarged(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:36, 14:46] = 255
    Image.fromarray(pixels).save(tmp_path / "frame.png")
    Image.new("RGB", (10, 30), (51, 102, 153)).save(tmp_path / "small.png")
    found, _ = data.centre_crops([tmp_path / "frame.png", tmp_path / "small.png"], 32)
    assert torch.equal(found[0], torch.ones(3, 32, 32))
    assert torch.allclose(found[1], torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1).expand(3, 32, 32))
