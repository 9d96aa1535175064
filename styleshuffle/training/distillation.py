"""Distil the compact encoder from VGG-19.

The student's relu2_1, relu3_1 and relu4_1 learn to predict, each through a 1 x 1 linear tap that is thrown away
afterwards, the teacher's features at the same level: their leading principal components, with one scale a level, so
that a level's loss is the share of the teacher's variance that is not explained (1 - R^2). The teacher runs once over
a fixed set of crops and its targets are kept on disk in float16, for its forward pass costs more than the student's
whole step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..networks.vgg import COMPACT_WIDTHS, VGG
from ..networks.weights import load_tensors, save_tensors
from .loop import TrainingPlan, TrainingProgress, train
from .statistics import feature_moments
from .workers import Workers

LEVELS = (2, 3, 4)
_COMPONENTS = {2: 64, 3: 128, 4: 256}


class Student(nn.Module):
    """The compact VGG with a linear tap a level onto the teacher's principal components."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = VGG(COMPACT_WIDTHS).to(memory_format=torch.channels_last)
        for layer in self.vgg.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.taps = nn.ModuleDict(
            {str(level): nn.Conv2d(self.vgg.channels[level], _COMPONENTS[level], 1) for level in LEVELS}
        )
        for tap in self.taps.values():
            nn.init.zeros_(tap.weight)  # the losses start at 1, not at the scale of random features
            nn.init.zeros_(tap.bias)

    def forward(self, pictures: Tensor) -> dict[int, Tensor]:
        features = self.vgg(pictures, LEVELS)
        return {level: self.taps[str(level)](features[level]) for level in LEVELS}


def teacher_targets(
    teacher: VGG, crops: Tensor, file: Path, batch: int = 16, tick: Callable[[int], None] = lambda done: None
) -> dict[str, Tensor]:
    """Principal components of the teacher's features on all crops, float16, made once and kept in a file.

    Returns:
        per level "l": (N, K_l, h_l, w_l), centred and divided by the level's one scale (the root of its total
        variance), so that the squared norm at a position is on average the share of variance that the components hold.
    """
    digest = hashlib.sha256(crops.numpy()).hexdigest()
    if file.exists() and _made_from(file) == digest:
        return load_tensors(file)
    device = next(teacher.buffers()).device
    axes = _principal_axes(teacher, crops[:256], batch)
    targets: dict[str, Tensor] = {}
    for start in range(0, len(crops), batch):
        pictures = crops[start : start + batch].to(device).float() / 255
        with torch.inference_mode():
            features = teacher(pictures, LEVELS)
            for level in LEVELS:
                mean, axis = axes[level]
                target = torch.einsum("nchw,ck->nkhw", features[level] - mean.view(1, -1, 1, 1), axis).half().cpu()
                whole = targets.setdefault(str(level), torch.empty(len(crops), *target.shape[1:], dtype=torch.half))
                whole[start : start + batch] = target
        tick(min(start + batch, len(crops)))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(targets, file, {"crops": digest})
    return targets


def _made_from(targets: Path) -> str | None:
    """The digest of the crops that a file of targets was made from."""
    try:
        with safe_open(targets, "pt") as file:
            return (file.metadata() or {}).get("crops")
    except SafetensorError:  # cut short: made again
        return None


def _principal_axes(teacher: VGG, crops: Tensor, batch: int) -> dict[int, tuple[Tensor, Tensor]]:
    """Per level the channel mean (C) and the leading axes (C, K), divided by the root of the total variance."""
    axes = {}
    for level, (mean, covariance) in feature_moments(teacher, crops, LEVELS, batch).items():
        leading = torch.linalg.eigh(covariance).eigenvectors[:, -_COMPONENTS[level] :].flip(1)
        axes[level] = mean.float(), (leading / covariance.trace().sqrt()).float()
    return axes


def distil(
    student: Student, crops: Tensor, targets: dict[str, Tensor], plan: TrainingPlan, workers: Workers | None = None
) -> Iterator[TrainingProgress]:
    """Train the student on cached targets; losses "relu2_1", ... are 1 - R^2 on the components kept. See `train`."""
    device = next(student.parameters()).device

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        pictures = (crops[chosen].to(device).float() / 255).contiguous(memory_format=torch.channels_last)
        predicted = student(pictures)
        return {
            f"relu{level}_1": (predicted[level].float() - targets[str(level)][chosen].to(device).float())
            .square()
            .sum(1)
            .mean()
            for level in LEVELS
        }

    return train(student, losses, len(crops), plan, workers, "encoder")


@torch.inference_mode()
def explained_variance(student: VGG, teacher: VGG, fit: Tensor, held_out: Tensor, batch: int = 8) -> dict[int, float]:
    """R^2 of the best linear map from the student's features to all of the teacher's, by level.

    Args:
        fit: crops that the linear map is fitted on by least squares, (N, 3, H, W) in [0, 1].
        held_out: pictures that R^2 is measured on, the same way.
    """
    scores = {}
    for level in LEVELS:
        left = right = None
        for pictures in fit.split(batch):
            x, y = _pair(student, teacher, pictures, level)
            left, right = (x.T @ x, x.T @ y) if left is None else (left + x.T @ x, right + x.T @ y)
        ridge = 1e-6 * left.diagonal().mean() * torch.eye(len(left), dtype=left.dtype, device=left.device)
        weights = torch.linalg.solve(left + ridge, right)
        count, error, total, square = 0, 0.0, 0.0, 0.0
        for pictures in held_out.split(batch):
            x, y = _pair(student, teacher, pictures, level)
            error += float((x @ weights - y).square().sum())
            count, total, square = count + len(y), total + y.sum(0), square + float(y.square().sum())
        scores[level] = 1 - error / (square - float((total**2).sum()) / count)
    return scores


def _pair(student: VGG, teacher: VGG, pictures: Tensor, level: int) -> tuple[Tensor, Tensor]:
    """Student's features with a constant 1, (positions, C + 1), and the teacher's, (positions, C'), in float64."""
    pictures = pictures.to(next(student.buffers()).device)
    x, y = (net(pictures, [level])[level].transpose(0, 1).flatten(1).T.double() for net in (student, teacher))
    return torch.cat([x, torch.ones_like(x[:, :1])], 1), y
