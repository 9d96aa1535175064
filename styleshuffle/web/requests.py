"""What a client asks for, checked before anything is done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ..images import WRITABLE
from ..settings import Rule, Settings, rule_of, settings_from
from .refusals import Refusal

FORMATS = ("png", *(name for name in ("jpg", "webp", "tif", "avif", "jxl") if f".{name}" in WRITABLE))
"""Formats of results; the first is the default. Each is a suffix of `WRITABLE` without the dot."""

PREVIEW_SIDES = (128, 1024)
PREVIEW_SIDE = 384
"""Long side of a preview, in pixels, unless the client asks for another."""

_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")
_RULES = {setting.name: rule_of(setting) for setting in fields(Settings)}
_KEYS = {"page", "kind", "contents", "styles", "settings", "side", "format", "strength_mask", "regions", "folder"}


@dataclass(frozen=True)
class StyleChoice:
    """A style that is asked for: its id, its weight, and the id of its label picture or ""."""

    id: str
    weight: float = 1.0
    regions: str = ""


@dataclass(frozen=True)
class PaintRequest:
    """What is to be painted; pictures are ids.

    Attributes:
        page: whose newer previews replace its older ones; "" is no page.
        kind: "preview" is small and quick, "final" has the size of the settings.
        contents: one photograph, or several whose results go into a zip file.
        side: long side of a preview in pixels.
        format: of the results: a suffix without the dot.
        folder: whether the result is a zip file with a folder even if there is one photograph.
    """

    page: str
    kind: Literal["preview", "final"]
    contents: tuple[str, ...]
    styles: tuple[StyleChoice, ...]
    settings: Settings
    side: int = PREVIEW_SIDE
    format: str = "png"
    strength_mask: str = ""
    regions: str = ""
    folder: bool = False


def paint_request(data: Any, most_contents: int) -> PaintRequest:
    """Read the JSON of a request for a job.

    Raises:
        Refusal: something is missing, unknown or of the wrong kind.
        SettingsError: a setting is unknown or out of range.
    """
    if not isinstance(data, Mapping):
        raise Refusal(422, "the request must be a JSON object with contents and styles")
    unknown = sorted(map(str, set(data) - _KEYS))
    if unknown:
        raise Refusal(422, f"{unknown[0][:40]}: no such key; known: {', '.join(sorted(_KEYS))}")
    contents = data.get("contents")
    if not isinstance(contents, list) or not 1 <= len(contents) <= most_contents:
        raise Refusal(422, f"contents: give a list of 1 to {most_contents} ids of pictures")
    kind = data.get("kind", "final")
    if kind not in ("preview", "final"):
        raise Refusal(422, "kind: use preview or final")
    if kind == "preview" and len(contents) != 1:
        raise Refusal(422, "contents: a preview has one photograph")
    return PaintRequest(
        page=checked_id(data.get("page", ""), "page"),
        kind=kind,
        contents=tuple(checked_id(id, "contents") for id in contents),
        styles=_styles(data.get("styles")),
        settings=settings_of(data.get("settings", {})),
        side=_side(data.get("side", PREVIEW_SIDE)),
        format=checked_format(data.get("format", "png")),
        strength_mask=checked_id(data.get("strength_mask") or "", "strength_mask"),
        regions=checked_id(data.get("regions") or "", "regions"),
        folder=data.get("folder") is True,
    )


def checked_id(value: Any, name: str) -> str:
    """An id as clients may send it. It is only ever looked up, never made into a path."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Refusal(422, f"{name}: an id is at most 64 letters, digits, - and _")
    return value


def checked_format(value: Any) -> str:
    if value not in FORMATS:
        raise Refusal(422, f"format: use one of {', '.join(FORMATS)}")
    return str(value)


def _side(value: Any) -> int:
    low, high = PREVIEW_SIDES
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Refusal(422, f"side: use whole numbers {low} to {high}")
    return value


def _styles(value: Any) -> tuple[StyleChoice, ...]:
    if not isinstance(value, list) or not value or len(value) > 64:
        raise Refusal(422, "styles: give a list with the id of each style")
    return tuple(_style(item) for item in value)


def _style(item: Any) -> StyleChoice:
    if isinstance(item, str):
        item = {"id": item}
    if not isinstance(item, Mapping) or set(item) - {"id", "weight", "regions"} or "id" not in item:
        raise Refusal(422, "styles: each is an id, or an object with id, weight and regions")
    weight = item.get("weight", 1.0)
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1000:
        raise Refusal(422, "styles: a weight is a number 0 to 1000")
    regions = checked_id(item.get("regions") or "", "styles")
    return StyleChoice(checked_id(item["id"], "styles"), float(weight), regions)


# ------------------------------------------------------------------------------------------------------- the settings


def settings_of(values: Any) -> Settings:
    """Settings by name, from JSON values or from text as in a form: "0.5", "true", "4,3,2".

    Raises:
        SettingsError: a setting is unknown or out of range.
    """
    if not isinstance(values, Mapping):
        raise Refusal(422, "settings: must be an object with names and values")
    known = {str(name): _value(_RULES[name], value) if name in _RULES else value for name, value in values.items()}
    return settings_from(**known)


def _value(rule: Rule, value: Any) -> Any:
    """A value of the kind that the rule wants, where the client's value says so; the rule itself checks it."""
    if isinstance(value, str):
        value = value.strip()
        if value == "" and rule.optional:
            return None
        if rule.levels is not None or (rule.each_style and "," in value):
            return tuple(_single(rule, part.strip()) for part in value.split(","))
        return _single(rule, value)
    if isinstance(value, list) and (rule.levels is not None or rule.each_style):
        return tuple(value)
    return value


def _single(rule: Rule, text: str) -> Any:
    if rule.kind is bool:
        return {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}.get(text.lower(), text)
    if rule.kind in (int, float):
        try:
            return rule.kind(text)
        except ValueError:
            return text
    return text
