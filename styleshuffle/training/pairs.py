"""Pairs of a content and a style that were fed forward: what a refiner starts from, and what it is to reach.

To make a pair costs far more than to learn from it, so all are made before training, by the stylizer's own pipeline with
settings drawn by chance, and kept in files that are mapped into memory, which they may be larger than.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PictureError, SettingsError
from ..images import fit_size
from ..networks.refiner import LEVELS
from ..reshuffle.targets import Targets
from ..settings import Settings
from ..stylizer import Stylizer
from .data import draw, random_square, read_rgb, split

_ALIGNED = 8  # pixels: crops start at multiples of it
_STRENGTHS = (0.1, 1.0)
_OCTAVES = (-0.7, 0.7)  # of the style's size
_SPREAD = 0.4  # deviation of the logarithm of the power that half of all pairs raise their content weights to
_SEEDS = 1000
_THREADS = min(16, os.cpu_count() or 1)
_NOTE_EVERY = 16  # pairs
_LARGEST = 6e4  # float16 ends at 65504

Paths = Sequence[Path]


@dataclass
class Pairs:
    """Pairs, all of one size.

    Attributes:
        pictures: fed forward, (N, 3, S, S), RGB in [0, 1], float16.
        targets: by level, (N, C, S', S'), float16.
        deviations: by level, (N, 1, 1, 1), float32; see `Targets`.
    """

    pictures: Tensor
    targets: dict[int, Tensor]
    deviations: dict[int, Tensor]

    def __len__(self) -> int:
        return len(self.pictures)

    def first(self, count: int) -> Pairs:
        targets, deviations = (
            {level: kept[:count] for level, kept in own.items()} for own in (self.targets, self.deviations)
        )
        return Pairs(self.pictures[:count], targets, deviations)

    def near(self, device: torch.device) -> Pairs:
        """All pairs on a GPU that has room for twice as much; else as they are, to be sent crop by crop."""
        size = sum(kept.numel() * kept.element_size() for kept in (self.pictures, *self.targets.values()))
        if device.type != "cuda" or 2 * size > torch.cuda.mem_get_info(device)[0]:
            return self
        targets = {level: kept.to(device) for level, kept in self.targets.items()}
        return Pairs(self.pictures.to(device), targets, self.deviations)

    def crops(self, chosen: Tensor, corners: np.ndarray, side: int, device: torch.device) -> tuple[Tensor, Targets]:
        """Square pieces of pairs: pictures (n, 3, side, side) and their targets, float32.

        Args:
            chosen: the pairs, int64 (n,).
            corners: where a piece lies between the top left (0, 0) and the bottom right (1, 1), (n, 2).
            side: in pixels, a multiple of 8, up to that of the pairs.
        """
        places = (self.pictures.shape[2] - side) // _ALIGNED + 1
        tops, lefts = ((corners * places).astype(int) * _ALIGNED).T.tolist()

        def cut(kept: Tensor, level: int) -> Tensor:
            shift, wide = level - 1, side >> (level - 1)
            pieces = kept.new_empty(len(chosen), kept.shape[1], wide, wide)
            for piece, pair, top, left in zip(pieces, chosen.tolist(), tops, lefts, strict=True):
                piece.copy_(kept[pair, :, top >> shift : (top >> shift) + wide, left >> shift : (left >> shift) + wide])
            return pieces.to(device).float().contiguous(memory_format=torch.channels_last)

        deviations = {level: own[chosen].to(device) for level, own in self.deviations.items()}
        return cut(self.pictures, 1), Targets({level: cut(own, level) for level, own in self.targets.items()}, deviations)

    def whole(self, number: int, device: torch.device) -> tuple[Tensor, Targets]:
        """One pair: its picture (3, S, S) and targets, float32."""
        return self.pictures[number].to(device).float(), Targets(
            {level: own[number].to(device).float() for level, own in self.targets.items()},
            {level: float(own[number]) for level, own in self.deviations.items()},
        )


def split_pairs(
    contents: Path, styles: Path, patterns: tuple[str, str], holdout: int, seed: int
) -> tuple[tuple[Paths, Paths], tuple[Paths, Paths]]:
    """Contents and styles to train with, and those held out: of each folder ``holdout`` pictures, drawn by seed.

    Both may be in one folder, of which ``holdout`` pictures are then held out in all.

    Args:
        patterns: of the names of contents and of styles, such as "photo_*".

    Raises:
        SettingsError: no such folder, or no picture is left to train with, or to measure with.
    """
    kept: list[list[Path]] = []
    for folder, pattern in zip((contents, styles), patterns, strict=True):
        for what, paths in zip(("to train with", "held out"), split(folder, holdout, seed), strict=True):
            kept.append([path for path in paths if fnmatch(path.name, pattern)])
            if not kept[-1]:
                raise SettingsError(f"{folder}: no picture {what} is named {pattern}; change the pattern or `holdout`")
    return (kept[0], kept[2]), (kept[1], kept[3])


@dataclass(frozen=True)
class Maker:
    """Feeds pairs forward on the stylizer's device.

    Attributes:
        stylizer: whose pipeline and settings; it need not refine.
        side: of a pair, in pixels, a multiple of 8.
        seed: of who is paired with whom and of all that is drawn.
        varied: draw strength, seed, size of the style and content weights; if not, pairs have the stylizer's own.
    """

    stylizer: Stylizer
    side: int
    seed: int
    varied: bool = True

    def make(
        self,
        contents: Paths,
        styles: Paths,
        count: int,
        folder: Path,
        until: float = math.inf,
        tick: Callable[[int], object] = lambda more: None,
    ) -> Pairs:
        """Make pairs and keep them in a folder; those that are there already are not made again.

        Args:
            count: of pairs; a picture is taken again only after all others.
            until: time (`time.monotonic`) to stop at, with as many pairs as there are then.
            tick: told how many pairs more are done.

        Raises:
            PictureError: no picture can be read.
            SettingsError: the side is not a multiple of 8.
        """
        if self.side % _ALIGNED:
            raise SettingsError(f"pair_side: {self.side} is not a multiple of {_ALIGNED}; use {self.side // 8 * 8}")
        folder.mkdir(parents=True, exist_ok=True)
        note, description = folder / "pairs.json", {**self._description(contents, styles), "count": count}
        done = _done(note, description)
        tick(done)
        pairs = _files(folder, count, self.side, self.stylizer.encoder.channels)
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(_THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            while done < count and (time.monotonic() < until or not done):
                # the first alone: torch loads linear algebra for GPUs at its first use, which is not safe in threads
                numbers = range(done, min(done + _NOTE_EVERY, count) if done else 1)
                for number, made in zip(numbers, pool.map(partial(self._pair, contents, styles), numbers), strict=True):
                    _keep(pairs, number, *made)
                    tick(1)
                done = numbers.stop
                note.write_text(json.dumps({**description, "done": done}))
        torch.set_num_threads(threads)
        return pairs.first(done)

    def _description(self, contents: Paths, styles: Paths) -> dict[str, object]:
        """All that tells one set of pairs from another."""
        decoder = self.stylizer.decoder
        return {
            "contents": [path.name for path in contents],
            "styles": [path.name for path in styles],
            "settings": repr(self.stylizer.settings),
            "encoder": bytes(self.stylizer.encoder.fingerprint().tolist()).hex(),
            "decoder": decoder and [float(weight.abs().mean()) for weight in decoder.parameters()],
            "side": self.side,
            "seed": self.seed,
            "varied": self.varied,
        }

    @torch.inference_mode()
    def _pair(self, contents: Paths, styles: Paths, number: int) -> tuple[Tensor, Targets]:
        random = np.random.default_rng([self.seed, number])
        stylizer = copy.copy(self.stylizer)
        if self.varied:
            stylizer.settings = _varied(stylizer.settings, random)
        content = random_square(_picture(contents, 2 * self.seed, number), self.side, random)
        style = _picture(styles, 2 * self.seed + 1, number)
        long_side = round(self.side * stylizer.settings.style_scale)
        style = style.resize(fit_size(style.size, long_side), Image.Resampling.LANCZOS)
        prepared = stylizer.prepare(_tensor(style))
        return stylizer.draft(_tensor(content), prepared)


def _varied(settings: Settings, random: np.random.Generator) -> Settings:
    powers = np.exp(random.normal(0, _SPREAD, len(settings.content_weights))) ** (random.random() < 0.5)
    content_weights, flat_weights = (
        tuple(float(weight**power) for weight, power in zip(weights, powers, strict=True))
        for weights in (settings.content_weights, settings.flat_weights)
    )
    return replace(
        settings,
        strength=random.uniform(*_STRENGTHS),
        style_scale=2 ** random.uniform(*_OCTAVES),
        seed=int(random.integers(_SEEDS)),
        content_weights=content_weights,
        flat_weights=flat_weights,
    )


def _picture(paths: Paths, seed: int, number: int) -> Image.Image:
    """The picture at a position of the order that a seed draws; of those that cannot be read, the next one."""
    first = int(draw(len(paths), seed, number, 1))
    for turn in range(len(paths)):
        picture = read_rgb(paths[(first + turn) % len(paths)])
        if picture is not None:
            return picture
    raise PictureError(f"{paths[0].parent}: none of {len(paths)} pictures can be read; check them")


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 255


def _keep(pairs: Pairs, number: int, picture: Tensor, targets: Targets) -> None:
    pairs.pictures[number] = picture.cpu()
    for level in LEVELS:
        pairs.targets[level][number] = targets.features[level].clamp(-_LARGEST, _LARGEST).cpu()
        pairs.deviations[level][number] = targets.deviations[level]


def _done(note: Path, description: dict[str, object]) -> int:
    """How many pairs are there already, made alike."""
    try:
        there = json.loads(note.read_text())
        done = int(there.pop("done"))
    except (OSError, ValueError, KeyError, AttributeError):
        return 0
    return done if there == json.loads(json.dumps(description)) else 0


def _files(folder: Path, count: int, side: int, channels: dict[int, int]) -> Pairs:
    def mapped(name: str, dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.from_file(str(folder / name), shared=True, size=math.prod(shape), dtype=dtype).view(shape)

    targets, deviations = {}, {}
    for level in LEVELS:
        wide = side >> (level - 1)
        targets[level] = mapped(f"relu{level}_1.float16", torch.float16, count, channels[level], wide, wide)
        deviations[level] = mapped(f"relu{level}_1.deviations.float32", torch.float32, count, 1, 1, 1)
    return Pairs(mapped("pictures.float16", torch.float16, count, 3, side, side), targets, deviations)
