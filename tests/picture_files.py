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


def icc(space, connection, kind, tags):
    """A version 2 ICC profile from its tags."""
    white = struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061)
    text = b"desc" + struct.pack(">II", 0, 2) + b"t\0" + bytes(78)
    tags = {b"wtpt": white, b"desc": text, b"cprt": b"text" + bytes(4) + b"x\0", **tags}
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + body


def gamma_curve(gamma):
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


def parametric_curve(kind, *numbers):
    return b"para" + struct.pack(f">IHH{len(numbers)}i", 0, kind, 0, *(round(number * 65536) for number in numbers))


SRGB_CURVE = parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

# Columns are the XYZ of red, green and blue, adapted to D50, as the published profiles have them.
PRIMARIES = {
    "Display P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "Adobe RGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "ProPhoto": ((0.7977, 0.2880, 0.0000), (0.1352, 0.7119, 0.0000), (0.0313, 0.0001, 0.8249)),
}
CURVES = {"Display P3": SRGB_CURVE, "Adobe RGB": gamma_curve(563 / 256), "ProPhoto": gamma_curve(1.8)}


def rgb_profile(name):
    """A profile of curves and a matrix: Display P3, Adobe RGB or ProPhoto."""
    tags = {}
    for channel, column in zip(b"rgb", PRIMARIES[name], strict=True):
        tags[bytes([channel]) + b"XYZ"] = struct.pack(">4sI3i", b"XYZ ", 0, *(round(part * 65536) for part in column))
        tags[bytes([channel]) + b"TRC"] = CURVES[name]
    return icc(b"RGB ", b"XYZ ", b"mntr", tags)
