"""Files of pictures made by code, among them those that Pillow cannot write."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from styleshuffle.errors import PictureError
from styleshuffle.images import read


def noise(height=24, width=30, channels=3, seed=0):
    """Smooth noise, uint8, which no format can compress to nothing."""
    coarse = np.random.default_rng(seed).integers(0, 256, (1 + height // 6, 1 + width // 6, channels), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def saved(image, format, **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def stored(path):
    """A file as Pillow sees it, left closed."""
    return Image.open(io.BytesIO(path.read_bytes()))


def read_bytes(content):
    return read(io.BytesIO(content))


def refused(call, *args, **kwargs):
    """The one-line message with which a call is refused."""
    with pytest.raises(PictureError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert ": " in message and "; " in message  # name: reason; remedy
    return message


def chunk(kind, body):
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour_type, data, extra=b""):
    """A PNG file from its raw scan lines, for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(width, height, bits, photometric, data, big_endian=False):
    """A grey TIFF of one uncompressed strip whose directory precedes the pixels."""
    e = ">" if big_endian else "<"
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height, 279: len(data)}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack(e + "HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    start = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(e + "I", 8)
    return start + struct.pack(e + "H", len(tags)) + entries + struct.pack(e + "I", 0) + data


GREYS = np.array([[0, 1, 257, 32768, 65535]], np.uint16)


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile():
    """sRGB with its red and green primaries exchanged."""
    profile = srgb_profile()
    assert profile.count(b"rXYZ") == profile.count(b"gXYZ") == 1
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
