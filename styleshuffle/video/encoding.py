"""Encode painted frames, a stretch at a time, each into a file of its own that can be read without the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .film import Colours, Facts, FilmSettings, Frame

_NEUTRAL = {0, 2}  # numbers of ITU-T H.273 that say nothing of a matrix


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes:
        encoder: its name in FFmpeg.
        options: of the encoder.
        pixel_format: in FFmpeg.
        size: (width, height) of the frames; both even where colours have half the resolution.
    """

    encoder: str
    options: dict[str, str]
    pixel_format: str
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    colours: Colours
    pixel_aspect: Fraction

    @property
    def container(self) -> str:
        """FFmpeg's name of the files that stretches are kept in."""
        return "nut" if self.encoder == "ffv1" else "mp4"


def encoding_for(suffix: str, settings: FilmSettings, facts: Facts, size: tuple[int, int]) -> Encoding:
    """How to encode frames of a size (width, height) for a film file of that suffix.

    Raises:
        SettingsError: such a file does not hold the codec that is asked for.
    """
    name, encoder, options = settings.codec_for(suffix)
    if name in ("gif", "ffv1"):  # a GIF's colours are chosen at the end, from all frames
        return Encoding("ffv1", {"level": "3"}, "bgr0", size, facts.time_base, facts.rate, Colours(), facts.pixel_aspect)
    even = (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2))
    return Encoding(encoder, options, "yuv420p", even, facts.time_base, facts.rate, facts.colours, facts.pixel_aspect)


def encode_stretch(path: Path, frames: Iterable[Frame], start: int, encoding: Encoding) -> None:
    """Write frames into a file, which keeps exact times.

    Args:
        start: the time of the first frame, which becomes 0.
    """
    import av

    width, height = encoding.size
    with av.open(str(path), "w", format=encoding.container) as container:
        stream = container.add_stream(encoding.encoder, rate=encoding.rate, options=encoding.options)
        context: Any = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width, height, encoding.pixel_format
        context.time_base, context.sample_aspect_ratio = encoding.time_base, encoding.pixel_aspect
        context.flags |= av.codec.context.Flags.global_header
        _say_colours(context, encoding.colours)
        durations: dict[int, int] = {}
        for frame in frames:
            durations[frame.time - start] = frame.duration
            container.mux(_lasting(stream.encode(_converted(frame, frame.time - start, encoding)), durations))
        container.mux(_lasting(stream.encode(None), durations))


def _say_colours(context: Any, colours: Colours) -> None:
    if colours.matrix not in _NEUTRAL:
        context.colorspace = colours.matrix
    if colours.primaries not in _NEUTRAL:
        context.color_primaries = colours.primaries
    if colours.transfer not in _NEUTRAL:
        context.color_trc = colours.transfer
    if colours.full_range is not None:
        context.color_range = 2 if colours.full_range else 1


def _converted(frame: Frame, time: int, encoding: Encoding) -> Any:
    import av

    width, height = encoding.size
    pixels = frame.rgb[:height, :width]
    missing = [(0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)]  # of frames a pixel wide
    converted: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.pad(pixels, missing, "edge")), format="rgb24")
    if encoding.pixel_format == "yuv420p":
        colours = encoding.colours
        converted = converted.reformat(
            format=encoding.pixel_format,
            dst_colorspace=None if colours.matrix in _NEUTRAL else colours.matrix,
            dst_color_range=2 if colours.full_range else 1,
        )
    else:
        converted = converted.reformat(format=encoding.pixel_format)
    converted.pts, converted.time_base = time, encoding.time_base
    return converted


def _lasting(packets: Iterable[Any], durations: dict[int, int]) -> list[Any]:
    """Packets that last as long as their frames, which encoders do not always say."""
    done = list(packets)
    for packet in done:
        packet.duration = durations.pop(packet.pts, packet.duration)
    return done
