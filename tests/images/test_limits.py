"""What a picture may cost is bounded before it is decoded, and other users of Pillow do not notice."""

import io
import struct
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from helpers import environment, raising
from picture_files import noise, png, read_bytes, refused, saved
from PIL import Image, ImageFile

from styleshuffle import images
from styleshuffle.errors import PictureError
from styleshuffle.images import read


def gif(screen, frame, disposal=0):
    """A GIF of a (width, height) with a single frame at another size, and hardly any data."""
    control = b"!\xf9\x04" + struct.pack("<BHBB", disposal << 2, 0, 0, 0)
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + control + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\0;"


def webp(width, height):
    """The header of a lossless WebP, with hardly any data."""
    body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(40)
    part = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(part)) + b"WEBP" + part


def tiled_tiff(size, tile):
    """A compressed grey TIFF of a (width, height) in tiles of another size, with hardly any data."""
    tags = {256: size[0], 257: size[1], 258: 8, 259: 8, 262: 1, 277: 1, 322: tile[0], 323: tile[1], 324: 8, 325: 16}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + struct.pack("<H", len(tags)) + entries + bytes(4)


def in_scans(scans):
    """A progressive JPEG of 64 x 64 whose last scan is repeated."""
    content = saved(Image.fromarray(noise(64, 64)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * scans + content[-2:]


BOMBS = {
    "frame.gif": (gif((1, 1), (65535, 65535)), "is 65535 x 65535"),
    "disposed.gif": (gif((1, 1), (65535, 65535), disposal=2), "is 65535 x 65535"),
    "screen.gif": (gif((65535, 65535), (1, 1)), "is 65535 x 65535"),
    "lossless.webp": (webp(16383, 16383), "is 16383 x 16383"),
    "canvas.webp": (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\0\xff\xff\0" + bytes(8), "65536 x 65536"),
    "grey.png": (png(60000, 60000, 8, 0, b""), "is 60000 x 60000"),
    "deep.png": (png(9000, 9000, 16, 0, b""), "takes about 2.2 GB of memory"),
    "clear.png": (png(9999, 9999, 8, 6, b""), "takes about 1.5 GB of memory"),
    "tile.tif": (tiled_tiff((10, 10), (60000, 60000)), "takes about 32.4 GB of memory"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_any_room_is_made_for_it(name, tmp_path):
    resource = pytest.importorskip("resource")
    content, reason = BOMBS[name]
    (tmp_path / name).write_bytes(content)
    script = f"""
import resource, sys
from styleshuffle.errors import PictureError
from styleshuffle.images import read
resource.setrlimit(resource.RLIMIT_DATA, (400 * 2**20, {resource.RLIM_INFINITY}))
try:
    read(sys.argv[1], max_pixels=100_000_000)
except PictureError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.stdout.startswith(f"{tmp_path / name}: ") and reason in done.stdout, done.stdout + done.stderr


def test_a_deep_picture_may_have_fewer_pixels_than_a_plain_one():
    deep, plain = png(40, 25, 16, 0, bytes(25 * 81)), png(40, 25, 8, 0, bytes(25 * 41))
    assert read(io.BytesIO(plain), max_pixels=1000).size == (40, 25)
    assert "limit of 999" in refused(read, io.BytesIO(plain), max_pixels=999)
    assert "raise `max_pixels`" in refused(read, io.BytesIO(deep), max_pixels=1000)
    assert read(io.BytesIO(deep), max_pixels=3000).size == (40, 25)


def test_a_jpeg_that_draws_its_pixels_over_and_over_is_refused():
    assert read(io.BytesIO(in_scans(0)), max_pixels=6000).size == (64, 64)
    assert "draws its pixels" in refused(read, io.BytesIO(in_scans(40)), max_pixels=6000)
    assert read_bytes(in_scans(40)).size == (64, 64)  # a small picture may


class Endless(io.RawIOBase):
    """A stream that never ends."""

    name = "<endless>"

    def read(self, size=-1):
        assert size >= 0, "asked for all of it"
        return bytes(size)


def test_a_stream_is_read_up_to_a_limit():
    assert refused(read, Endless(), max_pixels=1000).startswith("<endless>: holds more than 1,052,576 bytes")


# ------------------------------------------------------------------------------------- any error of a decoder is ours


def test_a_palette_picture_without_a_palette():
    assert "damaged" in refused(read_bytes, png(4, 4, 8, 3, bytes(20)))


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("x"), SystemError("y"), KeyError(3), RecursionError()])
@pytest.mark.parametrize("where", ["reading._decode", "opening._by_pillow", "opening.check_decoding"])
def test_whatever_a_decoder_raises_is_a_picture_error(monkeypatch, where, error):
    monkeypatch.setattr(f"styleshuffle.images.{where}", raising(error))
    assert "damaged or cut short" in refused(read_bytes, saved(Image.new("RGB", (2, 2)), "PNG"))


# ------------------------------------------------------------------------------------------ guests in a program of others


class Watched(Image.Image):
    """A picture that says what another thread sees of Pillow while this thread decodes."""

    def load(self):
        def look():
            try:
                Image._decompression_bomb_check((20, 20))
            except Image.DecompressionBombError:
                self.seen.append("refused")
            self.seen.append((Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return super().load()


def test_other_threads_keep_pillows_limits(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    picture = Watched()
    picture.im, picture._size, picture._mode, picture.seen = Image.core.new("RGB", (20, 20)), (20, 20), "RGB", []
    before = list(warnings.filters)
    assert read(picture, max_pixels=400).size == (20, 20)
    assert picture.seen[:2] == ["refused", (100, False, before)]
    with pytest.raises(Image.DecompressionBombError):  # and this thread has them back
        Image.open(io.BytesIO(saved(Image.new("RGB", (20, 20)), "PNG")))


def test_pictures_are_read_in_several_threads_each_with_its_own_limit():
    content = saved(Image.fromarray(noise(30, 30)), "PNG")
    outcomes = []

    def work(limit):
        for _ in range(20):
            try:
                read(io.BytesIO(content), max_pixels=limit)
                outcomes.append((limit, "read"))
            except PictureError:
                outcomes.append((limit, "refused"))

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (899, 900, 899, 900)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {(899, "refused"), (900, "read")} and len(outcomes) == 80


def test_pixels_are_copied_whole_in_bands(monkeypatch):
    pixels = noise(37, 11)
    monkeypatch.setattr(images.arrays, "_BAND", 50)
    for image in (Image.fromarray(pixels), Image.fromarray(pixels[..., 0]), Image.fromarray(pixels).convert("RGBA")):
        assert np.array_equal(images.arrays.pixels_of(image), np.asarray(image))
