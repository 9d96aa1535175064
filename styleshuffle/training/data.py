"""Crops from a folder of pictures, and their order. The same folder, numbers and seed give the same crops and order."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PictureError, SettingsError
from ..images import READABLE, read

_THREADS = min(8, os.cpu_count() or 1)  # each holds a decoded picture


def split(folder: str | Path, holdout: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Pictures of a folder and its subfolders: those to train with, and ``holdout`` others, by seed, to measure with."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder of training pictures; check `images`")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READABLE)
    if len(paths) <= holdout:
        raise SettingsError(f"{folder}: {len(paths)} pictures, of which {holdout} are held out; add more pictures")
    held = set(np.random.default_rng(seed).permutation(len(paths))[:holdout].tolist())
    return [p for i, p in enumerate(paths) if i not in held], [paths[i] for i in sorted(held)]


def draw(count: int, seed: int, start: int, number: int) -> Tensor:
    """Which of ``count`` crops a run sees at the positions start, ..., start + number - 1: int64 (number,).

    Every ``count`` positions are an epoch, which sees each crop once, in an order drawn by seed and epoch.
    """
    first, last = start // count, (start + number - 1) // count
    orders = [np.random.default_rng([seed, epoch]).permutation(count) for epoch in range(first, last + 1)]
    return torch.from_numpy(np.concatenate(orders)[start - first * count :][:number])


def random_crops(
    paths: Sequence[Path], count: int, side: int, seed: int, tick: Callable[[int], None] = lambda done: None
) -> tuple[Tensor, list[Path]]:
    """``count`` square crops, spread evenly over the pictures, and the pictures that cannot be read.

    A crop is between 3/4 and twice ``side`` wide before it is resized, so that the networks see fine and smooth detail.
    Half of the crops are mirrored. Several threads read the pictures; the crops do not depend on how many.

    Args:
        tick: called with the number of crops that are done.

    Returns:
        the crops, uint8 (count, 3, side, side), in random order, and the unreadable pictures. If there are more pictures
        than crops, not all pictures are tried.

    Raises:
        PictureError: no picture can be read.
    """
    random = np.random.default_rng(seed)
    pictures, places = random.permutation(len(paths)).tolist(), random.permutation(count).tolist()
    crops = torch.empty((count, 3, side, side), dtype=torch.uint8)
    unreadable: set[int] = set()
    while places:  # another round makes up for pictures that cannot be read
        left = [index for index in pictures if index not in unreadable]
        if not left:
            raise PictureError(f"{paths[0].parent}: none of the {len(paths)} training pictures can be read; check them")
        each, more = divmod(len(places), len(left))
        quotas = {index: each + (order < more) for order, index in enumerate(left) if each or order < more}
        seeds = [(seed, len(places), index) for index in quotas]
        with ThreadPoolExecutor(_THREADS) as pool:
            results = pool.map(_cut, [paths[index] for index in quotas], quotas.values(), repeat(side), seeds)
            for index, cut in zip(quotas, results, strict=True):
                if cut is None:
                    unreadable.add(index)
                for crop in cut or ():
                    crops[places.pop()] = crop
                tick(count - len(places))
    return crops, [paths[index] for index in sorted(unreadable)]


def _cut(path: Path, number: int, side: int, seed: Sequence[int]) -> list[Tensor] | None:
    """Crops of a picture; None if it cannot be read."""
    picture, random = read_rgb(path), np.random.default_rng(seed)
    return None if picture is None else [_random_crop(picture, side, random) for _ in range(number)]


def read_rgb(path: Path) -> Image.Image | None:
    """An upright picture in sRGB; None if it cannot be read."""
    try:
        return read(path).pil().convert("RGB")
    except PictureError:
        return None


def random_square(picture: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """A random square, 3/4 to 2 times ``side`` wide before it is resized; half of the squares are mirrored."""
    width, height = picture.size
    taken = min(side * 2 ** random.uniform(math.log2(0.75), 1), width, height)
    left, top = random.uniform(0, width - taken), random.uniform(0, height - taken)
    crop = picture.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + taken, top + taken))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return crop


def _random_crop(picture: Image.Image, side: int, random: np.random.Generator) -> Tensor:
    crop = random_square(picture, side, random)
    return torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1)


def centre_crops(paths: Sequence[Path], side: int) -> tuple[Tensor, list[Path]]:
    """The middle of each picture at its own size, and the pictures that cannot be read.

    Returns:
        the crops, float32 (N, 3, side, side) in [0, 1], and the unreadable pictures. Small pictures are enlarged first.

    Raises:
        PictureError: no picture can be read.
    """
    crops, unreadable = [], []
    for path in paths:
        picture = read_rgb(path)
        if picture is None:
            unreadable.append(path)
            continue
        scale = max(1.0, side / min(picture.size))
        if scale > 1:
            picture = picture.resize((math.ceil(picture.width * scale), math.ceil(picture.height * scale)))
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        crops.append(torch.from_numpy(np.asarray(picture.crop((left, top, left + side, top + side))).copy()))
    if not crops:
        raise PictureError(f"{paths[0].parent}: none of the {len(paths)} pictures held out can be read; check them")
    return torch.stack(crops).permute(0, 3, 1, 2).float() / 255, unreadable
