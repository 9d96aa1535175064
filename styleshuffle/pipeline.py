"""From content and style to the result, as tensors: encode, reshuffle, decode, match colours, refine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks.decoder import Decoder
from .networks.refiner import Refiner
from .networks.vgg import VGG
from .progress import Progress
from .reporting import Report
from .reshuffle.areas import enlarged
from .reshuffle.brushwork import with_brushwork
from .reshuffle.colours import lightness_of, with_colours_of, with_light_of
from .reshuffle.evening import Evener
from .reshuffle.guide import Guide, Wishes
from .reshuffle.inversion import Inverter
from .reshuffle.levels import Match, Turn, decode_to_picture, reshuffle
from .reshuffle.looks import Look, Tones, contrast_of, look_of, mixed_looks, tones_for, with_palette, within_palette
from .reshuffle.mixing import prepare_styles
from .reshuffle.moments import Moments, match_moments, moments
from .reshuffle.nnf import grid_of
from .reshuffle.refinement import refine_by_gradient, refine_by_network
from .reshuffle.structure import noise_of, structure, with_floor
from .reshuffle.style import StyleLevel, prepare_style
from .reshuffle.targets import MatchedTargets, Start
from .reshuffle.tones import luminance
from .reshuffle.underpainting import LEAST_SIDE, halved, laid_in
from .settings import LEARNED_STEPS, Settings

_COLOURS_BACK = 0.5  # how far colours paled by the network's steps go back to the draft's; all the way brings smoke back
_PALETTE_BACK = 0.35  # likewise, how far to the palette
_STRUCTURE_LEVEL = 3  # whose features tell structure from grain, in windows small enough to follow an outline


@dataclass(frozen=True)
class PreparedStyle:
    """What is computed once for a style.

    Attributes:
        levels: what to reshuffle.
        looks: colours and brushwork of the whole, and then of each region.
    """

    levels: dict[int, StyleLevel]
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Draft:
    """A picture before its refinement, and what the refinement needs.

    Attributes:
        picture: (3, H, W), RGB in [0, 1], of the size that is worked on: multiples of 8.
        content: features (C, H, W) of the content by level.
        guide: of the content.
        tones: the colours that the picture should have.
        starts: of the last turn of each level.
    """

    picture: Tensor
    content: dict[int, Tensor]
    guide: Guide
    tones: Tones
    starts: dict[int, Start]


class Pipeline:
    """The networks with the settings.

    Args:
        settings: how to stylize.
        encoder: on the device that computes, like the other networks.
        decoder: of this encoder; None inverts the encoder by gradient.
        refiner: of this encoder; None refines by gradient.
    """

    def __init__(
        self, settings: Settings, encoder: VGG, decoder: Decoder | None = None, refiner: Refiner | None = None
    ) -> None:
        self.settings, self.encoder, self.decoder, self.refiner = settings, encoder, decoder, refiner
        self.device: torch.device = next(encoder.buffers()).device

    @property
    def refine_steps(self) -> int:
        """The number of steps of refinement."""
        return self.settings.refine_steps(learned=self.refiner is not None)

    @property
    def steps_by_kind(self) -> tuple[int, int]:
        """How many of these steps the network takes, and then how many are by gradient."""
        learned = 0 if self.refiner is None else min(LEARNED_STEPS, self.refine_steps)
        return learned, self.refine_steps - learned

    @torch.inference_mode()
    def prepare(
        self,
        style: Tensor | Sequence[Tensor],
        shares: Sequence[float] = (1.0,),
        regions: Sequence[Tensor] | None = None,
    ) -> PreparedStyle:
        """Prepare a style picture, or several, for `apply`.

        Args:
            style: (1, 3, H, W), RGB in [0, 1].
            shares: of several styles, which sum to 1. A style whose share is 0 is left out.
            regions: number of the region of each pixel, (H, W), from 0; None for a single region.
        """
        styles = [style] if isinstance(style, Tensor) else list(style)
        used = [number for number, share in enumerate(shares) if share > 0]
        pictures = [self._looked_at(styles[number].to(self.device)) for number in used]
        extended = [to_multiple(picture) for picture in pictures]
        features = [self._encoded(picture) for picture in extended]
        if len(used) == 1 and regions is None:
            levels = prepare_style(features[0], self.settings, extended[0][0])
            return PreparedStyle(levels, (look_of(pictures[0][0]),))
        weights, plain = [shares[number] for number in used], [picture[0] for picture in pictures]
        index = None if regions is None else [regions[number].to(self.device) for number in used]
        whole = (
            None
            if index is None
            else [enlarged(own, (to.shape[2], to.shape[3])) for own, to in zip(index, extended, strict=True)]
        )
        levels = prepare_styles(features, [picture[0] for picture in extended], weights, whole, self.settings)
        return PreparedStyle(levels, mixed_looks(plain, weights, index))

    @torch.inference_mode()
    def apply(
        self,
        content: Tensor,
        style: PreparedStyle,
        progress: Callable[[Progress], None] | None = None,
        watch: Callable[[Turn], None] | None = None,
        wishes: Wishes | None = None,
        match: Match | None = None,
    ) -> Tensor:
        """Stylize a content picture in a prepared style.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].
            style: from `prepare`.
            progress: called after each step; an exception from it stops the work.
            watch: called with the features, votes and nearest-neighbour field of each turn, for study.
            wishes: of the user, place by place.
            match: finds the fields in another way.

        Returns:
            (1, 3, H, W), RGB in [0, 1], on the CPU.
        """
        report = Report(progress, self.settings, self.decoder, self.refine_steps)
        draft = self._fed_forward(content, style, wishes or Wishes(), report, watch, match)
        result, tones, guide = draft.picture, draft.tones, draft.guide
        if self.refine_steps:
            targets, colours = self._targets(draft, style), moments(draft.picture)
            steps = self.refined(draft.picture, targets)
            del draft  # the votes are large, and only the start needs them
            for number, result in enumerate(steps, start=1):
                report.refinement(number, result)
            result = self._finished(result, guide, tones, style, colours if self.steps_by_kind[0] else None)
        else:
            result = self._finished(result, guide, tones, style, None)
        return self.with_kept_colours(result[None, :, : content.shape[2], : content.shape[3]].cpu(), content)

    @torch.inference_mode()
    def with_kept_colours(self, result: Tensor, content: Tensor) -> Tensor:
        """A result with the colours of its content, if `Settings.colours` says so; both (1, 3, H, W), RGB in [0, 1]."""
        kept = self.settings.colours
        if kept == "style":
            return result
        content = content.to(result)
        light = with_light_of(result[0], content[0]) if kept == "luminance" else result[0]
        return with_colours_of(light, content[0])[None]

    @torch.inference_mode()
    def draft(self, content: Tensor, style: PreparedStyle) -> tuple[Tensor, MatchedTargets]:
        """A content picture in a prepared style before refinement, and the targets of the refinement.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].

        Returns:
            the picture, (3, H', W') in [0, 1], H' and W' multiples of 8, and its targets.
        """
        draft = self._fed_forward(content, style, Wishes())
        return draft.picture, self._targets(draft, style)

    def refined(self, picture: Tensor, targets: MatchedTargets) -> Iterator[Tensor]:
        """Take the steps of refinement on what `draft` gives, yielding the picture, (3, H', W') in [0, 1], after each."""
        learned, by_gradient = self.steps_by_kind
        result = picture
        if self.refiner is not None:
            for result in refine_by_network(picture, self.encoder, targets, learned, self.refiner):
                yield result
        if by_gradient:
            optimizer = self.settings.gradient_optimizer
            yield from refine_by_gradient(result, self.encoder, targets, by_gradient, optimizer)

    @property
    def soft(self) -> float:
        """The share of all changes to the picture as a whole: 0 at strength 0, which gives the photograph back."""
        return min(1.0, 2 * self.settings.strength)

    @property
    def _palette_share(self) -> float:
        """How far colours go to the palette."""
        return 1 - self.settings.faded(1 - self.settings.palette)

    def _fed_forward(
        self,
        content: Tensor,
        style: PreparedStyle,
        wishes: Wishes,
        report: Report | None = None,
        watch: Callable[[Turn], None] | None = None,
        match: Match | None = None,
    ) -> Draft:
        report = report or Report(None, self.settings, self.decoder, 0)
        picture = to_multiple(self._looked_at(content.to(self.device)))
        wishes = wishes.to(self.device).extended((picture.shape[2], picture.shape[3]))
        tones = tones_for(picture[0], style.looks, wishes.areas, toned=self.settings.tone > 0)
        evener = Evener(picture[0]) if self.settings.evening or self.settings.tone else None
        underpainted = bool(self.settings.strokes) and min(picture.shape[2:]) >= LEAST_SIDE
        noisy = self._with_floor(picture, wishes)
        features = self._encoded(noisy, [self._structure_level] if underpainted else None)
        guide = Guide(evener, tones.aim, self._structure(features), wishes.areas, wishes.strength)
        if underpainted:
            picture = self._laid_in(picture, style, guide, wishes)
            features = self._encoded(self._with_floor(picture, wishes))
        decode = self.decoder or Inverter(
            self.encoder, picture, optimizer=self.settings.gradient_optimizer, progress=report.inversion
        )
        starts: dict[int, Start] = {}
        for turn in reshuffle(features, style.levels, decode, self.settings, guide, match):
            starts[turn.level] = Start(turn.nnf, turn.votes)
            report.turn(turn)
            if watch is not None:
                watch(turn)
        result = decode_to_picture(turn.features, turn.level, decode)
        report.decoded(result)
        return Draft(self._coloured(result, guide, tones), features, guide, tones, starts)

    def _looked_at(self, picture: Tensor) -> Tensor:
        """What of a picture (1, 3, H, W) is stylized: all of it, or its lightness."""
        return lightness_of(picture[0])[None] if self.settings.colours == "luminance" else picture

    def _with_floor(self, picture: Tensor, wishes: Wishes) -> Tensor:
        """A picture (1, 3, H, W) with noise where it is flat."""
        if not self.settings.noise:
            return picture
        noise = noise_of(picture.shape[2], picture.shape[3], self.settings.seed)
        noisy = with_floor(picture[0], self.soft * self.settings.noise / 255, noise)
        noisy = self._softened(picture[0], noisy, Guide(strength=wishes.strength))
        return noisy[None].contiguous(memory_format=torch.channels_last)

    def _laid_in(self, picture: Tensor, style: PreparedStyle, guide: Guide, wishes: Wishes) -> Tensor:
        """A content (1, 3, H, W) with coarse strokes in wide flat places."""
        height, width = picture.shape[2:]
        structure = guide.structure_on((height, width))
        if structure is None:
            return picture
        half = self._sketching()._fed_forward(halved(picture), style, wishes.halved())
        painting = half.picture[:, : height // 2, : width // 2]
        strokes = laid_in(picture[0], painting, structure, self.soft * self.settings.strokes)
        strokes = self._softened(picture[0], strokes, guide)
        return strokes[None].contiguous(memory_format=torch.channels_last)

    def _sketching(self) -> Pipeline:
        """What paints coarse strokes: enlarged, they would not show the finest level, and their colours are not used."""
        levels = tuple(level for level in self.settings.levels if level > 1) or self.settings.levels
        return Pipeline(replace(self.settings, levels=levels, strokes=0, palette=0), self.encoder, self.decoder)

    def _structure(self, features: dict[int, Tensor]) -> Tensor | None:
        """Where the content has structure; None if no setting looks at that."""
        settings = self.settings
        alike = settings.flat_weights == settings.content_weights
        if alike and not settings.contiguity and not settings.brushwork and not settings.strokes:
            return None
        return structure(features[self._structure_level])

    @property
    def _structure_level(self) -> int:
        return min(self.settings.levels, key=lambda level: abs(level - _STRUCTURE_LEVEL))

    def _coloured(self, picture: Tensor, guide: Guide, tones: Tones) -> Tensor:
        """A decoded picture (3, H, W), even in its tones and with its share of the palette."""
        decoded = picture
        if guide.evener is not None:
            if guide.aim is not None:
                missing = guide.evener.wide(guide.aim - luminance(picture), guide.areas)
                picture = picture + self.soft * self.settings.tone * missing
            if self.settings.evening:
                picture = guide.evener.picture(picture, self.soft * self.settings.evening, guide.areas)
        if self._palette_share:
            picture = with_palette(picture, tones, guide.areas, self._palette_share)
        return self._softened(decoded, picture, guide).clamp(0, 1)

    def _finished(
        self, picture: Tensor, guide: Guide, tones: Tones, style: PreparedStyle, colours: Moments | None
    ) -> Tensor:
        """A picture (3, H, W) after its refinement, without rims, and with brushwork in colours of the style.

        Args:
            colours: moments before steps of the network, which make colours paler; None if it took none.
        """
        result = self._rimless(picture, guide)
        if colours is not None:
            result = torch.lerp(result, match_moments(result, colours), _COLOURS_BACK).clamp_(0, 1)
            result = with_palette(result, tones, guide.areas, _PALETTE_BACK * self._palette_share).clamp_(0, 1)
        result = self._brushed(result, guide, style)
        if self.settings.palette:
            result = within_palette(result, tones, guide.areas, self.soft).clamp_(0, 1)
        return self._softened(picture, result, guide)

    def _softened(self, before: Tensor, after: Tensor, guide: Guide) -> Tensor:
        """A change of a picture (3, H, W) as far as the strength at each place asks for it."""
        if guide.strength is None or not self.soft:
            return after
        return torch.lerp(before, after, guide.soft(self.settings.strength, grid_of(before)) / self.soft)

    def _rimless(self, picture: Tensor, guide: Guide) -> Tensor:
        """A picture (3, H, W) without halos along the content's edges."""
        if guide.evener is None or not self.settings.evening:
            return picture
        return guide.evener.without_rims(picture, self.soft * self.settings.evening)

    def _brushed(self, picture: Tensor, guide: Guide, style: PreparedStyle) -> Tensor:
        """A refined picture (3, H, W) with the contrast of the style's strokes where the content is flat."""
        height, width = picture.shape[1:]
        structure = guide.structure_on((height, width))
        if structure is None or not self.settings.brushwork:
            return picture
        share = self.soft * self.settings.brushwork
        contrast = contrast_of(style.looks, guide.areas)
        return with_brushwork(picture, contrast, 1 - structure, share).clamp_(0, 1)

    def _targets(self, draft: Draft, style: PreparedStyle) -> MatchedTargets:
        return MatchedTargets(draft.content, style.levels, draft.starts, self.settings, draft.guide)

    def _encoded(self, picture: Tensor, levels: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Features (C, H, W) of a picture (1, 3, H, W) by level, at all levels of the settings unless told."""
        encoded = self.encoder(picture, levels or self.settings.levels)
        return {level: features[0] for level, features in encoded.items()}


def to_multiple(picture: Tensor, of: int = 8) -> Tensor:
    """Repeat the right and lower edges until both sides are multiples, because there are three poolings."""
    height, width = (
        max(side + -side % of, 2 * of) for side in picture.shape[2:]
    )  # relu4_1 must be 2 wide to be reflected
    extended = F.pad(picture, (0, width - picture.shape[3], 0, height - picture.shape[2]), mode="replicate")
    return extended.contiguous(memory_format=torch.channels_last)
