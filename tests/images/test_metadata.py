"""Metadata: what a photograph carries arrives in its result, except what would not be true of it."""

import io
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from photograph_files import IPTC, NOTE_AT, XMP, camera_exif
from picture_files import chunk, noise, read_bytes, saved, stored
from PIL import Image

from styleshuffle.images import READABLE, WRITABLE, Picture, SaveOptions, read, read_recipe, write
from styleshuffle.images.exif import orientation_of, parsed
from styleshuffle.images.metadata import Metadata, iptc_of
from styleshuffle.images.png_chunks import with_chunks
from styleshuffle.images.tiff_tags import EXIF_IFD, GPS_IFD, MAKER_NOTE, TagFile

PREFIXES = (b"xmp", b"hdrgm", b"GCamera", b"GDepth", b"GImage", b"Container", b"Item")
DATE, MAKE, ORIENTATION, COPYRIGHT, THUMBNAIL = 0x9003, 0x010F, 0x0112, 0x8298, 0x0201


def photograph(order="<"):
    """A picture as read from a camera's file."""
    return Picture(noise(), metadata=Metadata(camera_exif(order), XMP, IPTC, (300.0, 300.0)))


@pytest.fixture(params=sorted(WRITABLE))
def suffix(request):
    return request.param


def carries_iptc(suffix):
    return suffix in (".jpg", ".jpeg", ".png", ".tif", ".tiff")


@pytest.mark.parametrize("order", ["<", ">"])
def test_metadata_arrives_in_every_format(tmp_path, suffix, order):
    warnings = write(photograph(order), tmp_path / f"a{suffix}")
    assert bool(warnings) != carries_iptc(suffix)
    image = stored(tmp_path / f"a{suffix}") if suffix != ".jxl" else None
    kept = read(tmp_path / f"a{suffix}").metadata
    directory = parsed(kept.exif)
    assert directory.data(MAKE) == b"Camera maker\0"
    details = directory.children[EXIF_IFD]
    assert details.data(DATE) == b"2024:05:06 07:08:09\0"
    assert directory.children[GPS_IFD].numbers(2) == (48, 12, 30)
    if image is not None:
        exif = image.getexif()  # as somebody else reads it
        assert exif[MAKE] == "Camera maker" and exif.get_ifd(EXIF_IFD)[DATE] == "2024:05:06 07:08:09"
        assert b'dc:creator="Ann"' in kept.xmp
    if carries_iptc(suffix):
        assert kept.iptc == IPTC
        assert kept.dpi == pytest.approx((300, 300), abs=0.02)


def test_what_would_not_be_true_is_mended(tmp_path, suffix):
    result = Picture(noise(20, 40), metadata=photograph().metadata)
    write(result, tmp_path / f"a{suffix}")
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert b"thumbnail" not in content
    kept = read(tmp_path / f"a{suffix}").metadata
    assert orientation_of(kept.exif) == 1
    details = parsed(kept.exif).children[EXIF_IFD]
    assert (details.integer(0xA002, 0), details.integer(0xA003, 0)) == (40, 20)
    if kept.xmp:
        assert b'tiff:Orientation="1"' in kept.xmp and b"Thumbnails" not in kept.xmp


def test_the_maker_note_keeps_its_place(tmp_path):
    """Some cameras' notes hold offsets from the beginning of the EXIF data."""
    for suffix in (".jpg", ".png", ".webp", ".avif", ".tif"):
        write(photograph(), tmp_path / f"a{suffix}")
        exif = read(tmp_path / f"a{suffix}").metadata.exif
        note = parsed(exif).children[EXIF_IFD].entries[MAKER_NOTE]
        assert note.data.startswith(b"NOTE") and note.data.endswith(b"secret of the camera")
        assert note.offset == NOTE_AT


def test_strip(tmp_path, suffix):
    write(photograph(), tmp_path / f"a{suffix}", options=SaveOptions(strip=True))
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert read(tmp_path / f"a{suffix}").metadata == Metadata()
    for secret in (b"Camera", b"Ann", b"Vienna", b"2024"):
        assert secret not in content


def test_strip_gps(tmp_path, suffix):
    write(photograph(), tmp_path / f"a{suffix}", options=SaveOptions(strip_gps=True))
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert b"GPS" not in content and b"48,12.5N" not in content
    assert struct.pack("<LLLLLL", 48, 1, 12, 1, 30, 1) not in content
    kept = read(tmp_path / f"a{suffix}").metadata
    assert GPS_IFD not in parsed(kept.exif).children
    assert parsed(kept.exif).data(MAKE) == b"Camera maker\0"
    if suffix != ".jxl":
        assert b'dc:creator="Ann"' in kept.xmp


def test_titles_and_comments_of_a_png_travel_to_a_png(tmp_path):
    texts = {b"Title": b"The cat", b"Comment": b"x" * 300, b"exif:Orientation": b"6", b"Thumb::URI": b"a.png"}
    texts |= {b"styleshuffle": b"an old recipe", b"GPS place": b"Vienna"}
    chunks = [chunk(b"tEXt", name + b"\0" + text) for name, text in texts.items()]
    chunks.append(chunk(b"iTXt", b"Author\0\0\0de\0Autorin\0" + "Anna Müller".encode()))
    chunks.append(chunk(b"zTXt", b"Packed\0\0" + zlib.compress(b"a story")))
    picture = read_bytes(with_chunks(saved(Image.fromarray(noise()), "PNG"), chunks))
    write(picture, tmp_path / "a.png", recipe="a new recipe")
    kept = Image.open(tmp_path / "a.png").text  # as somebody else reads it
    assert kept["Title"] == "The cat" and kept["Comment"] == "x" * 300 and kept["styleshuffle"] == "a new recipe"
    assert kept["Author"] == "Anna Müller" and kept["Packed"] == "a story" and kept["GPS place"] == "Vienna"
    assert not {"exif:Orientation", "Thumb::URI"} & set(kept)
    write(picture, tmp_path / "b.png", options=SaveOptions(strip_gps=True))
    assert set(Image.open(tmp_path / "b.png").text) == {"Title", "Comment", "Author", "Packed"}
    write(picture, tmp_path / "c.png", options=SaveOptions(strip=True))
    assert not Image.open(tmp_path / "c.png").text
    for suffix in (".jpg", ".tif", ".webp"):
        write(picture, tmp_path / f"d{suffix}")
        assert read(tmp_path / f"d{suffix}").size == (30, 24)


def test_many_and_long_texts_are_bounded():
    chunks = [chunk(b"tEXt", b"Story\0" + b"x" * 30_000)] * 200
    picture = read_bytes(with_chunks(saved(Image.fromarray(noise()), "PNG"), chunks))
    assert 0 < len(picture.metadata.texts) < 40


def test_parts_of_a_telephones_file_that_the_result_lacks_are_not_promised():
    """Viewers would look for the gain map or the film that such XMP promises."""
    names = b"".join(b' xmlns:%s="http://ns.example.com/%s/"' % (name, name) for name in PREFIXES)
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about=""' + names + b' xmp:Rating="4" hdrgm:Version="1.0" GCamera:MotionPhoto="1"'
        b' GCamera:MicroVideoOffset="12345"><Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">'
        b'<Container:Item Item:Semantic="GainMap" Item:Length="77"/></rdf:li></rdf:Seq></Container:Directory>'
        b"<GDepth:Format>RangeInverse</GDepth:Format><GImage:Data/><xmp:Label>Red</xmp:Label></rdf:Description></rdf:RDF>"
        b"</x:xmpmeta>"
    )
    kept = Metadata(xmp=xmp).mended((30, 24)).xmp
    ElementTree.fromstring(kept)
    assert b'xmp:Rating="4"' in kept and b"<xmp:Label>Red</xmp:Label>" in kept
    for gone in (
        b"hdrgm:Version",
        b"MotionPhoto",
        b"MicroVideo",
        b"Container:Directory",
        b"GDepth:Format",
        b"GImage:Data",
    ):
        assert gone not in kept


def test_a_place_in_unknown_words_drops_the_xmp():
    strange = b'<rdf xmlns:e="http://ns.adobe.com/exif/1.0/" e:GPSLatitude="48"/>'
    assert Metadata(xmp=strange).without_gps().xmp is None


def test_the_colour_space_of_exif_follows_the_pixels():
    for srgb, expected in ((True, 1), (False, 65535)):
        kept = photograph().metadata.mended((30, 24), srgb)
        assert parsed(kept.exif).children[EXIF_IFD].integer(0xA001, 0) == expected


def test_metadata_is_read_from_files_of_others():
    exif = camera_exif()
    jpeg = saved(Image.fromarray(noise()), "JPEG", exif=b"Exif\0\0" + exif, xmp=XMP, dpi=(200, 200))
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">L", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    segment = b"Photoshop 3.0\0" + resource
    jpeg = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    assert read_bytes(jpeg).metadata == Metadata(exif, XMP, IPTC, (200, 200))
    webp = saved(Image.fromarray(noise()), "WEBP", exif=exif, xmp=XMP)
    assert (read_bytes(webp).metadata.exif, read_bytes(webp).metadata.xmp) == (exif, XMP)
    bare = saved(Image.fromarray(noise()), "PNG", dpi=(150, 150))
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    digits = resource.hex().encode()
    profile = chunk(b"tEXt", b"Raw profile type iptc\0\niptc\n%8d\n" % len(resource) + digits)
    png = bare[:33] + chunk(b"eXIf", exif) + text + profile + bare[33:]
    kept = read_bytes(png).metadata
    assert (kept.exif, kept.xmp, kept.iptc) == (exif, XMP, IPTC) and kept.dpi == pytest.approx((150, 150), abs=0.02)


def test_no_resolution_is_made_up(tmp_path):
    assert read_bytes(saved(Image.fromarray(noise()), "JPEG")).metadata.dpi is None
    exif = Image.Exif()
    exif[MAKE] = "m"
    assert read_bytes(saved(Image.fromarray(noise()), "JPEG", exif=exif)).metadata.dpi is None
    write(noise(), tmp_path / "a.tif")
    assert read(tmp_path / "a.tif").metadata == Metadata()


def test_tiff_tags_of_the_pixels_stay_behind(tmp_path):
    """Where the pixels of the old file lay must not be told of the new one."""
    Image.fromarray(noise()).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={270: "words", 315: "Ann"})
    kept = read(tmp_path / "a.tif").metadata
    tags = set(parsed(kept.exif).entries)
    assert {270, 315} <= tags and not tags & {256, 257, 258, 259, 262, 273, 277, 278, 279}
    write(read(tmp_path / "a.tif"), tmp_path / "b.jpg")
    assert stored(tmp_path / "b.jpg").getexif()[315] == "Ann"


def test_what_is_too_large_for_jpeg_is_left_out_with_a_word(tmp_path):
    exif = Image.Exif()
    exif[MAKE] = "m"
    exif.get_ifd(EXIF_IFD)[MAKER_NOTE] = bytes(70000)
    picture = Picture(noise(), metadata=Metadata(exif.tobytes().removeprefix(b"Exif\0\0"), b"<" + b"x" * 70000))
    warnings = write(picture, tmp_path / "a.jpg")
    assert len(warnings) == 2 and all("too large for JPEG" in warning and "a.jpg" in warning for warning in warnings)
    kept = read(tmp_path / "a.jpg").metadata
    assert parsed(kept.exif).data(MAKE) == b"m\0" and kept.xmp is None


@pytest.mark.parametrize("cut", [*range(0, 60, 3), 300, 410, 520, 701])
def test_cut_exif_is_kept_as_far_as_it_goes(tmp_path, cut):
    """Damaged metadata must not stop a picture."""
    picture = Picture(noise(), metadata=Metadata(camera_exif()[:cut], XMP[:cut], IPTC[:cut]))
    for suffix in (".jpg", ".tif", ".png"):
        write(picture, tmp_path / f"a{suffix}", overwrite=True)
        assert read(tmp_path / f"a{suffix}").size == (30, 24)


def test_circles_and_absurd_numbers_end():
    circle = b"II*\0" + struct.pack("<LHHHLLL", 8, 1, EXIF_IFD, 4, 1, 8, 8)
    assert parsed(circle).children[EXIF_IFD].entries == {}
    assert len(list(TagFile(io.BytesIO(circle)).directories())) == 1
    absurd = b"II*\0" + struct.pack("<LHHHLLL", 8, 1, 270, 2, 2**32 - 1, 8, 0)
    assert parsed(absurd).entries == {}
    assert iptc_of(b"8BIM\x04\x04\0\0\xff\xff\xff\xff") is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_a_recipe_lies_beside_the_metadata(tmp_path, suffix):
    """And that of an earlier result does not go into the next."""
    path, again, without = (tmp_path / f"{name}{suffix}" for name in "abc")
    write(photograph(), path, recipe='{"first": 1}')
    assert read_recipe(path) == '{"first": 1}' and b'dc:creator="Ann"' in read(path).metadata.xmp
    write(read(path), again, recipe='{"second": 2}')
    assert read_recipe(again) == '{"second": 2}' and b"first" not in again.read_bytes()
    write(read(path), without)
    assert b"first" not in without.read_bytes() and b'dc:creator="Ann"' in read(without).metadata.xmp


def test_a_recipe_finds_room_where_xmp_is_too_large_for_jpeg(tmp_path):
    picture = Picture(noise(), metadata=Metadata(xmp=XMP.replace(b"Ann", b"A" * 70000)))
    (warning,) = write(picture, tmp_path / "a.jpg", recipe="{}")
    assert "XMP data is too large" in warning and read_recipe(tmp_path / "a.jpg") == "{}"


def test_suffixes_of_the_extras_follow_what_is_installed():
    assert set(WRITABLE) <= READABLE
    assert np.array_equal(read(io.BytesIO(saved(Image.fromarray(noise()), "PNG"))).rgb, noise())
