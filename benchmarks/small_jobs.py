"""Three real trainings, small enough to be run dozens of times: a decoder, an encoder, and a classifier of digits.

`r_sweep.py` trains them all. Each is a `Task` whose networks return the loss of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from reconstruction import Task, prepare, random_crops
from torch import Tensor, nn

from styleshuffle.images import READABLE
from styleshuffle.networks.vgg import load_compact
from styleshuffle.training import distillation

NAMES = ("decoder", "encoder", "digits")
SAYS = {
    "decoder": "the decoder from relu2_1 to the picture, mean squared error of 32 x 32 crops",
    "encoder": "a compact encoder that learns the bundled one's features, share of their variance not explained",
    "digits": "a network of two convolutions that reads scikit-learn's digits, cross-entropy",
}


class Distillation(nn.Module):
    """A student that learns the principal components of a teacher's features at relu2_1, 3_1 and 4_1.

    Returns the share of variance not explained, summed over the levels.
    """

    def __init__(self, shapes: dict[int, tuple[int, ...]]) -> None:
        super().__init__()
        self.student, self.shapes = distillation.Student(), shapes

    def forward(self, pictures: Tensor, targets: Tensor) -> Tensor:
        parts = targets.split([int(np.prod(shape)) for shape in self.shapes.values()], 1)
        predicted, loss = self.student(pictures), torch.zeros(())
        for (level, shape), part in zip(self.shapes.items(), parts, strict=True):
            loss = loss + (predicted[level] - part.view(-1, *shape)).square().sum(1).mean()
        return loss


class Classifier(nn.Module):
    """Reads pictures of 8 x 8; returns the mean cross-entropy."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, 10),
        )

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.layers(pictures), labels)


def task(name: str, folders: Sequence[Path], crops: int, seeds: int) -> Task:
    """One of `NAMES`.

    Raises:
        click.UsageError: scikit-learn is not installed, or there are too few pictures.
    """
    if name == "decoder":
        return prepare(folders, 2, crops, 64, seeds)
    return _encoder(folders, crops, seeds) if name == "encoder" else _digits(seeds)


def _encoder(folders: Sequence[Path], crops: int, seeds: int) -> Task:
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in READABLE]
    training = [path for index, path in enumerate(paths) if index % 4]
    pictures = torch.cat([random_crops(training, crops, 0), random_crops(paths[::4], 64, 1)]).contiguous()
    with TemporaryDirectory() as folder:
        made = distillation.teacher_targets(load_compact(), pictures, Path(folder) / "targets.safetensors")
    targets = {int(level): target.float() for level, target in made.items()}
    networks: list[Any] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        networks.append(Distillation({level: tuple(target.shape[1:]) for level, target in targets.items()}))
    flat = torch.cat([target.flatten(1) for target in targets.values()], 1)
    some = (pictures.float() / 255).contiguous(memory_format=torch.channels_last)
    return Task(networks, (some[:crops], flat[:crops]), (some[crops:], flat[crops:]))


def _digits(seeds: int) -> Task:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise click.UsageError("digits need scikit-learn; pip install 'styleshuffle[benchmarks]'") from None
    found = load_digits()
    pictures = torch.from_numpy(found.images).float()[:, None] / 16
    labels = torch.from_numpy(found.target).long()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    held_out, training = order[:360], order[360:]
    networks: list[Any] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        networks.append(Classifier())
    return Task(networks, (pictures[training], labels[training]), (pictures[held_out], labels[held_out]))
