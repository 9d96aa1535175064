"""What a picture takes from a style beside its patches: the colours and the contrast of the strokes, area by area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .areas import Areas
from .brushwork import fine_contrast, fine_energy
from .palette import SAMPLE, match_palette, palette_of, picked, within
from .tones import aim, in_order, luminance, palette_for

_LEAST_SAMPLE = 2048  # pixels that the quantiles of a small area are taken from


@dataclass(frozen=True)
class Look:
    """The look of a style, or of a region of it.

    Attributes:
        palette: its colours (3, n), dark before light.
        contrast: of its brushwork, see `fine_contrast`.
    """

    palette: Tensor
    contrast: float


@dataclass(frozen=True)
class Tones:
    """The colours that a content is to get.

    Attributes:
        palettes: (3, n) by area.
        aim: luminance (H, W) of each place; None if no setting looks at it.
    """

    palettes: tuple[Tensor, ...]
    aim: Tensor | None


def look_of(picture: Tensor) -> Look:
    """The look of a single style (3, H, W), RGB in [0, 1]."""
    return Look(in_order(palette_of(picture)), fine_contrast(picture))


def mixed_looks(
    pictures: Sequence[Tensor], shares: Sequence[float], regions: Sequence[Tensor] | None
) -> tuple[Look, ...]:
    """The look of several styles (3, H, W) by their shares: of the whole, and then of each region.

    Args:
        regions: number of the region of each pixel, (H, W) of each style, from 0; None for no regions.
    """
    energies = [fine_energy(picture).flatten() for picture in pictures]
    pixels = [picture.flatten(1) for picture in pictures]
    looks = [_mixed(pixels, energies, shares)]
    for region in () if regions is None else range(1 + max(int(own.max()) for own in regions)):
        places = [(own.flatten() == region).nonzero()[:, 0] for own in regions or ()]
        used = [number for number, own in enumerate(places) if len(own)]
        colours = [pixels[number].index_select(1, places[number]) for number in used]
        fine = [energies[number][places[number]] for number in used]
        looks.append(_mixed(colours, fine, [shares[number] for number in used]) if used else looks[0])
    return tuple(looks)


def _mixed(colours: Sequence[Tensor], energies: Sequence[Tensor], shares: Sequence[float]) -> Look:
    """The look of pixels (3, n) with their energies (n) of several styles."""
    parts = [share / sum(shares) for share in shares]
    palette = torch.cat([picked(own, part) for own, part in zip(colours, parts, strict=True)], 1)
    energy = sum(part * float(own.mean()) for own, part in zip(energies, parts, strict=True))
    return Look(in_order(palette), energy**0.5)


def tones_for(picture: Tensor, looks: Sequence[Look], areas: Areas | None, toned: bool) -> Tones:
    """The colours that a content (3, H, W) is to get.

    Args:
        looks: of the whole style, and then of each region.
        toned: dark places are to stay dark, and light places light.
    """
    light = luminance(picture)
    own = [looks[0]] if areas is None else [looks[region + 1] for region in areas.takes]
    if not toned:
        return Tones(tuple(look.palette for look in own), None)
    if areas is None:
        palette = palette_for(light, own[0].palette)
        return Tones((palette,), aim(light, palette))
    index = areas.index
    insides = [light[index == number] for number in range(len(own))]
    palettes = tuple(
        palette_for(inside, look.palette, light) if len(inside) else look.palette
        for inside, look in zip(insides, own, strict=True)
    )
    aimed = areas.apply(light[None], lambda number, inside, members: aim(members, palettes[number], inside))
    return Tones(palettes, aimed[0])


def with_palette(picture: Tensor, tones: Tones, areas: Areas | None, share: float) -> Tensor:
    """A picture (3, H, W) whose colours have gone that share of their way to those that it is to get."""
    if areas is None:
        return match_palette(picture, tones.palettes[0], share)
    sizes = [members.count for members in areas.members_on((picture.shape[1], picture.shape[2]))]
    parts = [max(_LEAST_SAMPLE, SAMPLE * size // sum(sizes)) for size in sizes]  # together as costly as one area

    def matched(number: int, inside: Tensor, members: Tensor) -> Tensor:
        palette, own = (some[:, :: -(-some.shape[1] // parts[number])] for some in (tones.palettes[number], inside))
        return match_palette(members, palette, share, own)

    return areas.apply(picture, matched)


def within_palette(picture: Tensor, tones: Tones, areas: Areas | None, share: float) -> Tensor:
    """A picture (3, H, W) whose colours are held within those that it is to get, by a share from 0 to 1."""
    if areas is None:
        return within(picture, tones.palettes[0], share)
    return areas.apply(picture, lambda number, _, members: within(members, tones.palettes[number], share))


def contrast_of(looks: Sequence[Look], areas: Areas | None) -> float | Tensor:
    """The contrast that brushwork is to have: a number, or (H, W) for several areas."""
    if areas is None:
        return looks[0].contrast
    own = torch.tensor([looks[region + 1].contrast for region in areas.takes], device=areas.index.device)
    height, width = areas.index.shape
    return areas.spread(own, (height, width))
