"""Report the progress of a picture to the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .images import to_pil
from .networks.decoder import Decoder
from .progress import Progress
from .reshuffle.inversion import STEPS, InversionStep
from .reshuffle.levels import Turn, decode_to_picture
from .settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

# Time of a gradient step, in units of a feed-forward picture, measured at 512: of refinement, and of inversion.
_REFINE_COST, _INVERSION_COST = 0.12, 0.2


class Report:
    """Turns the progress of each part of the work into the progress of the whole, which never falls."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, settings: Settings, decoder: Decoder | None, steps: int
    ) -> None:
        self.progress, self.settings, self.decoder, self.steps = progress, settings, decoder, steps
        # share of the work before the refinement, in units of a feed-forward picture
        before = 1 if decoder else 4 * STEPS * _INVERSION_COST
        self.first = before / (before + _REFINE_COST * steps)

    def turn(self, turn: Turn) -> None:
        share = 0.99 * turn.share
        if self.decoder is None:  # beside the inversion, matching takes no time
            share = (self.settings.levels[0] - turn.level) / self.settings.levels[0]
        self._tell(share * self.first, f"relu{turn.level}_1", turn.level, self._drawing(turn))

    def inversion(self, step: InversionStep) -> None:
        deepest = self.settings.levels[0]
        share = min(0.99, (deepest - step.level + step.step / step.steps) / deepest)
        self._tell(share * self.first, f"inversion of relu{step.level}_1", step.level - 1, _drawn(step.picture[0]))

    def decoded(self, picture: Tensor) -> None:
        self._tell(self.first, "decode", 0, _drawn(picture))

    def refinement(self, number: int, picture: Tensor) -> None:
        share = number / self.steps
        self._tell(1 - (1 - share) * (1 - self.first), "refine", 0, _drawn(picture))

    def _drawing(self, turn: Turn) -> Callable[[int], Image] | None:
        """A function that draws a preview of a level's features; None without a decoder."""
        decoder = self.decoder
        return None if decoder is None else lambda long_side: _decoded_small(turn, decoder, long_side)

    def _tell(self, fraction: float, stage: str, level: int, draw: Callable[[int], Image] | None) -> None:
        if self.progress is not None:
            self.progress(Progress(fraction, stage, level, draw))


@torch.inference_mode()
def _decoded_small(turn: Turn, decoder: Decoder, long_side: int) -> Image:
    """A picture of a level's features, which are averaged down first so that it has about this long side."""
    features = turn.features[None]
    factor = max(1, round(max(features.shape[2:]) * 2 ** (turn.level - 1) / long_side))
    factor = min(factor, *(side // 2 for side in features.shape[2:])) if min(features.shape[2:]) >= 4 else 1
    small = F.avg_pool2d(features, factor, ceil_mode=True) if factor > 1 else features
    return to_pil(decode_to_picture(small[0], turn.level, decoder))


def scaled(progress: Callable[[Progress], None], share: float) -> Callable[[Progress], None]:
    """A progress callback for work that is the first share, 0 to 1, of all the work."""
    return lambda part: progress(replace(part, fraction=part.fraction * share))


def rest(progress: Callable[[Progress], None], share: float) -> Callable[[float, Tensor], None]:
    """A callback for the enlargement that follows a share of the work: with how much of it is done, and a picture."""
    return lambda done, picture: progress(Progress(share + (1 - share) * done, "enlarge", 0, _drawn(picture)))


def _drawn(picture: Tensor) -> Callable[[int], Image]:
    """A function that draws a preview of a picture (3, H, W)."""

    def draw(long_side: int) -> Image:
        image = to_pil(picture)
        image.thumbnail((long_side, long_side))
        return image

    return draw
