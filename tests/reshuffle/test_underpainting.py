"""Coarse strokes come into wide flat places, in luminance only, and stay out of places with structure."""

from __future__ import annotations

import torch
from torch import Tensor

from styleshuffle.reshuffle.tones import luminance
from styleshuffle.reshuffle.underpainting import halved, laid_in


def painting(height: int = 64, width: int = 128) -> Tensor:
    """Red and green strokes, four pixels wide, over a slow change of colour."""
    wave = torch.sin(2 * torch.pi * torch.arange(float(width)) / 8)
    strokes = torch.stack([0.5 + 0.2 * wave, 0.5 - 0.05 * wave, torch.linspace(0, 1, width)])
    return strokes[:, None].expand(3, height, width).contiguous()


def test_strokes_of_twice_their_width_come_into_a_flat_place() -> None:
    picture = torch.full((3, 128, 256), 0.5)
    result = laid_in(picture, painting(), torch.zeros(128, 256), 1.0)
    spectrum = torch.fft.rfft(luminance(result)[64, 32:224] - 0.5).abs()
    assert int(spectrum.argmax()) == 192 // 16  # a period of 8 pixels in the painting is 16 in the picture
    assert float(luminance(result)[:, 32:224].std()) > 0.01


def test_colours_stay() -> None:
    picture = torch.tensor([0.3, 0.5, 0.7])[:, None, None].expand(3, 128, 256)
    result = laid_in(picture, painting(), torch.zeros(128, 256), 1.0)
    assert torch.allclose(result - luminance(result), picture - luminance(picture), atol=1e-6)
    assert torch.allclose(result.mean((1, 2)), picture.mean((1, 2)), atol=0.01)


def test_places_with_structure_and_a_share_of_nothing_stay() -> None:
    picture, structure = torch.full((3, 128, 256), 0.5), torch.zeros(128, 256)
    structure[:, 128:] = 1
    result = laid_in(picture, painting(), structure, 1.0)
    assert torch.equal(result[..., 128:], picture[..., 128:]) and not torch.equal(result[..., :64], picture[..., :64])
    assert torch.equal(laid_in(picture, painting(), 0 * structure, 0.0), picture)


def test_a_single_spot_is_no_higher_than_the_strokes_allow() -> None:
    spot = torch.full((3, 64, 128), 0.5)
    spot[:, 30:33, 60:63] = 1.0
    strokes = laid_in(torch.full((3, 128, 256), 0.5), spot, torch.zeros(128, 256), 1.0) - 0.5
    assert 0 < float(strokes.max()) < 0.1


def test_halves_are_means_of_four_pixels() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    assert halved(picture)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
