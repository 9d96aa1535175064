"""The pictures that the server knows: those that clients sent, and those of the library of styles.

A picture has a small copy, the view: previews are made from it and pages show it, so that a large photograph is decoded
in full only when it is sent and when its full size is painted.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from ..images import Picture, fit_size, read

VIEW_SIDE = 1024
"""Long side of the view in pixels, unless the picture is smaller."""

_QUICK_PNG = 1  # compression level: a view is written while somebody waits, and read often


@dataclass(frozen=True)
class PictureFile:
    """A picture on the disk of the server.

    Attributes:
        path: chosen by the server, never by a client.
        name: for people.
        size: (width, height) in pixels.
        view: a file with its small copy.
    """

    path: Path
    name: str
    size: tuple[int, int]
    view: Path

    def read(self, side: int | None = None, max_pixels: int | None = None) -> Picture:
        """The picture, or its view where a long side of `side` pixels asks for no more.

        Raises:
            PictureError: it cannot be read; the message has the name for people.
        """
        path = self.view if side is not None and side <= VIEW_SIDE else self.path
        return read_named(path, self.name, max_pixels)

    def shown(self, side: int) -> tuple[bytes, str]:
        """The picture, made smaller to a long side of at most `side`, as a file, and its media type."""
        image = self.read(side).pil()
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return encoded(image)


def read_named(path: Path, name: str, max_pixels: int | None = None) -> Picture:
    """Read a file; error messages give it this name, not its path."""
    with io.FileIO(path) as file:
        file.name = name
        source = io.BufferedReader(file)
        return read(source) if max_pixels is None else read(source, max_pixels)


def taken_in(path: Path, name: str, view: Path, max_pixels: int | None = None) -> PictureFile:
    """Check a picture file by decoding it, and write its view.

    Raises:
        PictureError: it is no picture, damaged, or has more than `max_pixels` pixels.
    """
    picture = read_named(path, name, max_pixels)
    image = picture.pil()
    if max(image.size) > VIEW_SIDE:
        image = image.resize(fit_size(image.size, VIEW_SIDE), Image.Resampling.LANCZOS)
    image.save(view, "PNG", compress_level=_QUICK_PNG)
    return PictureFile(path, name, picture.size, view)


def encoded(image: Image.Image, quality: int = 88) -> tuple[bytes, Literal["image/jpeg", "image/png"]]:
    """A small file for pages, and its media type: JPEG, or PNG where there is transparency."""
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "PNG", compress_level=_QUICK_PNG)
        return buffer.getvalue(), "image/png"
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue(), "image/jpeg"
