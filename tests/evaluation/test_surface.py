"""Smoke, brushwork and halo on pictures made for them: each sees its own fault, by its size, and not the others'."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from styleshuffle.evaluation.surface import flat_places, strong_edges, surface
from styleshuffle.reshuffle.filters import gaussian

SIDE = 256


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def style() -> Tensor:
    """Colours over wide areas and strokes."""
    coarse = F.interpolate(noise(1, 3, 8, 8), SIDE, mode="bicubic")
    return (coarse + 0.3 * (noise(1, 3, SIDE, SIDE, seed=1) - 0.5)).clamp(0, 1)


@pytest.fixture(scope="module")
def content() -> Tensor:
    """A light disc on a dark ground, both flat."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    disc = ((x - SIDE / 2) ** 2 + (y - SIDE / 2) ** 2 < 70**2).float()
    return gaussian((0.3 + 0.4 * disc).expand(3, -1, -1), 1)[None]


def distance_to_edge() -> Tensor:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return ((x - SIDE / 2) ** 2 + (y - SIDE / 2) ** 2).sqrt() - 70


def test_the_content_itself_has_no_smoke_and_no_halo(content: Tensor, style: Tensor) -> None:
    found = surface(content, content, style)
    assert found["smoke"] == pytest.approx(0, abs=1e-3) and found["halo"] == pytest.approx(0, abs=0.02)
    assert found["brushwork"] < 0.2


def test_the_style_has_its_own_brushwork(content: Tensor, style: Tensor) -> None:
    assert surface(style, content, style)["brushwork"] == pytest.approx(1, abs=0.1)


def test_smoke_grows_with_clouds_and_brushwork_does_not(content: Tensor, style: Tensor) -> None:
    clouds = F.interpolate(noise(1, 3, 8, 8, seed=4) - 0.5, SIDE, mode="bicubic")
    found = [surface(content + height * clouds, content, style) for height in (0, 0.1, 0.2)]
    assert found[0]["smoke"] < 0.01 < found[1]["smoke"] < 0.6 * found[2]["smoke"]
    assert found[2]["brushwork"] < 0.2


def test_brushwork_grows_with_grain_and_smoke_and_halo_do_not(content: Tensor, style: Tensor) -> None:
    grain = noise(1, 3, SIDE, SIDE, seed=6) - 0.5
    found = [surface(content + height * grain, content, style) for height in (0, 0.15, 0.3)]
    assert found[1]["brushwork"] == pytest.approx(0.5, abs=0.15) and found[2]["brushwork"] == pytest.approx(1, abs=0.2)
    assert found[2]["smoke"] < 0.05 and found[2]["halo"] < 0.1


def test_a_halo_is_seen_by_its_height_on_either_side(content: Tensor, style: Tensor) -> None:
    distance = distance_to_edge()
    for side in (-1, 1):
        rim = ((side * distance > 0) & (side * distance < 5)).float()  # 10 pixels of 512
        found = [surface(content + height * rim, content, style)["halo"] for height in (0, 0.1, 0.2)]
        assert found[0] < 0.02 and found[1] > 0.08
        assert found[2] == pytest.approx(2 * found[1], rel=0.25)


def test_an_edge_of_more_contrast_is_no_halo(content: Tensor, style: Tensor) -> None:
    assert surface((content - 0.5) * 1.6 + 0.5, content, style)["halo"] < 0.05


def test_strokes_along_no_edge_are_no_halo(content: Tensor, style: Tensor) -> None:
    strokes = gaussian(noise(3, SIDE, SIDE, seed=8) - 0.5, 2)[None]
    rim = ((distance_to_edge() > 0) & (distance_to_edge() < 5)).float()
    amount = float(strokes.std())
    assert (
        surface(content + strokes, content, style)["halo"] < 0.4 * surface(content + amount * rim, content, style)["halo"]
    )


def test_flat_places_and_edges_are_where_they_were_made(content: Tensor) -> None:
    large = F.interpolate(content, 512, mode="bilinear")[0]
    flat = flat_places(large)
    assert bool(flat[256, 256]) and bool(flat[20, 20]) and not bool(flat[256, 256 + 140])
    points, normals = strong_edges(large)
    assert len(points) > 500
    radius = (points - 255.5).norm(dim=1)
    assert float((radius - 140).abs().max()) < 4
    inwards = -(points - 255.5) / radius[:, None]  # the disc is the brighter side
    assert float((normals * inwards).sum(1).min()) > 0.9
    assert not len(strong_edges(torch.full((3, 64, 64), 0.5))[0])


def test_pictures_of_one_colour_can_be_measured() -> None:
    flat = torch.full((1, 3, 40, 60), 0.5)
    found = surface(flat, flat, flat)
    assert found == pytest.approx({"smoke": 0, "brushwork": 0, "halo": 0}, abs=1e-4)


def test_size_does_not_matter(content: Tensor, style: Tensor) -> None:
    clouds = F.interpolate(noise(1, 3, 8, 8, seed=4) - 0.5, SIDE, mode="bicubic")
    output = content + 0.2 * clouds
    large = [F.interpolate(x, 1024, mode="bilinear") for x in (output, content, style)]
    assert surface(*large)["smoke"] == pytest.approx(surface(output, content, style)["smoke"], rel=0.1)
