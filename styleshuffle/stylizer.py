"""The Python API: set a style once, apply it to many contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import PIXEL_COSTS, check_memory, choose_device
from .errors import SettingsError, WeightsError
from .images import Picture, fit_size, from_result, read
from .networks.decoder import load_compact_decoder, load_decoder
from .networks.precision import choose_precision, computing_in
from .networks.refiner import LEVELS as REFINED_LEVELS
from .networks.refiner import Refiner, load_compact_refiner, load_refiner
from .networks.vgg import VGG, load_encoder
from .pipeline import Pipeline, PreparedStyle
from .progress import Progress
from .settings import LEARNED_STEPS, Settings, settings_from

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Source = str | Path | BinaryIO | Image | Tensor | np.ndarray | Picture


Network = TypeVar("Network", bound=torch.nn.Module)

_STYLE_SIZES_KEPT = 4  # a folder often holds portrait and landscape pictures


class Stylizer(Pipeline):
    """Stylizes pictures. Networks and style are prepared only once.

    Args:
        settings: how to stylize. Settings can also be given by name; these replace those in `settings`.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        precision: "float32", "bfloat16", on a GPU "float16", or "auto": bfloat16 on a CPU that has instructions for it.
        encoder: "compact" or "vgg19".
        weights: a file with the encoder's weights; default: the bundled ones, or torchvision's VGG-19, downloaded once.
        convention: the input that VGG-19's weights expect, "caffe" or "torchvision"; default: detected.
        decoder: a file that `styleshuffle-train decoder` wrote for this encoder. An encoder without a decoder, except the
            bundled encoder, is inverted by gradient (`styleshuffle.reshuffle.inversion`), which is slow.
        refiner: a file that `styleshuffle-train refiner` wrote for this encoder. An encoder without a refiner, except the
            bundled encoder, is refined by Adam, in more steps.
        show_download: show a progress bar on stderr if VGG-19 has to be downloaded.

    Raises:
        SettingsError: a setting is unknown, out of range or would do nothing, or this machine does not have the device.
        WeightsError: the weights are missing or damaged, or belong to another network.
    """

    @torch.inference_mode(False)  # refinement needs weights that were not made in inference mode
    def __init__(
        self,
        settings: Settings | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        encoder: str = "compact",
        weights: str | Path | None = None,
        convention: str | None = None,
        decoder: str | Path | None = None,
        refiner: str | Path | None = None,
        show_download: bool = False,
        **overrides: Any,
    ) -> None:
        settings = settings_from(**{**(vars(settings) if settings else {}), **overrides})
        place = choose_device(device)
        own = encoder == "compact" and weights is None  # the encoder is the bundled encoder
        net = load_encoder(encoder, weights, convention, show_download)
        if settings.levels[0] not in net.channels:
            deepest = f"relu{max(net.channels)}_1"
            raise WeightsError(f"{weights}: ends at {deepest}; pass a deeper file, or `levels` that start there")
        chain = None
        if decoder is not None:
            chain = load_decoder(net, decoder)
        elif own:
            chain = load_compact_decoder(net)
        _check_optimizer(settings, has_decoder=chain is not None)
        refined = _refiner(settings, net, refiner, own)
        gradients = chain is None or settings.refine_steps(refined is not None) > (LEARNED_STEPS if refined else 0)
        dtype = choose_precision(precision, place, gradients)
        super().__init__(
            settings,
            _placed(net, place, dtype),
            chain and _placed(chain, place, dtype),
            refined and _placed(refined, place, dtype),
        )
        self._style: Picture | None = None
        self._prepared: dict[tuple[int, int], PreparedStyle] = {}

    def set_style(self, style: Source) -> Stylizer:
        """Choose the style picture; returns the stylizer itself. What is transparent of it is left out.

        Raises:
            PictureError: the picture cannot be read.
        """
        self._style = (style if isinstance(style, Picture) else read(style)).opaque()
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
            progress: called after each step; an exception from it stops the work.

        Returns:
            sRGB as float32, with the content's transparency, bits a channel, profile and metadata. It is within [0, 1],
            except that a strength below 0.5 brings back some of the content's colours beyond sRGB.

        Raises:
            PictureError: the content cannot be read.
            SettingsError: no style has been set.
            MemoryShortage: the picture does not fit into memory at this size.
        """
        if self._style is None:
            raise SettingsError("style: none has been set; call set_style first")
        picture = content if isinstance(content, Picture) else read(content)
        size, work_size = self.sizes(picture.size)
        style = self._prepared_style(self._style, work_size)
        result = self.apply(picture.tensor(work_size), style, progress)
        if size != work_size:
            result = F.interpolate(result, (size[1], size[0]), mode="bicubic", antialias=True).clamp_(0, 1)
        return picture.passed_on(from_result(result, picture.alpha, picture.bits), 1 - self._soft)

    def sizes(self, content: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(width, height) of the result for a content of that size, and of the picture that is stylized before it."""
        size = fit_size(content, self.settings.size)
        work_size = fit_size(size, self.settings.work_size) if max(size) > self.settings.work_size else size
        return size, work_size

    def _prepared_style(self, style: Picture, work_size: tuple[int, int]) -> PreparedStyle:
        """The style, prepared for pictures of this size; a few sizes are kept."""
        size = fit_size(style.size, max(32, round(max(work_size) * self.settings.style_scale)))
        costs = PIXEL_COSTS[self.encoder.kind]
        cost = costs.refined if self.steps_by_kind[1] else costs.forward
        pixels = work_size[0] * work_size[1] + size[0] * size[1]
        check_memory(self.device, pixels, costs.inverted if self.decoder is None else cost)
        if size not in self._prepared:
            while len(self._prepared) >= _STYLE_SIZES_KEPT:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[size] = self.prepare(style.tensor(size), style.shown(size))
        return self._prepared[size]


def stylize(content: Source, style: Source, **settings: Any) -> Image:
    """Stylize a picture; returns a Pillow image. Takes the arguments of `Stylizer`, and settings by name."""
    return Stylizer(**settings).set_style(style).stylize(content)


def _check_optimizer(settings: Settings, has_decoder: bool) -> None:
    """Refuse an optimiser if nothing is optimised."""
    default = next(setting.default for setting in fields(Settings) if setting.name == "optimizer")
    if has_decoder and settings.refine == 0 and settings.optimizer != default:
        raise SettingsError(
            "optimizer: nothing is optimised with a decoder and `refine` 0; raise `refine`, or leave `optimizer` out"
        )


def _refiner(settings: Settings, encoder: VGG, path: str | Path | None, bundled: bool) -> Refiner | None:
    """The refiner, or None if the encoder or the levels have none."""
    has_levels = set(REFINED_LEVELS) <= set(settings.levels)
    if path is not None and not (has_levels and settings.refines_learned):
        raise SettingsError(
            "refiner: needs `optimizer` learned, `refine` above 0, and `levels` that go through 3, 2, 1; leave it out"
        )
    if not settings.refines_learned or not has_levels or (path is None and not bundled):
        return None
    return load_compact_refiner(encoder) if path is None else load_refiner(encoder, path)


def _placed(net: Network, device: torch.device, dtype: torch.dtype) -> Network:
    return computing_in(net.to(device).to(memory_format=torch.channels_last), dtype)
