"""Colour profiles: converted to sRGB, or ignored where they are broken."""

import struct

import numpy as np
import pytest
from picture_files import (
    GREYS,
    icc,
    noise,
    read_bytes,
    saved,
    srgb_profile,
    swapped_profile,
)
from PIL import Image

from styleshuffle.images import read


def linear_grey_profile():
    return icc(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, 256)})


def black_only_profile():
    """A CMYK profile in which only K darkens: white where K is 0, black where it is 255."""
    identity = bytes(range(256))
    nodes = b"".join(bytes([0 if node & 1 else 255, 128, 128]) for node in range(16))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + nodes + identity * 3
    return icc(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut, b"A2B1": lut})


def test_srgb_profile_leaves_pixels_untouched():
    pixels = noise()
    content = saved(Image.fromarray(pixels), "PNG", icc_profile=srgb_profile())
    assert np.array_equal(read_bytes(content).rgb, pixels)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_rgb_profile_is_converted(format):
    pixels = noise(channels=4)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = read_bytes(saved(Image.fromarray(pixels), format, icc_profile=swapped_profile(), **options))
    assert abs(picture.rgb.astype(int) - pixels[..., [1, 0, 2]]).max() <= 1
    assert np.array_equal(picture.alpha, pixels[..., 3])


def test_rgb_profile_of_palette_and_grey_pictures():
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([200, 20, 30, 40, 150, 60])
    picture = read_bytes(saved(image, "PNG", icc_profile=swapped_profile()))
    assert abs(picture.rgb[0].astype(int) - [[20, 200, 30], [150, 40, 60]]).max() <= 1
    grey = Image.new("L", (1, 1), 100)
    grey.info["icc_profile"] = swapped_profile()  # the primaries sum to white in either order
    assert abs(read(grey).rgb.astype(int) - 100).max() <= 1


def test_grey_profile_is_converted():
    levels = np.array([[0, 55, 128, 255]], np.uint8)
    linear = levels / 255
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    shallow = read_bytes(saved(Image.fromarray(levels), "PNG", icc_profile=linear_grey_profile()))
    assert abs(shallow.rgb[..., 0] / 255 - expected).max() < 1.5 / 255
    deep = read_bytes(saved(Image.fromarray(levels * np.uint16(257)), "PNG", icc_profile=linear_grey_profile()))
    assert deep.bits == 16 and abs(deep.rgb[..., 0] - expected).max() < 1.5 / 255


def test_cmyk_profile_is_converted():
    pixels = bytes([255, 255, 255, 0, 0, 0, 0, 255])
    image = Image.frombytes("CMYK", (2, 1), pixels)
    image.info["icc_profile"] = black_only_profile()
    assert abs(read(image).rgb[0].astype(int) - [[255] * 3, [0] * 3]).max() <= 1
    content = saved(image.resize((16, 8), Image.Resampling.NEAREST), "JPEG", icc_profile=black_only_profile())
    assert abs(read_bytes(content).rgb[0, [0, -1]].astype(int) - [[255] * 3, [0] * 3]).max() <= 2


@pytest.mark.parametrize("profile", [b"junk", bytes(200), srgb_profile()[:150], linear_grey_profile()])
def test_broken_and_foreign_profiles_are_ignored(profile):
    pixels = noise()
    assert np.array_equal(read_bytes(saved(Image.fromarray(pixels), "PNG", icc_profile=profile)).rgb, pixels)
    deep = read_bytes(saved(Image.fromarray(GREYS), "PNG", icc_profile=b"junk"))
    assert np.array_equal(deep.rgb[..., 0], GREYS.astype(np.float32) / 65535)
