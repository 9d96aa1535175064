"""Which picture of a TIFF is the photograph, and what is raw data of a camera."""

import struct

import numpy as np
import pytest
from picture_files import noise, read_bytes, refused

from styleshuffle.images.tiff_tags import LONG, SHORT, Directory, build

KIND, OLD_KIND, SUB_IFDS, DNG_VERSION, MAKE = 254, 255, 330, 50706, 271


def page_of(pixels, order="<", **tags):
    """The directory of an uncompressed page of RGB, but for where its pixels lie."""
    page = Directory(order)
    height, width = pixels.shape[:2]
    for tag, kind, numbers in (
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8, 8, 8]),
        (259, SHORT, [1]),
        (262, SHORT, [2]),
        (273, LONG, [0]),
        (277, SHORT, [3]),
        (278, LONG, [height]),
        (279, LONG, [pixels.size]),
    ):
        page.put(tag, kind, numbers)
    for tag, number in tags.items():
        page.put(int(tag[1:]), LONG, [number])
    return page


def tiff_of(pages, hanging=()):
    """A TIFF of pages in a chain, each with its pixels; those in `hanging` hang on the first page instead."""
    order = pages[0][0].order
    content = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    places = {}

    def put(page, pixels):
        place = len(content)
        content.extend(pixels.tobytes())
        page.put(273, LONG, [place])
        content.extend(bytes(len(content) % 2))
        at = len(content)
        shift = at - 8
        body = build(page)[8:]  # offsets count from the file's beginning, so those of values move along
        count = struct.unpack(order + "H", body[:2])[0]
        moved = bytearray(body)
        for number in range(count):
            start = 2 + 12 * number
            _, kind, length = struct.unpack(order + "HHL", body[start : start + 8])
            if {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}[kind] * length > 4:
                offset = struct.unpack(order + "L", body[start + 8 : start + 12])[0]
                moved[start + 8 : start + 12] = struct.pack(order + "L", offset + shift)
        content.extend(moved)
        return at, at + 2 + 12 * count

    for page, pixels in hanging:
        places[id(page)], _ = put(page, pixels)
    if hanging:
        pages[0][0].put(SUB_IFDS, LONG, list(places.values()))
    following = 4
    for page, pixels in pages:
        at, link = put(page, pixels)
        content[following : following + 4] = struct.pack(order + "L", at)
        following = link
    return bytes(content)


LARGE, SMALL = noise(24, 30), noise(6, 8, seed=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("small", [{"t254": 1}, {"t255": 2}, {"t254": 5}])
def test_a_thumbnail_in_front_is_passed_over(order, small):
    content = tiff_of([(page_of(SMALL, order, **small), SMALL), (page_of(LARGE, order), LARGE)])
    picture = read_bytes(content)
    assert np.array_equal(picture.rgb, LARGE) and picture.several == ""


def test_a_photograph_that_hangs_on_its_thumbnail():
    thumbnail = page_of(SMALL, t254=1)
    thumbnail.put_bytes(MAKE, b"camera\0", kind=2)
    content = tiff_of([(thumbnail, SMALL)], hanging=[(page_of(LARGE), LARGE)])
    picture = read_bytes(content)
    assert np.array_equal(picture.rgb, LARGE) and b"camera" in picture.metadata.exif


def test_a_thumbnail_behind_is_no_page():
    content = tiff_of([(page_of(LARGE), LARGE), (page_of(SMALL, t254=1), SMALL)])
    assert np.array_equal(read_bytes(content).rgb, LARGE) and read_bytes(content).several == ""
    two = tiff_of([(page_of(LARGE), LARGE), (page_of(SMALL), SMALL)])
    assert read_bytes(two).several == "pages"


def test_a_thumbnail_alone_is_a_picture():
    assert np.array_equal(read_bytes(tiff_of([(page_of(SMALL, t254=1), SMALL)])).rgb, SMALL)


@pytest.mark.parametrize("photometric", [32803, 34892])
def test_raw_data_is_named(photometric):
    words = "camera's raw data"
    dng = page_of(SMALL, t254=1)
    dng.put_bytes(DNG_VERSION, b"\1\4\0\0", kind=1)
    assert f"is a {words} (DNG file)" in refused(read_bytes, tiff_of([(dng, SMALL)]))
    hanging = page_of(LARGE)
    hanging.put(262, SHORT, [photometric])
    message = refused(read_bytes, tiff_of([(page_of(SMALL, t254=1), SMALL)], hanging=[(hanging, LARGE)]))
    assert words in message and "develop it first" in message
    assert words in refused(read_bytes, tiff_of([(hanging, LARGE)]))


@pytest.mark.parametrize(
    "beginning, kind",
    [
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"FOVb\0\0\0\0", "X3F"),
    ],
)
def test_raw_files_are_known_by_their_beginnings(beginning, kind):
    assert f"is a camera's raw data ({kind} file)" in refused(read_bytes, beginning + bytes(64))


def test_circles_of_pages_end():
    content = bytearray(tiff_of([(page_of(LARGE), LARGE)]))
    first = struct.unpack("<L", content[4:8])[0]
    count = struct.unpack("<H", content[first : first + 2])[0]
    link = first + 2 + 12 * count
    content[link : link + 4] = content[4:8]
    assert np.array_equal(read_bytes(bytes(content)).rgb, LARGE)
