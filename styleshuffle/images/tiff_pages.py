"""Which picture of a TIFF file is the photograph, and whether the file is a camera's raw data instead."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from . import exif
from .metadata import iptc_of
from .refusals import refusal
from .splicing import Spliced, as_file
from .tiff_tags import SUB_IFDS, Directory, TagFile

_KIND, _OLD_KIND, _PHOTOMETRIC, _DNG_VERSION = 254, 255, 262, 50706
_ICC, _XMP, _IPTC, _RESOURCES = 34675, 700, 33723, 34377
_RAW_PHOTOMETRICS = (32803, 34892)  # a mosaic of colour filters; its linear colours
_RESOLUTION = (282, 283, 296)

_RAW_BEGINNINGS = (
    (0, b"FUJIFILMCCD-RAW", "RAF"),
    (8, b"CR\x02", "CR2"),
    (4, b"ftypcrx ", "CR3"),
    (0, b"IIU\0", "RW2"),
    (0, b"IIRO", "ORF"),
    (0, b"IIRS", "ORF"),
    (0, b"MMOR", "ORF"),
    (0, b"FOVb", "X3F"),
    (0, b"\0MRM", "MRW"),
)


@dataclass
class TiffFile:
    """A TIFF file with its photograph.

    Attributes:
        file: the file, whose first page is the photograph.
        page: the photograph's directory.
        pages: how many pages the file has that are not smaller versions of others.
    """

    file: BinaryIO
    page: Directory
    pages: int

    def info(self) -> dict[str, Any]:
        """What lies beside the pixels, under the names that Pillow uses."""
        page = self.page
        info: dict[str, Any] = {"exif": exif.of_directory(page), "xmp": page.data(_XMP), "icc_profile": page.data(_ICC)}
        info["iptc"] = page.data(_IPTC) or iptc_of(page.data(_RESOURCES) or b"")
        (across,), (down,) = (page.numbers(tag)[:1] or (0.0,) for tag in _RESOLUTION[:2])
        unit = {2: 1.0, 3: 2.54}.get(page.integer(_RESOLUTION[2], 2))
        if across and down and unit:
            info["dpi"] = (across * unit, down * unit)
        return {name: value for name, value in info.items() if value is not None}


def refuse_raw(file: BinaryIO, name: str) -> None:
    """Refuse the raw data of a camera, which is not a picture yet.

    Raises:
        PictureError: it is raw data.
    """
    file.seek(0)
    head = file.read(16)
    for at, mark, kind in _RAW_BEGINNINGS:
        if head[at : at + len(mark)] == mark:
            raise _raw(name, f"{kind} file")
    if head[:2] in (b"II", b"MM"):
        with contextlib.suppress(ValueError):
            tags = TagFile(file)
            for directory in tags.directories():
                if _DNG_VERSION in directory.entries:
                    raise _raw(name, "DNG file")
                if any(page.integer(_PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS for page in _with_children(tags, directory)):
                    raise _raw(name, "raw file")


def _raw(name: str, kind: str) -> Exception:
    remedy = "develop it first (with darktable, RawTherapee or the camera's program) and save it as TIFF or JPEG"
    return refusal(name, f"is a camera's raw data ({kind}), not a picture", remedy)


def open_tiff(file: BinaryIO) -> TiffFile | None:
    """Look through a TIFF file; None if it is no TIFF, or so damaged that Pillow shall say it."""
    try:
        tags = TagFile(file)
        directories = list(tags.directories())
        if not directories:
            return None
        first = directories[0]
        pages = [page for page in directories if not _reduced(page)]
        if not pages:
            pages = [page for page in _with_children(tags, first)[1:] if not _reduced(page)]
        page = pages[0] if pages else first
    except ValueError:
        return None
    if page is first:
        return TiffFile(file, first, max(1, len(pages)))
    start = struct.pack(f"{tags.order}Q" if tags.big else f"{tags.order}L", page.offset)
    file.seek(0)
    head = file.read(8) if tags.big else file.read(4)
    end = file.seek(0, 2)
    view = as_file(Spliced(file, [head + start, (len(head) + len(start), end)]))
    whole = Directory(page.order, {**first.entries, **page.entries}, {**first.children, **page.children})
    whole.offset = page.offset
    for tag in set(whole.entries) - set(page.entries):
        if tag in exif.OF_THE_PIXELS and tag not in (_ICC, _XMP, _IPTC, _RESOURCES):
            del whole.entries[tag]
    return TiffFile(view, whole, len(pages))


def _with_children(tags: TagFile, directory: Directory) -> list[Directory]:
    """A directory and the pictures that hang on it."""
    children = [directory]
    for offset in directory.integers(SUB_IFDS)[:16]:
        with contextlib.suppress(ValueError):
            children.append(tags.directory(offset))
    return children


def _reduced(page: Directory) -> bool:
    """Whether a page is a smaller version of another, or a mask."""
    return bool(page.integer(_KIND, 0) & 5) or page.integer(_OLD_KIND, 1) == 2 or not page.integers(256)
