"""The Python interface: set a style once, apply it to many contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import PIXEL_COSTS, check_memory, choose_device
from .errors import SettingsError, WeightsError
from .images import Picture, fit_size, from_result, read, to_pil
from .networks.decoder import Decoder, load_compact_decoder, load_decoder
from .networks.refiner import LEVELS as REFINED_LEVELS
from .networks.refiner import Refiner, load_compact_refiner, load_refiner
from .networks.vgg import VGG, load_encoder
from .progress import Progress
from .reshuffle.inversion import STEPS, InversionStep, Inverter
from .reshuffle.levels import Turn, decode_to_picture, reshuffle
from .reshuffle.palette import match_palette, palette_of
from .reshuffle.refinement import refine_by_gradient, refine_by_network
from .reshuffle.style import StyleLevel, prepare_style
from .reshuffle.targets import MatchedTargets, Start
from .settings import Settings, settings_from

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Source = str | Path | BinaryIO | Image | Tensor | np.ndarray | Picture


# Of a step by gradient, in feed-forward pictures, measured at 512: of refinement, and in place of a decoder.
_REFINE_COST, _INVERSION_COST = 0.12, 0.2
_STYLE_SIZES_KEPT = 4  # a folder often holds upright and lying pictures


@dataclass(frozen=True)
class PreparedStyle:
    """What is computed once for a style: what to reshuffle, by level, and its colours (3, n)."""

    levels: dict[int, StyleLevel]
    palette: Tensor


@dataclass(frozen=True)
class Draft:
    """A picture that was fed forward, and what its refinement has to know.

    Attributes:
        picture: (3, H, W), RGB in [0, 1], of the size that is worked on: multiples of 8.
        content: features (C, H, W) of the content by level.
        starts: what the last turn of each level left.
    """

    picture: Tensor
    content: dict[int, Tensor]
    starts: dict[int, Start]


class Stylizer:
    """Stylizes pictures; pays for the networks and for a style once.

    Args:
        settings: how to stylize; single settings can be given by name instead or on top.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        encoder: "compact" or "vgg19".
        weights: of the encoder, a file; default: the bundled ones, or torchvision's VGG-19, downloaded once.
        convention: of VGG-19's weights, "caffe" or "torchvision"; default: detected.
        decoder: a file that `styleshuffle-train decoder` wrote for this encoder. Without one, encoders other than the
            bundled one are decoded by optimisation (`styleshuffle.reshuffle.inversion`), which is slow.
        refiner: a file that `styleshuffle-train refiner` wrote for this encoder. Without one, encoders other than the
            bundled one are refined by Adam, in more steps.
        show_download: a progress bar on stderr if VGG-19 has to be downloaded.

    Raises:
        SettingsError: unknown setting, value out of range, a setting that would do nothing, or a device that this machine
            does not have.
        WeightsError: weights are missing, damaged, or another network's.
    """

    @torch.inference_mode(False)  # weights made in the caller's inference mode could not be refined through
    def __init__(
        self,
        settings: Settings | None = None,
        *,
        device: str = "auto",
        encoder: str = "compact",
        weights: str | Path | None = None,
        convention: str | None = None,
        decoder: str | Path | None = None,
        refiner: str | Path | None = None,
        show_download: bool = False,
        **overrides: Any,
    ) -> None:
        self.settings = settings_from(**{**(vars(settings) if settings else {}), **overrides})
        self.device = choose_device(device)
        net = load_encoder(encoder, weights, convention, show_download)
        if self.settings.levels[0] not in net.channels:
            deepest = f"relu{max(net.channels)}_1"
            raise WeightsError(f"{weights}: ends at {deepest}; pass a deeper file, or `levels` that start there")
        chain = None
        if decoder is not None:
            chain = load_decoder(net, decoder)
        elif encoder == "compact" and weights is None:
            chain = load_compact_decoder(net)
        _check_optimizer(self.settings, has_decoder=chain is not None)
        self.encoder: VGG = net.to(self.device).to(memory_format=torch.channels_last)
        self.decoder: Decoder | None = chain and chain.to(self.device).to(memory_format=torch.channels_last)
        self.refiner: Refiner | None = self._refiner(refiner, bundled=encoder == "compact" and weights is None)
        self._style: Picture | None = None
        self._prepared: dict[tuple[int, int], PreparedStyle] = {}

    def _refiner(self, path: str | Path | None, bundled: bool) -> Refiner | None:
        """The network that refines, if there is one for the encoder and the levels that are set."""
        has_levels = set(REFINED_LEVELS) <= set(self.settings.levels)
        if path is not None and not (has_levels and self.settings.refines_learned):
            raise SettingsError(
                "refiner: needs `optimizer` learned, `refine` above 0, and `levels` that go through 3, 2, 1; leave it out"
            )
        if not self.settings.refines_learned or not has_levels or (path is None and not bundled):
            return None
        net = load_compact_refiner(self.encoder) if path is None else load_refiner(self.encoder, path)
        return net.to(self.device).to(memory_format=torch.channels_last)

    @property
    def refine_steps(self) -> int:
        """How many steps refine a picture."""
        return self.settings.refine_steps(learned=self.refiner is not None)

    def set_style(self, style: Source) -> Stylizer:
        """Choose the style picture; returns itself.

        Raises:
            PictureError: the picture cannot be read.
        """
        self._style = style if isinstance(style, Picture) else read(style)
        self._prepared = {}
        return self

    def stylize(self, content: Source, progress: Callable[[Progress], None] | None = None) -> Image:
        """A content picture in the chosen style as an 8-bit Pillow image, RGB, or RGBA where it has transparency.

        Args, Raises: see `render`, which keeps the full precision.
        """
        return self.render(content, progress).pil()

    def render(self, content: Source, progress: Callable[[Progress], None] | None = None) -> Picture:
        """A content picture in the chosen style, at the content's size unless `Settings.size` says otherwise.

        Args:
            content: path, stream, Pillow image, array, tensor or `Picture`.
            progress: called after each step with what is done; an exception from it stops the work.

        Returns:
            sRGB as float32 in [0, 1], with the content's transparency and its bits a channel.

        Raises:
            PictureError: the content cannot be read.
            SettingsError: no style has been set.
            MemoryShortage: the picture is too large to be worked on at this size.
        """
        if self._style is None:
            raise SettingsError("style: none has been set; call set_style first")
        picture = content if isinstance(content, Picture) else read(content)
        size, work_size = self.sizes(picture.size)
        style = self._prepared_style(self._style, work_size)
        result = self.apply(picture.tensor(work_size), style, progress)
        if size != work_size:
            result = F.interpolate(result, (size[1], size[0]), mode="bicubic", antialias=True).clamp_(0, 1)
        return from_result(result, picture.alpha, picture.bits)

    def sizes(self, content: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(width, height) of the result for a content of that size, and of the picture that is worked on."""
        size = fit_size(content, self.settings.size)
        work_size = fit_size(size, self.settings.work_size) if max(size) > self.settings.work_size else size
        return size, work_size

    def _prepared_style(self, style: Picture, work_size: tuple[int, int]) -> PreparedStyle:
        """The style as a picture worked on at this size needs it; a few sizes are kept."""
        size = fit_size(style.size, max(32, round(max(work_size) * self.settings.style_scale)))
        costs = PIXEL_COSTS[self.encoder.kind]
        cost = costs.refined if self.refine_steps and self.refiner is None else costs.forward
        pixels = work_size[0] * work_size[1] + size[0] * size[1]
        check_memory(self.device, pixels, costs.inverted if self.decoder is None else cost)
        if size not in self._prepared:
            while len(self._prepared) >= _STYLE_SIZES_KEPT:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[size] = self.prepare(style.tensor(size))
        return self._prepared[size]

    @torch.inference_mode()
    def prepare(self, style: Tensor) -> PreparedStyle:
        """A style picture (1, 3, H, W), RGB in [0, 1], as `apply` wants it."""
        style = style.to(self.device)
        return PreparedStyle(prepare_style(self._encoded(_to_multiple(style)), self.settings), palette_of(style[0]))

    @torch.inference_mode()
    def apply(
        self,
        content: Tensor,
        style: PreparedStyle,
        progress: Callable[[Progress], None] | None = None,
        watch: Callable[[Turn], None] | None = None,
    ) -> Tensor:
        """A content picture in a prepared style, from tensor to tensor.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].
            style: from `prepare`.
            progress: see `render`.
            watch: shown the features, votes and field of each turn of each level, for study.

        Returns:
            (1, 3, H, W), RGB in [0, 1], on the CPU.
        """
        report = _Report(progress, self.settings, self.decoder, self.refine_steps)
        draft = self._fed_forward(content, style, report, watch)
        result = draft.picture
        if self.refine_steps:
            targets = MatchedTargets(draft.content, style.levels, draft.starts, self.settings)
            steps = self._refined(draft.picture, targets)
            del draft  # the votes are large, and needed only at the start
            for number, result in enumerate(steps, start=1):
                report.refinement(number, result)
        return result[None, :, : content.shape[2], : content.shape[3]].cpu()

    @torch.inference_mode()
    def draft(self, content: Tensor, style: PreparedStyle) -> tuple[Tensor, MatchedTargets]:
        """A content picture in a prepared style before it is refined, and what refinement would steer it to.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].

        Returns:
            the picture, (3, H', W') in [0, 1], H' and W' multiples of 8, and its targets.
        """
        draft = self._fed_forward(content, style, _Report(None, self.settings, self.decoder, 0), None)
        return draft.picture, MatchedTargets(draft.content, style.levels, draft.starts, self.settings)

    def _fed_forward(
        self, content: Tensor, style: PreparedStyle, report: _Report, watch: Callable[[Turn], None] | None
    ) -> Draft:
        picture = _to_multiple(content.to(self.device))
        features = self._encoded(picture)
        decode = self.decoder or Inverter(
            self.encoder, picture, optimizer=self.settings.gradient_optimizer, progress=report.inversion
        )
        starts: dict[int, Start] = {}
        for turn in reshuffle(features, style.levels, decode, self.settings):
            starts[turn.level] = Start(turn.nnf, turn.votes)
            report.turn(turn)
            if watch is not None:
                watch(turn)
        result = decode_to_picture(turn.features, turn.level, decode)
        report.decoded(result)
        share = 1 - self.settings.faded(1 - self.settings.palette)
        if share:
            result = match_palette(result, style.palette, share).clamp_(0, 1)
        return Draft(result, features, starts)

    def _refined(self, picture: Tensor, targets: MatchedTargets) -> Iterator[Tensor]:
        if self.refiner is not None:
            return refine_by_network(picture, self.encoder, targets, self.refine_steps, self.refiner)
        return refine_by_gradient(picture, self.encoder, targets, self.refine_steps, self.settings.gradient_optimizer)

    def _encoded(self, picture: Tensor) -> dict[int, Tensor]:
        """Features (C, H, W) of a picture (1, 3, H, W) by level."""
        encoded = self.encoder(picture, self.settings.levels)
        return {level: features[0].contiguous() for level, features in encoded.items()}


class _Report:
    """Turns the progress of the parts of a picture's work into that of the whole, which never goes back."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, settings: Settings, decoder: Decoder | None, steps: int
    ) -> None:
        self.progress, self.settings, self.decoder, self.steps = progress, settings, decoder, steps
        # share of the work before the refinement; inversion takes about as long as so many steps of refinement
        before = 1 if decoder else 4 * STEPS * _INVERSION_COST
        self.first = before / (before + _REFINE_COST * steps)

    def turn(self, turn: Turn) -> None:
        share = 0.99 * turn.share
        if self.decoder is None:  # next to the inversion, matching costs nothing
            share = (self.settings.levels[0] - turn.level) / self.settings.levels[0]
        self._tell(share * self.first, f"relu{turn.level}_1", turn.level, self._drawing(turn))

    def inversion(self, step: InversionStep) -> None:
        deepest = self.settings.levels[0]
        share = min(0.99, (deepest - step.level + step.step / step.steps) / deepest)
        self._tell(share * self.first, f"inversion of relu{step.level}_1", step.level - 1, _scaled(step.picture[0]))

    def decoded(self, picture: Tensor) -> None:
        self._tell(self.first, "decode", 0, _scaled(picture))

    def refinement(self, number: int, picture: Tensor) -> None:
        share = number / self.steps
        self._tell(1 - (1 - share) * (1 - self.first), "refine", 0, _scaled(picture))

    def _drawing(self, turn: Turn) -> Callable[[int], Image] | None:
        """How to draw a preview of a level's features."""
        decoder = self.decoder
        return None if decoder is None else lambda long_side: _decoded_small(turn, decoder, long_side)

    def _tell(self, fraction: float, stage: str, level: int, draw: Callable[[int], Image] | None) -> None:
        if self.progress is not None:
            self.progress(Progress(fraction, stage, level, draw))


@torch.inference_mode()
def _decoded_small(turn: Turn, decoder: Decoder, long_side: int) -> Image:
    """A picture of a level's features, averaged down first so that it is about this large."""
    features = turn.features[None]
    factor = max(1, round(max(features.shape[2:]) * 2 ** (turn.level - 1) / long_side))
    factor = min(factor, *(side // 2 for side in features.shape[2:])) if min(features.shape[2:]) >= 4 else 1
    small = F.avg_pool2d(features, factor, ceil_mode=True) if factor > 1 else features
    return to_pil(decode_to_picture(small[0], turn.level, decoder))


def _scaled(picture: Tensor) -> Callable[[int], Image]:
    """How to draw a preview of a picture (3, H, W)."""

    def draw(long_side: int) -> Image:
        image = to_pil(picture)
        image.thumbnail((long_side, long_side))
        return image

    return draw


def stylize(content: Source, style: Source, **settings: Any) -> Image:
    """One content picture in one style, as a Pillow image; takes what `Stylizer` takes, and `Settings` by name."""
    return Stylizer(**settings).set_style(style).stylize(content)


def _check_optimizer(settings: Settings, has_decoder: bool) -> None:
    """Refuse to choose an optimiser where nothing is optimised."""
    default = next(setting.default for setting in fields(Settings) if setting.name == "optimizer")
    if has_decoder and settings.refine == 0 and settings.optimizer != default:
        raise SettingsError(
            "optimizer: nothing is optimised with a decoder and `refine` 0; raise `refine` or leave this out"
        )


def _to_multiple(picture: Tensor, of: int = 8) -> Tensor:
    """Repeat the right and lower edge until both sides are multiples, as three poolings need."""
    height, width = (
        max(side + -side % of, 2 * of) for side in picture.shape[2:]
    )  # relu4_1 must be 2 wide to be reflected
    extended = F.pad(picture, (0, width - picture.shape[3], 0, height - picture.shape[2]), mode="replicate")
    return extended.contiguous(memory_format=torch.channels_last)
