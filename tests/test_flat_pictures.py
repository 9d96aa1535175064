"""Flat pictures through the real networks: painted, without grid or bands; grey stays grey, and night stays night."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.images import read
from styleshuffle.reshuffle.tones import luminance

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
SIDE = 256


def style_picture(name: str = "swirling_night.jpg") -> Image.Image:
    return Image.open(SAMPLES / "style" / name).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(device="cpu").set_style(style_picture())


def product() -> Image.Image:
    """A red disc on white."""
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(picture).ellipse((60, 150, 180, 240), fill=(170, 40, 50))
    return picture


def flat_sky() -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), (120, 170, 225))
    ImageDraw.Draw(picture).rectangle((0, 200, SIDE, SIDE), fill=(60, 90, 50))
    return picture


def gradient(grey: bool) -> Image.Image:
    rows = np.linspace(0, 1, SIDE)[:, None, None]
    low, high = ((0, 0, 0), (255, 255, 255)) if grey else ((40, 80, 160), (240, 200, 120))
    colours = np.array(low) + (np.array(high) - np.array(low)) * rows
    return Image.fromarray(np.broadcast_to(colours, (SIDE, SIDE, 3)).astype(np.uint8))


def night() -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), (8, 10, 24))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((190, 30, 220, 60), fill=(240, 240, 220))
    for x in range(10, SIDE, 30):
        draw.rectangle((x, 200, x + 6, 210), fill=(250, 210, 110))
    return picture


FLAT = {"product": product(), "sky": flat_sky(), "gradient": gradient(False), "black": Image.new("RGB", (SIDE, SIDE))}


def highest_peak(area: Tensor, tile: int = 32) -> float:
    """The highest amplitude in the spectrum of an area (H, W), in units of its neighbours'; a mean over tiles."""
    window = torch.hann_window(tile, periodic=False)
    tiles = area.unfold(0, tile, tile // 2).unfold(1, tile, tile // 2).reshape(-1, tile, tile)
    tiles = (tiles - tiles.mean((1, 2), keepdim=True)) * (window[:, None] * window)
    amplitude = torch.fft.fftshift(torch.fft.fft2(tiles).abs().square().mean(0).sqrt())
    size = 5
    around = F.avg_pool2d(F.pad(amplitude[None, None], (size // 2,) * 4, mode="circular"), size, 1)[0, 0]
    ratio = amplitude / ((around * size**2 - amplitude) / (size**2 - 1)).clamp_min(1e-6)
    middle = tile // 2
    ratio[middle - 2 : middle + 3, middle - 2 : middle + 3] = 0  # what is no pattern, only light and dark
    return float(ratio.max())


def test_the_peak_of_a_woven_grid_is_seen() -> None:
    noise = torch.rand(96, 240, generator=torch.Generator().manual_seed(0))
    grid = torch.sin(2 * torch.pi * torch.arange(240.0) / 4).expand(96, 240)
    assert highest_peak(noise) < 2 < 3 < highest_peak(noise + grid)


def strangest_border(area: Tensor) -> float:
    """How far the left or the right border of an area (3, H, W) has a colour of its own, in units of the columns between.

    Columns are 6 pixels wide. Of several areas (..., 3, H, W), the one counts where a column differs least.
    """
    columns = area.unfold(-1, 6, 6).mean((-3, -1))  # (..., 3, n)
    differences = (columns - columns.mean(-1, keepdim=True)).norm(dim=-2).flatten(0, -2).amin(0)
    return float(differences[[0, -1]].max() / differences[1:-1].max())


def has_border_band(area: Tensor) -> bool:
    """Whether the left or the right border of an area (3, H, W) has a colour of its own, all along: not a spot of it."""
    pieces = area.unflatten(1, (4, -1)).movedim(1, 0)
    return strangest_border(area[None]) >= 1.5 and strangest_border(pieces) >= 1


def test_a_band_along_the_border_is_seen_and_a_spot_is_none() -> None:
    picture = torch.rand(3, 140, SIDE, generator=torch.Generator().manual_seed(0)) / 2
    banded, spotted = picture.clone(), picture.clone()
    banded[:, :, -6:] += 0.05
    spotted[:, :50, -12:] += 0.3
    assert has_border_band(banded) and not has_border_band(picture)
    assert strangest_border(spotted[None]) > 1.5 and not has_border_band(spotted)


@pytest.mark.parametrize("name", FLAT)
def test_flat_areas_are_painted_without_a_pattern_or_a_band_along_the_border(stylizer: Stylizer, name: str) -> None:
    result = read(stylizer.stylize(FLAT[name])).tensor()[0]
    area = luminance(result)[:140]
    assert highest_peak(area) <= 3
    assert float((area - area.mean(1, keepdim=True)).std()) > 0.02  # strokes
    assert not has_border_band(result[:, :140])


@pytest.mark.parametrize("content", [gradient(True), product()])
def test_a_grey_style_gives_grey(content: Image.Image) -> None:
    style = style_picture().convert("L").convert("RGB")
    result = np.asarray(Stylizer(device="cpu").set_style(style).stylize(content), dtype=int)
    assert (result.max(2) - result.min(2)).max() <= 2
    assert result.std() > 20


@pytest.mark.parametrize("name", ["swirling_night.jpg", "byzantine_mosaic.jpg"])
def test_night_stays_night_and_white_stays_light(name: str) -> None:
    style = style_picture(name)
    stylizer = Stylizer(device="cpu").set_style(style)
    lights = luminance(read(style).tensor()[0])
    dark, light = (luminance(read(stylizer.stylize(picture)).tensor()[0]) for picture in (night(), product()))
    assert float((lights < dark.mean()).float().mean()) < 0.45
    assert float((lights < light.mean()).float().mean()) > 0.5
    assert float(dark[35:55, 195:215].mean()) > float(dark.mean()) + 0.15  # the moon


def test_a_gradient_stays_one(stylizer: Stylizer) -> None:
    result = luminance(read(stylizer.stylize(gradient(True))).tensor()[0])
    rows = result.view(8, SIDE // 8, SIDE).mean((1, 2))
    assert bool((rows.diff() > -0.02).all()) and float(rows[-1] - rows[0]) > 0.3
