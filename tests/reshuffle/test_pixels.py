"""What refinement and inversion share: the pyramid of a picture, and the optimisers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from styleshuffle.reshuffle import pixels
from styleshuffle.reshuffle.pixels import make_optimizer


@pytest.mark.parametrize("size", [(64, 48), (37, 53), (8, 8), (7, 90), (2, 2)])
def test_a_pyramid_is_halved_until_a_side_is_short_and_each_layer_shifts_the_whole_picture(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    layers = pixels.empty_pyramid(picture)
    assert torch.equal(pixels.sum_pyramid(layers), torch.zeros_like(picture))
    assert layers[0].shape == picture.shape and min(layers[-1].shape[2:]) < 8
    for finer, coarser in pairwise(layers):
        assert [side - 2 * half for side, half in zip(finer.shape[2:], coarser.shape[2:], strict=True)] == [
            -(side % 2) for side in finer.shape[2:]
        ]
    for layer in layers:
        layer += 1
    assert torch.allclose(pixels.sum_pyramid(layers), torch.full_like(picture, len(layers)))


@pytest.mark.parametrize(("name", "factor"), [("adam", 1), ("generic-adam", pixels._GENERIC_FACTOR)])
def test_the_rate_asked_for_reaches_the_optimiser(name: str, factor: float) -> None:
    weight = torch.zeros(3, requires_grad=True)
    assert make_optimizer(name, [weight], 0.25, 0.9).param_groups[0]["lr"] == factor * 0.25
