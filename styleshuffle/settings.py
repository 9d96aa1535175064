"""Every setting of the method with its default, range and meaning; the command line takes its options from here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal

from .errors import SettingsError

DEEPEST_LEVEL = 4
LEARNED_STEPS = 2
"""Steps of refinement that the network takes: further ones would not lower the loss, but steps by gradient do."""

_GRADIENT_STEPS = 6  # of refinement, where no other number is set and no network takes any
MOST_STYLES = 16
MAX_PIXELS = 300_000_000
"""How many pixels a picture file may have unless told otherwise; an 8K frame has 33 million."""

ENCODERS = ("compact", "vgg19")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")  # numbers that networks compute in
CONVENTIONS = ("caffe", "torchvision")  # how a VGG-19 file wants its pictures


@dataclass(frozen=True)
class Rule:
    """What a setting may be.

    Attributes:
        kind: of the value, or of each value of a list.
        help: one sentence for users.
        low, high: the range of a number.
        choices: the words to choose from.
        optional: None is allowed.
        levels: of a list, the VGG levels that its values are for, from coarse to fine; () is a list of any length.
            None is a single value.
        each_style: a list with a value for each style is allowed in place of a single value.
    """

    kind: type
    help: str
    low: float = 0
    high: float = 1
    choices: tuple[str, ...] = ()
    optional: bool = False
    levels: tuple[int, ...] | None = None
    each_style: bool = False

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that breaks the rule.

        Raises:
            SettingsError: names the setting and what it may be.
        """
        if value is None and self.optional:
            return
        if self.levels is not None and (isinstance(value, str) or not isinstance(value, Sequence)):
            raise SettingsError(f"{name}: {value!r} is not a list; use values such as {self.low}, {self.high}")
        listed = self.levels is not None or (self.each_style and isinstance(value, list | tuple) and value)
        values = value if listed else (value,)
        for single in values:
            self._check_single(name, single)
        if self.levels and len(values) != len(self.levels):
            span = f"relu{self.levels[0]}_1 to relu{self.levels[-1]}_1"
            raise SettingsError(f"{name}: {value} must have {len(self.levels)} values, for {span}")

    def _check_single(self, name: str, value: Any) -> None:
        if self.kind is bool or self.choices:
            choices = self.choices or (True, False)
            if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
                raise SettingsError(f"{name}: {value!r} is unknown; use one of {', '.join(map(str, choices))}")
            return
        is_number = isinstance(value, int if self.kind is int else int | float) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high:
            numbers = "whole numbers " if self.kind is int else ""
            raise SettingsError(f"{name}: {value!r} is out of range; use {numbers}{self.low} to {self.high}")


def rule_of(setting: Field[Any]) -> Rule:
    """The rule that a field of `Settings` declares."""
    rule: Rule = setting.metadata["rule"]
    return rule


def _setting(default: Any, kind: type, help: str, low: float = 0, high: float = 1, **more: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(kind, help, low, high, **more)})


def _choice(default: str, help: str, *choices: str) -> Any:
    return field(default=default, metadata={"rule": Rule(str, help, choices=choices)})


@dataclass(frozen=True)
class LevelSettings:
    """The settings that hold at one level.

    Attributes:
        level: 4 for relu4_1.
        coarsest: the level is the first.
        content_weight: share of the content in the blend, at the strength that is set.
        flat_weight: the same where the content is flat.
        encoder_blend: how much of that content is the encoder's own, at the strength that is set.
        patch_size: side of a patch.
        turns: rounds of match, vote and blend.
    """

    level: int
    coarsest: bool
    content_weight: float
    flat_weight: float
    encoder_blend: float
    patch_size: int
    turns: int

    @property
    def matches(self) -> bool:
        """Whether the level has its own matching. relu1_1 follows relu2_1: its patches hold too little to match by."""
        return self.coarsest or self.level > 1


@dataclass(frozen=True)
class Settings:
    """How a picture is stylized. Immutable; `dataclasses.replace` makes variations.

    Settings in the plural have one value a level, from coarse to fine: relu4_1, relu3_1, relu2_1, relu1_1. A level that
    is left out of `levels` keeps its place in the lists.

    Raises:
        SettingsError: a value is outside its range, or two settings contradict each other; the message names the
            setting and the range.
    """

    size: int | None = _setting(
        None, int, "Long side of the result in pixels; default: the content's own size.", 32, 32768, optional=True
    )
    strength: float = _setting(0.5, float, "How far to go from the content (0) to the style (1).")
    style_scale: float | tuple[float, ...] = _setting(
        1.0,
        float,
        "Size of the style picture relative to the result: smaller makes finer patterns. A list is for several styles.",
        0.1,
        4,
        each_style=True,
    )
    style_weights: tuple[float, ...] | None = _setting(
        None,
        float,
        "Shares of several styles in the picture, such as 7,3; default: equal shares. The usage penalty enforces them.",
        0,
        1000,
        optional=True,
        levels=(),
    )
    seed: int = _setting(0, int, "Another seed arranges the style's patterns another way.", 0, 2**31 - 1)
    work_size: int = _setting(
        1024,
        int,
        "Long side up to which a picture is painted in one piece; a larger result is repainted from it in tiles.",
        32,
        32768,
    )
    usage_penalty: float = _setting(
        0.01,
        float,
        "Lambda: with 0 a few popular style patches may serve everywhere; large values use all of them equally.",
        0,
        1000,
    )
    content_weights: tuple[float, ...] = _setting(
        (0.45, 0.4, 0.7, 0.8),
        float,
        "Alpha: share of the content in each blend, at strength 0.5.",
        levels=(4, 3, 2, 1),
    )
    flat_weights: tuple[float, ...] = _setting(
        (0.6, 0.5, 0.45, 0.3),
        float,
        "The same where the content is flat: a sky, a wall, a cheek.",
        levels=(4, 3, 2, 1),
    )
    encoder_blends: tuple[float, ...] = _setting(
        (0.8, 0.7, 0.6),
        float,
        "How much of that content is the encoder's own, not the coarser level's result, at strength 0.5; for relu3_1 to "
        "relu1_1.",
        levels=(3, 2, 1),
    )
    levels: tuple[int, ...] = _setting(
        (4, 3, 2, 1), int, "VGG levels from coarse to fine; 4 is relu4_1.", 1, DEEPEST_LEVEL, levels=()
    )
    patch_sizes: tuple[int, ...] = _setting(
        (3, 3, 3, 1), int, "Patch size at each level, odd.", 1, 9, levels=(4, 3, 2, 1)
    )
    turns: tuple[int, ...] = _setting(
        (1, 1, 1),
        int,
        "Rounds of match, vote and blend at relu4_1, relu3_1 and relu2_1; relu1_1 has one round.",
        1,
        20,
        levels=(4, 3, 2),
    )
    descriptor_channels: int = _setting(32, int, "Feature channels that patches are compared by.", 4, 256)
    matching: Literal["prices", "counts"] = _choice(
        "prices",
        "What evens out the use of style patches: optimal prices, or the paper's penalty on each use so far.",
        "prices",
        "counts",
    )
    contiguity: float = _setting(
        0.3,
        float,
        "What continuing the neighbours' patches is worth where the content is flat, in units of cosine.",
        0,
        2,
    )
    recolour: bool = _setting(
        True, bool, "Move the content's features to the style's colours (mean, covariance) before they are blended."
    )
    evening: float = _setting(
        1.0, float, "How far colours follow the content over wide areas, instead of drifting like smoke."
    )
    tone: float = _setting(
        0.25,
        float,
        "How far dark places of the content stay dark, and light places light.",
    )
    noise: float = _setting(
        5.0,
        float,
        "Least deviation of the content, in levels of 255. Flatter places get noise, which becomes strokes.",
        0,
        64,
    )
    brushwork: float = _setting(
        0.5, float, "How far strokes in flat places of the content get the contrast of the style's own."
    )
    colours: Literal["style", "content", "luminance"] = _choice(
        "style",
        "Whose colours: the style's; the content's hue and saturation under the style's light; or the content's over a "
        "result that is made of lightness alone.",
        "style",
        "content",
        "luminance",
    )
    unmatched: Literal["refuse", "any"] = _choice(
        "refuse",
        "What a region does whose colour the other side lacks: refuse the masks, or let it take from anywhere.",
        "refuse",
        "any",
    )
    strokes: float = _setting(
        1.0, float, "How far wide flat places of the content are laid in with strokes twice as wide."
    )
    palette: float = _setting(
        0.9, float, "How far the decoded picture's colours go to the style's own distribution, at strength 0.5."
    )
    refine: int | None = _setting(
        None,
        int,
        "Steps on the decoded picture: sharper brushwork and shapes; 0 is quickest; default: 2 by the network, or 6 by "
        "gradient. More than 2 go on by gradient.",
        0,
        10000,
        optional=True,
    )
    optimizer: Literal["learned", "adam", "lbfgs", "generic-adam"] = _choice(
        "learned",
        "What takes the steps: a trained network, or an optimiser by gradient. Only the compact encoder has a network; "
        "other encoders, and searches in place of a decoder, use adam instead.",
        "learned",
        "adam",
        "lbfgs",
        "generic-adam",
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            rule_of(setting).check(setting.name, getattr(self, setting.name))
        if not self.levels or list(self.levels) != list(range(self.levels[0], self.levels[-1] - 1, -1)):
            raise SettingsError(f"levels: {self.levels} must fall one by one, such as 4,3,2,1 or 4,3,2")
        if self.style_weights is not None and not sum(self.style_weights):
            raise SettingsError(f"style_weights: {self.style_weights} leaves out all styles; give a number above 0")
        if any(size % 2 == 0 for size in self.patch_sizes):
            raise SettingsError(f"patch_sizes: {self.patch_sizes} must be odd")

    def for_styles(self, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The shares of that many styles, which sum to 1, and their scales.

        Raises:
            SettingsError: there are too many styles, or a list has another number of values; names the setting.
        """
        if not 1 <= count <= MOST_STYLES:
            raise SettingsError(f"style: {count} styles; give 1 to {MOST_STYLES}")
        scale = self.style_scale
        scales = (scale,) * count if isinstance(scale, int | float) else tuple(scale)
        weights = (1.0,) * count if self.style_weights is None else tuple(self.style_weights)
        for name, values in ("style_weights", weights), ("style_scale", scales):
            if len(values) != count:
                raise SettingsError(f"{name}: {values} has {len(values)} values; give {count}, a value for each style")
        return tuple(weight / sum(weights) for weight in weights), scales

    def at(self, level: int) -> LevelSettings:
        """What holds at a level: 4 for relu4_1."""
        coarsest = level == self.levels[0]
        return LevelSettings(
            level=level,
            coarsest=coarsest,
            content_weight=self.faded(self.content_weights[DEEPEST_LEVEL - level]),
            flat_weight=self.faded(self.flat_weights[DEEPEST_LEVEL - level]),
            encoder_blend=1.0 if coarsest else self.faded(self.encoder_blends[DEEPEST_LEVEL - 1 - level]),
            patch_size=self.patch_sizes[DEEPEST_LEVEL - level],
            turns=self.turns[DEEPEST_LEVEL - level] if level > 1 else 1,
        )

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
        if learned and self.strength == 0:
            return 0  # the photograph itself; a network's steps never stand quite still
        return self.refine if self.refine is not None else LEARNED_STEPS if learned else _GRADIENT_STEPS

    def faded(self, weight: float) -> float:
        """What a weight of the content, which holds for strength 0.5, is at this strength: 1 at 0, and falling."""
        return weight ** (4 * self.strength**2)


PLAIN = Settings(
    patch_sizes=(3, 3, 3, 3),
    turns=(2, 2, 1),
    contiguity=0.0,
    evening=0.0,
    tone=0.0,
    noise=0.0,
    brushwork=0.0,
    strokes=0.0,
)
"""The method without what looks at the content picture beside its features. Set both `content_weights` and `flat_weights`
to the same values to leave out the last of it."""

AUTHORS = replace(
    PLAIN,
    levels=(4, 3, 2),
    patch_sizes=(3, 5, 5, 3),
    turns=(5, 5, 5),
    usage_penalty=0.05,
    matching="counts",
    content_weights=(0.5, 0.5, 0.5, 0.5),
    flat_weights=(0.5, 0.5, 0.5, 0.5),
    encoder_blends=(0.0, 0.0, 0.0),
    recolour=False,
    palette=0.0,
    refine=0,
)
"""The program that the paper's authors released in May 2018. What is left out: its random search (ours is exact at
relu4_1, and local from there on), and its fixed size of 512."""


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
