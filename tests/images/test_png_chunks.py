"""What lies beside the pixels of a PNG must not keep anybody from seeing it."""

import io
import os
import zlib

import numpy as np
import pytest
from picture_files import chunk, noise, read_bytes, refused, rgb_profile, saved, srgb_profile
from PIL import Image

from styleshuffle.images.splicing import Spliced

BARE = saved(Image.fromarray(noise()), "PNG")


def with_extra(*chunks, at=33):
    return BARE[:at] + b"".join(chunks) + BARE[at:]


def packed_text(length):
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(length)))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000),
        packed_text(2_000_000),
        packed_text(50_000_000),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iTXt", b"cut"),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n9\nzz")),
        chunk(b"tEXt", b"Title\0words")[:-1] + b"?",  # a wrong checksum
        chunk(b"eXIf", b"II*\0junk")[:-1] + b"?",
        chunk(b"iCCP", b"p\0\0junk"),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000))),
        chunk(b"teSt", b"nobody knows"),
    ],
    ids=lambda extra: f"{extra[4:8].decode()}-{len(extra)}",
)
def test_oddities_beside_the_pixels(extra):
    for content in (with_extra(extra), with_extra(extra, at=len(BARE) - 12)):
        assert np.array_equal(read_bytes(content).rgb, noise())


def test_a_large_profile_counts():
    profile = rgb_profile("Display P3")
    noise_bytes = os.urandom(1_500_000)
    large = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile + noise_bytes))
    picture = read_bytes(with_extra(large))
    assert picture.profile == profile + noise_bytes
    assert not np.array_equal(picture.rgb, noise())
    assert read_bytes(with_extra(chunk(b"iCCP", b"p\0\0" + zlib.compress(srgb_profile())))).profile == srgb_profile()


def test_damage_of_the_pixels_is_still_refused():
    at = BARE.index(b"IDAT") + 20
    assert "damaged or cut short" in refused(read_bytes, BARE[:at] + bytes([BARE[at] ^ 255]) + BARE[at + 1 :])
    assert "damaged or cut short" in refused(read_bytes, BARE[: len(BARE) // 2])


def test_spliced_files_read_like_whole_ones():
    file = io.BytesIO(b"0123456789")
    spliced = Spliced(file, [b"ab", (2, 5), b"", (7, 7), b"c", (8, 20)])
    whole = b"ab234c89"
    assert spliced.read() == whole and spliced.read() == b""
    for start in range(10):
        for size in range(10):
            spliced.seek(start)
            assert spliced.read(size) == whole[start : start + size]
    assert spliced.seek(-3, io.SEEK_END) == 15  # the last piece promised twelve bytes
    spliced.seek(0)
    buffer = bytearray(5)
    assert spliced.readinto(buffer) == 5 and buffer == b"ab234" and spliced.tell() == 5
