"""Every setting of the method with its default, range and meaning; the command line takes its options from here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from .errors import SettingsError

DEEPEST_LEVEL = 4
_LEARNED_STEPS, _GRADIENT_STEPS = 2, 6  # of refinement, where no other number is set


def _setting(default: Any, help: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """How a picture is stylized. Immutable; `dataclasses.replace` makes variations.

    Settings in the plural have one value a level: relu4_1, relu3_1, relu2_1, relu1_1, whichever of them are used.

    Raises:
        SettingsError: a value is outside its range; the message names the setting and the range.
    """

    size: int | None = _setting(None, "Long side of the result in pixels; default: the content's own size.", 32, 32768)
    strength: float = _setting(0.5, "How far to go from the content (0) to the style (1).", 0, 1)
    style_scale: float = _setting(
        1.0, "Size of the style picture relative to the result: smaller makes finer patterns.", 0.1, 4
    )
    seed: int = _setting(0, "Another seed arranges the style's patterns another way.", 0, 2**31 - 1)
    work_size: int = _setting(
        2048, "Long side up to which a picture is stylized directly; a larger result is enlarged from it.", 32, 32768
    )
    usage_penalty: float = _setting(
        0.01, "Lambda: 0 lets popular style patches be used everywhere, large values make all used equally.", 0, 1000
    )
    content_weights: tuple[float, ...] = _setting(
        (0.4, 0.4, 0.8, 0.9), "Alpha: share of the content in each blend, at strength 0.5.", 0, 1
    )
    encoder_blends: tuple[float, ...] = _setting(
        (0.5, 0.7, 0.5, 0.45),
        "How much of that content is the encoder's own, not the coarser level's result, at strength 0.5.",
        0,
        1,
    )
    levels: tuple[int, ...] = _setting((4, 3, 2, 1), "VGG levels from coarse to fine; 4 is relu4_1.", 1, DEEPEST_LEVEL)
    patch_sizes: tuple[int, ...] = _setting((3, 3, 3, 3), "Patch size at each level, odd.", 1, 9)
    turns: tuple[int, ...] = _setting((2, 2, 1, 1), "Rounds of match, vote and blend at each level.", 1, 20)
    descriptor_channels: int = _setting(32, "Feature channels that patches are compared by.", 4, 256)
    matching: Literal["prices", "counts"] = _setting(
        "prices", "What evens out the use of style patches: optimal prices, or the paper's penalty on each use so far."
    )
    recolour: bool = _setting(
        True,
        "Move the content to the style's colours (mean, covariance) before it is blended; if not, no --palette either.",
    )
    palette: float = _setting(
        0.6, "How far the decoded picture's colours go to the style's own distribution, at strength 0.5.", 0, 1
    )
    refine: int | None = _setting(
        None,
        "Steps on the decoded picture: sharper brushwork and shapes; 0 is quickest; default: 2 that are learned, or 6 by "
        "gradient.",
        0,
        10000,
    )
    optimizer: Literal["learned", "adam", "lbfgs", "generic-adam"] = _setting(
        "learned",
        "What takes the steps: a network trained for it, or an optimiser by gradient. There is a network for the compact "
        "encoder; elsewhere, and in place of a decoder, adam stands in for it.",
    )

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for setting in fields(self):
            kind = kinds[setting.name]
            if kind is bool or (get_args(kind) and isinstance(setting.default, str)):
                self._check_choice(setting.name, (True, False) if kind is bool else get_args(kind))
                continue
            value, low, high = getattr(self, setting.name), setting.metadata["low"], setting.metadata["high"]
            whole = not isinstance(setting.default[0] if isinstance(setting.default, tuple) else setting.default, float)
            values = value if isinstance(setting.default, tuple) else (value,)
            if value is None and setting.default is None:
                continue
            for one in values:
                number = isinstance(one, int if whole else int | float) and not isinstance(one, bool)
                if not number or not low <= one <= high:
                    kind = "whole numbers " if whole else ""
                    raise SettingsError(f"{setting.name}: {one!r} is out of range; use {kind}{low} to {high}")
            if isinstance(value, tuple) and setting.name != "levels" and len(value) != DEEPEST_LEVEL:
                raise SettingsError(f"{setting.name}: {value} must have {DEEPEST_LEVEL} values, for relu4_1 to relu1_1")
        if not self.levels or list(self.levels) != list(range(self.levels[0], self.levels[-1] - 1, -1)):
            raise SettingsError(f"levels: {self.levels} must fall one by one, such as 4,3,2,1 or 4,3,2")
        if any(size % 2 == 0 for size in self.patch_sizes):
            raise SettingsError(f"patch_sizes: {self.patch_sizes} must be odd")

    def _check_choice(self, name: str, choices: tuple[Any, ...]) -> None:
        value = getattr(self, name)
        if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
            raise SettingsError(f"{name}: {value!r} is unknown; use one of {', '.join(map(str, choices))}")

    def at(self, name: str, level: int) -> float:
        """The value of a setting in the plural at a level: 4 for relu4_1."""
        return getattr(self, name)[DEEPEST_LEVEL - level]

    @property
    def refines_learned(self) -> bool:
        """Whether a network is wanted to refine with."""
        return self.optimizer == "learned" and self.refine != 0

    @property
    def gradient_optimizer(self) -> str:
        """What takes steps by gradient."""
        return "adam" if self.optimizer == "learned" else self.optimizer

    def refine_steps(self, learned: bool) -> int:
        """How many steps refine a picture: those that were set, or as many as such steps need.

        Args:
            learned: a network takes them, not an optimiser by gradient.
        """
        return self.refine if self.refine is not None else _LEARNED_STEPS if learned else _GRADIENT_STEPS

    def faded(self, weight: float) -> float:
        """What a weight of the content, which holds for strength 0.5, is at this strength: 1 at 0, and falling."""
        return weight ** (4 * self.strength**2)


# The program that the paper's authors released in May 2018, as settings. What is left out: its random search (ours is
# exact at relu4_1, and local from there on), and its fixed size of 512.
AUTHORS = Settings(
    levels=(4, 3, 2),
    patch_sizes=(3, 5, 5, 3),
    turns=(5, 5, 5, 1),
    usage_penalty=0.05,
    matching="counts",
    content_weights=(0.5, 0.5, 0.5, 0.5),
    encoder_blends=(0.0, 0.0, 0.0, 0.0),
    recolour=False,
    refine=0,
)


def settings_from(**values: Any) -> Settings:
    """Settings by name; an unknown name is refused with the nearest known one."""
    known = {setting.name for setting in fields(Settings)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise SettingsError(
                f"{name}: no such setting; " + (f"did you mean {near[0]}?" if near else f"known: {sorted(known)}")
            )
    return Settings(**values)
