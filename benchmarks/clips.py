"""Clips of known motion: a camera moves over a sample picture, and another picture moves in front of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from common import SAMPLES

from styleshuffle.images import read

_ROUND = 0.28  # radius of what moves in front, of the height


class View(NamedTuple):
    """Where a camera looks: the place of a picture in the middle of the frame, and pixels of the picture a pixel."""

    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Clip:
    """A clip and its motion.

    Attributes:
        frames: (H, W, 3) uint8 each.
        flows: from each frame to the frame before, (H, W, 2); the first is unknown, and 0.
        visible: where what a frame shows is also in the frame before, (H, W) bool.
    """

    frames: list[np.ndarray]
    flows: list[np.ndarray]
    visible: list[np.ndarray]


def picture(name: str) -> np.ndarray:
    """A sample such as ``content/cat``, (H, W, 3) uint8."""
    return read(SAMPLES / f"{name}.jpg").rgb


def _places(view: View, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) * view.scale + view.x
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) * view.scale + view.y
    across, down = np.meshgrid(x, y)
    return across.astype(np.float32), down.astype(np.float32)


def _shown(pixels: np.ndarray, view: View, height: int, width: int) -> np.ndarray:
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.5 * view.scale) if view.scale > 1 else pixels
    return np.asarray(cv2.remap(smooth, *_places(view, height, width), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def _flow(view: View, before: View, height: int, width: int) -> np.ndarray:
    x, y = _places(view, height, width)
    there = np.stack(
        [(x - before.x) / before.scale + (width - 1) / 2, (y - before.y) / before.scale + (height - 1) / 2], 2
    )
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return np.asarray(there - np.stack([across, down], 2), dtype=np.float32)


def camera(name: str, path: Callable[[int, float], View], count: int, height: int, width: int) -> Clip:
    """A camera that moves over a picture.

    Args:
        path: the view at a frame, given pixels of the picture a pixel of a frame that shows nearly all of it.
    """
    pixels = picture(name)
    fit = 0.8 * min(pixels.shape[0] / height, pixels.shape[1] / width)
    middle = View(pixels.shape[1] / 2, pixels.shape[0] / 2, 1.0)
    views = [path(number, fit) for number in range(count)]
    views = [View(view.x + middle.x, view.y + middle.y, view.scale) for view in views]
    frames = [_shown(pixels, view, height, width) for view in views]
    flows = [_flow(view, views[max(0, number - 1)], height, width) for number, view in enumerate(views)]
    return Clip(frames, flows, [_inside(flow) for flow in flows])


def overlaid(behind: Clip, name: str, step: tuple[float, float]) -> Clip:
    """A clip with a round picture that moves in front of it by a step (x, y) in pixels a frame."""
    height, width = behind.frames[0].shape[:2]
    pixels = picture(name)
    scale = pixels.shape[0] / height * 1.2
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    frames, flows, visible, shapes = [], [], [], []
    for number, frame in enumerate(behind.frames):
        x, y = width * 0.25 + step[0] * number, height * 0.45 + step[1] * number
        shape = np.clip(_ROUND * height - np.hypot(across - x, down - y) + 0.5, 0, 1)[..., None]
        right, low = ((width - 1) / 2 - x) * scale, ((height - 1) / 2 - y) * scale
        view = View(pixels.shape[1] * 0.45 + right, pixels.shape[0] * 0.25 + low, scale)
        front = _shown(pixels, view, height, width)
        frames.append((frame * (1 - shape) + front * shape + 0.5).astype(np.uint8))
        flow = np.where(shape >= 0.5, np.float32([-step[0], -step[1]]), behind.flows[number])
        flows.append(flow.astype(np.float32))
        shapes.append(shape[..., 0])
        visible.append(_inside(flow) & _same_side(shapes[-1], shapes[max(0, number - 1)], flow))
    return Clip(frames, flows, visible)


def _inside(flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    x, y = across + flow[..., 0], down + flow[..., 1]
    return np.asarray((x >= 2) & (x <= width - 3) & (y >= 2) & (y <= height - 3))


def _same_side(shape: np.ndarray, before: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Where a frame and the frame before show the same of two pictures, and no edge between them is near."""
    across, down = np.meshgrid(np.arange(shape.shape[1], dtype=np.float32), np.arange(shape.shape[0], dtype=np.float32))
    x, y = (across + flow[..., 0]).astype(np.float32), (down + flow[..., 1]).astype(np.float32)
    fetched = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_LINEAR)
    other = (np.abs(fetched - shape) > 0.01) | ((shape > 0.01) & (shape < 0.99))
    return np.asarray(cv2.dilate(other.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0)


def clips(count: int, height: int, width: int) -> dict[str, Clip]:
    """The clips of the page, by name."""

    def pan(number: int, fit: float) -> View:
        return View((1.3 * number - 0.65 * count) * fit, 0.4 * number * fit, 0.8 * fit)

    def zoom(number: int, fit: float) -> View:
        return View(0, 0, 1.1 * fit * 1.01**-number)

    def drift(number: int, fit: float) -> View:
        return View(-0.4 * number * fit, 0, fit)

    return {
        "pan": camera("content/cat", pan, count, height, width),
        "zoom": camera("content/coffee", zoom, count, height, width),
        "overlay": overlaid(camera("content/coffee", drift, count, height, width), "content/astronaut", (1.7, 0.3)),
        "sky": camera("content/rocket", drift, count, height, width),
    }


def filmed(path: Path, count: int, width: int) -> Clip:
    """The first frames of a film, at a width in pixels. Its motion is not known, and measured."""
    from styleshuffle.video.flow import flow_between, grey
    from styleshuffle.video.measuring import certain
    from styleshuffle.video.reading import FilmFile

    film = FilmFile(path)
    height = round(film.facts.size[1] * width / film.facts.size[0] / 2) * 2
    shown = itertools.islice(film.frames(), count)
    frames = [np.asarray(cv2.resize(frame.rgb, (width, height), interpolation=cv2.INTER_AREA)) for frame in shown]
    greys = [grey(frame) for frame in frames]
    there = [flow_between(after, greys[max(0, number - 1)]) for number, after in enumerate(greys)]
    back = [flow_between(greys[max(0, number - 1)], after) for number, after in enumerate(greys)]
    return Clip(frames, there, [certain(*flows) for flows in zip(there, back, strict=True)])


def swaying(count: int, height: int, width: int) -> Clip:
    """A camera that sways and breathes for as long as you like, to see drift."""

    def sway(number: int, fit: float) -> View:
        turn = 2 * math.pi * number / 100
        return View(12 * fit * math.sin(turn), 6 * fit * math.sin(2 * turn), fit * (1 - 0.12 * math.sin(turn / 3)))

    return camera("content/coffee", sway, count, height, width)
