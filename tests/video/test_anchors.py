"""Paint that follows the motion. The stand-in for the stylizer paints noise that is new for each picture, as flicker is;
where paint is carried, the noise stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from film_files import panning, texture
from helpers import SAMPLES

from styleshuffle.images import Picture
from styleshuffle.reshuffle.boxes import Boxes
from styleshuffle.reshuffle.levels import Turn
from styleshuffle.reshuffle.nnf import NNF
from styleshuffle.video.anchors import AnchorPainter, SinglePainter, anchor_of, arrays_of
from styleshuffle.video.carrying import scale_of
from styleshuffle.video.fields import carried
from styleshuffle.video.timeline import Timeline


class Flickering:
    """Paints each picture in new colours."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.count = 0

    def render(self, content: Picture, **ignored: Any) -> Picture:
        self.count += 1
        return Picture(texture(*content.rgb.shape[:2], seed=100 + self.count).astype(np.float32) / 255)


def paint(frames: list[np.ndarray], every: int = 4, painter: Any = None) -> list[np.ndarray]:
    painter = painter or AnchorPainter(Flickering())  # type: ignore[arg-type]
    return [made for first in range(0, len(frames), every) for made in painter.paint(frames[first : first + every])]


def test_a_static_camera_gives_static_paint() -> None:
    made = paint([texture(48, 64)] * 9)
    assert all(np.array_equal(frame, made[0]) for frame in made)


def test_paint_moves_with_what_it_is_on() -> None:
    made = paint(panning(9, 48, 96, step=2))
    for before, after in pairwise(made):
        assert np.abs(after[8:-8, 8:-32] - before[8:-8, 10:-30]).mean() < 0.01
    alone = paint(panning(9, 48, 96, step=2), painter=SinglePainter(Flickering()))  # type: ignore[arg-type]
    assert np.abs(alone[1][8:-8, 8:-32] - alone[0][8:-8, 10:-30]).mean() > 0.1


def test_few_frames_are_painted() -> None:
    painter = AnchorPainter(Flickering())  # type: ignore[arg-type]
    paint(panning(17, 48, 96, step=1), 8, painter)
    assert painter.painted <= 4


def test_what_has_changed_is_painted_anew() -> None:
    before, after = texture(64, 64), texture(64, 64)
    after[16:48, 16:48] = texture(32, 32, seed=5)
    painter = AnchorPainter(Flickering())  # type: ignore[arg-type]
    first, second = (next(painter.paint([frame])) for frame in (before, after))
    changed = np.abs(first - second).mean(2)
    assert changed[24:40, 24:40].mean() > 0.1
    assert changed[:4].max() < 1e-6


def test_paint_that_no_longer_fits_is_replaced_though_each_step_is_small() -> None:
    start, end = texture(48, 64, 1).astype(np.float32), texture(48, 64, 2).astype(np.float32)
    painter = AnchorPainter(Flickering())  # type: ignore[arg-type]
    made = [next(painter.paint([np.uint8(start + (end - start) * share)])) for share in np.linspace(0, 1, 21)]
    assert np.abs(made[-1] - made[0]).mean() > 0.1


def test_growing_strokes_are_counted() -> None:
    height, width = 64, 64
    y, x = np.mgrid[:height, :width].astype(np.float32)
    flow = np.stack([x - 31.5, y - 31.5], 2) * np.float32(1 / 1.2 - 1)  # the second frame is 1.2 times smaller
    assert scale_of(flow)[16:-16, 16:-16].mean() == pytest.approx(np.log(1.2), abs=0.01)


def test_a_shot_begins_with_its_own_paint() -> None:
    painter = AnchorPainter(Flickering())  # type: ignore[arg-type]
    frame = texture(32, 48)
    first = next(painter.paint([frame]))
    painter.begin_shot()
    assert np.abs(next(painter.paint([frame])) - first).mean() > 0.1


def test_a_larger_result_moves_as_the_frames_do() -> None:
    class Doubling(Flickering):
        def render(self, content: Picture, **ignored: Any) -> Picture:
            return super().render(Picture(content.rgb.repeat(2, 0).repeat(2, 1)))

    made = paint(panning(5, 48, 96, step=2), painter=AnchorPainter(Doubling()))  # type: ignore[arg-type]
    assert made[1].shape == (96, 192, 3)
    assert np.abs(made[1][16:-16, 16:-64] - made[0][16:-16, 20:-60]).mean() < 0.02


def test_an_anchor_comes_back_from_its_arrays() -> None:
    painter = AnchorPainter(Flickering())  # type: ignore[arg-type]
    next(painter.paint([texture(32, 48)]))
    painter.anchor.fields[4] = NNF(torch.arange(6).view(2, 3), torch.rand(4, 5))
    again = anchor_of(arrays_of(painter.anchor), torch.device("cpu"))
    assert np.array_equal(again.paint, painter.anchor.paint)
    assert torch.equal(again.fields[4].match, painter.anchor.fields[4].match)
    assert torch.equal(again.fields[4].prices, painter.anchor.fields[4].prices)
    assert again.shares is again.regions is None
    regions = texture(32, 48, 1)
    asked = replace(painter.anchor, shares=(0.25, 0.75), regions=regions)
    again = anchor_of(arrays_of(asked), torch.device("cpu"))
    assert again.shares == (0.25, 0.75)
    assert np.array_equal(again.regions, regions)


class Sided:
    """Paints the left part in the first style and the right in the second, by their shares; each in new noise."""

    device = torch.device("cpu")
    taking_part = (0, 1)

    def __init__(self, share: float = 1.0, seed: int = 0) -> None:
        self.share, self.count, self.masks = share, [seed], []

    def with_settings(self, style_weights: tuple[float, float]) -> Sided:
        other = Sided(style_weights[0])
        other.count, other.masks = self.count, self.masks
        return other

    def render(self, content: Picture, watch: Any, **options: Any) -> Picture:
        self.count[0] += 1
        self.masks.append(options["mask"])
        height, width = content.rgb.shape[:2]
        edge = round(self.share * width)
        noise = texture(height, width, seed=100 + self.count[0]).astype(np.float32) / 2550
        noise[..., 0] += 0.8 * (np.arange(width) >= edge)
        boxes = Boxes(((1, 1), (1, 1)), (0, 1), (2, 1), self.device)
        match = (torch.arange(width) >= edge).long().expand(height, width)
        watch(Turn(1, torch.zeros(1), torch.zeros(1), NNF(match, torch.zeros(2, 1), boxes), 1.0))
        return Picture(noise)


def test_shares_that_change_repaint_only_what_turns_to_the_other_style() -> None:
    painter = AnchorPainter(Sided(), Timeline(3, ((1, 0), (0, 1))))  # type: ignore[arg-type]
    first, second, third = (next(painter.paint([texture(48, 64)])) for _ in range(3))
    assert first[..., 0].max() < 0.3
    assert second[:, 44:, 0].min() > 0.7
    assert third[..., 0].min() > 0.7
    detail = [frame - cv2.GaussianBlur(frame, (0, 0), 2) for frame in (first, second)]
    assert np.corrcoef(*(each[:, :16].ravel() for each in detail))[0, 1] > 0.9  # the old strokes, in another tone


def test_a_mask_that_moves_repaints_what_comes_into_another_region() -> None:
    class Sliding:
        name = "mask"

        def at(self, number: int) -> Picture:
            rgb = np.zeros((48, 64, 3), np.uint8)
            rgb[:, 20 + 12 * number :] = 255
            return Picture(rgb)

    stylizer = Sided()
    painter = AnchorPainter(stylizer, Timeline(2, mask=Sliding()))  # type: ignore[arg-type]
    first, second = (next(painter.paint([texture(48, 64)])) for _ in range(2))
    changed = np.abs(first - second).mean((0, 2))
    assert changed[21:31].min() > 0.01
    assert changed[:10].max() < 1e-6
    assert changed[44:].max() < 1e-6
    assert [mask.rgb[0, :, 0].argmax() for mask in stylizer.masks] == [20, 32]


def test_a_field_moves_by_whole_cells() -> None:
    before = NNF(torch.arange(48).view(6, 8), torch.zeros(4, 4))
    flow = np.zeros((48, 64, 2), np.float32)
    flow[..., 0] = 8  # pixels, a cell
    match, sure = carried(before, flow, np.ones((48, 64), np.float32))
    assert torch.equal(match[:, :-1], before.match[:, 1:])
    assert sure[:, :-1].all()
    assert not sure[:, -1].any()


def test_the_real_networks_paint_a_still_film_still_and_a_moving_film_calmly() -> None:
    from styleshuffle import Stylizer

    stylizer = Stylizer(device="cpu").set_style(str(SAMPLES / "style/swirling_night.jpg"))
    frames = panning(3, 64, 64, step=4)
    still = paint([frames[0]] * 3, 1, AnchorPainter(stylizer))
    assert np.array_equal(still[2], still[0])
    made, alone = (paint(frames, 1, kind(stylizer)) for kind in (AnchorPainter, SinglePainter))
    calm, flicker = (np.abs(film[2][8:-8, 8:-16] - film[1][8:-8, 12:-12]).mean() for film in (made, alone))
    assert calm < flicker / 3


def test_the_real_networks_follow_regions_and_miss_none_that_a_frame_does_not_show() -> None:
    from styleshuffle import Stylizer

    two = np.zeros((64, 64, 3), np.uint8)
    two[:, 32:] = 255
    style = texture(64, 64) // 4
    style[:, :32, 0] += 180
    style[:, 32:, 2] += 180

    class Covering:
        name = "mask"

        def at(self, number: int) -> Picture:
            return Picture(two if number == 0 else np.zeros_like(two))

    stylizer = Stylizer(device="cpu", strength=1.0, refine=0).set_style(Picture(style), masks=Picture(two))
    painter = AnchorPainter(stylizer, Timeline(2, mask=Covering()))
    first, second = (next(painter.paint([texture(64, 64, 3)])) for _ in range(2))
    redness = [frame[:, part, 0].mean() - frame[:, part, 2].mean() for frame in (first, second) for part in _HALVES]
    assert redness[0] > 0.2 > -0.2 > redness[1]
    assert min(redness[2:]) > 0.2


_HALVES = (slice(4, 24), slice(40, 60))
