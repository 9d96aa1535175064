"""The training that the optimisers are compared on: a decoder learns to reconstruct small crops of real pictures.

`acceleration.py` and `quantisation.py` train it, in processes with one thread each that share crops and first networks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch
import torch.distributed as dist
from common import SAMPLES
from PIL import Image
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from styleshuffle.images import READABLE, read
from styleshuffle.networks.vgg import load_compact
from styleshuffle.training.decoding import WhitenedDecoder

SIDE = 32  # of a crop, in pixels
MOMENTS_OF = 256  # crops whose features' mean and covariance are what whitens
HELD_OUT_EVERY = 4  # pictures

images_option = click.option(
    "--images",
    multiple=True,
    default=(SAMPLES / "content", SAMPLES / "style"),
    show_default="the sample pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures; may be given several times.",
)


class Reconstruction(nn.Module):
    """The decoder from relu{level}_1 to the picture; returns the mean squared error."""

    def __init__(self, decoder: WhitenedDecoder, level: int) -> None:
        super().__init__()
        self.decoder, self.level = decoder, level
        for deeper in [key for key in decoder.chain.segments if int(key) > level]:
            del decoder.chain.segments[deeper]

    def forward(self, features: Tensor, pictures: Tensor) -> Tensor:
        x = features
        for level in range(self.level, 0, -1):
            x = self.decoder(x, level)
        return (x - pictures).square().mean()


@dataclass(frozen=True)
class Task:
    """What all runs share.

    Attributes:
        networks: not yet trained, one for each seed.
        training, held_out: crops, as features (N, C, h, w) and pictures (N, 3, SIDE, SIDE) in [0, 1].
    """

    networks: list[Reconstruction]
    training: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]

    def batch(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Features and pictures of crops drawn at random."""
        chosen = torch.randint(len(self.training[0]), (size,), generator=random)
        return self.training[0][chosen], self.training[1][chosen]

    @torch.no_grad()
    def error(self, network: Reconstruction) -> float:
        """Mean squared error on the held-out crops."""
        return float(network(*self.held_out))


def psnr(error: float) -> float:
    """PSNR in dB of a mean squared error, for values in [0, 1]."""
    return -10 * math.log10(error)


def prepare(folders: Sequence[Path], level: int, crops: int, held_out: int, seeds: int) -> Task:
    """Make the task. Every fourth picture is held out; crops are spread evenly over the pictures.

    Raises:
        click.UsageError: the folders have fewer than two pictures.
    """
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in READABLE]
    if len(paths) < 2:
        raise click.UsageError(f"{len(paths)} pictures in all; name folders with two or more by --images")
    encoder = load_compact()
    training = random_crops([path for i, path in enumerate(paths) if i % HELD_OUT_EVERY], crops, 0)
    networks = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        networks.append(Reconstruction(WhitenedDecoder(encoder, training[:MOMENTS_OF]), level))

    @torch.no_grad()
    def pairs(some: Tensor) -> tuple[Tensor, Tensor]:
        pictures = (some.float() / 255).contiguous(memory_format=torch.channels_last)
        return torch.cat([encoder(part, [level])[level] for part in pictures.split(64)]), pictures

    return Task(networks, pairs(training), pairs(random_crops(paths[::HELD_OUT_EVERY], held_out, 1)))


def random_crops(paths: Sequence[Path], count: int, seed: int) -> Tensor:
    """Squares of one to two times SIDE, resized to SIDE: uint8 (count, 3, SIDE, SIDE)."""
    random = np.random.default_rng(seed)
    crops = []
    for index, path in enumerate(paths):
        picture = read(path).pil().convert("RGB")
        for _ in range(index, count, len(paths)):
            side = min(SIDE * random.uniform(1, 2), *picture.size)
            left, top = random.uniform(0, picture.width - side), random.uniform(0, picture.height - side)
            box = (left, top, left + side, top + side)
            crops.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)))
    return torch.from_numpy(np.stack(crops)[random.permutation(count)]).permute(0, 3, 1, 2)


@contextmanager
def shared_folder(task: Task) -> Iterator[Path]:
    """A temporary folder with the task; processes map it into their memory, and leave their results there."""
    with TemporaryDirectory() as folder:
        torch.save(task, Path(folder) / "task.pt")
        yield Path(folder)


def load_task(folder: Path) -> Task:
    """What `shared_folder` saved, for a process of its own, which from now on has one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    task: Task = torch.load(folder / "task.pt", mmap=True, weights_only=False)
    return task


@contextmanager
def process_group(store: Path, rank: int, workers: int) -> Iterator[None]:
    """Connect the workers, which find each other by a file of their own."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=workers)
    try:
        yield
    finally:
        dist.destroy_process_group()


def in_parallel(network: Reconstruction) -> DistributedDataParallel:
    """The network with gradients averaged over the workers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a later torch has another name for the option, 2.4 only this one
        return DistributedDataParallel(network, broadcast_buffers=False)
