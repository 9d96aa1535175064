"""The only file of the web page that knows what the library can paint.

When the library learns something new, it is switched on here: in `ABILITIES`, which the page asks for and shows its dials
by, and in `Painter`, which hands the order to the library. Settings need nothing here: they come from `Settings`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import Picture, fit_size
from ..progress import Progress
from ..settings import MOST_STYLES, Settings
from .pictures import VIEW_SIDE, PictureFile
from .refusals import Refusal

if TYPE_CHECKING:
    from ..stylizer import Stylizer

_STYLES_KEPT = 2  # prepared, for the dials of the pages that are in use
_LARGEST_KEPT = 640  # long side of a style that is kept prepared, which takes about 400 bytes a pixel


@dataclass(frozen=True)
class Abilities:
    """What the library can paint beside what `Settings` says.

    Attributes:
        styles: the most styles of a picture.
        strength_mask: a grey picture says how far each place goes to the style.
        regions: label pictures say which part of a style a part of the photograph takes from.
    """

    styles: int
    strength_mask: bool
    regions: bool


ABILITIES = Abilities(styles=MOST_STYLES, strength_mask=True, regions=True)

REST = (128, 128, 128)
"""The colour of the places on which the page's brush has painted no region."""


@dataclass(frozen=True)
class OrderedStyle:
    """A style of an order.

    Attributes:
        regions: its label picture, or None.
    """

    picture: PictureFile
    regions: PictureFile | None = None


@dataclass(frozen=True)
class Order:
    """A picture to be painted. Everything in it was checked, except what only the library can check.

    Attributes:
        settings: with the shares of several styles in `style_weights`.
        quick: a preview: small copies serve, and the prepared style is kept for the next one.
        strength_mask, regions: pictures of the content, or None.
    """

    content: PictureFile
    styles: tuple[OrderedStyle, ...]
    settings: Settings
    quick: bool = False
    strength_mask: PictureFile | None = None
    regions: PictureFile | None = None

    @property
    def side(self) -> int:
        """Long side of the picture that is stylized, in pixels."""
        return min(max(fit_size(self.content.size, self.settings.size)), self.settings.work_size)

    @property
    def style_side(self) -> int:
        """Long side of the largest style for it, in pixels.

        Raises:
            SettingsError: a list of scales or shares does not fit the number of styles.
        """
        return round(self.side * max(self.settings.for_styles(len(self.styles))[1]))


def check_order(styles: int, strength_mask: bool, regions: bool, abilities: Abilities = ABILITIES) -> None:
    """Refuse an order that the library cannot paint.

    Args:
        styles: how many there are.
        strength_mask, regions: whether there are such pictures.
    """
    if not 1 <= styles <= abilities.styles:
        most = "one style" if abilities.styles == 1 else f"1 to {abilities.styles} styles"
        raise Refusal(422, f"styles: there are {styles}; a picture takes {most}")
    if strength_mask and not abilities.strength_mask:
        raise Refusal(422, "strength_mask: this version cannot paint with a mask; leave it out")
    if regions and not abilities.regions:
        raise Refusal(422, "regions: this version cannot paint with regions; leave them out")


class Painter:
    """Owns the networks. Only the worker thread uses it.

    Args:
        device: see `styleshuffle.Stylizer`.
    """

    def __init__(self, device: str = "auto") -> None:
        self._device = device
        self._kept: OrderedDict[Any, Stylizer] = OrderedDict()

    def warm(self) -> None:
        """Load torch and the networks, and let torch settle, before somebody waits for it."""
        from PIL import Image

        from ..stylizer import Stylizer

        grey = Image.linear_gradient("L").resize((64, 64))
        Stylizer(Settings(size=64), device=self._device).set_style(grey).stylize(grey)

    def paint(self, order: Order, progress: Callable[[Progress], None]) -> Picture:
        """The painted picture.

        Args:
            progress: called after each step; an exception from it stops the work. It may paint another order.

        Raises:
            StyleShuffleError: the order cannot be carried out.
        """
        import torch

        with torch.inference_mode(False):  # within a step of another picture it is on
            return self._painted(order, progress)

    def _painted(self, order: Order, progress: Callable[[Progress], None]) -> Picture:
        content = order.content.read(order.side if order.quick else None)
        mask, strength_mask = _read(order.regions), _read(order.strength_mask)
        return self._stylizer(order).render(content, progress, mask=mask, strength_mask=strength_mask)

    def _stylizer(self, order: Order) -> Stylizer:
        """A stylizer with its styles set. That of a preview is kept, with what was prepared of the styles."""
        side = order.style_side
        if not order.quick or side > _LARGEST_KEPT:
            return self._new(order, side if order.quick else None)
        key = order.styles, order.regions is not None
        if key not in self._kept:
            while len(self._kept) >= _STYLES_KEPT:
                self._kept.popitem(last=False)
            self._kept[key] = self._new(order, VIEW_SIDE)
        self._kept.move_to_end(key)
        self._kept[key] = self._kept[key].with_settings(order.settings)
        return self._kept[key]

    def _new(self, order: Order, side: int | None) -> Stylizer:
        from ..stylizer import Stylizer

        stylizer = Stylizer(order.settings, device=self._device)
        pictures = [style.picture.read(side) for style in order.styles]
        if order.regions is None:
            return stylizer.set_style(pictures)
        masks = [_read(style.regions) or _unpainted(style.picture.size) for style in order.styles]
        return stylizer.set_style(pictures, masks=masks)


def _read(file: PictureFile | None) -> Picture | None:
    return None if file is None else file.read()


def _unpainted(size: tuple[int, int]) -> Picture:
    """The regions of a picture of this size on which nothing was painted: all of it is the rest."""
    width, height = fit_size(size, 256)
    return Picture(np.full((height, width, 3), REST, np.uint8))


def preview_of(order: Order, side: int) -> Order:
    """The same order as a preview with a long side of at most this many pixels."""
    size = min(side, max(fit_size(order.content.size, order.settings.size)))
    return replace(order, settings=replace(order.settings, size=max(32, size)), quick=True)
