"""A stylizer with other settings gives what a new stylizer gives, and does not pay for the style again."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import pytest
from helpers import sample_image
from PIL import Image

from styleshuffle import Settings, SettingsError, Stylizer
from styleshuffle.errors import StyleShuffleError
from styleshuffle.settings import rule_of

CONTENT = sample_image("content/cat.jpg", (64, 48))
STYLE = sample_image("style/swirling_night.jpg", (64, 48))


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    stylizer = Stylizer(device="cpu").set_style(STYLE)
    stylizer.stylize(CONTENT)  # its style is prepared
    return stylizer


def others(setting: Field[Any]) -> list[Any]:
    """Values of a setting that are not its default; of a choice all."""
    rule = rule_of(setting)
    if setting.name in SPECIAL:
        return [SPECIAL[setting.name]]
    if rule.kind is bool:
        return [not setting.default]
    if rule.choices:
        return [choice for choice in rule.choices if choice != setting.default]
    if rule.levels is not None:
        return [tuple((3 if rule.low else 0.25) if rule.kind is float else 3 for _ in setting.default)]
    return [rule.kind(rule.low + 1) if rule.kind is int else rule.low + 0.37]


SPECIAL = {"levels": (3, 2), "size": 40, "work_size": 40, "refine": 1, "style_weights": (3.0,)}
CHANGES = [(setting.name, value) for setting in fields(Settings) for value in others(setting)]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_changed_setting_gives_what_a_new_stylizer_gives(stylizer: Stylizer, name: str, value: Any) -> None:
    assert getattr(Settings(), name) != value
    changed = stylizer.with_settings(**{name: value})
    expected = Stylizer(device="cpu", **{name: value}).set_style(STYLE)
    assert changed.stylize(CONTENT).tobytes() == expected.stylize(CONTENT).tobytes()


def test_the_first_stylizer_stays_as_it_was(stylizer: Stylizer) -> None:
    before = stylizer.stylize(CONTENT).tobytes()
    stylizer.with_settings(strength=1.0, levels=(3, 2), optimizer="adam").stylize(CONTENT)
    stylizer.with_settings(strength=1.0).set_style(Image.new("RGB", (32, 32), "red"))
    assert stylizer.stylize(CONTENT).tobytes() == before


def test_the_refiner_comes_back(stylizer: Stylizer) -> None:
    without = stylizer.with_settings(optimizer="adam", refine=1)
    assert without.refiner is None
    again = without.with_settings(Settings())
    assert again.stylize(CONTENT).tobytes() == stylizer.stylize(CONTENT).tobytes()


def test_the_style_is_prepared_again_only_if_a_setting_asks_for_it(
    stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    monkeypatch.setattr(Stylizer, "prepare", lambda self, *given: prepared.append(given) or prepare(self, *given))
    stylizer.with_settings(strength=0.7, seed=3, evening=0.5, refine=0).stylize(CONTENT)
    assert not prepared
    stylizer.with_settings(tone=0.0).stylize(CONTENT)
    assert len(prepared) == 1


prepare = Stylizer.prepare


def test_wrong_settings_are_refused(stylizer: Stylizer) -> None:
    with pytest.raises(SettingsError, match="strength: 3 is out of range"):
        stylizer.with_settings(strength=3)
    with pytest.raises(StyleShuffleError, match="nothing is optimised"):
        stylizer.with_settings(refine=0, optimizer="adam")
