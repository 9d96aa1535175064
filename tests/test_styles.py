"""Several styles and regions through the Python interface, with the bundled networks on sample pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import sample_image
from PIL import Image
from torch import Tensor

from styleshuffle import SettingsError, Stylizer
from styleshuffle.errors import PictureError
from styleshuffle.evaluation.measures import sliced_wasserstein
from styleshuffle.images import read
from styleshuffle.pipeline import PreparedStyle
from styleshuffle.reshuffle.levels import Turn

SKY, LAND = "#87ceeb", "#228b22"


@pytest.fixture(scope="module")
def content() -> Image.Image:
    return sample_image("content/camera.jpg", (96, 96))


@pytest.fixture(scope="module")
def styles() -> list[Image.Image]:
    return [sample_image(f"style/{name}.jpg", (96, 80)) for name in ("swirling_night", "pen_engraving")]


def horizon(size: tuple[int, int], share: float) -> Image.Image:
    """A mask of a sky above land; the sky has that share of the height."""
    mask = Image.new("RGB", size, LAND)
    mask.paste(SKY, (0, 0, size[0], round(share * size[1])))
    return mask


def watched(stylizer: Stylizer, content: Image.Image, **masks: Image.Image) -> tuple[list[Turn], PreparedStyle]:
    """The turns of a stylization at the content's own size, and the prepared styles."""
    turns: list[Turn] = []
    styles: list[PreparedStyle] = []
    apply = stylizer.apply

    def watching(picture: Tensor, style: PreparedStyle, *args: object, **named: object) -> Tensor:
        styles.append(style)
        return apply(picture, style, *args, **{**named, "watch": turns.append})

    stylizer.apply = watching  # type: ignore[method-assign]
    stylizer.stylize(content, **masks)
    return turns, styles[0]


def shares_of(turn: Turn, style_of: Tensor) -> list[float]:
    return (torch.bincount(style_of.flatten()[turn.nnf.match.flatten()]) / turn.nnf.match.numel()).tolist()


# ----------------------------------------------------------------------------------------------------- several styles


@pytest.mark.parametrize("weights", [(7, 3), (1, 4)])
def test_with_a_large_penalty_the_shares_are_met(
    content: Image.Image, styles: Sequence[Image.Image], weights: tuple[float, float]
) -> None:
    stylizer = Stylizer(device="cpu", usage_penalty=100).set_style(styles, weights=weights)
    turns, prepared = watched(stylizer, content)
    shares = prepared.levels[4].supply.shares
    assert sorted(shares) == pytest.approx(sorted(weight / sum(weights) for weight in weights))
    assert [turn.level for turn in turns] == [4, 3, 2, 1]
    for turn in turns:
        boxes = prepared.levels[turn.level].boxes
        assert boxes is not None
        assert shares_of(turn, boxes.style_of) == pytest.approx(list(shares), abs=0.02)


def test_a_style_of_weight_0_changes_no_byte(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    alone = Stylizer(device="cpu").set_style(styles[0]).stylize(content)
    with_other = Stylizer(device="cpu").set_style(styles, weights=(1, 0)).stylize(content)
    assert with_other.tobytes() == alone.tobytes()


def test_another_style_of_the_same_size_is_not_taken_for_the_first(content: Image.Image) -> None:
    styles = [sample_image(f"style/{name}.jpg", (48, 48)) for name in ("swirling_night", "autumn_avenue")]
    stylizer = Stylizer(device="cpu", style_weights=(1, 0)).set_style(styles)
    first, second = stylizer.stylize(content), stylizer.with_settings(style_weights=(0, 1)).stylize(content)
    alone = Stylizer(device="cpu").set_style(styles[1]).stylize(content)
    assert second.tobytes() == alone.tobytes() != first.tobytes()


def test_styles_without_a_share_take_no_part(styles: Sequence[Image.Image]) -> None:
    stylizer = Stylizer(device="cpu").set_style(styles)
    assert sorted(stylizer.taking_part) == [0, 1]
    assert stylizer.with_settings(style_weights=(0, 1)).taking_part == (1,)


def test_the_order_of_styles_changes_no_byte(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    one = Stylizer(device="cpu", style_weights=(7, 3), style_scale=(1, 0.7)).set_style(styles).stylize(content)
    other = Stylizer(device="cpu", style_weights=(3, 7), style_scale=(0.7, 1)).set_style(styles[::-1]).stylize(content)
    assert one.tobytes() == other.tobytes()


def test_more_weight_brings_the_colours_nearer(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    there = read(styles[0]).tensor()
    far = []
    for weights in ((9, 1), (1, 1), (1, 9)):
        result = Stylizer(device="cpu").set_style(styles, weights=weights).stylize(content)
        far.append(sliced_wasserstein(read(result).tensor(), there))
    assert far == sorted(far)


def test_three_styles_of_any_shape_and_an_enlarged_result(content: Image.Image, styles: list[Image.Image]) -> None:
    odd = sample_image("style/stained_glass.jpg", (33, 90))
    stylizer = Stylizer(device="cpu", size=130, work_size=64).set_style([*styles, odd], weights=(1, 2, 3))
    assert stylizer.stylize(content).size == (130, 130)


@pytest.mark.parametrize("settings", [{"matching": "counts"}, {"levels": (3, 2)}, {"turns": (2, 1, 1)}, {"seed": 2}])
def test_styles_mix_with_other_settings(
    content: Image.Image, styles: Sequence[Image.Image], settings: dict[str, object]
) -> None:
    plain = Stylizer(device="cpu").set_style(styles).stylize(content)
    other = Stylizer(device="cpu", **settings).set_style(styles).stylize(content)
    assert other.size == plain.size and other.tobytes() != plain.tobytes()


# ------------------------------------------------------------------------------------------------------------- regions


def test_no_position_takes_from_another_region(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    """Nowhere at the levels that are matched; at relu1_1, which follows, not away from the border."""
    stylizer = Stylizer(device="cpu").set_style(styles[0], masks=horizon((96, 80), 0.6))
    turns, prepared = watched(stylizer, content, mask=horizon((96, 96), 0.45))
    sky = torch.arange(96) < round(0.45 * 96)
    for turn in turns:
        supply = prepared.levels[turn.level].supply
        assert supply is not None
        step = 2 ** (turn.level - 1)
        wanted = sky[step // 2 :: step]
        region_of_sky = int(supply.regions[0, 0])
        taken = (supply.regions.flatten()[turn.nnf.match] == region_of_sky).float().mean(1)
        rows = torch.arange(len(wanted)) * step + step / 2
        away = (rows - 0.45 * 96).abs() > (step if turn.level > 1 else 3)
        assert torch.equal(taken[away], wanted[away].float())


def test_each_region_has_the_colours_of_its_partner(content: Image.Image) -> None:
    """The distance of colours to the partner is at most half of that without masks, in each region."""
    grey = np.asarray(sample_image("style/autumn_avenue.jpg", (96, 80)).convert("L"), dtype=float)[..., None] / 255
    pixels = np.concatenate(
        [0.5 + 0.5 * grey[:40] * (0.2, 0.6, 1.0), grey[40:] * (1.0, 0.5, 0.2)]
    )  # bright sky, brown land
    style = Image.fromarray((pixels * 255).astype(np.uint8))
    masks = horizon((96, 80), 0.5), horizon((96, 96), 0.45)
    plain = Stylizer(device="cpu").set_style(style).stylize(content)
    parted = Stylizer(device="cpu").set_style(style, masks=masks[0]).stylize(content, mask=masks[1])
    for above in (True, False):
        rows, there = (slice(0, 43), slice(0, 40)) if above else (slice(43, 96), slice(40, 80))
        wanted = read(style).tensor()[:, :, there]
        far = [sliced_wasserstein(read(result).tensor()[:, :, rows], wanted) for result in (plain, parted)]
        assert far[1] < 0.5 * far[0]


def test_a_region_of_few_patches_works(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    tiny = Image.new("RGB", (96, 80), LAND)
    tiny.paste(SKY, (40, 40, 44, 44))
    stylizer = Stylizer(device="cpu").set_style(styles[0], masks=tiny)
    assert stylizer.stylize(content, mask=horizon((96, 96), 0.5)).size == (96, 96)
    whole = Stylizer(device="cpu").set_style(styles[0], masks=horizon((96, 80), 0.5))
    tiny = Image.new("RGB", (96, 96), LAND)
    tiny.paste(SKY, (40, 40, 43, 43))
    assert whole.stylize(content, mask=tiny).size == (96, 96)


def test_styles_for_regions(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    """A style for the sky and a style for the land."""
    masks = [Image.new("RGB", (96, 80), colour) for colour in (SKY, LAND)]
    stylizer = Stylizer(device="cpu").set_style(styles, masks=masks)
    result = read(stylizer.stylize(content, mask=horizon((96, 96), 0.5))).tensor()
    own = [read(style).tensor() for style in styles]
    above, below = result[:, :, :44], result[:, :, 52:]
    assert sliced_wasserstein(above, own[0]) < sliced_wasserstein(below, own[0])
    assert sliced_wasserstein(below, own[1]) < sliced_wasserstein(above, own[1])


def test_one_region_on_both_sides_changes_no_byte(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    plain = Stylizer(device="cpu").set_style(styles[0]).stylize(content)
    own = Stylizer(device="cpu").set_style(styles[0], masks=Image.new("RGB", (96, 80), SKY))
    assert own.stylize(content, mask=Image.new("RGB", (96, 96), SKY)).tobytes() == plain.tobytes()


def test_unmatched_any_takes_from_anywhere(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    masks = Image.new("RGB", (96, 80), SKY)
    refused = Stylizer(device="cpu").set_style(styles[0], masks=masks)
    with pytest.raises(SettingsError, match="no style has a region of the colour #228b22"):
        refused.stylize(content, mask=horizon((96, 96), 0.5))
    allowed = Stylizer(device="cpu", unmatched="any").set_style(styles[0], masks=masks)
    assert allowed.stylize(content, mask=horizon((96, 96), 0.5)).size == (96, 96)


def test_regions_in_an_enlarged_result(content: Image.Image, styles: Sequence[Image.Image]) -> None:
    stylizer = Stylizer(device="cpu", size=140, work_size=64).set_style(styles, masks=[horizon((96, 80), 0.5)] * 2)
    assert stylizer.stylize(content, mask=horizon((48, 48), 0.5)).size == (140, 140)


@pytest.mark.parametrize("side", ["content", "style"])
def test_masks_on_one_side_only_are_refused(content: Image.Image, styles: Sequence[Image.Image], side: str) -> None:
    stylizer = Stylizer(device="cpu").set_style(styles[0], masks=horizon((96, 80), 0.5) if side == "style" else None)
    with pytest.raises(SettingsError, match=r"^mask: regions need masks on both sides"):
        stylizer.stylize(content, mask=horizon((96, 96), 0.5) if side == "content" else None)


def test_a_mask_of_another_shape_is_refused(styles: Sequence[Image.Image], tmp_path: Path) -> None:
    horizon((96, 96), 0.5).save(tmp_path / "mask.png")
    with pytest.raises(PictureError, match=r"mask\.png: is 96 x 96, but its picture is 96 x 80; make"):
        Stylizer(device="cpu").set_style(styles[0], masks=tmp_path / "mask.png")


def test_styles_without_their_masks_are_refused(styles: Sequence[Image.Image]) -> None:
    with pytest.raises(SettingsError, match=r"^masks: 1 for 2 styles; give a mask for each style"):
        Stylizer(device="cpu").set_style(styles, masks=[horizon((96, 80), 0.5)])
