"""The Python API: set a style once, apply it to many contents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import BYTES_A_RESULT_PIXEL, PIXEL_COSTS, check_memory, choose_device, free_memory
from .enlarging import TILES, Enlarger, enlarged_within
from .errors import SettingsError, WeightsError
from .guides import Chosen, Styles, read_styles
from .images import Picture, fit_size, from_result, read, read_regions, read_strength
from .images.masks import name_of
from .keeping import Kept
from .memory import parse_memory
from .networks.decoder import load_compact_decoder, load_decoder
from .networks.precision import choose_precision, computing_in
from .networks.refiner import LEVELS as REFINED_LEVELS
from .networks.refiner import Refiner, load_compact_refiner, load_refiner
from .networks.vgg import VGG, load_encoder
from .pipeline import Pipeline, PreparedStyle
from .progress import Progress
from .reporting import rest, scaled
from .reshuffle.areas import Areas
from .reshuffle.guide import Wishes
from .reshuffle.levels import Match, Turn
from .reshuffle.style import prepared_alike
from .settings import LEARNED_STEPS, MAX_PIXELS, Settings, settings_from

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    KeptStyles = Kept[tuple[tuple[tuple[int, int], ...], tuple[float, ...], tuple[int, ...]], PreparedStyle]
    Source = str | Path | BinaryIO | Image | Tensor | np.ndarray | Picture


Network = TypeVar("Network", bound=torch.nn.Module)

_FADING = 0.2  # of a strength mask, below which a result fades into the photograph
_STYLE_SIZES_KEPT = 4  # a folder often holds portrait and landscape pictures


class Stylizer(Pipeline):
    """Stylizes pictures. Networks and style are prepared only once. Several threads may use it at the same time.

    torch's global random state and default type do not matter to it, and it changes no global setting.

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
        memory: the most memory to take: bytes, or text such as "4GB" (4 x 1000^3) or "4GiB" (4 x 1024^3). On a GPU it is
            the GPU's memory. Default: what is free when a picture begins.
        max_pixels: a picture file with more pixels is refused; see `styleshuffle.images.read`.
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
        memory: int | str | None = None,
        max_pixels: int = MAX_PIXELS,
        show_download: bool = False,
        **overrides: Any,
    ) -> None:
        settings = settings_from(**{**(vars(settings) if settings else {}), **overrides})
        self.memory = None if memory is None else parse_memory(memory)
        self.max_pixels = max_pixels
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
        self._arguments: dict[str, Any] = {  # for a stylizer with other settings
            "device": device,
            "precision": precision,
            "encoder": encoder,
            "weights": weights,
            "convention": convention,
            "decoder": decoder,
            "refiner": refiner,
            "memory": self.memory,
            "max_pixels": max_pixels,
            "show_download": show_download,
        }
        # as one value, which a thread takes once: another thread may choose another style in the meantime
        self._style: tuple[Styles, KeptStyles] | None = None

    def set_style(
        self,
        style: Source | Sequence[Source],
        *,
        weights: Sequence[float] | None = None,
        masks: Source | Sequence[Source] | None = None,
    ) -> Stylizer:
        """Choose the style picture, or several; returns the stylizer itself. Contents in work keep the style before.

        What is transparent of a style is left out: of its patches, its moments and its colours.

        Args:
            style: a picture, or a list of 2 to 16 pictures, each patch of the result coming from one of them.
            weights: the shares of several styles; default: `Settings.style_weights`.
            masks: regions, as areas of a colour, a picture for each style. Each region of the content takes from the
                region of its own colour. The contents then need masks too.

        Raises:
            PictureError: a picture cannot be read, or a mask has another shape than its style.
            SettingsError: the lists differ in length.
        """
        styles = read_styles(style, weights, masks, self._read)
        styles.chosen(self.settings)  # refuses lists of another length
        self._style = styles, Kept(_STYLE_SIZES_KEPT)
        return self

    def with_settings(self, settings: Settings | None = None, **overrides: Any) -> Stylizer:
        """A stylizer with other settings for the networks and the style of this stylizer.

        What was loaded and prepared is shared, unless the new settings need it another way. So a dial can be turned
        without paying for the style again.

        Args:
            settings: default: those of this stylizer. Settings can also be given by name.

        Raises:
            SettingsError, WeightsError: as for `Stylizer` and `set_style`.
        """
        settings = settings_from(**{**vars(settings or self.settings), **overrides})
        if _networks_alike(settings, self.settings):
            other = copy.copy(self)
            other.settings = settings
        else:
            other = Stylizer(settings, **self._arguments)
        if self._style is not None:
            styles, kept = self._style
            styles.chosen(settings)  # refuses lists of another length
            same_numbers = next(other.encoder.parameters()).dtype == next(self.encoder.parameters()).dtype
            alike = same_numbers and prepared_alike(settings, self.settings)
            other._style = styles, kept if alike else Kept(_STYLE_SIZES_KEPT)
        return other

    def stylize(
        self,
        content: Source,
        progress: Callable[[Progress], None] | None = None,
        *,
        mask: Source | None = None,
        strength_mask: Source | None = None,
    ) -> Image:
        """A content picture in the chosen style as an 8-bit Pillow image, RGB, or RGBA where it has transparency.

        Args, Raises: see `render`, which keeps the full precision.
        """
        return self.render(content, progress, mask=mask, strength_mask=strength_mask).pil()

    def render(
        self,
        content: Source,
        progress: Callable[[Progress], None] | None = None,
        *,
        mask: Source | None = None,
        strength_mask: Source | None = None,
        watch: Callable[[Turn], None] | None = None,
        match: Match | None = None,
        whole_mask: bool = True,
    ) -> Picture:
        """A content picture in the chosen style, at the content's size unless `Settings.size` says otherwise.

        Args:
            content: path, stream, Pillow image, array, tensor or `Picture`.
            progress: called after each step; an exception from it stops the work.
            mask: regions, as areas of a colour, if the styles have masks. Its size may differ from the content's, its
                shape may not.
            strength_mask: a picture in greys: full strength where it is white, the photograph itself where it is black.
                Likewise.
            watch, match: see `Pipeline.apply`.
            whole_mask: the mask has all regions of the styles; one of a frame of a film need not.

        Returns:
            sRGB as float32, with the content's transparency, bits a channel, profile and metadata. It is within [0, 1],
            except that a strength below 0.5 brings back some of the content's colours beyond sRGB.

        Raises:
            PictureError: the content or a mask cannot be read, or a mask has another shape.
            SettingsError: no style has been set, or only one side has masks, or a colour has no partner.
            MemoryShortage: the picture does not fit into memory at this size.
        """
        style = self._style
        if style is None:
            raise SettingsError("style: none has been set; call set_style first")
        picture = self._read(content)
        size, work_size = self.sizes(picture.size)
        styles, kept = style
        chosen = styles.chosen(self.settings)
        self._check_memory(size, work_size, chosen, kept)
        strengths = None if strength_mask is None else self._strengths(strength_mask, (size, work_size))
        prepared = self._prepared_style(chosen, kept, work_size)
        wishes = Wishes(self._areas(mask, chosen, work_size, whole_mask), None if strengths is None else strengths[1])
        own = picture.tensor(work_size)
        if size == work_size:
            result = self.apply(own, prepared, progress, watch=watch, wishes=wishes, match=match)
        else:
            share = (max(work_size) / max(size)) ** 2
            first = progress and scaled(progress, share)
            result = self.apply(own, prepared, first, watch=watch, wishes=wishes, match=match)
            then = progress and rest(progress, share)
            result = self._enlarged(result, own, picture, size, prepared, wishes, then)
            if self.settings.colours != "style":
                result = self.with_kept_colours(as_floats(result), picture.tensor(size))
        if strengths is not None:
            # the weakest strengths fade into the photograph itself, which no network draws exactly
            fading = (strengths[0] / _FADING).clamp_(max=1)
            result = torch.lerp(picture.tensor(size), as_floats(result), fading * fading * (3 - 2 * fading))
        return picture.passed_on(from_result(result, picture.alpha, picture.bits), 1 - self.soft)

    def _enlarged(
        self,
        painting: Tensor,
        own: Tensor,
        content: Picture,
        size: tuple[int, int],
        style: PreparedStyle,
        wishes: Wishes,
        progress: Callable[[float, Tensor], None] | None,
    ) -> Tensor:
        """A painting (1, 3, h, w) of a content ``own`` (1, 3, h, w), at a larger size (width, height).

        Returns:
            (1, 3, H, W), float32 in [0, 1], or uint8.
        """
        if not Enlarger.works_with(self):
            return F.interpolate(painting, (size[1], size[0]), mode="bicubic", antialias=True).clamp_(0, 1)
        enlarger = Enlarger(self, style, painting[0], own, wishes)
        tiles = [tile for tile in TILES if tile <= self._tile(size)]
        return enlarged_within(enlarger, painting[0], content, size, progress, tiles)[None]

    def _tile(self, size: tuple[int, int]) -> int:
        """The side of the largest tile that fits into memory, beside a result of that size (width, height)."""
        cost, beside = PIXEL_COSTS[self.encoder.kind].tiled, 0
        if self.device.type == "cpu":
            beside = BYTES_A_RESULT_PIXEL * prod(size)
        free = free_memory(self.device, self.memory, cost * TILES[0] ** 2 + beside)
        if free is None:
            return TILES[0]
        free -= beside
        return next((tile for tile in TILES if cost * tile**2 <= free), TILES[-1])

    def _read(self, source: Any) -> Picture:
        """A picture within the limits, if it is not read yet."""
        return source if isinstance(source, Picture) else read(source, self.max_pixels, self.memory)

    @property
    def taking_part(self) -> tuple[int, ...]:
        """Numbers of the styles that have a share, in the order in which they lie in a field; () without a style."""
        return self._style[0].chosen(self.settings).numbers if self._style else ()

    def sizes(self, content: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(width, height) of the result for a content of that size, and of the picture that is stylized before it."""
        size = fit_size(content, self.settings.size)
        work_size = fit_size(size, self.settings.work_size) if max(size) > self.settings.work_size else size
        return size, work_size

    def _areas(self, mask: Source | None, styles: Chosen, size: tuple[int, int], whole: bool) -> Areas | None:
        """The areas of a content of that size (width, height)."""
        regions = styles.regions
        if (mask is None) == (regions is not None and bool(regions.masks)):
            missing = "this content" if mask is None else "the styles"
            raise SettingsError(f"mask: regions need masks on both sides; give a mask for {missing} too")
        if regions is None:
            return None
        if mask is None:
            return regions.whole(size)
        own = read_regions(self._read(mask), name_of(mask), size)
        return regions.areas(own, size, self.settings.unmatched, whole)

    def _strengths(self, mask: Source, sizes: Sequence[tuple[int, int]]) -> list[Tensor] | None:
        """A strength mask (H, W), 0 to 1, at each of the sizes (width, height); None for a mask that is white."""
        picture = self._read(mask)
        strengths = [torch.from_numpy(read_strength(picture, size, name_of(mask))) for size in sizes]
        return strengths if float(strengths[0].min()) < 1 else None

    def _check_memory(self, size: tuple[int, int], work_size: tuple[int, int], styles: Chosen, kept: KeptStyles) -> None:
        """Refuse a picture that does not fit into memory: while it is worked on, or while it is enlarged and written.

        Args:
            size, work_size: see `sizes`.
            styles, kept: a style that is prepared costs nothing more.

        Raises:
            MemoryShortage: names the memory and the remedy.
        """
        costs = PIXEL_COSTS[self.encoder.kind]
        cost = costs.refined if self.steps_by_kind[1] else costs.forward
        sizes = styles.sizes(max(work_size))
        pixels = prod(work_size) + (0 if (sizes, styles.shares, styles.numbers) in kept else sum(map(prod, sizes)))
        cost = costs.inverted if self.decoder is None else cost
        if size != work_size:  # the smallest tile must fit beside the painting and its style; see `_tile`
            pixels = max(pixels, pixels // 2 + TILES[-1] ** 2 * costs.tiled // cost)
        check_memory(self.device, pixels, cost, self.memory, lower=("work_size", "size"))
        on_cpu = self.device.type == "cpu"  # `memory` is of the device, and the result is enlarged and written on the CPU
        check_memory(torch.device("cpu"), prod(size), BYTES_A_RESULT_PIXEL, self.memory if on_cpu else None)

    def _prepared_style(self, styles: Chosen, kept: KeptStyles, work_size: tuple[int, int]) -> PreparedStyle:
        """The styles, prepared for pictures of this size; a few sizes are kept."""
        sizes = styles.sizes(max(work_size))

        def prepared() -> PreparedStyle:
            pictures = [picture.tensor(size) for picture, size in zip(styles.pictures, sizes, strict=True)]
            indices = None if styles.regions is None else styles.regions.indices(sizes)
            return self.prepare(pictures, styles.shares, indices)

        return kept.get((sizes, styles.shares, styles.numbers), prepared)


def stylize(content: Source, style: Source | Sequence[Source], **settings: Any) -> Image:
    """Stylize a picture; returns a Pillow image. Takes the arguments of `Stylizer`, and settings by name."""
    return Stylizer(**settings).set_style(style).stylize(content)


def as_floats(pictures: Tensor) -> Tensor:
    """Pictures as float32 in [0, 1], if they are not."""
    return pictures.float().div_(255) if pictures.dtype == torch.uint8 else pictures


def _networks_alike(settings: Settings, other: Settings) -> bool:
    """Whether both settings use the same networks in the same precision; at strength 0 no step is taken by gradient."""
    names = ("levels", "optimizer", "refine")
    same = all(getattr(settings, name) == getattr(other, name) for name in names)
    return same and (settings.strength == 0) == (other.strength == 0)


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
