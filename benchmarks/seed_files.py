"""Small picture files of every format and kind, made by code: what `fuzz.py` begins with."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 40, 33
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def seed_files() -> dict[str, bytes]:
    """Files by name; the formats of extras only where these are installed."""
    files: dict[str, bytes] = {}
    for name, make in _MAKERS.items():
        with contextlib.suppress(OSError, ImportError, KeyError, ValueError):  # this Pillow cannot write it
            files[name] = make()
    return files


def _pixels(channels: int = 3) -> np.ndarray:
    """A smooth picture with some noise, uint8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(x / (3 + c)) + np.cos(y / (5 - c)) for c in range(channels)]
    noise = np.random.default_rng(0).normal(0, 6, (HEIGHT, WIDTH, channels))
    return (128 + 60 * np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)


def _image(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(_pixels(1)[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(_pixels(1)[..., 0].astype(np.float32) / 255)
    if mode in ("RGBA", "LA"):
        image = Image.fromarray(_pixels(4))
        return image if mode == "RGBA" else image.convert("LA")
    return Image.fromarray(_pixels()).convert(mode)


def _metadata() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 300.0
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif.tobytes(), "icc_profile": profile}


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _file(mode: str, format: str, **options: Any) -> Callable[[], bytes]:
    return lambda: _saved(_image(mode), format, **options)


def _with_metadata(mode: str, format: str, **options: Any) -> Callable[[], bytes]:
    return lambda: _saved(_image(mode), format, **_metadata(), **options)


def _frames(format: str, **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        first, *others = (_image("RGB").rotate(angle) for angle in (0, 90, 180))
        return _saved(first, format, save_all=True, append_images=others, **options)

    return make


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(depth: int, colour: int, channels: int, extra: bytes = b"", interlaced: int = 0) -> Callable[[], bytes]:
    """A PNG from its scan lines, for what Pillow cannot write."""

    def make() -> bytes:
        random, data = np.random.default_rng(1), b""
        for left, top, across, down in _ADAM7 if interlaced else [(0, 0, 1, 1)]:
            width, height = len(range(left, WIDTH, across)), len(range(top, HEIGHT, down))
            lines = random.integers(0, 256, (height, 1 + -(-width * channels * depth // 8)), np.uint8)
            lines[:, 0] %= 5  # the filter of each line
            data += lines.tobytes()
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
        body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + body

    return make


def _tiff(samples: int, bits: int, form: int, planar: int, big_endian: bool) -> Callable[[], bytes]:
    """An uncompressed TIFF of deep pixels, for what Pillow cannot write."""

    def make() -> bytes:
        e = ">" if big_endian else "<"
        data = np.random.default_rng(2).integers(0, 256, WIDTH * HEIGHT * samples * bits // 8, np.uint8).tobytes()
        tags = {256: WIDTH, 257: HEIGHT, 259: 1, 262: 2 if samples >= 3 else 1, 277: samples, 278: HEIGHT, 284: planar}
        each = len(data) // (samples if planar == 2 else 1)
        start = 8 + 2 + 12 * (len(tags) + 4) + 4
        lists = {258: [bits] * samples, 339: [form] * samples}
        lists[273] = [start + 6 * 8 * samples + each * index for index in range(samples if planar == 2 else 1)]
        lists[279] = [each] * len(lists[273])
        entries, behind = [], b""
        for tag, value in sorted({**tags, **lists}.items()):
            values = value if isinstance(value, list) else [value]
            packed = struct.pack(f"{e}{len(values)}I", *values)
            entry = packed if len(values) == 1 else struct.pack(e + "I", start + len(behind))
            behind += packed if len(values) > 1 else b""
            entries.append(struct.pack(e + "HHI", tag, 4, len(values)) + entry)
        head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(e + "IH", 8, len(entries))
        return (head + b"".join(entries) + bytes(4) + behind).ljust(start + 48 * samples, b"\0") + data

    return make


_EXTRA_CHUNKS = (
    chunk(b"gAMA", struct.pack(">I", 45455))
    + chunk(b"tEXt", b"Comment\0hello")
    + chunk(b"zTXt", b"More\0\0" + zlib.compress(b"hello " * 50))
    + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>")
    + chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    + chunk(b"cHRM", bytes(32))
)


def _heif() -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return _saved(_image("RGB"), "HEIF")


def _deep_heif() -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pixels = _pixels().astype(np.uint16) * 257
    pillow_heif.from_bytes("RGB;16", pixels.shape[1::-1], pixels.tobytes()).save(buffer)
    return buffer.getvalue()


def _jpeg_xl() -> bytes:
    import pillow_jxl  # noqa: F401 - registers the format

    return _saved(_image("RGB"), "JXL")


def _tiled_tiff(**options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        import tifffile

        buffer = io.BytesIO()
        tifffile.imwrite(buffer, _pixels().astype(np.uint16) * 257, photometric="rgb", **options)
        return buffer.getvalue()

    return make


_MAKERS: dict[str, Callable[[], bytes]] = {
    **{f"{mode}.png": _file(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "metadata.png": _with_metadata("RGB", "PNG"),
    "palette.png": _file("P", "PNG", transparency=bytes(range(200))),
    "animated.png": _frames("PNG"),
    "chunks.png": _png(8, 2, 3, _EXTRA_CHUNKS),
    "deep.png": _png(16, 2, 3),
    "deep_alpha.png": _png(16, 6, 4),
    "deep_key.png": _png(16, 0, 1, chunk(b"tRNS", b"\x12\x34")),
    "two_bits.png": _png(2, 0, 1),
    "interlaced.png": _png(8, 2, 3, interlaced=1),
    **{f"{mode}.jpg": _file(mode, "JPEG") for mode in ("L", "RGB", "CMYK")},
    "metadata.jpg": _with_metadata("RGB", "JPEG", comment=b"hello", dpi=(72, 72)),
    "progressive.jpg": _file("RGB", "JPEG", progressive=True, subsampling="4:4:4"),
    "restart.jpg": _file("RGB", "JPEG", restart_marker_blocks=2),
    "several.jpg": _frames("MPO"),
    **{f"{mode}.gif": _file(mode, "GIF") for mode in ("L", "P")},
    "transparent.gif": _file("P", "GIF", transparency=3, comment=b"hello"),
    "animated.gif": _frames("GIF", disposal=2, loop=0),
    "lossy.webp": _file("RGB", "WEBP", method=0),
    "lossless.webp": _file("RGBA", "WEBP", lossless=True, method=0),
    "metadata.webp": _with_metadata("RGBA", "WEBP", method=0),
    "animated.webp": _frames("WEBP", method=0),
    **{f"{mode}.tif": _file(mode, "TIFF") for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F")},
    **{f"{kind}.tif": _file("RGB", "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits")},
    "jpeg.tif": _file("RGB", "TIFF", compression="jpeg"),
    "fax.tif": _file("1", "TIFF", compression="group4"),
    "float.tif": _file("F", "TIFF", compression="tiff_lzw"),
    "metadata.tif": _with_metadata("RGB", "TIFF"),
    "pages.tif": _frames("TIFF", compression="tiff_lzw"),
    "deep.tif": _tiff(3, 16, 1, 1, big_endian=False),
    "planar.tif": _tiff(3, 16, 1, 2, big_endian=True),
    "float_colour.tif": _tiff(3, 32, 3, 1, big_endian=False),
    "grey_32.tif": _tiff(1, 32, 1, 1, big_endian=True),
    "tiles.tif": _tiled_tiff(tile=(16, 16)),
    "tiles_zip.tif": _tiled_tiff(tile=(16, 16), compression="zlib", predictor=True),
    "big.tif": _tiled_tiff(bigtiff=True),
    **{f"{mode}.bmp": _file(mode, "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
    "plain.avif": _file("RGB", "AVIF", speed=10),
    "alpha.avif": _with_metadata("RGBA", "AVIF", speed=10),
    "plain.heic": _heif,
    "deep.heic": _deep_heif,
    "plain.jxl": _jpeg_xl,
}

_LARGE: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "L.png": ("L", (9990, 9990), {"compress_level": 1}),
    "RGB.png": ("RGB", (9990, 9990), {"compress_level": 1}),
    "P.png": ("P", (65000, 1500), {"compress_level": 1}),
    "RGBA.png": ("RGBA", (7740, 7740), {"compress_level": 1}),
    "I;16.png": ("I;16", (5770, 5770), {"compress_level": 1}),
    "RGB.jpg": ("RGB", (9990, 9990), {}),
    "CMYK.jpg": ("CMYK", (7740, 7740), {}),
    "progressive.jpg": ("RGB", (9040, 9040), {"progressive": True, "subsampling": "4:4:4"}),
    "L.gif": ("L", (9990, 9990), {}),
    "lossless.webp": ("RGBA", (5990, 5990), {"lossless": True, "method": 0}),
    "lossy.webp": ("RGB", (7060, 7060), {"method": 0}),
    "RGB.tif": ("RGB", (9990, 9990), {"compression": "tiff_lzw"}),
    "1.tif": ("1", (9990, 9990), {"compression": "group4"}),
    "I;16.tif": ("I;16", (5770, 5770), {"compression": "tiff_adobe_deflate"}),
    "F.tif": ("F", (5770, 5770), {"compression": "tiff_lzw"}),
    "RGB.bmp": ("P", (9990, 9990), {}),
    "plain.avif": ("RGB", (6000, 6000), {"speed": 10}),
}
LARGE = tuple(_LARGE)
"""Names of `large_file`."""


@functools.lru_cache(maxsize=4)
def large_file(name: str) -> bytes:
    """A small file of nearly 100 million black pixels, or of as many as are allowed of its kind."""
    mode, size, options = _LARGE[name]
    try:
        return _saved(Image.new(mode, size), Image.registered_extensions()["." + name.rpartition(".")[2]], **options)
    except (OSError, KeyError):  # this Pillow cannot write it
        return b""
