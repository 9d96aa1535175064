"""EXIF data on the way from a photograph to its result: what stays true is kept, the rest is mended or left out.

Kept: the date, camera, lens, exposure, author, copyright, place and everything else that describes the photograph, with
the maker note at its place. Mended: orientation (pixels are upright already), width, height and colour space. Left out:
the thumbnail, which shows the photograph before, and what describes the pixels of another file.
"""

from __future__ import annotations

import io

from .tiff_tags import EXIF_IFD, GPS_IFD, INTEROP_IFD, LONG, MAKER_NOTE, SHORT, Directory, TagFile, build

_ORIENTATION = 274
_WIDTH, _HEIGHT, _COLOUR_SPACE, _INTEROP_INDEX = 0xA002, 0xA003, 0xA001, 1

# What tells where the pixels of a TIFF lie and how they are packed, and data that has its own place in a file: XMP, IPTC,
# ICC profile, and Photoshop's layers and thumbnail.
OF_THE_PIXELS = frozenset(
    [*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 297, 301, *range(317, 326), 330]
).union(
    [*range(332, 335), 336, *range(338, 346), 347, *range(512, 516), *range(517, 522), *range(529, 533), 559],
    [700, 33723, 34377, 34675, 37724],
)
_OF_THE_PLACE = frozenset({33550, 33920, 33922, 34264, 34735, 34736, 34737})  # GeoTIFF


def of_directory(directory: Directory) -> bytes | None:
    """EXIF data from the directory of a TIFF, which also describes the pixels; None if nothing else is there."""
    kept = Directory(directory.order, dict(directory.entries), dict(directory.children))
    _drop(kept, OF_THE_PIXELS)
    return build(_classic(kept)) if kept.entries or kept.children else None


def parsed(exif: bytes) -> Directory | None:
    """The main directory of EXIF data; None if it is broken."""
    try:
        tags = TagFile(io.BytesIO(exif))
        return None if tags.big else tags.directory(tags.first)
    except ValueError:
        return None


def orientation_of(exif: bytes | None) -> int:
    """The orientation, 1 (upright) to 8."""
    directory = parsed(exif) if exif else None
    value = 1 if directory is None else directory.integer(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def mended(exif: bytes, size: tuple[int, int] | None = None, srgb: bool = True) -> bytes | None:
    """EXIF data for an upright picture without a thumbnail; None if it is broken.

    Args:
        size: (width, height) of the picture.
        srgb: its colours are sRGB.
    """
    directory = parsed(exif)
    if directory is None:
        return None
    _drop(directory, OF_THE_PIXELS)
    if _ORIENTATION in directory.entries:
        directory.put(_ORIENTATION, SHORT, [1])
    details = directory.children.get(EXIF_IFD)
    if details is not None:
        if size is not None:
            for tag, side in zip((_WIDTH, _HEIGHT), size, strict=True):
                if tag in details.entries:
                    details.put(tag, LONG, [side])  # libtiff wants it long
        if _COLOUR_SPACE in details.entries:
            details.put(_COLOUR_SPACE, SHORT, [1 if srgb else 65535])
        interop = details.children.get(INTEROP_IFD)
        if interop is not None and srgb and interop.data(_INTEROP_INDEX) == b"R03\0":  # Adobe RGB
            interop.put_bytes(_INTEROP_INDEX, b"R98\0", kind=2)
    return build(_classic(directory)) if directory.entries or directory.children else None


def without_gps(exif: bytes) -> bytes | None:
    """EXIF data without the place; None if it is broken."""
    directory = parsed(exif)
    if directory is None:
        return None
    directory.children.pop(GPS_IFD, None)
    _drop(directory, _OF_THE_PLACE)
    return build(_classic(directory))


def without_orientation(exif: bytes) -> bytes | None:
    """EXIF data that leaves it to the format how to turn the picture; None if it is broken."""
    directory = parsed(exif)
    if directory is None:
        return None
    directory.entries.pop(_ORIENTATION, None)
    return build(_classic(directory))


def without_maker_note(exif: bytes) -> bytes | None:
    """EXIF data without the camera's own notes, which may be large; None if it is broken."""
    directory = parsed(exif)
    if directory is None:
        return None
    details = directory.children.get(EXIF_IFD)
    if details is not None:
        details.entries.pop(MAKER_NOTE, None)
    return build(_classic(directory))


def _drop(directory: Directory, tags: frozenset[int]) -> None:
    for tag in tags & set(directory.entries):
        del directory.entries[tag]


def _classic(directory: Directory) -> Directory:
    """The directory without types that only a BigTIFF has."""
    for part in (directory, *directory.children.values()):
        for tag in [tag for tag, entry in part.entries.items() if entry.kind > 13]:
            del part.entries[tag]
    return directory
