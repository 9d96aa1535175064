"""Encode pixels and metadata in the formats that are written."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from . import exif as exif_data
from . import png_chunks, png_pixels, tiff_writing
from .embedding import recipe_text, xmp_with
from .formats import prepare_writing
from .metadata import NOTHING, Metadata, as_resource

DEEP_FORMATS = ("PNG", "TIFF")
OPAQUE_FORMATS = ("JPEG",)
PROFILE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")

_LONGEST_SEGMENT = 65533  # bytes in a segment of a JPEG, with the length itself
_ROOM = _LONGEST_SEGMENT - 40  # beside the name of the block
_EXIF_HEADER = b"Exif\0\0"
_NO_IPTC = "IPTC is not written to {} files; write JPEG, PNG or TIFF to keep it"


@dataclass
class Plate:
    """What is to be encoded.

    Attributes:
        pixels: (H, W, n), uint8 or uint16: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        profile: the ICC profile of the colours; None is sRGB, which is not embedded.
        metadata: that describes these pixels.
        recipe: text in ASCII; see `embedding`.
        losses: receives what the format cannot hold, in words.
    """

    pixels: np.ndarray
    profile: bytes | None = None
    metadata: Metadata = NOTHING
    recipe: str | None = None
    losses: list[str] = field(default_factory=list)

    def png_chunks(self) -> list[bytes]:
        """Profile and metadata as chunks of a PNG file."""
        metadata, chunks = self.metadata, []
        if self.profile:
            chunks.append(png_chunks.profile_chunk(self.profile))
        if metadata.dpi:
            chunks.append(png_chunks.resolution_chunk(metadata.dpi))
        if metadata.exif:
            chunks.append(png_chunks.chunk(b"eXIf", metadata.exif))
        if metadata.xmp:
            chunks.append(png_chunks.xmp_chunk(metadata.xmp))
        if metadata.iptc:
            chunks.append(png_chunks.iptc_chunk(metadata.iptc))
        chunks += [png_chunks.chunk(*text) for text in metadata.texts]
        if self.recipe is not None:
            chunks.append(png_chunks.chunk(b"tEXt", recipe_text(self.recipe)))
        return chunks

    @property
    def xmp(self) -> bytes | None:
        """The XMP of the metadata, with the recipe in it."""
        return self.metadata.xmp if self.recipe is None else xmp_with(self.recipe, self.metadata.xmp)

    @property
    def image(self) -> Image.Image:
        """The pixels, of 8 bits, for Pillow."""
        return Image.fromarray(self.pixels[..., 0] if self.pixels.shape[2] == 1 else self.pixels)


def encoded(plate: Plate, encoding: str) -> bytes:
    """The bytes of a file. An encoder may raise any error."""
    return _ENCODERS[encoding](plate)


def _jpeg(plate: Plate) -> bytes:
    metadata = _for_segments(plate)
    options: dict[str, Any] = {"exif": _EXIF_HEADER + metadata.exif} if metadata.exif else {}
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    content = _saved(plate.image, "JPEG", quality=95, subsampling="4:4:4", icc_profile=plate.profile, **options)
    segments = b""
    xmp = plate.xmp
    if xmp and len(xmp) > _ROOM:
        xmp = None if plate.recipe is None else xmp_with(plate.recipe)
        plate.losses.append("the XMP data is too large for JPEG, so it was left out")
    if xmp:
        segments += _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    if metadata.iptc:
        segments += _segment(0xED, b"Photoshop 3.0\0" + as_resource(metadata.iptc))
    at = _after_headers(content)
    return content[:at] + segments + content[at:]


def _for_segments(plate: Plate) -> Metadata:
    """The metadata that fits into segments of a JPEG."""
    metadata = plate.metadata
    if metadata.exif and len(metadata.exif) > _ROOM:
        metadata = replace(metadata, exif=exif_data.without_maker_note(metadata.exif))
        plate.losses.append("the camera's maker note is too large for JPEG, so it was left out")
    for name in ("exif", "iptc"):
        block = getattr(metadata, name)
        if block and len(block) > _ROOM:
            without: dict[str, Any] = {name: None}
            metadata = replace(metadata, **without)
            plate.losses.append(f"the {name.upper()} data is too large for JPEG, so it was left out")
    return metadata


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _after_headers(jpeg: bytes) -> int:
    """Where JFIF and EXIF end."""
    at = 2
    while jpeg[at : at + 2] in (b"\xff\xe0", b"\xff\xe1"):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at


def _png(plate: Plate) -> bytes:
    deep = plate.pixels.dtype == np.uint16
    content = png_pixels.encoded(plate.pixels) if deep else _saved(plate.image, "PNG")
    return png_chunks.with_chunks(content, plate.png_chunks())


def _tiff(plate: Plate) -> bytes:
    metadata = plate.metadata
    base = exif_data.parsed(metadata.exif) if metadata.exif else None
    blocks = {700: plate.xmp, 33723: metadata.iptc, 34675: plate.profile}
    return tiff_writing.encoded(plate.pixels, base, blocks, metadata.dpi)


def _webp(plate: Plate) -> bytes:
    return _saved(plate.image, "WEBP", quality=95, icc_profile=plate.profile or b"", **webp_blocks(plate))


def webp_blocks(plate: Plate) -> dict[str, Any]:
    """The metadata as Pillow takes it for WebP."""
    return _blocks(plate, "WebP")


def _avif(plate: Plate) -> bytes:
    options = {"quality": 90, "subsampling": "4:4:4", "icc_profile": plate.profile or b""}
    blocks = _blocks(plate, "AVIF")
    if "exif" in blocks:  # Pillow would write EXIF with an orientation anew
        blocks["exif"] = exif_data.without_orientation(blocks["exif"].removeprefix(_EXIF_HEADER)) or b""
    return _saved(plate.image, "AVIF", **options, **blocks)


def _jxl(plate: Plate) -> bytes:
    prepare_writing("JXL")
    return _saved(plate.image, "JXL", quality=95, **_blocks(plate, "JPEG XL"))


def _blocks(plate: Plate, format: str) -> dict[str, Any]:
    metadata = plate.metadata
    if metadata.iptc:
        plate.losses.append(_NO_IPTC.format(format))
    blocks = {"exif": metadata.exif and _EXIF_HEADER + metadata.exif, "xmp": plate.xmp}
    return {name: block for name, block in blocks.items() if block}


def _saved(image: Image.Image, encoding: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=encoding, **options)
    return buffer.getvalue()


_ENCODERS: dict[str, Callable[[Plate], bytes]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WEBP": _webp,
    "AVIF": _avif,
    "JXL": _jxl,
}
