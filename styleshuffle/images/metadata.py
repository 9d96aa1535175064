"""What travels with a photograph beside its pixels: EXIF, XMP, IPTC and the resolution in dots per inch."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import exif as exif_data
from .embedding import without_recipe

_EXIF_HEADER = b"Exif\0\0"
_IPTC_RESOURCE = 0x0404
_LONGEST = 2**24  # bytes of a block of metadata; more is damage or malice

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[1-8](?=\s*[\"'<])")
_XMP_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)
_XMP_EXTENDED = re.compile(rb"\s+xmpNote:HasExtendedXMP\s*=\s*([\"']).*?\1", re.DOTALL)
# What promises further parts of the file: a gain map (Ultra HDR), a short film (motion photo), a depth map.
_PARTS = rb"(?:hdrgm:\w+|GCamera:(?:MotionPhoto|MicroVideo)\w*|GDepth:\w+|GImage:\w+|G?Container:Directory)"
_XMP_PARTS = (
    re.compile(rb"\s+" + _PARTS + rb"\s*=\s*([\"']).*?\1", re.DOTALL),
    re.compile(rb"<" + _PARTS + rb"\s*/>|<(" + _PARTS + rb")\b[^>]*>.*?</\1\s*>", re.DOTALL),
)
_XMP_GPS = (
    re.compile(rb"\s+exif:GPS\w*\s*=\s*([\"']).*?\1", re.DOTALL),
    re.compile(rb"<exif:(GPS\w*)\s*/>|<exif:(GPS\w*)\b[^>]*>.*?</exif:\2\s*>", re.DOTALL),
)


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photograph.

    Attributes:
        exif: EXIF data, from its TIFF header on.
        xmp: an XMP packet, XML in UTF-8.
        iptc: IPTC-IIM records.
        dpi: horizontal and vertical resolution, in dots per inch.
        texts: of a PNG, such as title and comment: the kind of each chunk, and its content.
    """

    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return any((self.exif, self.xmp, self.iptc, self.dpi, self.texts))

    def mended(self, size: tuple[int, int], srgb: bool = True) -> Metadata:
        """The metadata of an upright picture of that (width, height) made from the photograph.

        Thumbnails show the photograph, and a recipe that lies in it is not that of the new picture; both are left out.
        So is what promises further parts of a telephone's file, which the new picture does not have.
        """
        exif = self.exif and exif_data.mended(self.exif, size, srgb)
        xmp = self.xmp
        if xmp is not None:
            xmp = _XMP_THUMBNAILS.sub(b"", _XMP_ORIENTATION.sub(rb"\g<1>1", xmp))
            for pattern in _XMP_PARTS:
                xmp = pattern.sub(b"", xmp)
            xmp = without_recipe(_XMP_EXTENDED.sub(b"", xmp))
        return replace(self, exif=exif or None, xmp=xmp)

    def without_gps(self) -> Metadata:
        """The metadata without the place where the photograph was taken, as EXIF and XMP tell it."""
        xmp = self.xmp
        if xmp is not None:
            for pattern in _XMP_GPS:
                xmp = pattern.sub(b"", xmp)
            if b"GPS" in xmp:  # written in a way that is not known here: rather no XMP than the place
                xmp = None
        texts = tuple(text for text in self.texts if b"gps" not in text[1].partition(b"\0")[0].lower())
        return replace(self, exif=(self.exif and exif_data.without_gps(self.exif)) or None, xmp=xmp, texts=texts)


NOTHING = Metadata()


def from_info(info: Mapping[Any, Any]) -> Metadata:
    """The metadata that Pillow has in the `info` of an image."""
    exif = _bounded(info.get("exif"))
    if exif is not None:
        exif = exif.removeprefix(_EXIF_HEADER)
    xmp = info.get("xmp", info.get("XML:com.adobe.xmp"))
    if isinstance(xmp, str):
        xmp = xmp.encode()
    resources = info.get("photoshop")
    iptc = resources.get(_IPTC_RESOURCE) if isinstance(resources, Mapping) else None
    return Metadata(
        exif if exif and exif_data.parsed(exif) is not None else None,
        _packet(_bounded(xmp)),
        _bounded(iptc) or _bounded(info.get("iptc")),
        _dpi(info.get("dpi")),
        tuple(info.get("png_texts", ())),
    )


def iptc_of(resources: bytes) -> bytes | None:
    """The IPTC-IIM records in a block of Photoshop's image resources; None if it has none."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        number, name = struct.unpack(">HB", resources[at + 4 : at + 7])
        at += 6 + (name + 2) // 2 * 2
        size = int.from_bytes(resources[at : at + 4], "big")
        if number == _IPTC_RESOURCE:
            return resources[at + 4 : at + 4 + size] or None
        at += 4 + size + size % 2
    return None


def as_resource(iptc: bytes) -> bytes:
    """IPTC-IIM records as a block of Photoshop's image resources."""
    return b"8BIM" + struct.pack(">HHL", _IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


def _bounded(data: object) -> bytes | None:
    return bytes(data) if isinstance(data, bytes | bytearray) and 0 < len(data) <= _LONGEST else None


def _packet(xmp: bytes | None) -> bytes | None:
    """An XMP packet without what fills up its place."""
    xmp = xmp and xmp.rstrip(b"\0 \n")
    return xmp if xmp and b"<" in xmp else None


def _dpi(value: object) -> tuple[float, float] | None:
    try:
        across, down = (float(number) for number in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 1e6 and 1 <= down <= 1e6 else None
