"""What is transparent is not seen: of a style it is left out, of a content it is filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import sample_image, sample_tensor
from PIL import Image

from styleshuffle import Settings, Stylizer
from styleshuffle.guides import Chosen, read_styles
from styleshuffle.images import Picture
from styleshuffle.reshuffle.guide import Wishes
from styleshuffle.reshuffle.levels import Turn

CONTENT = "content/cat.jpg"
STYLE = "style/stained_glass.jpg"


def mask(height: int, width: int) -> np.ndarray:
    """Visible are a column on the left and a square on the right: the picture cannot be cropped to less."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, : width // 3] = 255
    alpha[: height // 2, 2 * width // 3 :] = 255
    return alpha


def style_with(beneath: tuple[int, int, int], height: int = 96, width: int = 128) -> Picture:
    pixels = np.array(sample_image(STYLE, (width, height)))
    pixels[mask(height, width) == 0] = beneath
    return Picture(pixels, mask(height, width))


def chosen(picture: Picture, **settings: Any) -> Chosen:
    return read_styles(picture, None, None).chosen(Settings(**settings))


@pytest.mark.parametrize("settings", [{}, {"tone": 0.0}, {"seed": 3}, {"matching": "counts"}, {"levels": (3, 2, 1)}])
def test_only_visible_positions_are_matched(settings: dict[str, Any]) -> None:
    stylizer = Stylizer(device="cpu", refine=0, **settings)
    styles = chosen(style_with((0, 255, 0)), **settings)
    assert styles.regions is not None
    style = stylizer.prepare(styles.pictures[0].tensor(), (1.0,), styles.regions.indices([(128, 96)]))
    turns: list[Turn] = []
    content = sample_tensor(CONTENT, (96, 64))
    stylizer.apply(content, style, watch=turns.append, wishes=Wishes(styles.regions.whole((96, 64))))
    for turn in turns:
        supply = style.levels[turn.level].supply
        assert supply is not None and 0.4 < float((supply.regions == 0).float().mean()) < 0.7
        assert (supply.regions.flatten()[turn.nnf.match.flatten()] == 0).float().mean() > (
            0.9 if turn.level == 1 else 1 - 1e-6
        )


@pytest.mark.parametrize("beneath", [(0, 255, 0), (255, 255, 255)])
def test_what_lies_under_a_style_paints_nothing(beneath: tuple[int, int, int]) -> None:
    results = []
    for colour in ((0, 0, 0), beneath):
        stylizer = Stylizer(device="cpu", size=64).set_style(style_with(colour))
        results.append(stylizer.render(sample_tensor(CONTENT, (64, 48))).rgb)
    assert (results[0] == results[1]).all()


def test_a_style_in_a_transparent_frame_is_the_style() -> None:
    pixels = np.array(sample_image(STYLE, (64, 64)))
    framed = np.full((90, 100, 3), (0, 255, 0), np.uint8)
    alpha = np.zeros((90, 100), np.uint8)
    framed[10:74, 20:84], alpha[10:74, 20:84] = pixels, 255
    content, stylizer = sample_tensor(CONTENT, (64, 48)), Stylizer(device="cpu", refine=0)
    plain, in_frame = (stylizer.set_style(style).render(content).rgb for style in (pixels, Picture(framed, alpha)))
    assert (plain == in_frame).all()


def test_colours_come_from_what_is_visible() -> None:
    """A style of two colours, one of which nobody sees."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = (200, 60, 40), (0, 255, 0)
    pixels[::2, :32] = (120, 20, 30)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:, :32] = alpha[0] = 255
    pixels[0] = (200, 60, 40)
    result = Stylizer(device="cpu").set_style(Picture(pixels, alpha)).render(sample_tensor(CONTENT, (64, 48))).rgb
    red, green, _ = result.reshape(-1, 3).mean(0)
    assert red > 2 * green


def test_transparent_parts_join_no_region_of_a_mask() -> None:
    """Each half of the content takes from its own half of the style, and from the visible part of it."""
    picture = style_with((0, 255, 0))
    halves = np.zeros((96, 128, 3), np.uint8)
    halves[:, 64:] = 255
    styles = read_styles(picture, None, Image.fromarray(halves)).chosen(Settings())
    assert styles.regions is not None and styles.pictures[0].size == (128, 96)
    index = styles.regions.indices([(128, 96)])[0].numpy()
    visible = mask(96, 128) > 0
    assert set(index[visible & (halves[..., 0] == 0)]) == {0} and set(index[visible & (halves[..., 0] > 0)]) == {1}
    assert set(index[~visible]) == {2}
    stylizer = Stylizer(device="cpu", refine=0).set_style(picture, masks=Image.fromarray(halves))
    content_mask = Image.fromarray(halves).resize((96, 64), Image.Resampling.NEAREST)
    assert stylizer.render(sample_tensor(CONTENT, (96, 64)), mask=content_mask).size == (96, 64)


def test_what_lies_under_a_content_changes_nothing() -> None:
    alpha = mask(48, 64)
    stylizer = Stylizer(device="cpu", refine=0).set_style(sample_tensor(STYLE, (64, 64)))
    results = []
    for beneath in (0, 255):
        pixels = np.array(sample_image(CONTENT, (64, 48)))
        pixels[alpha == 0] = beneath
        results.append(stylizer.render(Picture(pixels, alpha)))
    assert (results[0].rgb == results[1].rgb).all()
    assert results[0].alpha is not None and (results[0].alpha == alpha).all()


def test_larger_results_of_such_pictures() -> None:
    stylizer = Stylizer(device="cpu", size=160, work_size=80, refine=0).set_style(style_with((0, 255, 0)))
    result = stylizer.render(sample_tensor(CONTENT, (64, 48)))
    assert result.size == (160, 120) and bool(torch.from_numpy(np.array(result.rgb)).isfinite().all())
