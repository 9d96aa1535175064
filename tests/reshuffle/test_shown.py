"""Positions of a style that are not shown are matched by nobody, and count in no statistic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import sample_tensor
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.images import Picture, read
from styleshuffle.reshuffle.brushwork import fine_contrast
from styleshuffle.reshuffle.descriptors import fit_describer
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.moments import moments
from styleshuffle.reshuffle.palette import palette_of
from styleshuffle.reshuffle.style import mostly

CONTENT = "content/cat.jpg"
STYLE = "style/stained_glass.jpg"


def mask(height: int, width: int) -> Tensor:
    """The right half and a corner are not shown."""
    shown = torch.zeros(height, width, dtype=torch.bool)
    shown[:, : width // 2] = True
    shown[: height // 4, : width // 4] = False
    return shown


@pytest.mark.parametrize("settings", [{}, {"tone": 0.0}, {"seed": 3}, {"matching": "counts"}, {"levels": (3, 2, 1)}])
def test_only_shown_positions_are_matched(settings: dict[str, object]) -> None:
    stylizer = Stylizer(device="cpu", refine=0, **settings)
    shown = mask(96, 128)
    style = stylizer.prepare(sample_tensor(STYLE, (128, 96)), shown)
    turns: list[Turn] = []
    stylizer.apply(sample_tensor(CONTENT, (96, 64)), style, watch=turns.append)
    for turn in turns:
        if turn.level == 1:
            continue  # follows the level before, at a finer grid
        seen = style.levels[turn.level].shown
        assert seen is not None and 0.3 < float(seen.float().mean()) < 0.6
        assert seen.flatten()[turn.nnf.match.flatten()].all(), turn.level


def test_statistics_are_of_what_is_shown() -> None:
    features, shown = torch.randn(5, 8, 10), mask(8, 10)
    features[:, ~shown] = 1000.0
    own, part = moments(features, shown), moments(features[:, shown][:, None])
    assert torch.equal(own.mean, part.mean) and torch.equal(own.covariance, part.covariance)
    picture = torch.rand(3, 8, 10)
    assert torch.equal(palette_of(picture, shown), picture[:, shown])
    assert fine_contrast(picture, torch.ones(8, 10, dtype=torch.bool)) == pytest.approx(fine_contrast(picture))


def test_descriptors_bar_what_is_not_shown() -> None:
    features, shown = torch.randn(16, 8, 10), mask(8, 10)
    describer = fit_describer(features, 1, 8, 16, shown)
    similarity = describer(features) @ describer(features, shown=shown).T
    assert similarity[:, ~shown.flatten()].max() < -90
    assert torch.equal(similarity.argmax(1)[shown.flatten()], shown.flatten().nonzero()[:, 0])


def test_thin_lines_are_still_a_style() -> None:
    shares = torch.tensor([[0.0, 0.1], [0.3, 0.2]])
    assert mostly(shares).tolist() == [[False, False], [True, True]]
    assert mostly(torch.tensor([[0.0, 0.4], [1.0, 0.5]])).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("beneath", [(0, 255, 0), (255, 255, 255)])
def test_what_lies_under_a_style_paints_nothing(beneath: tuple[int, int, int]) -> None:
    style = read(sample_tensor(STYLE, (96, 96))[0])
    alpha = (mask(96, 96).numpy() * 255).astype("uint8")
    results = []
    for colour in ((0, 0, 0), beneath):
        pixels = np.array(style.pil())
        pixels[alpha == 0] = colour
        stylizer = Stylizer(device="cpu", size=64).set_style(Picture(pixels, alpha))
        results.append(stylizer.render(sample_tensor(CONTENT, (64, 48))).rgb)
    assert (results[0] == results[1]).all()


def test_what_lies_under_a_content_changes_nothing() -> None:
    content = read(sample_tensor(CONTENT, (64, 48))[0])
    alpha = (mask(48, 64).numpy() * 255).astype("uint8")
    stylizer = Stylizer(device="cpu", refine=0).set_style(sample_tensor(STYLE, (64, 64)))
    results = []
    for beneath in (0.0, 1.0):
        rgb = content.rgb.copy()
        rgb[alpha == 0] = beneath
        results.append(stylizer.render(Picture(rgb, alpha)))
    assert (results[0].rgb == results[1].rgb).all()
    assert results[0].alpha is not None and (results[0].alpha == alpha).all()
