"""What a film is: its facts, its frames, and the settings that only a film has."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PictureError, SettingsError, one_line

if TYPE_CHECKING:
    import numpy as np

FILM_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif")
"""Of the files that can be written. More can be read: whatever PyAV knows."""

CODECS: dict[str, tuple[str, int | None, int | None, dict[str, str]]] = {
    "h264": ("libx264", 18, 51, {"preset": "medium"}),
    "h265": ("libx265", 20, 51, {"preset": "medium", "x265-params": "log-level=error"}),
    "vp9": ("libvpx-vp9", 24, 63, {"deadline": "good", "cpu-used": "4", "row-mt": "1"}),
    "ffv1": ("ffv1", None, None, {"level": "3"}),
    "gif": ("gif", None, None, {}),
}
"""By name: the encoder, its default quality (CRF), the largest, and its options."""

CODECS_BY_SUFFIX = {
    ".mp4": ("h264", "h265"),
    ".mov": ("h264", "h265"),
    ".mkv": ("h264", "h265", "vp9", "ffv1"),
    ".webm": ("vp9",),
    ".gif": ("gif",),
}
"""What each kind of file can hold; the first is the default."""


@dataclass(frozen=True)
class FilmSettings:
    """What only a film has.

    Attributes:
        rate: frames a second of a folder of frames; a file has its own.
        codec: one of `CODECS`; None takes the default of the file's suffix.
        crf: quality, from 0 (best) to 51 or 63; None takes the default of the codec.
        anchor_every: most frames between two anchors, which are painted; the frames between them take their paint.
        alone: stylize each frame by itself, which flickers; for comparison.
        weights: shares of several styles at evenly spread frames, the first and the last among them; between two of them
            the shares change evenly. () leaves them to `Settings.style_weights`.

    Raises:
        SettingsError: a value is out of range; names it.
    """

    rate: Fraction = Fraction(25)
    codec: str | None = None
    crf: int | None = None
    anchor_every: int = 8
    alone: bool = False
    weights: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1000:
            raise SettingsError(f"rate: {self.rate} is out of range; use above 0 to 1000")
        if self.codec is not None and self.codec not in CODECS:
            raise SettingsError(f"codec: {self.codec!r} is unknown; use one of {', '.join(CODECS)}")
        if not 1 <= self.anchor_every <= 48:
            raise SettingsError(f"anchor_every: {self.anchor_every} is out of range; use whole numbers 1 to 48")

    def codec_for(self, suffix: str) -> tuple[str, str, dict[str, str]]:
        """The codec for a file of that suffix: its name, its encoder, and the encoder's options.

        Raises:
            SettingsError: such a file does not hold the codec, or the quality is out of the codec's range.
        """
        names = CODECS_BY_SUFFIX[suffix]
        name = self.codec or names[0]
        if name not in names:
            raise SettingsError(f"codec: a {suffix} file does not hold {name}; use one of {', '.join(names)}")
        encoder, quality, worst, options = CODECS[name]
        if quality is None or worst is None:
            if self.crf is not None:
                raise SettingsError(f"crf: {name} has no quality to choose; leave it out")
            return name, encoder, dict(options)
        chosen = quality if self.crf is None else self.crf
        if not 0 <= chosen <= worst:
            raise SettingsError(f"crf: {chosen} is out of range; use whole numbers 0 to {worst} for {name}")
        return name, encoder, {**options, "crf": str(chosen)}


@dataclass(frozen=True)
class Colours:
    """How the numbers of a film's frames stand for colours, in the numbers of ITU-T H.273; 2 is unknown.

    Attributes:
        full_range: 0 to 255 instead of 16 to 235; None is unknown.
    """

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a film before its frames are decoded.

    Attributes:
        size: (width, height) of the upright frames, in pixels.
        count: frames.
        time_base: seconds of a unit of time.
        rate: frames a second, on average.
        pixel_aspect: width of a pixel over its height.
        has_audio: whether there is a soundtrack.
    """

    size: tuple[int, int]
    count: int
    time_base: Fraction
    rate: Fraction
    colours: Colours = Colours()
    pixel_aspect: Fraction = Fraction(1)
    has_audio: bool = False


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a film.

    Attributes:
        rgb: (H, W, 3) uint8, upright.
        time, duration: in units of the film's time base.
        name: of its file, in a folder of frames.
        damaged: it could not be decoded, and repeats the frame before.
    """

    rgb: np.ndarray
    time: int
    duration: int
    name: str = ""
    damaged: bool = False


def check_packages(name: Any) -> None:
    """Refuse a film where the packages for films are missing.

    Raises:
        PictureError: names the film, and what to install.
    """
    missing = [package for module, package in (("av", "PyAV"), ("cv2", "OpenCV")) if find_spec(module) is None]
    if missing:
        needs = " and ".join(missing)
        raise PictureError(f"{one_line(name)}: a film needs {needs}; pip install 'styleshuffle[video]'")


def is_film(path: str) -> bool:
    """Whether a path names a film by its suffix. A GIF is a film only if the result is also a film."""
    return Path(path).suffix.lower() in {*FILM_SUFFIXES, ".m4v", ".avi", ".mpg", ".mpeg", ".ts", ".ogv"} - {".gif"}


def may_move(path: str) -> bool:
    """Whether a path may name a mask of many frames: a film, a GIF or a folder."""
    return is_film(path) or Path(path).suffix.lower() == ".gif" or Path(path).is_dir()
