"""Crops from a folder of pictures: the same ones for the same folder, numbers and seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PictureError, SettingsError
from ..images import READABLE, read


def split(folder: str | Path, holdout: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Pictures of a folder (subfolders too) to train with, and ``holdout`` others, drawn by seed, to measure with."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder of training pictures; check --images")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READABLE)
    if len(paths) <= holdout:
        raise SettingsError(f"{folder}: {len(paths)} pictures, of which {holdout} are held out; add some to train with")
    held = set(np.random.default_rng(seed).permutation(len(paths))[:holdout].tolist())
    return [p for i, p in enumerate(paths) if i not in held], [paths[i] for i in sorted(held)]


def random_crops(
    paths: Sequence[Path], count: int, side: int, seed: int, tick: Callable[[], None] = lambda: None
) -> Tensor:
    """``count`` square crops, spread evenly over the pictures, as uint8 (count, 3, side, side).

    The crop is between 3/4 and twice ``side`` wide before it is resized (so that the networks meet fine and smooth
    detail alike) and mirrored half of the time. Pictures that cannot be read are passed over.
    """
    random = np.random.default_rng(seed)
    crops: list[Tensor] = []
    unreadable: set[Path] = set()
    while len(crops) < count:
        readable = [path for path in paths if path not in unreadable]
        if not readable:
            raise PictureError(f"{paths[0].parent}: none of the {len(paths)} training pictures can be read; check them")
        each = math.ceil((count - len(crops)) / len(readable))
        for path in readable:
            try:
                picture = read(path).pil().convert("RGB")
            except PictureError:
                unreadable.add(path)
                continue
            for _ in range(min(each, count - len(crops))):
                crops.append(_random_crop(picture, side, random))
                tick()
    order = torch.from_numpy(random.permutation(count))
    return torch.stack(crops)[order]


def _random_crop(picture: Image.Image, side: int, random: np.random.Generator) -> Tensor:
    width, height = picture.size
    taken = min(side * 2 ** random.uniform(math.log2(0.75), 1), width, height)
    left, top = random.uniform(0, width - taken), random.uniform(0, height - taken)
    crop = picture.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + taken, top + taken))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1)


def centre_crops(paths: Sequence[Path], side: int) -> Tensor:
    """The middle of each picture at its own size, as float32 (N, 3, side, side) in [0, 1]; small ones are enlarged."""
    crops = []
    for path in paths:
        try:
            picture = read(path).pil().convert("RGB")
        except PictureError:
            continue
        scale = max(1.0, side / min(picture.size))
        if scale > 1:
            picture = picture.resize((math.ceil(picture.width * scale), math.ceil(picture.height * scale)))
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        crops.append(torch.from_numpy(np.asarray(picture.crop((left, top, left + side, top + side))).copy()))
    if not crops:
        raise PictureError(f"{paths[0].parent}: none of the {len(paths)} pictures held out can be read; check them")
    return torch.stack(crops).permute(0, 3, 1, 2).float() / 255
