"""A recipe inside a picture file: a text chunk of a PNG, and an XMP property in other formats.

XMP (ISO 16684-1) is text that programs find in a file without knowing its format. So one search reads all formats.
"""

from __future__ import annotations

import html
import os
import re
import struct
from pathlib import Path

from ..files import reason_of
from .refusals import path_name, refusal

_KEY = "styleshuffle"
_NAMESPACE = "urn:styleshuffle:1"
_PROPERTY = re.compile(rb'styleshuffle:recipe="([^"]*)"')
_CHUNK = b"tEXt" + _KEY.encode() + b"\0"


def recipe_text(recipe: str) -> bytes:
    """The content of a text chunk of a PNG with a recipe, which is in ASCII."""
    return _KEY.encode() + b"\0" + recipe.encode("ascii")


def without_recipe(packet: bytes) -> bytes:
    """An XMP packet without the recipe of the picture that it was read from."""
    return _PROPERTY.sub(b"", packet)


def xmp_with(recipe: str, packet: bytes | None = None) -> bytes:
    """An XMP packet with a recipe.

    Args:
        packet: one of the picture, which keeps what it has.
    """
    value = html.escape(recipe).encode("ascii")
    part = b'<rdf:Description rdf:about="" xmlns:styleshuffle="%s" styleshuffle:recipe="%s"/>'
    part %= _NAMESPACE.encode(), value
    if packet is not None and packet.count(b"</rdf:RDF>") == 1:
        return without_recipe(packet).replace(b"</rdf:RDF>", part + b"</rdf:RDF>")
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + part
        + b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def read_recipe(path: str | os.PathLike[str]) -> str:
    """The recipe that `write` put into a file; nothing is decoded.

    Raises:
        PictureError: the file cannot be read, or holds no recipe.
    """
    name = path_name(path)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise refusal(name, f"cannot be read ({reason_of(error)})", "check the path") from error
    start = data.find(_CHUNK)
    if start >= 4:
        (length,) = struct.unpack(">I", data[start - 4 : start])
        return data[start + len(_CHUNK) : start + 4 + length].decode("ascii", "replace")
    match = _PROPERTY.search(data)
    if match is None:
        raise refusal(name, "holds no recipe", "name a result that styleshuffle wrote without --no-recipe")
    return html.unescape(match[1].decode("ascii", "replace"))
