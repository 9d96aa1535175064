"""Read masks: a picture in greys that says how much each place counts, or one in colours that names regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from .picture import Picture
from .reading import read
from .refusals import path_name, refusal

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

    import torch

    Source = str | os.PathLike[str] | BinaryIO | Image.Image | torch.Tensor | np.ndarray | Picture

MOST_REGIONS = 32

_NEAR = 20  # levels of 255 by which a lossy format may change a colour of a region
_PLAIN = 0.9  # share of a picture that regions of exact colours cover, else its colours are taken as changed
_LEAST, _LEAST_LOSSY = 0.0, 2e-3  # share of a picture that the inside of a region is more than; less is an artefact


@dataclass(frozen=True, eq=False)
class Regions:
    """A picture's regions.

    Attributes:
        index: (H, W) int64, for each pixel the number of its region.
        colours: of the regions by number, (R, 3) uint8.
        exact: whether these colours are what the file holds. Others may be some levels off.
    """

    index: np.ndarray
    colours: np.ndarray
    exact: bool

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.index.shape[1], self.index.shape[0]


def read_strength(source: Source, size: tuple[int, int], name: str = "") -> np.ndarray:
    """A mask in greys as (H, W) float32, 0 where it is black or transparent and 1 where it is white.

    Args:
        source: what `read` takes.
        size: (width, height) that the mask is for. Its own size may differ, its shape may not.
        name: of the mask, for messages; default: the path.

    Raises:
        PictureError: the mask cannot be read, or has another shape.
    """
    picture = source if isinstance(source, Picture) else read(source)
    check_shape(picture.size, size, name or name_of(source))
    values = picture.rgb.astype(np.float32).mean(2)
    if picture.rgb.dtype == np.uint8:
        values /= 255
    if picture.alpha is not None:
        values *= picture.alpha.astype(np.float32) / 255
    if picture.size == size:
        return values
    return np.array(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)).clip(0, 1)


def read_regions(source: Source, name: str = "", like: tuple[int, int] | None = None) -> Regions:
    """A picture whose areas of a single colour are regions. Pixels between them join the neighbour of the nearest colour.

    A region has a pixel whose eight neighbours have its colour, so the soft border between two regions makes no third.
    Of a lossy file, colours that nearly agree are taken as one.

    Args:
        source: what `read` takes; transparency is ignored.
        name: of the picture, for messages; default: the path.
        like: (width, height) of the picture that the regions are of. Their size may differ, their shape may not.

    Raises:
        PictureError: the picture cannot be read, has another shape, or has no or too many regions.
    """
    picture = source if isinstance(source, Picture) else read(source)
    name = name or name_of(source)
    if like is not None:
        check_shape(picture.size, like, name)
    rgb = picture.rgb if picture.rgb.dtype == np.uint8 else np.round(picture.rgb * 255).astype(np.uint8)
    codes = _coded(rgb)
    colours, numbers, counts = _counted(codes)
    large, covered = _large(numbers, len(colours), _LEAST)
    exact = covered >= _PLAIN
    if not exact:
        centres = _merged(_decoded(colours), counts)
        colours = colours[centres]
        numbers = _nearest(_decoded(np.unique(codes)), _decoded(colours))[numbers]
        large, _ = _large(numbers, len(colours), _LEAST_LOSSY)
    if not len(large):
        raise refusal(name, "has no area of a single colour", "paint each region in a colour of its own")
    if len(large) > MOST_REGIONS:
        raise refusal(name, f"has {len(large)} colours; there may be {MOST_REGIONS} regions", "paint fewer colours")
    kept = _decoded(colours[large])
    index = _nearest(_decoded(colours), kept)[numbers]
    _settle_borders(index, ~np.isin(numbers, large), _decoded(codes.ravel()), kept)
    return Regions(index, kept.astype(np.uint8), exact)


def matched_colours(one: Regions, other: Regions) -> dict[int, int]:
    """Which region of the one has the colour of which region of the other, by number."""
    apart = np.abs(one.colours[:, None].astype(int) - other.colours[None].astype(int)).max(2)
    most = 0 if one.exact and other.exact else _NEAR
    nearest = apart.argmin(1)
    return {mine: int(theirs) for mine, theirs in enumerate(nearest) if apart[mine, theirs] <= most}


def check_shape(mask: tuple[int, int], picture: tuple[int, int], name: str) -> None:
    """Refuse a mask whose shape differs by more than a pixel from that of the picture; both are (width, height).

    Raises:
        PictureError: names both sizes.
    """
    (width, height), (wide, high) = mask, picture
    apart = abs(width * high - height * wide)
    if apart > max(width, height, wide, high):  # at the same long side, the short ones differ by more than a pixel
        reason = f"is {width} x {height}, but its picture is {wide} x {high}"
        raise refusal(name, reason, "make the mask in the shape of the picture; its size may differ")


def hex_colour(colour: np.ndarray) -> str:
    """A colour as it is written in paint programs: #ff0000."""
    return "#" + "".join(f"{int(value):02x}" for value in colour)


def name_of(source: object) -> str:
    """The name of a mask in messages: its path, if it has one."""
    return path_name(source) if not isinstance(source, Picture | np.ndarray) else "the mask"


def _coded(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _counted(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different codes (n), the number of the code of each pixel (H, W), and how many pixels each has (n)."""
    numbers, left = np.full(codes.shape, -1), np.ones(codes.shape, bool)
    colours: list[int] = []
    while left.any():
        if len(colours) == MOST_REGIONS:  # many colours, of a soft or lossy mask: to sort them takes less time
            different, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
            return different, inverse.reshape(codes.shape), counts
        code = int(codes.flat[left.argmax()])
        here = codes == code
        numbers[here] = len(colours)
        left &= ~here
        colours.append(code)
    order = np.argsort(colours)
    return np.array(colours)[order], np.argsort(order)[numbers], np.bincount(numbers.ravel())[order]


def _decoded(codes: np.ndarray) -> np.ndarray:
    """(n, 3) int64 of n coded colours."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)


def _large(numbers: np.ndarray, count: int, least: float) -> tuple[np.ndarray, float]:
    """Numbers of areas whose inner pixels are more than that share of the picture, and what share the areas cover."""
    padded = np.pad(numbers, 1, mode="edge")
    height, width = numbers.shape
    inner = np.ones(numbers.shape, bool)
    for y in range(3):
        for x in range(3):
            inner &= padded[y : y + height, x : x + width] == numbers
    inside = np.bincount(numbers[inner], minlength=count)
    area = np.bincount(numbers.ravel(), minlength=count)
    large = inside > least * numbers.size
    return large.nonzero()[0], float(area[large].sum() / numbers.size)


def _settle_borders(index: np.ndarray, border: np.ndarray, colours: np.ndarray, regions: np.ndarray) -> None:
    """Give border pixels the nearest colour among the regions within two pixels: grey between black and white is not a
    third region that happens to be grey.

    Args:
        index: (H, W), changed in place; where no region is near, it stays.
        border: (H, W) bool.
        colours, regions: (H W, 3) of the pixels, and (R, 3).
    """
    places = border.ravel().nonzero()[0]
    if not len(places):
        return
    least = np.full(len(places), np.inf)
    for number, colour in enumerate(regions):
        here = Image.fromarray((index == number) & ~border).convert("L").filter(ImageFilter.MaxFilter(5))
        apart = ((colours[places] - colour) ** 2).sum(1)
        better = (np.asarray(here).ravel()[places] > 0) & (apart < least)
        least[better] = apart[better]
        index.ravel()[places[better]] = number


def _merged(colours: np.ndarray, counts: np.ndarray) -> list[int]:
    """Colours that stand for all near ones, the most frequent first, by number."""
    left = counts.copy()
    centres: list[int] = []
    while left.max() > 0 and len(centres) < 4 * MOST_REGIONS:
        centre = int(left.argmax())
        centres.append(centre)
        left[np.abs(colours - colours[centre]).max(1) <= _NEAR] = 0
    return centres


def _nearest(colours: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """For each of the colours (n, 3) the number of the nearest of the centres (m, 3)."""
    best, least = np.zeros(len(colours), np.int64), np.full(len(colours), np.inf)
    for number, centre in enumerate(centres):
        apart = ((colours - centre) ** 2).sum(1)
        best, least = np.where(apart < least, number, best), np.minimum(apart, least)
    return best
