"""Small films made by code."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason="films need pip install 'styleshuffle[video]'")
pytest.importorskip("cv2", reason="films need pip install 'styleshuffle[video]'")

UNIT = Fraction(1, 12800)
"""Seconds of a unit of time of these films."""
STEP = 512
"""Units from frame to frame: 25 frames a second."""


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture (H, W, 3) uint8 with smooth detail of all sizes."""
    import cv2

    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for sigma in (1.5, 4, 12):
        layer = cv2.GaussianBlur(random.standard_normal((height, width, 3)).astype(np.float32), (0, 0), sigma)
        total += layer / layer.std()
    return np.clip(128 + 32 * total, 0, 255).astype(np.uint8)


def panning(count: int, height: int = 48, width: int = 64, step: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Frames of a camera that moves to the right by whole pixels."""
    wide = texture(height, width + step * count, seed)
    return [np.ascontiguousarray(wide[:, step * number : step * number + width]) for number in range(count)]


def write_film(
    path: str | Path,
    frames: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    rotation: int = 0,
    full_range: bool = False,
    matrix: int | None = None,
    sound: float = 0.0,
) -> Path:
    """Write an H.264 film.

    Args:
        times: in `UNIT`; default: 25 frames a second.
        rotation: by which players turn the frames, counter-clockwise degrees.
        sound: seconds of a tone.
    """
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", UNIT
        if full_range:
            stream.codec_context.color_range = 2
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if rotation:
            stream.set_display_rotation(rotation)
        track = film.add_stream("aac", rate=44100) if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=2 if full_range else 1)
            frame.pts, frame.time_base = STEP * number if times is None else times[number], UNIT
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if track is not None:
            _write_tone(film, track, sound)
    return Path(path)


def _write_tone(film: Any, track: Any, seconds: float) -> None:
    tone = np.sin(np.arange(round(44100 * seconds)) / 20).astype(np.float32)[None]
    samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
    samples.rate, samples.pts = 44100, 0
    buffer = av.AudioFifo()
    buffer.write(samples)
    while (part := buffer.read(1024, partial=True)) is not None:
        film.mux(track.encode(part))
    film.mux(track.encode(None))
