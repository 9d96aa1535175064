"""Reading and writing pictures: known answers on small pictures made here, and every refusal."""

import errno
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile

from styleshuffle import images
from styleshuffle.errors import PictureError, SettingsError
from styleshuffle.images import READABLE, WRITABLE, Picture, check_target, fit_size, read, to_pil, write

ROOT = Path(__file__).resolve().parents[2]


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


def listing(folder):
    return sorted(os.listdir(folder))


# ------------------------------------------------------------------------------------------------ formats and modes


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


# ------------------------------------------------------------------------------------------------------------ alpha


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


# ------------------------------------------------------------------------------------------------------ deep pictures


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


def test_16_bit_rgb_is_read_at_8_bits_not_clipped():
    words = np.array([0, 0x1234, 0xFFFF, 0x8000, 0x7FFF, 0xABCD], ">u2").tobytes()
    picture = read_bytes(png(2, 1, 16, 2, b"\0" + words))
    assert picture.bits == 8
    assert abs(picture.rgb[0].astype(int) - [[0, 0x12, 0xFF], [0x80, 0x7F, 0xAB]]).max() <= 1


def test_16_bit_rgb_colour_key():
    key = struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)
    content = png(2, 1, 16, 2, b"\0" + key + bytes(6), chunk(b"tRNS", key))
    assert read_bytes(content).alpha.tolist() == [[0, 255]]


# ------------------------------------------------------------------------------------------------------- orientation

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


# ---------------------------------------------------------------------------------------------------- colour profiles


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


# ------------------------------------------------------------------------------------------- Pillow, tensors, arrays


def test_pillow_image_is_not_changed():
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.info["transparency"] = 1
    read(image)
    assert image.mode == "P" and image.tobytes() == bytes([0, 1]) and image.info == {"transparency": 1}


def test_tensors_and_arrays():
    pixels = noise()
    chw = torch.from_numpy(pixels).permute(2, 0, 1)
    for source in (pixels, chw, chw[None], np.asfortranarray(pixels)):
        picture = read(source)
        assert picture.bits == 8 and np.array_equal(picture.rgb, pixels)
    unit = chw.double() / 255
    for source in (unit, unit.float()[None].requires_grad_(), unit.permute(1, 2, 0).numpy()):
        picture = read(source)
        assert picture.bits == 16 and picture.rgb.dtype == np.float32
        assert np.allclose(picture.rgb, pixels / 255, atol=1e-7)
        assert np.array_equal(np.array(picture.pil()), pixels)
    assert read(torch.ones(3, 2, 2).bfloat16()).rgb.max() == 1
    source = pixels.copy()
    picture = read(source)
    source[:] = 0
    assert np.array_equal(picture.rgb, pixels)


@pytest.mark.parametrize(
    "source, word",
    [
        (torch.zeros(2, 3, 4, 4), "(2, 3, 4, 4)"),
        (torch.zeros(4, 4, 3), "(4, 4, 3)"),
        (torch.zeros(3, 0, 4), "(3, 0, 4)"),
        (torch.zeros(4, 4), "(4, 4)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "int64"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "bool"),
        (torch.full((3, 4, 4), 255.0), "255"),
        (torch.full((3, 4, 4), -0.5), "-0.5"),
        (torch.full((3, 4, 4), float("nan")), "nan"),
        (np.zeros((4, 4), np.uint8), "(4, 4)"),
        (np.zeros((3, 4, 4), np.uint8), "(3, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.full((4, 4, 3), np.inf), "inf"),
        (Image.new("RGB", (0, 5)), "0 x 5"),
        (17, "int"),
        (None, "NoneType"),
    ],
)
def test_unusable_objects_are_refused(source, word):
    assert word in refused(read, source)


def test_tensor_of_a_picture():
    pixels = noise()
    tensor = read(pixels).tensor()
    assert tensor.shape == (1, 3, 24, 30) and tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert torch.equal(tensor[0], torch.from_numpy(pixels).permute(2, 0, 1) / 255)
    assert torch.equal(read(pixels).tensor((30, 24)), tensor)


def test_tensor_is_a_copy():
    for source in (noise(), noise() / 255):
        picture = read(source)
        before = picture.rgb.copy()
        picture.tensor().zero_()
        assert np.array_equal(picture.rgb, before)


@pytest.mark.parametrize("scale", [1, 255])
def test_resizing_is_antialiased_and_in_range(scale):
    board = np.indices((64, 64)).sum(0) % 2
    source = np.repeat(board[..., None], 3, 2) * (255 if scale == 255 else 1.0)
    picture = read(source.astype(np.uint8 if scale == 255 else np.float32))
    small = picture.tensor((8, 4))
    assert small.shape == (1, 3, 4, 8) and (small[..., 1:-1, 1:-1] - 0.5).abs().max() < 0.02
    edge = np.zeros((8, 8, 3))
    edge[:, 4:] = scale
    large = read(edge.astype(np.uint8 if scale == 255 else np.float32)).tensor((50, 20))
    assert large.shape == (1, 3, 20, 50) and large.min() == 0 and large.max() == 1  # Lanczos overshoots by itself
    flat = read(np.full((7, 5, 3), 0.3)).tensor((3, 3))
    assert torch.allclose(flat, torch.tensor(0.3), atol=1e-6)


def test_resizing_to_nothing_is_refused():
    with pytest.raises(SettingsError):
        read(noise()).tensor((0, 4))


@pytest.mark.parametrize(
    "size, long_side, expected",
    [
        ((400, 300), None, (400, 300)),
        ((400, 300), 200, (200, 150)),
        ((300, 400), 200, (150, 200)),
        ((400, 300), 800, (800, 600)),
        ((5, 5), 7, (7, 7)),
        ((1000, 1), 10, (10, 1)),
        ((3, 1000), 100, (1, 100)),
        ((1000, 667), 500, (500, 334)),  # 333.5
        ((1000, 666), 500, (500, 333)),
    ],
)
def test_fit_size(size, long_side, expected):
    assert fit_size(size, long_side) == expected


@pytest.mark.parametrize("size, long_side", [((4, 3), 0), ((4, 3), -5), ((0, 3), 5), ((4, 0), None)])
def test_fit_size_refusals(size, long_side):
    with pytest.raises(SettingsError, match="; give"):
        fit_size(size, long_side)


def test_to_pil_rounds_and_clips():
    values = torch.tensor([0.0, 1.0, -0.3, 1.7, 0.5 / 255 + 1e-5, 0.5 / 255 - 1e-5, 254.6 / 255, 100.4 / 255])
    expected = [0, 255, 0, 255, 1, 0, 255, 100]
    image = to_pil(values.expand(1, 3, 1, 8))
    assert image.mode == "RGB" and np.array(image)[0, :, 1].tolist() == expected
    levels = torch.arange(256).float() / 255
    assert np.array(to_pil(levels.expand(3, 1, 256)))[0, :, 0].tolist() == list(range(256))
    assert np.array(to_pil(levels.half().expand(3, 1, 256)))[0, :, 0].tolist() == list(range(256))
    assert np.array(to_pil(torch.full((3, 1, 1), 200, dtype=torch.uint8))).tolist() == [[[200] * 3]]


def test_to_pil_leaves_the_tensor_alone():
    tensor = torch.rand(3, 4, 5, requires_grad=True)
    before = tensor.detach().clone()
    to_pil(tensor)
    assert torch.equal(tensor.detach(), before)


def test_to_pil_with_alpha():
    alpha = np.array([[0, 128], [255, 7]], np.uint8)
    image = to_pil(torch.zeros(3, 2, 2), alpha)
    assert image.mode == "RGBA" and np.array(image)[..., 3].tolist() == alpha.tolist()
    assert np.array(to_pil(torch.zeros(3, 2, 2), alpha / 255))[..., 3].tolist() == alpha.tolist()
    grown = np.array(to_pil(torch.zeros(3, 6, 8), np.full((3, 4), 90, np.uint8)))
    assert grown.shape == (6, 8, 4) and (grown[..., 3] == 90).all()


def test_to_pil_refusals():
    assert "finite" in refused(to_pil, torch.full((3, 2, 2), float("nan")))
    assert "(3, 2)" in refused(to_pil, torch.zeros(3, 2))
    assert "the alpha" in refused(to_pil, torch.zeros(3, 2, 2), np.zeros((2, 2, 1), np.uint8))
    assert "int64" in refused(to_pil, torch.zeros(3, 2, 2), np.zeros((2, 2), np.int64))


# ------------------------------------------------------------------------------------------------- refusals of reading


def test_missing_file(tmp_path):
    message = refused(read, tmp_path / "nowhere.png")
    assert message.startswith(f"{tmp_path}/nowhere.png: no such file; ".replace("/", os.sep))


def test_folder_empty_file_and_text(tmp_path):
    assert "is a folder" in refused(read, tmp_path)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert f"{empty}: is empty (0 bytes)" in refused(read, empty)
    text = tmp_path / "text.jpg"
    text.write_text("certainly not a picture, though its name says so")
    assert "is not a JPEG, PNG" in refused(read, text)
    text.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")  # Pillow would run a program for this
    assert "is not a JPEG, PNG" in refused(read, text)


@pytest.mark.parametrize(
    "error, words",
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_unreadable_file(tmp_path, monkeypatch, error, words):
    def failing(*args):
        raise error

    monkeypatch.setattr(images.reading, "open", failing, raising=False)
    assert words in refused(read, tmp_path / "secret.png")


def test_odd_names(tmp_path):
    assert "line\\nbreak.png: no such file" in refused(read, tmp_path / "line\nbreak.png")
    assert "\\udcff" in refused(read, os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    assert "a\\x00b" in refused(read, "a\0b.png")
    assert "cannot be opened" in refused(read, tmp_path / ("x" * 400 + ".png"))
    assert refused(read, "").startswith("''")


@pytest.mark.parametrize(
    "format, options",
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_cut_files_are_refused_or_whole(format, options):
    content = saved(Image.fromarray(noise()), format, **options)
    whole = read_bytes(content).rgb
    cuts = [*range(0, len(content), 1 + len(content) // 60), *range(len(content) - 40, len(content))]
    refusals = 0
    for cut in cuts:
        try:
            picture = read_bytes(content[:cut])
        except PictureError as error:
            refusals += 1
            assert "\n" not in str(error)
        else:
            assert cut > 0.9 * len(content) and np.array_equal(picture.rgb, whole)
    assert refusals >= 60


def test_cut_tiff_with_its_directory_first():
    content = tiff(30, 20, 8, 1, noise(20, 30)[..., 0].tobytes())
    assert read_bytes(content).size == (30, 20)
    for cut in range(150, len(content), 50):
        refused(read_bytes, content[:cut])


def test_truncation_is_refused_even_where_pillow_is_told_to_accept_it(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = saved(Image.fromarray(noise(200, 200)), "JPEG")
    assert "damaged or cut short" in refused(read_bytes, content[: len(content) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_damage_names_the_file(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(saved(Image.fromarray(noise()), "PNG")[:300])
    message = refused(read, path)
    assert message.startswith(f"{path}: the picture is damaged or cut short") and "get the file again" in message


@pytest.mark.filterwarnings("error")
def test_bombs_are_refused_by_their_header():
    for width, height in ((100_000, 100_000), (20_000, 20_000)):
        message = refused(read_bytes, png(width, height, 8, 2, b"\0"))
        assert f"{width} x {height}" in message and "limit of 300,000,000" in message
    assert "100000 x 100000" in refused(read_bytes, tiff(100_000, 100_000, 8, 1, b""))


@pytest.mark.filterwarnings("error")
def test_limit_is_ours_and_pillows_is_restored(monkeypatch):
    content = saved(Image.fromarray(noise(10, 10)), "TIFF")
    for limit in (10, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read(io.BytesIO(content), max_pixels=100).size == (10, 10)
        assert "10 x 10, 100 pixels" in refused(read, io.BytesIO(content), max_pixels=99)
        assert "limit of 99" in refused(read, Image.new("L", (10, 10)), max_pixels=99)
        assert limit == Image.MAX_IMAGE_PIXELS


def test_zero_sized_header():
    refused(read_bytes, png(0, 5, 8, 2, b""))


def test_memory_runs_out(monkeypatch):
    def failing(*args):
        raise MemoryError

    content = saved(Image.fromarray(noise()), "PNG")
    monkeypatch.setattr(images.reading, "_byte_pixels", failing)
    assert "memory" in refused(read_bytes, content)


def test_streams(tmp_path):
    content = saved(Image.fromarray(noise()), "PNG")
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe:
        os.write(writer, content)
        os.close(writer)
        assert np.array_equal(read(pipe).rgb, noise())  # cannot seek
    assert "the stream: is empty" in refused(read, io.BytesIO())
    assert "text stream" in refused(read, io.StringIO("text"))
    with open(tmp_path / "out.bin", "wb") as closed:
        assert "cannot be read" in refused(read, closed)
    assert f"{closed.name}: cannot be read" in refused(read, closed)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_path_that_cannot_seek():
    content = saved(Image.fromarray(noise()), "PNG")
    command = [sys.executable, "-c", "import sys; from styleshuffle.images import read; print(read('/dev/stdin').size)"]
    done = subprocess.run(command, input=content, capture_output=True, cwd=ROOT)
    assert done.stdout.split() == [b"(30,", b"24)"], done.stderr


# ------------------------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".TIFF", ".PNG"])
def test_lossless_round_trip(tmp_path, suffix):
    pixels = noise(channels=4)
    assert write(Image.fromarray(pixels), tmp_path / f"a{suffix}") == []
    picture = read(tmp_path / f"a{suffix}")
    assert np.array_equal(np.dstack([picture.rgb, picture.alpha]), pixels)
    assert listing(tmp_path) == [f"a{suffix}"]


def test_every_kind_of_picture_is_written(tmp_path):
    pixels = noise()
    picture = Picture(pixels, np.full(pixels.shape[:2], 99, np.uint8))
    chw = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (pixels, pixels / 255, chw, chw[None] / 255, Image.fromarray(pixels), Picture(pixels), picture):
        write(image, tmp_path / "a.png", overwrite=True)
        assert np.array_equal(read(tmp_path / "a.png").rgb, pixels)
    assert (read(tmp_path / "a.png").alpha == 99).all()
    assert "not a picture" in refused(write, "a.png", tmp_path / "b.png")
    write(Image.fromarray(GREYS), tmp_path / "grey.png")
    assert read(tmp_path / "grey.png").rgb[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    write(2 * chw[None] / 255 - 0.5, tmp_path / "clipped.png")
    assert read(tmp_path / "clipped.png").bits == 8


def test_webp_round_trip(tmp_path):
    pixels = np.dstack([noise(), np.full((24, 30), 200, np.uint8)])
    assert write(Image.fromarray(pixels), tmp_path / "a.webp") == []
    picture = read(tmp_path / "a.webp")
    assert abs(picture.rgb.astype(int) - pixels[..., :3]).mean() < 8 and (picture.alpha == 200).all()


def test_jpeg_is_4_4_4_and_fine(tmp_path):
    pixels = noise(64, 64)
    assert write(pixels, tmp_path / "a.jpg") == []
    file = stored(tmp_path / "a.jpg")
    assert file.format == "JPEG" and [layer[1:3] for layer in file.layer] == [(1, 1)] * 3
    assert abs(np.array(file).astype(int) - pixels).mean() < 4


def test_jpeg_puts_transparency_on_white_and_says_so(tmp_path):
    pixels = np.zeros((16, 48, 4), np.uint8)
    pixels[:, 16:32, 3] = 128
    pixels[:, 32:, 3] = 255
    (warning,) = write(Image.fromarray(pixels), tmp_path / "a.jpeg")
    assert "a.jpeg: JPEG has no transparency" in warning and "\n" not in warning
    result = read(tmp_path / "a.jpeg").rgb.astype(int)
    assert abs(result[:, [0, 20, 40]] - np.array([255, 127, 0])[:, None]).max() <= 1


def test_no_metadata_is_written(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    content = saved(Image.fromarray(noise()), "PNG", exif=exif, icc_profile=swapped_profile())
    for suffix in WRITABLE:
        write(Image.open(io.BytesIO(content)), tmp_path / f"a{suffix}")
        result = stored(tmp_path / f"a{suffix}")
        assert "icc_profile" not in result.info and 0x010F not in result.getexif()


def test_same_picture_same_bytes(tmp_path):
    for suffix in WRITABLE:
        write(noise(), tmp_path / f"a{suffix}")
        write(noise(), tmp_path / f"b{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_format_overrules_the_suffix_and_serves_streams(tmp_path):
    write(noise(), tmp_path / "a", format="PNG")
    write(noise(), tmp_path / "b.png", format=".jpg")
    assert stored(tmp_path / "a").format == "PNG" and stored(tmp_path / "b.png").format == "JPEG"
    stream = io.BytesIO(b"")
    assert write(noise(), stream, format="tiff") == []
    assert np.array_equal(read_bytes(stream.getvalue()).rgb, noise())


def test_stream_that_takes_little_at_a_time():
    class Slow(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data[:7])
            return len(data[:7])

    slow = Slow()
    write(noise(), slow, format="png")
    assert np.array_equal(read_bytes(slow.content).rgb, noise())


def test_stream_refusals():
    assert "does not say which format" in refused(write, noise(), io.BytesIO())
    assert "binary stream" in refused(write, noise(), io.StringIO(), format="png")
    assert "binary stream" in refused(write, noise(), object(), format="png")
    closed = io.BytesIO()
    closed.close()
    assert "cannot be written" in refused(write, noise(), closed, format="png")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_device():
    with open("/dev/full", "wb", buffering=0) as full:
        assert "No space left" in refused(write, noise(), full, format="png")


@pytest.mark.parametrize("name", ["a.gif", "a.bmp", "a.xyz", "a", "a.png.exe", ".png"])
def test_unknown_suffixes(tmp_path, name):
    message = refused(write, noise(), tmp_path / name)
    assert all(suffix in message for suffix in WRITABLE) and name in message
    assert listing(tmp_path) == []
    assert message == refused(check_target, tmp_path / name)


def test_folders(tmp_path):
    for target in (tmp_path, str(tmp_path) + os.sep):
        assert "is a folder" in refused(write, noise(), target, overwrite=True)
    message = refused(write, noise(), tmp_path / "gone" / "a.png")
    assert f"there is no folder {tmp_path / 'gone'}" in message and "a.png" in message
    (tmp_path / "file").touch()
    assert "there is no folder" in refused(write, noise(), tmp_path / "file" / "a.png")
    assert listing(tmp_path) == ["file"]
    assert "null" in refused(write, noise(), "a\0.png")
    assert "File name too long" in refused(write, noise(), tmp_path / ("x" * 400 + ".png"))


def test_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *args: False)
    message = refused(write, noise(), tmp_path / "a.png")
    assert f"folder {tmp_path} may not be written to" in message
    assert message == refused(check_target, tmp_path / "a.png")


def test_protected_file(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != target)
    assert "write-protected" in refused(write, noise(), target, overwrite=True)
    assert target.read_bytes() == b"old"


def test_check_target_says_what_write_would(tmp_path):
    assert check_target(tmp_path / "a.jpg") == "JPEG"
    assert check_target(tmp_path / "a", format="webp") == "WEBP"
    assert "16383" in refused(check_target, tmp_path / "a.webp", size=(16384, 1))
    assert "65500" in refused(write, np.zeros((1, 65501, 3), np.uint8), tmp_path / "a.jpg")
    assert "65500" in refused(write, np.zeros((1, 65501, 3), np.uint8), io.BytesIO(), format="jpg")
    write(np.zeros((1, 65501, 3), np.uint8), tmp_path / "a.png")


def test_existing_file_is_kept_unless_told_otherwise(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    assert "exists already" in refused(write, noise(), target)
    assert "overwrite" in refused(check_target, target)
    assert target.read_bytes() == b"old"
    write(noise(), target, overwrite=True)
    assert np.array_equal(read(target).rgb, noise()) and listing(tmp_path) == ["a.png"]


# ---------------------------------------------------------------------------------------------------------- atomicity


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace", "fdopen"])
def test_failing_write_changes_nothing(tmp_path, monkeypatch, step):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, raising(NO_SPACE))
    message = refused(write, noise(), target, overwrite=True)
    assert f"{target}: cannot be written (No space left on device); " in message
    assert target.read_bytes() == b"old" and listing(tmp_path) == ["a.png"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interrupted_write_changes_nothing(tmp_path, monkeypatch, step):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(noise(), target, overwrite=True)
    assert target.read_bytes() == b"old" and listing(tmp_path) == ["a.png"]


def test_failing_encoder_changes_nothing(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", raising(OSError("encoder error -2")))
    assert "cannot be encoded as PNG" in refused(write, noise(), target, overwrite=True)
    monkeypatch.setattr(Image.Image, "save", raising(MemoryError()))
    assert "memory" in refused(write, noise(), target, overwrite=True)
    assert target.read_bytes() == b"old" and listing(tmp_path) == ["a.png"]


def test_permission_lost_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", raising(PermissionError(errno.EACCES, "Permission denied")))
    assert "may not be written to" in refused(write, noise(), tmp_path / "a.png")
    assert listing(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    target = tmp_path / "a.png"
    fsync = os.fsync

    def late(descriptor):
        fsync(descriptor)
        target.write_bytes(b"other")

    monkeypatch.setattr(os, "fsync", late)
    if not links:
        monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "Operation not permitted")))
    assert "exists already" in refused(write, noise(), target)
    assert target.read_bytes() == b"other" and listing(tmp_path) == ["a.png"]


def test_file_system_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "Operation not permitted")))
    write(noise(), tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png").rgb, noise()) and listing(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions_and_links(tmp_path):
    before = os.umask(0o027)
    try:
        write(noise(), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640
    (tmp_path / "a.png").chmod(0o600)
    (tmp_path / "link.png").symlink_to("a.png")
    write(noise(seed=1), tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink() and np.array_equal(read(tmp_path / "a.png").rgb, noise(seed=1))
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o600


# ------------------------------------------------------------------------------------------------------------- module


def test_import_is_light():
    code = "import sys, styleshuffle.images; print('torch' in sys.modules, 'torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_suffix_tables():
    assert set(WRITABLE) <= READABLE
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in READABLE)
