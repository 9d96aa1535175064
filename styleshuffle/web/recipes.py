"""What makes a picture again without the page: a recipe inside the file, a command, and a few lines of Python.

Files are named as the client named them, because the server's own names mean nothing to anybody.
"""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from typing import Any

from .. import __version__
from ..recipes import Ingredient, Recipe, sha256_of
from ..settings import Settings
from .painter import Order
from .pictures import PictureFile


def recipe(order: Order) -> Recipe:
    """The recipe of an order, with the sums of its files. Its command gives the same file: without the place."""
    made = _recipe(order, lambda file: Ingredient(file.name, sha256_of(file.path)))
    return replace(made, choices={"strip_gps": ""})


def command(order: Order, output: str) -> str:
    """The command line."""
    return shlex.join(_recipe(order, lambda file: Ingredient(file.name)).command(output))


def python(order: Order, output: str) -> str:
    """The lines of Python."""
    given = {
        setting.name: getattr(order.settings, setting.name)
        for setting in fields(Settings)
        if getattr(order.settings, setting.name) != setting.default
    }
    names = [style.picture.name for style in order.styles]
    styles = repr(names[0] if len(names) == 1 else names)
    if order.regions is not None:
        masks = [style.regions.name for style in order.styles if style.regions is not None]
        styles += f", masks={(masks[0] if len(masks) == 1 else masks)!r}"
    content = repr(order.content.name)
    content += f", mask={order.regions.name!r}" if order.regions is not None else ""
    content += f", strength_mask={order.strength_mask.name!r}" if order.strength_mask is not None else ""
    return (
        "from styleshuffle import Stylizer\n\n"
        f"stylizer = Stylizer({', '.join(f'{name}={value!r}' for name, value in given.items())})\n"
        f"stylizer.set_style({styles})\n"
        f"stylizer.stylize({content}).save({output!r})\n"
    )


def _recipe(order: Order, ingredient: Any) -> Recipe:
    files: list[tuple[str, PictureFile | None]] = [("mask", order.regions), ("strength_mask", order.strength_mask)]
    files += [("style_mask", style.regions) for style in order.styles]
    return Recipe(
        ingredient(order.content),
        tuple(ingredient(style.picture) for style in order.styles),
        order.settings,
        tuple((name, ingredient(file)) for name, file in files if file is not None),
        version=__version__,
    )
