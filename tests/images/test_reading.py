"""Reading pictures: known answers on small pictures made here, in all formats, modes, depths and orientations."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import environment
from picture_files import (
    GREYS,
    chunk,
    noise,
    png,
    read_bytes,
    saved,
    stored,
    tiff,
)
from PIL import Image

from styleshuffle.images import WRITABLE, read, write

# ------------------------------------------------------------------------------------------------------ formats and modes


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_files_come_back_exactly(tmp_path, format):
    pixels = noise()
    path = tmp_path / "picture.bin"  # the content decides, not the suffix
    path.write_bytes(saved(Image.fromarray(pixels), format, **({"lossless": True} if format == "WEBP" else {})))
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        picture = read(source)
        assert picture.rgb.dtype == np.uint8 and np.array_equal(picture.rgb, pixels)
        assert picture.alpha is None and picture.bits == 8 and picture.size == (30, 24)


def test_jpeg_is_read_close_to_its_source():
    pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    picture = read_bytes(saved(Image.fromarray(pixels), "JPEG", quality=95))
    assert abs(picture.rgb.astype(int) - pixels).max() <= 2


def test_first_frame_and_first_page_are_read():
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    for format, options in (("GIF", {}), ("TIFF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        content = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert Image.open(io.BytesIO(content)).n_frames == 3
        assert read_bytes(content).rgb.reshape(-1, 3).tolist() == [[255, 0, 0]] * 12


@pytest.mark.parametrize(
    "image, expected",
    [
        (Image.frombytes("L", (3, 1), bytes([0, 77, 255])), [[0] * 3, [77] * 3, [255] * 3]),
        (Image.frombytes("1", (3, 1), bytes([0b01000000])), [[0] * 3, [255] * 3, [0] * 3]),
        (Image.frombytes("CMYK", (2, 1), bytes([255, 0, 0, 0, 0, 0, 0, 255])), [[0, 255, 255], [0, 0, 0]]),
        (Image.frombytes("RGBX", (1, 1), bytes([1, 2, 3, 9])), [[1, 2, 3]]),
        (Image.frombytes("YCbCr", (1, 1), bytes([90, 128, 128])), [[90] * 3]),
        (Image.frombytes("HSV", (1, 1), bytes([0, 255, 255])), [[255, 0, 0]]),
    ],
)
def test_modes_become_rgb(image, expected):
    picture = read(image)
    assert picture.rgb[0].tolist() == expected and picture.alpha is None


def test_lab_becomes_rgb():
    lab = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 0, 0, 0]))
    assert abs(read(lab).rgb[0].astype(int) - [[255] * 3, [0] * 3]).max() <= 1


def test_palette_is_looked_up():
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for source in (image, io.BytesIO(saved(image, "PNG")), io.BytesIO(saved(image, "BMP"))):
        assert read(source).rgb[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


def test_adobe_cmyk_jpeg_is_not_inverted():
    content = saved(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", quality=95)
    assert b"Adobe" in content
    assert read_bytes(content).rgb.min() == 255


# ------------------------------------------------------------------------------------------------------------------ alpha


def test_rgba_and_la_keep_their_alpha():
    rgba = noise(channels=4)
    picture = read_bytes(saved(Image.fromarray(rgba), "PNG"))
    assert np.array_equal(picture.rgb, rgba[..., :3]) and np.array_equal(picture.alpha, rgba[..., 3])
    la = read(Image.frombytes("LA", (2, 1), bytes([9, 0, 8, 200])))
    assert la.rgb[0].tolist() == [[9] * 3, [8] * 3] and la.alpha.tolist() == [[0, 200]]


def test_opaque_alpha_is_none():
    assert read(Image.new("RGBA", (2, 2), (1, 2, 3, 255))).alpha is None
    assert read(Image.new("RGBA", (2, 2), (1, 2, 3, 254))).alpha.tolist() == [[254] * 2] * 2


@pytest.mark.parametrize("transparency, alpha", [(1, [255, 0, 255]), (bytes([255, 128, 0]), [255, 128, 0])])
def test_palette_transparency(transparency, alpha):
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture = read_bytes(saved(image, "PNG", transparency=transparency))
    assert picture.rgb[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert picture.alpha.tolist() == [alpha]


def test_palette_with_an_alpha_band():
    image = Image.frombytes("PA", (2, 1), bytes([0, 7, 1, 255]))
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert read(image).rgb[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    assert read(image).alpha.tolist() == [[7, 255]]


def test_colour_keys_become_alpha():
    grey = Image.frombytes("L", (3, 1), bytes([0, 77, 255]))
    assert read_bytes(saved(grey, "PNG", transparency=77)).alpha.tolist() == [[255, 0, 255]]
    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    picture = read_bytes(saved(rgb, "PNG", transparency=(4, 5, 6)))
    assert picture.alpha.tolist() == [[255, 0]] and picture.rgb[0].tolist() == [[1, 2, 3], [4, 5, 6]]
    line = struct.pack(">BHHH", 0, 0, 40000, 65535)
    deep = read_bytes(png(3, 1, 16, 0, line, chunk(b"tRNS", struct.pack(">H", 40000))))
    assert deep.alpha.tolist() == [[255, 0, 255]] and deep.bits == 16


# ---------------------------------------------------------------------------------------------------------- deep pictures


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_precision(format):
    picture = read_bytes(saved(Image.fromarray(GREYS), format))
    assert picture.bits == 16 and picture.rgb.dtype == np.float32
    for channel in range(3):
        assert np.array_equal(picture.rgb[..., channel], GREYS.astype(np.float32) / 65535)
    assert torch.equal(picture.tensor()[0, 0], torch.from_numpy(GREYS.astype(np.float32) / 65535))


def test_16_bit_grey_in_all_its_modes():
    expected = GREYS.astype(np.float32) / 65535
    sources = [
        Image.frombytes("I;16", (5, 1), GREYS.astype("<u2").tobytes()),
        Image.frombytes("I;16B", (5, 1), GREYS.astype(">u2").tobytes()),
        Image.fromarray(GREYS.astype(np.int32)),
        io.BytesIO(tiff(5, 1, 16, 1, GREYS.astype(">u2").tobytes(), big_endian=True)),
    ]
    for source in sources:
        assert np.array_equal(read(source).rgb[..., 1], expected)


def test_white_is_zero_and_12_bit_tiffs():
    inverted = read_bytes(tiff(5, 1, 16, 0, GREYS.astype("<u2").tobytes()))
    assert np.allclose(inverted.rgb[..., 0], 1 - GREYS / 65535, atol=1e-7)
    twelve = read_bytes(tiff(2, 1, 12, 1, bytes([0xFF, 0xF8, 0x00])))
    assert np.allclose(twelve.rgb[0, :, 0], [1, 2048 / 4095], atol=1e-7)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.0, 0.25, 1.0], [0, 0.25, 1]),
        ([0.0, 64.0, 256.0], [0, 0.25, 1]),
        ([-3.0, float("nan"), 0.5], [0, 0, 0.5]),
        ([float("inf"), 0.5, 0.25], [0, 0.5, 0.25]),
    ],
)
def test_float_tiff(values, expected):
    picture = read_bytes(saved(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert picture.bits == 16 and picture.rgb[0, :, 2].tolist() == expected


def test_32_bit_grey_is_scaled_by_its_largest_value():
    assert read(Image.fromarray(np.array([[0, 50000, 200000]], np.int32))).rgb[0, :, 0].tolist() == [0, 0.25, 1]


def test_16_bit_rgb_colour_key():
    key = struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)
    content = png(2, 1, 16, 2, b"\0" + key + bytes(6), chunk(b"tRNS", key))
    assert read_bytes(content).alpha.tolist() == [[0, 255]]


# ------------------------------------------------------------------------------------------------------------ orientation


UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "format, options",
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True, "exact": True}),
        ("JPEG", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_exif_orientation_is_applied_once(format, options, orientation):
    stored = 40 * np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    tiles = np.kron(stored, np.ones((8, 8), np.uint8))  # blocks, which JPEG keeps
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgba = np.dstack([tiles] * 3 + [tiles // 2])
    image = Image.fromarray(rgba[..., :3] if format == "JPEG" else rgba)
    picture = read_bytes(saved(image, format, exif=exif, **options))
    expected = np.kron(40 * np.array(UPRIGHT[orientation]), np.ones((8, 8)))
    assert picture.rgb.shape[:2] == expected.shape
    assert abs(picture.rgb - expected[..., None]).max() <= (1 if format == "JPEG" else 0)
    if format != "JPEG":
        assert np.array_equal(picture.alpha, expected // 2)


def test_orientation_of_deep_pictures_and_none_in_the_result(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint16)), "PNG", exif=exif)
    assert (read_bytes(content).rgb[..., 0] * 65535).round().tolist() == UPRIGHT[6]
    for suffix in WRITABLE:
        write(Image.open(io.BytesIO(content)), tmp_path / f"out{suffix}")
        result = stored(tmp_path / f"out{suffix}")
        assert result.size == (2, 3) and result.getexif().get(0x0112, 1) == 1


def test_broken_exif_and_odd_orientations_are_ignored():
    for exif in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        content = saved(Image.new("RGB", (3, 2)), "JPEG", exif=exif)
        assert read_bytes(content).size == (3, 2)
    exif = Image.Exif()
    exif[0x0112] = 99
    assert read_bytes(saved(Image.new("RGB", (3, 2)), "PNG", exif=exif)).size == (3, 2)


def test_import_is_light():
    code = "import sys, styleshuffle.images; print('torch' in sys.modules, 'torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.stdout.split() == ["False", "False"], done.stderr
