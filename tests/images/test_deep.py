"""Pictures of 16 bits a channel and more: every level comes in, and goes out."""

import io
import struct
import zlib

import numpy as np
import pytest
from picture_files import chunk, noise, png, read_bytes, refused, saved, stored
from PIL import Image

from styleshuffle.errors import PictureError
from styleshuffle.images import Picture, SaveOptions, read, write
from styleshuffle.images.tiff_tags import LONG, SHORT, Directory, Entry, build


def deep_noise(height=24, width=30, channels=3):
    """Smooth noise of 16 bits with fine steps in the low bytes."""
    high = noise(height, width, 4)[..., :channels].astype(np.uint16)
    low = np.random.default_rng(1).integers(0, 256, high.shape).astype(np.uint16)
    return (high << 8) | low


def gradient(levels=4096):
    """A sky: a slow ramp with that many levels."""
    ramp = np.linspace(20000, 40000, levels).round() / 65535
    return np.repeat(np.repeat(ramp.astype(np.float32)[None, :, None], 8, 0), 3, 2) * np.float32([0.9, 0.95, 1])


def deep_tiff(
    values, *, order="<", planar=False, tile=None, photometric=2, predictor=1, packed=False, kind=1, extra=None, rows=7
):
    """A TIFF of (H, W, n) values, in strips or tiles, laid out as asked."""
    height, width, samples = values.shape
    stored_kind = values.dtype.kind + str(values.dtype.itemsize)
    planes = [values[..., c : c + 1] for c in range(samples)] if planar else [values]
    parts = []
    for plane in planes:
        if tile is None:
            blocks = [plane[top : top + rows] for top in range(0, height, rows)]
        else:
            pad = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
            blocks = [
                pad[y : y + tile, x : x + tile] for y in range(0, len(pad), tile) for x in range(0, pad.shape[1], tile)
            ]
        for block in blocks:
            if predictor == 2:
                whole = block.view(f"u{block.dtype.itemsize}")
                block = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], 1)
                data = block.astype(f"{order}u{block.dtype.itemsize}").tobytes()
            elif predictor == 3:
                big = np.ascontiguousarray(block.astype(f">f{block.dtype.itemsize}"))
                count, size = big.shape[1] * big.shape[2], big.dtype.itemsize
                planes_of_bytes = big.view(np.uint8).reshape(len(big), count, size).swapaxes(1, 2)
                bytes_ = np.ascontiguousarray(planes_of_bytes).reshape(len(big), -1, big.shape[2])
                data = np.concatenate([bytes_[:, :1], bytes_[:, 1:] - bytes_[:, :-1]], 1).tobytes()
            else:
                data = block.astype(order + stored_kind).tobytes()
            parts.append(zlib.compress(data) if packed else data)
    page = Directory(order)
    for tag, number in ((256, width), (257, height)):
        page.put(tag, LONG, [number])
    page.put(258, SHORT, [8 * values.dtype.itemsize] * samples)
    for tag, number in ((259, 8 if packed else 1), (262, photometric), (277, samples), (284, 1 + planar)):
        page.put(tag, SHORT, [number])
    page.put(317, SHORT, [predictor])
    page.put(339, SHORT, [kind] * samples)
    if extra is not None:
        page.put(338, SHORT, [extra])
    where, counts = (273, 279) if tile is None else (324, 325)
    if tile is None:
        page.put(278, LONG, [rows])
    else:
        page.put(322, LONG, [tile])
        page.put(323, LONG, [tile])
    page.put(counts, LONG, [len(part) for part in parts])
    page.put(where, LONG, [0] * len(parts))
    start = len(build(page))
    page.put(where, LONG, [start + sum(map(len, parts[:number])) for number in range(len(parts))])
    return build(page) + b"".join(parts)


# -------------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_there_and_back(tmp_path, suffix, alpha, channels):
    values = deep_noise(channels=channels)
    values = values if channels == 3 else np.repeat(values, 3, 2)
    see_through = noise()[..., 0] if alpha else None
    write(Picture((values / 65535).astype(np.float32), see_through, 16), tmp_path / f"a{suffix}")
    picture = read(tmp_path / f"a{suffix}")
    assert picture.bits == 16
    assert np.array_equal((picture.rgb.astype(np.float64) * 65535).round(), values)
    assert picture.alpha is None if not alpha else np.array_equal(picture.alpha, see_through)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_no_banding_in_a_sky(tmp_path, suffix):
    write(Picture(gradient(), None, 16), tmp_path / f"a{suffix}")
    for channel in range(3):
        assert len(np.unique(read(tmp_path / f"a{suffix}").rgb[..., channel])) == 4096


def test_depth_is_chosen(tmp_path):
    deep, shallow = Picture(gradient(), None, 16), Picture(noise())

    def bits(picture, depth, suffix=".png"):
        warnings = write(picture, tmp_path / f"a{suffix}", overwrite=True, options=SaveOptions(depth=depth))
        return read(tmp_path / f"a{suffix}").bits, warnings

    assert bits(deep, "auto") == (16, []) and bits(deep, "8") == (8, []) and bits(deep, "16") == (16, [])
    assert bits(shallow, "auto") == (8, []) and bits(shallow, "16") == (16, [])
    assert np.array_equal(read(tmp_path / "a.png").rgb, (noise() / 255).astype(np.float32))
    assert bits(deep, "auto", ".jpg") == (8, [])
    depth, (warning,) = bits(deep, "16", ".jpg")
    assert depth == 8 and "a.jpg: JPEG holds 8 bits a channel; write PNG or TIFF" in warning


def test_large_pictures_are_filtered_band_by_band():
    values = deep_noise(300, 3000)
    stream = io.BytesIO()
    write(Picture((values / 65535).astype(np.float32), None, 16), stream, format="png")
    assert np.array_equal((read_bytes(stream.getvalue()).rgb.astype(np.float64) * 65535).round(), values)


def test_grey_is_written_as_grey_only_where_it_is(tmp_path):
    grey = Image.fromarray(deep_noise(channels=1)[..., 0])
    write(grey, tmp_path / "a.png")
    write(read(grey), tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        assert np.array_equal(np.array(stored(tmp_path / name)), np.array(grey))


# ------------------------------------------------------------------------------------------------------------------- PNG


def test_16_bit_rgb_png():
    words = np.array([0, 0x1234, 0xFFFF, 0x8000, 0x7FFF, 0xABCD], ">u2")
    picture = read_bytes(png(2, 1, 16, 2, b"\0" + words.tobytes()))
    assert picture.bits == 16
    assert (picture.rgb.reshape(-1) * 65535).round().tolist() == words.tolist()


def test_16_bit_alpha_png():
    grey = read_bytes(png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 0x1234, 0x80FF)))
    assert (grey.rgb * 65535).round().tolist() == [[[0x1234] * 3]] and grey.alpha.tolist() == [[0x80]]
    rgb = read_bytes(png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 1, 2, 3, 0x4040)))
    assert (rgb.rgb * 65535).round().tolist() == [[[1, 2, 3]]] and rgb.alpha.tolist() == [[0x40]]


def test_16_bit_colour_key_is_compared_in_all_bits():
    line = struct.pack(">BHHHHHH", 0, 0x1200, 2, 3, 0x1201, 2, 3)
    key = chunk(b"tRNS", struct.pack(">HHH", 0x1201, 2, 3))
    assert read_bytes(png(2, 1, 16, 2, line, key)).alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("kind", [2, 4, 6])
def test_interlaced_and_cut_16_bit_png(kind):
    channels = {2: 3, 4: 2, 6: 4}[kind]
    content = png(5, 40, 16, kind, (b"\1" + bytes(range(10 * channels))) * 40)
    assert read_bytes(content).size == (5, 40)
    assert "damaged or cut short" in refused(read_bytes, content[: len(content) // 2])


# ------------------------------------------------------------------------------------------------------------------ TIFF


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("predictor, packed", [(1, False), (1, True), (2, True)])
def test_16_bit_tiff_of_every_layout(order, planar, tile, predictor, packed):
    values = deep_noise()
    content = deep_tiff(values, order=order, planar=planar, tile=tile, predictor=predictor, packed=packed)
    picture = read_bytes(content)
    assert picture.bits == 16 and np.array_equal((picture.rgb.astype(np.float64) * 65535).round(), values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "lzma", "zstd"])
def test_compressions_of_libtiff(compression):
    """Strips that libtiff has packed, as rows of 8 bits, are those of a picture of 16 bits too."""
    values = deep_noise(24, 32)
    rows = Image.fromarray(values.astype("<u2").view(np.uint8).reshape(24, 32 * 6))
    content = saved(rows, "TIFF", compression=compression)
    with Image.open(io.BytesIO(content)) as image:
        tags = image.tag_v2
        parts = [content[at : at + size] for at, size in zip(tags[273], tags[279], strict=True)]
        page = Directory("<")
        for tag, kind, numbers in (
            (256, LONG, [32]), (257, LONG, [24]), (258, SHORT, [16] * 3), (259, SHORT, [tags[259]]), (262, SHORT, [2]),
            (277, SHORT, [3]), (278, LONG, [tags[278]]), (279, LONG, tags[279]), (273, LONG, [0] * len(parts)),
        ):  # fmt: skip
            page.put(tag, kind, numbers)
    start = len(build(page))
    page.put(273, LONG, [start + sum(map(len, parts[:number])) for number in range(len(parts))])
    picture = read_bytes(build(page) + b"".join(parts))
    assert np.array_equal((picture.rgb.astype(np.float64) * 65535).round(), values)


@pytest.mark.parametrize("type", ["f2", "f4", "f8"])
@pytest.mark.parametrize("planar, predictor", [(False, 1), (True, 1), (False, 3), (True, 3)])
def test_float_rgb_tiff(type, planar, predictor):
    values = (deep_noise() / 65535).astype(type)
    picture = read_bytes(deep_tiff(values, planar=planar, predictor=predictor, packed=predictor == 3, kind=3))
    assert picture.bits == 16 and abs(picture.rgb - values.astype(np.float32)).max() < 1e-6
    bright = read_bytes(deep_tiff((values * 4).astype(type), kind=3))
    assert bright.rgb.max() == 1 and abs(bright.rgb - values / values.max()).max() < 1e-3


def test_32_bit_tiff_keeps_its_bright_half():
    values = np.array([[[0], [2**30], [2**31], [2**32 - 1]]], np.uint32)
    for content in (deep_tiff(values, photometric=1, rows=1), deep_tiff(np.repeat(values, 3, 2), rows=1)):
        assert read_bytes(content).rgb[0, :, 0] == pytest.approx([0, 0.25, 0.5, 1], abs=1e-6)
    faint = np.array([[[0], [50000], [200000]]], np.uint32)  # of a microscope
    assert read_bytes(deep_tiff(faint, photometric=1, rows=1)).rgb[0, :, 0].tolist() == [0, 0.25, 1]


def test_alpha_and_white_is_zero_in_deep_tiffs():
    values = np.array([[[65535, 0, 32768, 32768]]], np.uint16)
    apart = read_bytes(deep_tiff(values, extra=2, rows=1))
    assert (apart.rgb * 65535).round().tolist() == [[[65535, 0, 32768]]] and apart.alpha.tolist() == [[128]]
    multiplied = read_bytes(deep_tiff(values // np.uint16([2, 1, 2, 1]), extra=1, rows=1))
    assert multiplied.rgb[0, 0] == pytest.approx([1, 0, 0.5], abs=1e-4) and multiplied.alpha.tolist() == [[128]]
    meaningless = read_bytes(deep_tiff(values, extra=0, rows=1))
    assert meaningless.alpha is None
    inverted = read_bytes(deep_tiff(np.array([[[0, 65535], [65535, 65535]]], np.uint16), photometric=0, extra=2, rows=1))
    assert inverted.rgb[0, :, 0].tolist() == [1, 0]


def test_orientation_of_deep_tiffs():
    content = deep_tiff(deep_noise(2, 3), rows=2)
    turned = content.replace(struct.pack("<HHLHH", 284, 3, 1, 1, 0), struct.pack("<HHLHH", 274, 3, 1, 6, 0))
    assert turned != content
    assert read_bytes(turned).size == (2, 3)


def test_big_tiff():
    values = deep_noise(4, 5)
    data = values.astype("<u2").tobytes()
    tags = [(256, 4, 5), (257, 4, 4), (259, 3, 1), (262, 3, 2), (277, 3, 3), (278, 4, 4), (279, 16, len(data))]
    count = len(tags) + 2
    start = 16 + 8 + 20 * count + 8
    tags += [(258, 3, 16 | 16 << 16 | 16 << 32), (273, 16, start)]
    table = b"".join(struct.pack("<HHQQ", tag, kind, 3 if tag == 258 else 1, value) for tag, kind, value in sorted(tags))
    content = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + table + bytes(8) + data
    assert np.array_equal((read_bytes(content).rgb.astype(np.float64) * 65535).round(), values)


def test_cut_and_lying_deep_tiffs_are_refused():
    content = deep_tiff(deep_noise(), packed=True)
    for cut in range(20, len(content), 97):
        refused(read_bytes, content[:cut])
    huge = deep_tiff(deep_noise(4, 4), rows=4).replace(
        struct.pack("<HHLL", 256, 4, 1, 4), struct.pack("<HHLL", 256, 4, 1, 2**31)
    )
    assert "limit of" in refused(read_bytes, huge)
    tiles = deep_tiff(deep_noise(4, 4), tile=16).replace(
        struct.pack("<HHLL", 322, 4, 1, 16), struct.pack("<HHLL", 322, 4, 1, 2**31 - 16)
    )
    assert "memory" in refused(read_bytes, tiles)


def test_odd_directories_of_deep_tiffs():
    """Whatever a tag says, a file is read or refused."""
    content = deep_tiff(deep_noise(4, 4), rows=4)
    for tag in (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339):
        for value in (0, 1, 3, 7, 255, 65535):
            at = content.index(struct.pack("<H", tag), 8)
            changed = content[: at + 8] + struct.pack("<L", value) + content[at + 12 :]
            try:
                read_bytes(changed)
            except PictureError:
                continue


def test_entries_keep_their_bytes():
    page = Directory(">")
    page.entries[270] = Entry(2, 5, b"word\0")
    assert build(page).endswith(b"word\0")
