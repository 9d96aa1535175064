"""Read films: a file through PyAV, or a folder of numbered frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import images
from ..errors import PictureError, one_line
from ..images.limits import check_needed, decoding, most_pixels
from ..settings import MAX_PIXELS
from .film import Colours, Facts, Frame

_CUT = 1.0  # seconds, or a fiftieth of the film: what may be missing at the end of a whole file
_UNKNOWN = 2
_BYTES_A_PIXEL = 100  # of a frame: memory to decode the film and to follow its motion, measured and rounded up


class Source(Protocol):
    """Where frames come from."""

    facts: Facts

    def frames(self) -> Iterator[Frame]:
        """All frames in their order, each decoded when it is asked for."""
        ...


class FilmFile:
    """A film file. Reads through it once, without decoding, to count its frames and to see that it is whole.

    Args:
        max_pixels, memory: of a frame, as for `images.read`.

    Raises:
        PictureError: it is no film, has no frames, is cut off, or its frames are too large.
    """

    def __init__(self, path: str | Path, max_pixels: int = MAX_PIXELS, memory: int | None = None) -> None:
        self.path, self.name = Path(path), one_line(path)
        self._max_pixels, self._memory = max_pixels, memory
        self.facts = self._scanned()

    def _open(self) -> Any:
        import av

        av.logging.set_level(None)  # a damaged frame is reported by us, once
        try:
            return av.open(str(self.path), metadata_errors="replace")
        except FileNotFoundError:
            raise PictureError(f"{self.name}: no such file; check the path") from None
        except (av.error.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise PictureError(f"{self.name}: cannot be read as a film ({reason}); name another file") from None

    def _scanned(self) -> Facts:
        with self._open() as container:
            if not container.streams.video:
                raise PictureError(f"{self.name}: has no picture track; name a film")
            stream = container.streams.video[0]
            _check_size((stream.width, stream.height), self.name, self._max_pixels, self._memory)
            promised, count, end = stream.frames, 0, 0.0
            for packet in _packets(container):
                if packet.size and packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    count += packet.stream is stream
            start = (container.start_time or 0) / 1e6
            length = (container.duration or 0) / 1e6
        if not count:
            raise PictureError(f"{self.name}: has no frames; name another film")
        missing = length - (end - start)
        if count < promised * 0.98 - 1 or missing > max(_CUT, length / 50):
            reached = f"it ends after {count} of {promised} frames" if promised else f"{missing:.1f} s are missing"
            raise PictureError(f"{self.name}: is cut off ({reached}); copy the film again")
        return self._facts(count)

    def _facts(self, count: int) -> Facts:
        first = next(self._decoded(), None)
        if first is None:
            raise PictureError(f"{self.name}: none of its frames can be decoded; name another film")
        with self._open() as container:
            stream = container.streams.video[0]
            height, width = first[0].shape[:2]
            aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
            return Facts(
                size=(width, height),
                count=count,
                time_base=stream.time_base or Fraction(1, 90000),
                rate=stream.average_rate or stream.guessed_rate or Fraction(25),
                colours=first[2],
                pixel_aspect=1 / aspect if first[3] % 180 else aspect,
                has_audio=bool(container.streams.audio),
            )

    def frames(self) -> Iterator[Frame]:
        """All frames in their order; see `Frame.damaged` for those that cannot be decoded."""
        last: np.ndarray | None = None
        before: Frame | None = None
        for rgb, time, _, _, duration in self._decoded(damaged=True):
            if rgb is None and last is None:
                continue  # nothing to repeat yet; the first frame that is whole comes earlier in its place
            if before is not None:
                if time is None or time <= before.time:
                    time = before.time + max(1, before.duration)
                yield _lasting(before, time)
            shown = last if rgb is None else rgb
            assert shown is not None
            before, last = Frame(shown, time or 0, duration, damaged=rgb is None), shown
        if before is not None:
            yield before

    def _decoded(self, damaged: bool = False) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
        """Pixels, time, colours, rotation and duration of each frame; pixels are None where a frame is damaged."""
        import av

        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            # frames may grow midway; twice, because decoders add a border
            most = 2 * most_pixels(_BYTES_A_PIXEL, self._max_pixels)
            stream.codec_context.options = {"max_pixels": str(most)}
            size: tuple[int, int] | None = None
            usual = round(1 / (stream.average_rate or Fraction(25)) / stream.time_base)
            for packet in _packets(container, stream):
                try:
                    decoded = packet.decode()
                except av.error.FFmpegError:
                    if damaged:
                        yield None, packet.pts, None, 0, packet.duration or usual
                    continue
                for frame in decoded:
                    bad = frame.is_corrupt
                    if bad and not damaged:
                        continue
                    size = size or (frame.width, frame.height)
                    pixels = None if bad else _upright(frame, size)
                    yield pixels, frame.pts, _colours(frame), frame.rotation, frame.duration or usual


def _check_size(size: tuple[int, int], name: str, max_pixels: int, memory: int | None) -> None:
    """Refuse frames of a (width, height) that would take too much memory, before the first is decoded."""
    with decoding(name, max_pixels, memory):
        check_needed(size, _BYTES_A_PIXEL * size[0] * size[1], name, max_pixels)


def _packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Packets until the end, or until the rest of the file cannot be read."""
    import av

    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _lasting(frame: Frame, until: int) -> Frame:
    """A frame that lasts until the next."""
    return Frame(frame.rgb, frame.time, until - frame.time, frame.name, frame.damaged)


def _upright(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a frame. Where its size differs from the first frame's, it is made to fit, as players do."""
    pixels: np.ndarray = frame.reformat(*size, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def _colours(frame: Any) -> Colours:
    matrix, primaries, transfer = (int(value) for value in (frame.colorspace, frame.color_primaries, frame.color_trc))
    scale = int(frame.color_range)
    full = None if scale == 0 else scale == 2
    if frame.format.name.startswith(("rgb", "bgr", "gbr", "pal", "gray")):
        return Colours()
    return Colours(matrix if matrix != 0 else _UNKNOWN, primaries, transfer, full)


class FrameFolder:
    """A folder of numbered pictures of one size, such as 0001.png, in the order of their last numbers.

    Args:
        rate: frames a second.
        max_pixels, memory: of a frame, as for `images.read`.

    Raises:
        PictureError: there are no such pictures.
    """

    def __init__(
        self, folder: str | Path, rate: Fraction, max_pixels: int = MAX_PIXELS, memory: int | None = None
    ) -> None:
        self.folder, self.name, self._limits = Path(folder), one_line(folder), (max_pixels, memory)
        numbered = []
        for path in self.folder.iterdir():
            numbers = re.findall(r"\d+", path.stem)
            if numbers and path.suffix.lower() in images.READABLE and not path.name.startswith("."):
                numbered.append((int(numbers[-1]), path.name, path))
        if not numbered:
            raise PictureError(f"{self.name}: has no numbered frames; name a folder of frames such as 0001.png")
        self.paths = [path for _, _, path in sorted(numbered)]
        first = images.read(self.paths[0], *self._limits)
        _check_size(first.size, one_line(self.paths[0]), *self._limits)
        self.facts = Facts(first.size, len(self.paths), 1 / rate, rate)

    def frames(self) -> Iterator[Frame]:
        """All frames in their order; a frame that cannot be read repeats the frame before."""
        last: np.ndarray | None = None
        for number, path in enumerate(self.paths):
            try:
                picture = images.read(path, *self._limits)
            except PictureError:
                if last is None:
                    raise
                yield Frame(last, number, 1, path.name, damaged=True)
                continue
            if picture.size != self.facts.size:
                sizes = f"{picture.size[0]} x {picture.size[1]}, the first is {self.facts.size[0]} x {self.facts.size[1]}"
                raise PictureError(f"{one_line(path)}: is {sizes}; bring all frames to one size")
            last = images.from_result(picture.tensor()).rgb
            last = images.picture.to_bytes(last)
            yield Frame(last, number, 1, path.name)
