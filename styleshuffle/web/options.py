"""What the page builds its dials from: the settings, the library's abilities, and the limits of the server."""

from __future__ import annotations

from dataclasses import Field, asdict, fields
from typing import Any

from .. import __version__
from ..images import READABLE
from ..settings import Settings, rule_of
from .limits import Limits
from .painter import Abilities
from .requests import FORMATS, PREVIEW_SIDE, PREVIEW_SIDES

FIRST = ("strength", "style_scale", "colours", "evening", "palette", "seed")
"""The settings that the page shows first, where the library has them. All others follow under "More settings"."""


def described(abilities: Abilities, limits: Limits) -> dict[str, Any]:
    """Everything about the server that a page needs, as JSON."""
    return {
        "version": __version__,
        "settings": [_setting(setting) for setting in fields(Settings)],
        "abilities": asdict(abilities),
        "formats": FORMATS,
        "readable": sorted(READABLE),
        "preview": {"side": PREVIEW_SIDE, "low": PREVIEW_SIDES[0], "high": PREVIEW_SIDES[1]},
        "limits": {
            "upload_bytes": limits.upload_bytes,
            "upload_pixels": limits.upload_pixels,
            "result_pixels": limits.result_pixels,
            "contents": limits.contents,
        },
    }


def _setting(setting: Field[Any]) -> dict[str, Any]:
    rule = rule_of(setting)
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    return {
        "name": setting.name,
        "label": setting.name.replace("_", " ").capitalize(),
        "help": rule.help,
        "kind": rule.kind.__name__,
        "low": rule.low,
        "high": rule.high,
        "choices": rule.choices,
        "optional": rule.optional,
        "list": rule.levels is not None,
        "default": default,
        "first": FIRST.index(setting.name) if setting.name in FIRST else None,
    }
