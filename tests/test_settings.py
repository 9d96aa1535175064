"""Settings: what a rule allows, what it says when it is broken, and what holds at a level."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from styleshuffle.errors import SettingsError
from styleshuffle.settings import Rule, Settings, settings_from

RATIO = Rule(float, "A ratio.", 0.5, 2)
COUNT = Rule(int, "A count.", 1, 20)
SIZE = Rule(int, "A size, or none.", 32, 64, optional=True)
SWITCH = Rule(bool, "On or off.")
WORD = Rule(str, "A word.", choices=("prices", "counts"))
EACH = Rule(float, "One a level.", levels=(3, 2, 1))
ANY = Rule(int, "As many as you like.", 1, 4, levels=())


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (RATIO, [0.5, 1, 2, 2.0]),
        (COUNT, [1, 20]),
        (SIZE, [None, 32, 64]),
        (SWITCH, [True, False]),
        (WORD, ["prices", "counts"]),
        (EACH, [(0, 0.5, 1), [1, 1, 1]]),
        (ANY, [(), (4,), [4, 3, 2, 1, 1]]),
    ],
)
def test_a_rule_allows_its_range_with_both_ends(rule: Rule, values: list[Any]) -> None:
    for value in values:
        rule.check("x", value)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (RATIO, 0.49, "x: 0.49 is out of range; use 0.5 to 2"),
        (RATIO, float("nan"), "x: nan is out of range; use 0.5 to 2"),
        (RATIO, float("inf"), "x: inf is out of range; use 0.5 to 2"),
        (RATIO, "1", "x: '1' is out of range; use 0.5 to 2"),
        (RATIO, True, "x: True is out of range; use 0.5 to 2"),
        (RATIO, None, "x: None is out of range; use 0.5 to 2"),
        (RATIO, (1,), "x: (1,) is out of range; use 0.5 to 2"),
        (COUNT, 21, "x: 21 is out of range; use whole numbers 1 to 20"),
        (COUNT, 2.0, "x: 2.0 is out of range; use whole numbers 1 to 20"),
        (COUNT, True, "x: True is out of range; use whole numbers 1 to 20"),
        (SIZE, 31, "x: 31 is out of range; use whole numbers 32 to 64"),
        (SWITCH, 1, "x: 1 is unknown; use one of True, False"),
        (SWITCH, "True", "x: 'True' is unknown; use one of True, False"),
        (SWITCH, None, "x: None is unknown; use one of True, False"),
        (WORD, "price", "x: 'price' is unknown; use one of prices, counts"),
        (WORD, ["prices"], "x: ['prices'] is unknown; use one of prices, counts"),
        (EACH, 0.5, "x: 0.5 is not a list; use values such as 0, 1"),
        (EACH, "0.5", "x: '0.5' is not a list; use values such as 0, 1"),
        (EACH, None, "x: None is not a list; use values such as 0, 1"),
        (EACH, (0.5, 1.5, 0.5), "x: 1.5 is out of range; use 0 to 1"),
        (EACH, (0.5, 0.5), "x: (0.5, 0.5) must have 3 values, for relu3_1 to relu1_1"),
        (ANY, (4, 5), "x: 5 is out of range; use whole numbers 1 to 4"),
    ],
)
def test_a_broken_rule_names_the_setting_and_what_it_may_be(rule: Rule, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        rule.check("x", value)
    assert str(refusal.value) == message


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().strength = 1  # type: ignore[misc]


def test_a_name_that_is_like_no_setting_is_answered_with_all_of_them() -> None:
    with pytest.raises(SettingsError) as refusal:
        settings_from(zzz=1)
    assert str(refusal.value) == f"zzz: no such setting; known: {sorted(setting.name for setting in fields(Settings))}"


# ------------------------------------------------------------------------------------------------------- at a level


SPREAD = Settings(
    levels=(3, 2, 1),
    content_weights=(0.1, 0.2, 0.3, 0.4),
    encoder_blends=(0.5, 0.6, 0.7),
    patch_sizes=(9, 7, 5, 3),
    turns=(4, 3, 2),
)


def test_each_level_has_its_place_in_the_lists_whichever_levels_are_used() -> None:
    at = [SPREAD.at(level) for level in SPREAD.levels]
    assert [level.level for level in at] == [3, 2, 1]
    assert [level.content_weight for level in at] == pytest.approx([0.2, 0.3, 0.4])
    assert [level.patch_size for level in at] == [7, 5, 3]
    assert [level.turns for level in at] == [3, 2, 1]  # relu1_1 always has one round


def test_the_coarsest_level_has_nothing_but_the_encoders_content() -> None:
    at = [SPREAD.at(level) for level in SPREAD.levels]
    assert [level.coarsest for level in at] == [True, False, False]
    assert [level.encoder_blend for level in at] == pytest.approx([1, 0.6, 0.7])


def test_relu1_1_matches_only_where_it_is_alone() -> None:
    assert [SPREAD.at(level).matches for level in (3, 2, 1)] == [True, True, False]
    assert Settings(levels=(1,)).at(1).matches


def test_weights_of_a_level_follow_the_strength() -> None:
    at = [Settings(strength=strength, content_weights=(0.5,) * 4).at(4).content_weight for strength in (0, 0.5, 1)]
    assert at == pytest.approx([1, 0.5, 0.5**4])
