"""Every setting of the method with its default, range and meaning; the command line takes its options from here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import SettingsError

DEEPEST_LEVEL = 4


def _setting(default: Any, help: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """How a picture is stylized. Immutable; `dataclasses.replace` makes variations.

    The three knobs of the method that `strength` moves together (``content_weight``, ``encoder_blend``) can be pinned one
    by one; None leaves them to `strength`.

    Raises:
        SettingsError: a value is outside its range; the message names the setting and the range.
    """

    size: int | None = _setting(None, "Long side of the result in pixels; default: the content's own size.", 32, 32768)
    strength: float = _setting(0.5, "How far to go from the content (0) to the style (1).", 0, 1)
    style_scale: float = _setting(
        1.0, "Size of the style picture relative to the result: smaller makes finer patterns.", 0.1, 4
    )
    usage_penalty: float = _setting(
        0.3, "Lambda: 0 lets popular style patches be used everywhere, large values make all used equally.", 0, 1000
    )
    content_weight: float | None = _setting(None, "Alpha: share of the content in each blend.", 0, 1)
    encoder_blend: float | None = _setting(
        None, "How much of the content in the blend is the encoder's own, not the coarser level's result.", 0, 1
    )
    levels: tuple[int, ...] = _setting((4, 3, 2, 1), "VGG levels from coarse to fine; 4 is relu4_1.", 1, DEEPEST_LEVEL)
    patch_sizes: tuple[int, ...] = _setting((3, 3, 3, 3), "Patch size at each level, odd.", 1, 9)
    turns: tuple[int, ...] = _setting((2, 1, 1, 1), "Rounds of match, vote and blend at each level.", 1, 20)
    descriptor_channels: int = _setting(32, "Numbers that describe a patch in the matching.", 4, 512)
    seed: int = _setting(0, "Another seed arranges the style's patterns another way.", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, low, high = getattr(self, setting.name), setting.metadata["low"], setting.metadata["high"]
            values = value if isinstance(value, tuple) else (value,)
            if value is None and setting.default is None:
                continue
            for one in values:
                if isinstance(one, bool) or not isinstance(one, int | float) or not low <= one <= high:
                    raise SettingsError(f"{setting.name}: {one!r} is out of range; use {low} to {high}")
        if not self.levels or list(self.levels) != list(range(self.levels[0], self.levels[-1] - 1, -1)):
            raise SettingsError(f"levels: {self.levels} must fall one by one, such as 4 3 2 1 or 4 3 2")
        for name in ("patch_sizes", "turns"):
            if len(getattr(self, name)) != len(self.levels):
                raise SettingsError(f"{name}: {getattr(self, name)} must have one value for each of levels {self.levels}")
        if any(size % 2 == 0 for size in self.patch_sizes):
            raise SettingsError(f"patch_sizes: {self.patch_sizes} must be odd")


def settings_from(**values: Any) -> Settings:
    """Settings by name; an unknown name is refused with the nearest known one."""
    known = {setting.name for setting in fields(Settings)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise SettingsError(f"{name}: no such setting; " + (f"did you mean {near[0]}?" if near else f"known: {sorted(known)}"))
    return Settings(**values)
