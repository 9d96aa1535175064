"""Enlarge a painting by repainting it, tile by tile, in steps of at most a factor of two.

All that looks at the picture as a whole (prices, colours, evening, coarse matching) is decided at the work size. An
enlarged painting then has the right colours in the right places, but no brushwork at the new size. So each step is a
further step of the coarse-to-fine loop: the enlarged painting, with the content's detail at the new size, is reshuffled
at relu3_1, relu2_1 and relu1_1 with the same prepared style, whose strokes are as fine in pixels as ever; then it is
refined. What is coarser than a stroke is set back to the painting's own. So tiles cannot disagree in colour, and need a
halo only as wide as the networks see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import is_out_of_memory
from .images import Picture
from .pipeline import Pipeline, PreparedStyle, to_multiple
from .reshuffle.filters import blurred
from .reshuffle.guide import Guide, Wishes
from .reshuffle.levels import decode_to_picture, reshuffle
from .reshuffle.parts import PartMatcher
from .reshuffle.refinement import refine_by_network
from .reshuffle.structure import noise_of, structure, with_floor
from .reshuffle.targets import MatchedTargets, Start
from .reshuffle.tones import luminance
from .settings import Settings
from .tiles import Tile, lay, numbered, steps_between, tiles

# Sides and deviations are in pixels of the step's own size, because networks and strokes are.
LEVELS = (3, 2, 1)
HALO = 64  # pixels; the networks, matching and refinement see about as far
BLEND = 32  # pixels over which neighbouring tiles fade into each other
STEPS = 1  # of refinement
TILES = (1024, 768, 512, 384)  # pixels a side, halos included; larger tiles waste less on halos and need more memory
_DETAIL = 1.5  # deviation in pixels of the Gaussian that takes the content's detail out
_STROKE = 6.0  # deviation in pixels of the Gaussian beyond which the painting's own colours stay
_STEEPEST = 1.5  # factor on the content's detail
_NOISE_SIDE = 1024  # pixels; noise repeats, so that a tile has the same wherever it is cut


class Enlarger:
    """Enlarges paintings of one content in one style.

    Args:
        pipeline: that made the painting.
        style: prepared, of the painting.
        painting: (3, h, w), RGB in [0, 1].
        content: at the painting's size, (1, 3, h, w), RGB in [0, 1].
        wishes: of the user, at that size.
    """

    def __init__(
        self, pipeline: Pipeline, style: PreparedStyle, painting: Tensor, content: Tensor, wishes: Wishes
    ) -> None:
        self.pipeline, self.style, self.device = pipeline, style, pipeline.device
        self.settings = _settings_for_parts(pipeline.settings)
        features = self._encoded(painting[None].to(self.device))
        self.wishes = wishes.to(self.device)
        self.matcher = PartMatcher(features, style.levels, self.settings, self.wishes.areas)
        self.structure = structure(self._encoded(content.to(self.device))[LEVELS[0]])
        contrast = luminance(painting).std() / luminance(content[0]).std().clamp_min(1e-3)
        self.noise = noise_of(_NOISE_SIDE, _NOISE_SIDE, self.settings.seed)
        share = self.settings.at(1).content_weight
        self.detail = share * min(_STEEPEST, float(contrast))

    @staticmethod
    def works_with(pipeline: Pipeline) -> bool:
        """Whether a pipeline has what repainting needs: a decoder, and levels that end in relu3_1 to relu1_1."""
        settings = pipeline.settings
        return pipeline.decoder is not None and set(LEVELS) <= set(settings.levels) and settings.strength > 0

    def enlarged(
        self,
        painting: Tensor,
        content: Picture,
        size: tuple[int, int],
        progress: Callable[[float, Tensor], None] | None = None,
        tile: int = TILES[0],
    ) -> Tensor:
        """A painting (3, h, w) at a size (width, height).

        Args:
            content: at its own size.
            progress: called with the share of the work that is done and the painting so far, after each tile.
            tile: side of a tile in pixels, halos included.

        Returns:
            (3, H, W) on the CPU, float32 in [0, 1], or uint8 if the content has 8 bits a channel.
        """
        sides = steps_between(max(painting.shape[1:]), max(size))
        total, done = sum(side**2 for side in sides), 0
        for side in sides:
            there = size if side == max(size) else _fit(size, side)
            pixels = content.resized(there)
            last = side == sides[-1]
            whole = last and content.bits == 8
            result = torch.empty(there[1], there[0], 3, dtype=torch.uint8 if whole else torch.float32).permute(2, 0, 1)
            for share, part in numbered(tiles(there[1], there[0], tile, HALO)):
                painted = self._painted(painting, pixels, part, (there[1], there[0]))
                lay(result, part, painted * 255 if whole else painted, BLEND)
                if progress is not None:
                    progress((done + share * side**2) / total, painting)
            painting, done = result, done + side**2
        return painting

    @torch.inference_mode()
    def _painted(self, painting: Tensor, pixels: np.ndarray, tile: Tile, size: tuple[int, int]) -> Tensor:
        """A tile (3, h, w) of the enlarged painting.

        Args:
            painting: (3, h, w), smaller.
            pixels: the content at the new size, (H, W, 3).
            size: the new height and width.
        """
        enlarged = _cut_enlarged(painting, tile, size).to(self.device)
        own = _cut(pixels, tile).to(self.device)
        light = luminance(own)[None]
        whole = _cut_enlarged(self.structure[None].cpu(), tile, size).to(self.device)[0].clamp_(0, 1)
        drawn = torch.addcmul(enlarged, light - blurred(light, _DETAIL), whole, value=self.detail)
        height, width = drawn.shape[1:]
        if self.settings.noise:
            drawn = with_floor(drawn, self.pipeline.soft * self.settings.noise / 255, self._noise(tile))
        picture = to_multiple(drawn[None])
        room = to_multiple(whole[None, None].expand(1, 3, -1, -1))[0, 0]
        rows, columns = (range(span.start, span.stop) for span in (tile.rows, tile.columns))
        wishes = self.wishes.part(rows, columns, size).extended((picture.shape[2], picture.shape[3]))
        guide = Guide(None, luminance(picture[0]), room, wishes.areas, wishes.strength)
        painted = self._repainted(picture, guide)[:, :height, :width]
        return (painted + blurred(enlarged - painted, _STROKE)).clamp_(0, 1).cpu()

    def _noise(self, tile: Tile) -> Tensor:
        rows, columns = (torch.arange(span.start, span.stop) % _NOISE_SIDE for span in (tile.rows, tile.columns))
        return self.noise[rows[:, None], columns]

    def _repainted(self, picture: Tensor, guide: Guide) -> Tensor:
        """A picture (1, 3, H, W) reshuffled and refined: (3, H, W)."""
        decoder = self.pipeline.decoder
        assert decoder is not None  # see works_with
        features = self._encoded(picture)
        starts: dict[int, Start] = {}
        for turn in reshuffle(features, self.style.levels, decoder, self.settings, guide, self.matcher):
            starts[turn.level] = Start(turn.nnf, turn.votes)
        result = decode_to_picture(turn.features, turn.level, decoder)
        refiner = self.pipeline.refiner
        if refiner is not None and self.pipeline.refine_steps:
            targets = MatchedTargets(features, self.style.levels, starts, self.settings, guide)
            *_, result = refine_by_network(result, self.pipeline.encoder, targets, STEPS, refiner)
        return result

    def _encoded(self, picture: Tensor) -> dict[int, Tensor]:
        encoded = self.pipeline.encoder(picture.contiguous(memory_format=torch.channels_last), LEVELS)
        return {level: features[0] for level, features in encoded.items()}


def enlarged_within(
    enlarger: Enlarger,
    painting: Tensor,
    content: Picture,
    size: tuple[int, int],
    progress: Callable[[float, Tensor], None] | None,
    tiles: Sequence[int],
) -> Tensor:
    """`Enlarger.enlarged` in the largest of some tiles that memory has room for; what a GPU has is known only by trying.

    Args:
        tiles: sides in pixels, falling.
    """
    most = 0.0

    def rising(share: float, picture: Tensor) -> None:
        nonlocal most
        most = max(most, share)
        if progress is not None:
            progress(most, picture)

    for tile in tiles:
        try:
            return enlarger.enlarged(painting, content, size, rising, tile)
        except (MemoryError, RuntimeError) as error:
            if tile == tiles[-1] or not is_out_of_memory(error):
                raise
        if enlarger.device.type == "cuda":
            torch.cuda.empty_cache()
    raise ValueError("no tile to try")


def _settings_for_parts(settings: Settings) -> Settings:
    """Settings of the finer levels, without what looks at the picture as a whole."""
    return replace(settings, levels=LEVELS, recolour=False, evening=0.0, turns=(1, 1, 1), matching="prices", seed=0)


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The (width, height) of that long side with the aspect ratio of a size."""
    width, height = (max(1, round(length * side / max(size))) for length in size)
    return width, height


def _cut(pixels: np.ndarray, tile: Tile) -> Tensor:
    """A tile (3, h, w) of pixels (H, W, 3), in [0, 1]."""
    rows, columns = tile.rows, tile.columns
    values = torch.from_numpy(pixels[rows.start : rows.stop, columns.start : columns.stop].copy()).permute(2, 0, 1)
    return values.float() / 255 if values.dtype == torch.uint8 else values.float().clamp(0, 1)


def _cut_enlarged(values: Tensor, tile: Tile, size: tuple[int, int]) -> Tensor:
    """A tile (C, h, w) of values (C, h', w'), as if all of them had been enlarged to a size (height, width).

    Each pixel is interpolated at its place in the whole, so tiles agree wherever they are cut.
    """
    grid = torch.stack(
        torch.meshgrid(
            *(
                (torch.arange(span.start, span.stop) + 0.5) * (2 / length) - 1
                for span, length in ((tile.rows, size[0]), (tile.columns, size[1]))
            ),
            indexing="ij",
        )[::-1],
        -1,
    )
    return F.grid_sample(values[None], grid[None].to(values), mode="bicubic", padding_mode="border", align_corners=False)[
        0
    ]
