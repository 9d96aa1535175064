"""A form with pictures and settings, as ``curl -F`` sends it, in the shape of the JSON of a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import fields
from typing import Any

from starlette.datastructures import UploadFile

from ..settings import Settings
from .refusals import Refusal

_SETTINGS = {setting.name for setting in fields(Settings)}
_PICTURES = ("content", "style", "strength_mask", "regions", "style_regions")
_OTHERS = ("weight", "format", "wait", "folder")


async def read_form(
    items: Iterable[tuple[str, UploadFile | str]], take: Callable[[UploadFile], Awaitable[str]]
) -> dict[str, Any]:
    """The fields of a form as the JSON of a job.

    Args:
        items: ``content``, ``style``, ``weight`` and ``style_regions`` may come several times; a picture is a file or
            the id of a style of the library. Every other name is a setting.
        take: stores a file and returns its id.

    Raises:
        Refusal: a field is unknown, or a picture is missing.
    """
    items = list(items)
    known = {*_PICTURES, *_OTHERS, *_SETTINGS}
    for name, _ in items:
        if name not in known:
            raise Refusal(422, f"{name[:40]}: no such field; use content, style, format, wait and the settings")
    pictures: dict[str, list[str]] = {name: [] for name in _PICTURES}
    for name, value in items:
        if name in _PICTURES:
            pictures[name].append(value if isinstance(value, str) else await take(value))
    for name in ("content", "style"):
        if not pictures[name]:
            raise Refusal(422, f"{name}: is missing; send it as a file, such as -F {name}=@picture.jpg")
    texts = {name: value for name, value in items if isinstance(value, str)}
    weights = [_number(value) for name, value in items if name == "weight"]
    regions = pictures["style_regions"]
    styles = [
        {
            "id": id,
            "weight": weights[index] if index < len(weights) else 1.0,
            "regions": regions[index] if index < len(regions) else "",
        }
        for index, id in enumerate(pictures["style"])
    ]
    return {
        "contents": pictures["content"],
        "styles": styles,
        "strength_mask": next(iter(pictures["strength_mask"]), ""),
        "regions": next(iter(pictures["regions"]), ""),
        "settings": {name: value for name, value in texts.items() if name in _SETTINGS},
        "format": texts.get("format", "png"),
        "folder": texts.get("folder") in ("yes", "true", "1"),
    }


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Refusal(422, "weight: use a number for each style") from None
