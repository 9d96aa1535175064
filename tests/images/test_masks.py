"""Masks: greys as strengths, areas of a colour as regions with soft borders, and shapes that agree to a pixel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from picture_files import refused
from PIL import Image, ImageDraw

from styleshuffle.images.masks import check_shape, hex_colour, matched_colours, read_regions, read_strength

SKY, LAND, BALL = "#87ceeb", "#008000", "#808080"


def landscape(size: tuple[int, int] = (120, 90), soft: bool = False) -> Image.Image:
    """A sky, land below and a ball between; soft borders come from a larger drawing."""
    scale = 4 if soft else 1
    width, height = (side * scale for side in size)
    image = Image.new("RGB", (width, height), SKY)
    drawing = ImageDraw.Draw(image)
    drawing.rectangle((0, height // 2, width, height), LAND)
    drawing.ellipse((width // 4, height // 3, width // 2, 3 * height // 4), BALL)
    return image.resize(size, Image.Resampling.LANCZOS)


def as_jpeg(image: Image.Image, quality: int) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    stream.seek(0)
    return stream


# ---------------------------------------------------------------------------------------------------------- strength


def test_greys_are_strengths() -> None:
    mask = np.repeat(np.array([[0, 51, 255]], np.uint8)[..., None], 3, 2)
    assert read_strength(mask, (3, 1)).tolist() == [[0, pytest.approx(0.2), 1]]


def test_what_is_transparent_counts_as_black() -> None:
    mask = Image.new("LA", (4, 4), (255, 0))
    mask.putpixel((1, 1), (255, 255))
    values = read_strength(mask, (4, 4))
    assert values.sum() == values[1, 1] == 1


def test_a_mask_of_another_size_is_fitted_and_stays_black_and_white_inside() -> None:
    mask = Image.new("L", (30, 20))
    mask.paste(255, (15, 0, 30, 20))
    values = read_strength(mask, (60, 40))
    assert values.shape == (40, 60)
    assert (values[:, :28] == 0).all() and (values[:, 32:] == 1).all()


# ----------------------------------------------------------------------------------------------------------- regions


def test_each_colour_is_a_region() -> None:
    regions = read_regions(landscape())
    assert {hex_colour(colour) for colour in regions.colours} == {SKY, LAND, BALL}
    assert regions.exact and regions.size == (120, 90)
    assert hex_colour(regions.colours[regions.index[0, 0]]) == SKY
    assert hex_colour(regions.colours[regions.index[-1, -1]]) == LAND


def test_soft_borders_make_no_region() -> None:
    """A border between sky and land has the ball's grey in it, and still belongs to sky or land."""
    soft, hard = read_regions(landscape(soft=True)), read_regions(landscape())
    assert {hex_colour(colour) for colour in soft.colours} == {SKY, LAND, BALL}
    ball = [hex_colour(colour) for colour in soft.colours].index(BALL)
    assert not (soft.index[:, 80:] == ball).any()  # the ball is on the left
    agree = matched_colours(soft, hard)
    assert np.mean(np.vectorize(agree.get)(soft.index) == hard.index) > 0.97


@pytest.mark.parametrize("quality", [95, 75, 40])
def test_colours_of_a_jpeg_that_nearly_agree_are_one(quality: int) -> None:
    exact, lossy = read_regions(landscape((240, 180))), read_regions(as_jpeg(landscape((240, 180)), quality))
    assert not lossy.exact and len(lossy.colours) == 3
    partners = matched_colours(exact, lossy)
    assert sorted(partners) == [0, 1, 2] and sorted(partners.values()) == [0, 1, 2]
    assert np.mean(np.vectorize(partners.get)(exact.index) == lossy.index) > 0.98


def test_classes_as_dark_greys_stay_apart() -> None:
    """As segmentation tools write them: class 0, 1, 2, ... as that grey."""
    classes = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 20, 0), 20, 1)
    assert read_regions(Image.fromarray(classes)).colours[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_only_equal_colours_match() -> None:
    one, other = (read_regions(Image.new("RGB", (8, 8), colour)) for colour in ("#ff0000", "#fe0000"))
    assert matched_colours(one, one) == {0: 0} and matched_colours(one, other) == {}


def test_a_picture_without_areas_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert "noise.png: has no area of a single colour; paint" in refused(read_regions, tmp_path / "noise.png")


def test_too_many_regions_are_refused() -> None:
    classes = np.repeat(np.repeat(np.arange(0, 240, 6, dtype=np.uint8).reshape(5, 8), 9, 0), 9, 1)
    assert "has 40 colours; there may be 32 regions" in refused(read_regions, Image.fromarray(classes))


# ------------------------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("mask", "picture"),
    [((100, 67), (1200, 800)), ((67, 100), (800, 1200)), ((2400, 1601), (1200, 800)), ((3, 2), (300, 199))],
)
def test_shapes_that_agree_to_a_pixel(mask: tuple[int, int], picture: tuple[int, int]) -> None:
    check_shape(mask, picture, "mask.png")


@pytest.mark.parametrize(
    ("mask", "picture"), [((100, 69), (1200, 800)), ((800, 1200), (1200, 800)), ((640, 480), (640, 482))]
)
def test_another_shape_is_refused(mask: tuple[int, int], picture: tuple[int, int]) -> None:
    message = refused(check_shape, mask, picture, "mask.png")
    assert message.startswith(f"mask.png: is {mask[0]} x {mask[1]}, but its picture is {picture[0]} x {picture[1]};")
