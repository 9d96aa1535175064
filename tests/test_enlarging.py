"""Large pictures: painted in tiles that nobody can see, with brushwork at the new size, in bounded memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import sample_image
from PIL import Image
from torch import Tensor

from styleshuffle import Stylizer
from styleshuffle.enlarging import BLEND, TILES, Enlarger, enlarged_within
from styleshuffle.images import Picture, read
from styleshuffle.progress import Progress
from styleshuffle.reshuffle.filters import gaussian
from styleshuffle.reshuffle.guide import Wishes

SMALL, LARGE = (160, 120), (448, 336)


@pytest.fixture(scope="module")
def content() -> Picture:
    return read(sample_image("content/cat.jpg", LARGE))


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(device="cpu", precision="float32", work_size=SMALL[0])


@pytest.fixture(scope="module")
def painted(stylizer: Stylizer, content: Picture) -> tuple[Enlarger, Tensor]:
    """An enlarger, and the painting that it enlarges."""
    style = stylizer.prepare(read(sample_image("style/swirling_night.jpg", SMALL)).tensor())
    own = content.tensor(SMALL)
    painting = stylizer.apply(own, style)[0]
    return Enlarger(stylizer, style, painting, own, Wishes()), painting


@pytest.fixture(scope="module")
def whole(painted: tuple[Enlarger, Tensor], content: Picture) -> Tensor:
    """The painting enlarged in one tile."""
    enlarger, painting = painted
    return enlarger.enlarged(painting, content, LARGE, tile=1024)


def test_tiles_give_the_picture_of_a_single_tile(
    painted: tuple[Enlarger, Tensor], content: Picture, whole: Tensor
) -> None:
    enlarger, painting = painted
    tiled = enlarger.enlarged(painting, content, LARGE, tile=256)
    difference = (tiled.float() - whole.float()) / 255
    assert 10 * math.log10(1 / float(difference.square().mean())) > 40
    # no seam: beside the borders of tiles neighbouring pixels differ no more than elsewhere
    steps = (tiled.float()[..., 1:] - tiled.float()[..., :-1]).abs().mean((0, 1))
    inner = 64  # of a tile of 256 with halos of 96
    borders = torch.tensor([x for x in range(inner - 1, LARGE[0] - 1, inner)])
    assert float(steps[borders].mean()) < 1.15 * float(steps.mean())
    assert inner > BLEND


def test_colours_are_those_of_the_painting_and_detail_is_new(painted: tuple[Enlarger, Tensor], whole: Tensor) -> None:
    _, painting = painted
    height, width = whole.shape[1:]
    plain = torch.nn.functional.interpolate(painting[None], (height, width), mode="bicubic")[0]
    result = whole.float() / 255
    coarse, wanted = (gaussian(x, 12) for x in (result, plain))
    assert float((coarse - wanted).abs().mean()) < 0.01
    fine = [float((x - gaussian(x, 1)).std()) for x in (result, plain)]
    assert fine[0] > 1.5 * fine[1]


def test_the_api_enlarges_and_tells_its_progress(stylizer: Stylizer, content: Picture) -> None:
    seen: list[Progress] = []
    stylizer.set_style(read(sample_image("style/swirling_night.jpg", SMALL)))
    result = stylizer.render(content, seen.append)
    assert result.size == LARGE and result.rgb.dtype == np.uint8
    fractions = [part.fraction for part in seen]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1) and seen[-1].stage == "enlarge"
    preview = seen[-1].preview(64)
    assert preview is not None and max(preview.size) <= 64


def test_sixteen_bits_stay(stylizer: Stylizer, painted: tuple[Enlarger, Tensor], content: Picture) -> None:
    enlarger, painting = painted
    deep = Picture(content.rgb.astype(np.float32) / 255, None, 16)
    result = enlarger.enlarged(painting, deep, (300, 225), tile=512)
    assert result.dtype == torch.float32 and float(result.min()) >= 0 and float(result.max()) <= 1
    assert len((result * 255).frac().unique()) > 1000


@pytest.mark.parametrize("settings", [{"levels": (4, 3)}, {"strength": 0.0}])
def test_what_cannot_be_repainted_is_enlarged_plainly(content: Picture, settings: dict[str, object]) -> None:
    plain = Stylizer(device="cpu", work_size=64, size=128, **settings)
    style = Image.new("RGB", (64, 48), "orange")
    assert plain.set_style(style).render(content).size == (128, 96)


@pytest.mark.parametrize(("free", "tile"), [(None, 1024), (8e9, 1024), (1.2e9, 768), (6e8, 512), (1e6, 384)])
def test_tiles_are_as_large_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, stylizer: Stylizer, free: float | None, tile: int
) -> None:
    monkeypatch.setattr("styleshuffle.stylizer.free_memory", lambda device, bound, wanted: free)
    assert stylizer._tile((448, 336)) == tile


def test_kept_colours_and_a_strength_mask_go_with_large_results(content: Picture) -> None:
    keeping = Stylizer(device="cpu", work_size=96, size=224, colours="content")
    keeping.set_style(Image.new("RGB", (64, 48), "orange"))
    mask = Image.new("L", LARGE, 0)
    mask.paste(255, (LARGE[0] // 2, 0, LARGE[0], LARGE[1]))
    result = keeping.render(content, strength_mask=mask)
    left = result.rgb[:, :100].astype(np.float32)
    own = content.resized((224, 168))[:, :100] / np.float32(255)
    assert result.size == (224, 168) and float(np.abs(left - own).max()) < 1e-3


def test_smaller_tiles_are_tried_when_memory_runs_out(
    painted: tuple[Enlarger, Tensor], content: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarger, painting = painted
    tried, shares = [], []

    def enlarged(painting: Tensor, content: Picture, size: object, progress: object, tile: int) -> Tensor:
        tried.append(tile)
        progress(1 / len(tried), painting)  # type: ignore[operator]
        if tile > 512:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return painting

    monkeypatch.setattr(enlarger, "enlarged", enlarged)
    result = enlarged_within(enlarger, painting, content, LARGE, lambda share, _: shares.append(share), TILES)
    assert result is painting and tried == [1024, 768, 512] and shares == sorted(shares)
    with pytest.raises(RuntimeError, match="out of memory"):
        enlarged_within(enlarger, painting, content, LARGE, None, TILES[:2])
