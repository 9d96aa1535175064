"""From a request, which names pictures by id, to a job, which holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..images import fit_size
from . import recipes
from .jobs import Item, Job, result_names
from .limits import Limits
from .painter import Abilities, Order, OrderedStyle, check_order, preview_of
from .pictures import PictureFile
from .refusals import Refusal
from .requests import PaintRequest
from .uploads import Uploads


async def job_of(request: PaintRequest, uploads: Uploads, limits: Limits, abilities: Abilities) -> Job:
    """The job of a request. It holds its pictures; the workshop lets go of them.

    Raises:
        Refusal: a picture is not there, the library cannot paint this, or the result would be too large.
        PictureError: a style of the library cannot be read.
    """
    with_regions = bool(request.regions) or any(style.regions for style in request.styles)
    check_order(len(request.styles), bool(request.strength_mask), with_regions, abilities)
    named = [*request.contents, request.strength_mask, request.regions]
    named += [id for style in request.styles for id in (style.id, style.regions)]
    held = uploads.hold([id for id in named if id])
    try:
        orders = await _orders(request, uploads)
        for order in orders:
            _check_size(order, limits)
    except BaseException:
        uploads.shelf.release(held)
        raise
    names = result_names([order.content.name for order in orders], _names(orders[0].styles), request.format)
    packed = request.folder or len(orders) > 1
    items = [Item(order, name) for order, name in zip(orders, names, strict=True)]
    name = "painted.zip" if packed else names[0]
    return Job(request.page, request.kind, items, name, request.format, packed, held)


async def recipe_of(request: PaintRequest, uploads: Uploads) -> dict[str, str]:
    """The command and the lines of Python that make the first picture of a request."""
    order = (await _orders(request, uploads))[0]
    output = result_names([order.content.name], _names(order.styles), request.format)[0]
    return {"command": recipes.command(order, output), "python": recipes.python(order, output)}


async def _orders(request: PaintRequest, uploads: Uploads) -> list[Order]:
    async def picture(id: str) -> PictureFile | None:
        return await uploads.picture(id) if id else None

    styles = [OrderedStyle(await uploads.picture(style.id), await picture(style.regions)) for style in request.styles]
    settings, weights = request.settings, tuple(style.weight for style in request.styles)
    if len(set(weights)) > 1:
        settings = replace(settings, style_weights=weights)
    strength_mask, regions = await picture(request.strength_mask), await picture(request.regions)
    orders = []
    for id in request.contents:
        content = await uploads.picture(id)
        order = Order(content, tuple(styles), settings, strength_mask=strength_mask, regions=regions)
        orders.append(preview_of(order, request.side) if request.kind == "preview" else order)
    return orders


def _check_size(order: Order, limits: Limits) -> None:
    """Refuse a result, or the picture before it, that is larger than the server allows."""
    width, height = fit_size(order.content.size, order.settings.size)
    if width * height > limits.result_pixels:
        most = f"{limits.result_pixels / 1e6:g} million"
        raise Refusal(413, f"size: {width} x {height} is more than {most} pixels; choose a smaller size")
    if order.side > limits.work_side:
        raise Refusal(413, f"work_size: this server stylizes at most {limits.work_side} pixels; choose a smaller value")
    if order.style_side > 2 * limits.work_side:
        raise Refusal(413, "style_scale: the style would be too large at this size; choose a smaller value")


def _names(styles: Sequence[OrderedStyle]) -> list[str]:
    return [style.picture.name for style in styles]
