"""The Python interface: set a style once, apply it to many contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Tensor

from .decoder import Decoder, load_compact_decoder, load_decoder
from .errors import MemoryShortage, SettingsError, WeightsError
from .images import Picture, fit_size, read, to_pil
from .inversion import STEPS, InversionStep, Inverter
from .palette import palette_of, repaint
from .progressive import Progress, prepare_style, shuffle
from .refinement import refine_by_gradient, refine_by_network
from .refiner import LEVELS as REFINED_LEVELS
from .refiner import Refiner, load_compact_refiner, load_refiner
from .reshuffle import StyleLevel
from .settings import Settings, settings_from
from .targets import MatchedTargets
from .vgg import VGG, load_encoder

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Source = str | Path | BinaryIO | Image | Tensor | np.ndarray | Picture


_BYTES_AT_REST = 600 * 2**20  # mostly torch itself
# Of content and style, by the network's first width: fed forward, refined, and without a decoder; measured at 512, the
# compact network also at 1024.
_BYTES_A_PIXEL = {16: (900, 1100, 2200), 64: (2200, 4200, 4200)}
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
        turns: the last one of each level.
    """

    picture: Tensor
    content: dict[int, Tensor]
    turns: dict[int, Progress]


class Stylizer:
    """Stylizes pictures; pays for the networks and for a style once.

    Args:
        settings: how to stylize; single settings can be given by name instead or on top.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        encoder: "compact" or "vgg19".
        weights: of the encoder, a file; default: the bundled ones, or torchvision's VGG-19, downloaded once.
        convention: of VGG-19's weights, "caffe" or "torchvision"; default: detected.
        decoder: a file that `styleshuffle-train decoder` wrote for this encoder. Without one, encoders other than the
            bundled one are decoded by optimisation (`styleshuffle.inversion`), which is slow.
        refiner: a file that `styleshuffle-train refiner` wrote for this encoder. Without one, encoders other than the
            bundled one are refined by Adam, in more steps.
        show_download: a progress bar on stderr if VGG-19 has to be downloaded.

    Raises:
        SettingsError: unknown setting, value out of range, or a device that this machine does not have.
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
            raise WeightsError(f"{weights}: ends at {deepest}; pass a deeper file, or --levels that start there")
        chain = None
        if decoder is not None:
            chain = load_decoder(net, decoder)
        elif encoder == "compact" and weights is None:
            chain = load_compact_decoder(net)
        self.encoder: VGG = net.to(self.device, memory_format=torch.channels_last)
        self.decoder: Decoder | None = chain and chain.to(self.device, memory_format=torch.channels_last)
        own = encoder == "compact" and weights is None
        self.refiner: Refiner | None = self._refiner(refiner, own) if self.settings.refines_learned else None
        self._style: Picture | None = None
        self._prepared: dict[tuple[int, int], PreparedStyle] = {}

    def _refiner(self, path: str | Path | None, bundled: bool) -> Refiner | None:
        """The network that refines, if there is one for the encoder and the levels that are set."""
        if not set(REFINED_LEVELS) <= set(self.settings.levels):
            return None
        if path is None and not bundled:
            return None
        net = load_compact_refiner(self.encoder) if path is None else load_refiner(self.encoder, path)
        return net.to(self.device, memory_format=torch.channels_last)

    @property
    def steps(self) -> int:
        """Of refinement."""
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
        """A content picture in the chosen style, at the content's size unless `Settings.size` says otherwise.

        Args:
            content: path, stream, Pillow image, array, tensor or `Picture`.
            progress: called after each step with what is done; an exception from it stops the work.

        Returns:
            RGB, or RGBA where the content has transparency.

        Raises:
            PictureError: the content cannot be read.
            SettingsError: no style has been set.
            MemoryShortage: the picture is too large to be worked on at this size.
        """
        if self._style is None:
            raise SettingsError("style: none has been set; call set_style first")
        picture = content if isinstance(content, Picture) else read(content)
        size, work_size = self.sizes(picture.size)
        style_size = fit_size(self._style.size, max(32, round(max(work_size) * self.settings.style_scale)))
        demand = 2 if self.decoder is None else int(self.steps > 0 and self.refiner is None)
        check_memory(
            self.device,
            work_size[0] * work_size[1] + style_size[0] * style_size[1],
            _BYTES_A_PIXEL[self.encoder.channels[1]][demand],
        )
        if style_size not in self._prepared:
            while len(self._prepared) >= _STYLE_SIZES_KEPT:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[style_size] = self.prepare(self._style.tensor(style_size))
        result = self.apply(picture.tensor(work_size), self._prepared[style_size], progress)
        if size != work_size:
            result = F.interpolate(result, (size[1], size[0]), mode="bicubic", antialias=True).clamp_(0, 1)
        return to_pil(result, picture.alpha)

    def sizes(self, content: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(width, height) of the result for a content of that size, and of the picture that is worked on."""
        size = fit_size(content, self.settings.size)
        work_size = fit_size(size, self.settings.work_size) if max(size) > self.settings.work_size else size
        return size, work_size

    @torch.inference_mode()
    def prepare(self, style: Tensor) -> PreparedStyle:
        """A style picture (1, 3, H, W), RGB in [0, 1], as `apply` wants it."""
        style = style.to(self.device)
        features = self.encoder(_to_multiple(style), self.settings.levels)
        levels = prepare_style({level: found[0].contiguous() for level, found in features.items()}, self.settings)
        return PreparedStyle(levels, palette_of(style[0]))

    @torch.inference_mode()
    def apply(self, content: Tensor, style: PreparedStyle, progress: Callable[[Progress], None] | None = None) -> Tensor:
        """A content picture (1, 3, H, W), RGB in [0, 1], in a prepared style; the result likewise, on the CPU."""
        report = _Report(progress, self.settings.levels, self.decoder is None, self.steps)
        draft = self.feed_forward(content, style, report.feed_forward, report.inversion)
        result = draft.picture
        if self.steps:
            targets = MatchedTargets(draft.content, style.levels, draft.turns, self.settings)
            steps = self._refined(draft.picture, targets)
            del draft  # the votes are large, and needed only at the start
            for number, result in enumerate(steps, 1):
                report.refinement(Progress(number / self.steps, "refine", 0, result))
        return result[None, :, : content.shape[2], : content.shape[3]].cpu()

    def _refined(self, picture: Tensor, targets: MatchedTargets) -> Iterator[Tensor]:
        if self.refiner is not None:
            return refine_by_network(picture, self.encoder, targets, self.steps, self.refiner)
        return refine_by_gradient(picture, self.encoder, targets, self.steps, self.settings.gradient_optimizer)

    @torch.inference_mode()
    def feed_forward(
        self,
        content: Tensor,
        style: PreparedStyle,
        progress: Callable[[Progress], None] = lambda step: None,
        inversion: Callable[[InversionStep], None] | None = None,
    ) -> Draft:
        """A content picture (1, 3, H, W), RGB in [0, 1], in a prepared style, before it is refined.

        Args:
            progress: called after each turn.
            inversion: called after each step of what stands in for a decoder.
        """
        picture = _to_multiple(content.to(self.device))
        features = {level: found[0].contiguous() for level, found in self.encoder(picture, self.settings.levels).items()}
        decoder = self.decoder or Inverter(
            self.encoder, picture, optimizer=self.settings.gradient_optimizer, progress=inversion
        )
        levels: dict[int, Progress] = {}
        for step in shuffle(features, style.levels, decoder, self.settings):
            levels[step.level] = replace(step, features=None)
            progress(step)
        result = step.features
        share = 1 - self.settings.faded(1 - self.settings.palette)
        if self.settings.recolour and share:
            result = repaint(result, style.palette, share).clamp_(0, 1)
        return Draft(result, features, levels)


class _Report:
    """Turns the progress of the parts of a picture's work into that of the whole, which never goes back."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, levels: tuple[int, ...], inverts: bool, steps: int
    ) -> None:
        self.progress, self.levels, self.inverts = progress, levels, inverts
        # share of the work before the refinement; inversion takes about as long as so many steps of refinement
        before = 4 * STEPS * _INVERSION_COST if inverts else 1
        self.first = before / (before + _REFINE_COST * steps)

    def feed_forward(self, step: Progress) -> None:
        fraction = step.fraction
        if self.inverts and step.level:  # next to the inversion, matching costs nothing
            fraction = (self.levels[0] - step.level) / self.levels[0]
        self._tell(step, fraction * self.first)

    def inversion(self, step: InversionStep) -> None:
        fraction = (self.levels[0] - step.level + step.step / step.steps) / self.levels[0]
        self._tell(Progress(0, f"inversion of relu{step.level}_1", step.level - 1), min(0.99, fraction) * self.first)

    def refinement(self, step: Progress) -> None:
        self._tell(step, 1 - (1 - step.fraction) * (1 - self.first))

    def _tell(self, step: Progress, fraction: float) -> None:
        if self.progress is not None:
            self.progress(replace(step, fraction=fraction))


def stylize(content: Source, style: Source, **settings: Any) -> Image:
    """One content picture in one style, as a Pillow image; takes what `Stylizer` takes, and `Settings` by name."""
    return Stylizer(**settings).set_style(style).stylize(content)


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        SettingsError: no such device here; the message names those there are.
    """
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    if name == "auto":
        return torch.device(next((device for device in found if device != "cpu"), "cpu"))
    if name not in found and not (name == "cuda" and "cuda:0" in found):
        raise SettingsError(f"device: {name!r} is not available; use auto or one of: {', '.join(found)}")
    return torch.device(name)


def check_memory(device: torch.device, pixels: int, bytes_a_pixel: int) -> None:
    """Refuse what would not fit: where memory is merely promised, the system ends a process that takes it at its word.

    Args:
        pixels: of content and style, as they are worked on.

    Raises:
        MemoryShortage: names the memory needed and there is, and the setting to lower.
    """
    if device.type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    needed = _BYTES_AT_REST + bytes_a_pixel * pixels
    if needed > there:
        raise MemoryShortage(
            f"work_size: needs about {needed / 2**30:.1f} GiB of {there / 2**30:.1f}; lower --work-size or --size"
        )


def _to_multiple(picture: Tensor, of: int = 8) -> Tensor:
    """Repeat the right and lower edge until both sides are multiples, as three poolings need."""
    height, width = (
        max(side + -side % of, 2 * of) for side in picture.shape[2:]
    )  # relu4_1 must be 2 wide to be reflected
    extended = F.pad(picture, (0, width - picture.shape[3], 0, height - picture.shape[2]), mode="replicate")
    return extended.contiguous(memory_format=torch.channels_last)
