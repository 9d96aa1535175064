"""The table of formats in docs/formats.md: each cell says what happens."""

import io
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, environment
from photograph_files import camera_exif
from picture_files import noise, read_bytes, refused, rgb_profile, saved
from PIL import Image

from styleshuffle.images import (
    READABLE,
    WRITABLE,
    Animation,
    Picture,
    formats,
    read,
    read_frames,
    write,
    write_frames,
)
from styleshuffle.images.exif import parsed
from styleshuffle.images.metadata import Metadata

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split("|")]
    for line in PAGE.partition("<!-- table -->")[2].partition("<!-- /table -->")[0].strip().splitlines()
]
HEADS, TABLE = ROWS[0], {row[0]: row for row in ROWS[2:]}
CELLS = [(name, head) for name in TABLE for head in HEADS[2:]]
PACKAGES = {"HEIC": "pillow_heif", "JPEG XL": "pillow_jxl"}
PROFILE = rgb_profile("Display P3")
GREYS = np.linspace(0, 65535, 1024).round().astype(np.uint16)
ALPHA = np.repeat(np.where(np.arange(30) < 15, 0, 255).astype(np.uint8)[None], 24, 0)


def made_elsewhere(name, mode="RGB", exif=None, profile=None):
    """A file of this format, as another program writes it."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    pixels = np.dstack([noise(), ALPHA]) if mode == "RGBA" else noise()
    image, options = Image.fromarray(pixels), {}
    if exif is not None:
        options["exif"] = b"Exif\0\0" + exif
    if profile is not None:
        options["icc_profile"] = profile
    if name == "HEIC":
        import pillow_heif

        try:
            return saved_heic(pillow_heif.from_pillow(image), exif, profile)
        except RuntimeError:
            pytest.skip("this pillow_heif writes no HEIC")
    if name == "TIFF":
        stream = io.BytesIO()  # Pillow writes no EXIF data as it is
        write(Picture(noise(), ALPHA if mode == "RGBA" else None, 8, profile, Metadata(exif)), stream, format="tif")
        return stream.getvalue()
    if name == "JPEG XL":
        options.pop("icc_profile", None)
        if profile is not None:
            return jxl_with_profile(profile)
    return saved(image, formats_of_pillow(name), **options)


def formats_of_pillow(name):
    return {"WebP": "WEBP", "JPEG XL": "JXL"}.get(name, name)


def saved_heic(heif, exif, profile):
    options = {"exif": exif} if exif else {}
    if profile:
        heif[0].info["icc_profile"] = profile
        heif[0].info["icc_profile_type"] = "prof"
    stream = io.BytesIO()
    heif.save(stream, quality=90, **options)
    return stream.getvalue()


def deep_heic(pixels):
    """A HEIC file of 12 bits a channel; None if this pillow_heif writes none."""
    heif = pytest.importorskip("pillow_heif")
    mode = {1: "I;16", 3: "RGB;16", 4: "RGBA;16"}[pixels.shape[2]]
    before, heif.options.SAVE_HDR_TO_12_BIT = heif.options.SAVE_HDR_TO_12_BIT, True
    stream = io.BytesIO()
    try:
        heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes()).save(stream, quality=-1)
    except RuntimeError:
        pytest.skip("this pillow_heif writes no HEIC")
    finally:
        heif.options.SAVE_HDR_TO_12_BIT = before
    return stream.getvalue()


def jxl_with_profile(profile):
    """The package writes no profile itself, except that of a JPEG which it packs."""
    from pillow_jxl import Encoder

    jpeg = saved(Image.fromarray(noise()), "JPEG", icc_profile=profile)
    encoder = Encoder(mode="RGB", lossless=True, use_container=True, num_threads=0)
    return bytes(encoder(jpeg, 30, 24, jpeg_encode=True))


def ours(name, picture):
    """The bytes of a picture as we write it; None if we do not."""
    suffix = TABLE[name][1].split()[0]
    if suffix not in WRITABLE:
        if name in PACKAGES:
            pytest.importorskip(PACKAGES[name])
        return None
    stream = io.BytesIO()
    write(picture, stream, format=suffix)
    return stream.getvalue()


def in_and_out(name, seen_in, seen_out):
    return ", ".join(["in"] * seen_in + ["out"] * seen_out) or "no"


def check_read(name):
    picture = read_bytes(made_elsewhere(name))
    assert picture.size == (30, 24) and abs(picture.rgb.astype(float) - noise()).mean() < 30
    return "yes"


def check_write(name):
    content = ours(name, Picture(noise()))
    if content is None:
        return "no"
    assert abs(read_bytes(content).rgb.astype(float) - noise()).mean() < 8
    return "yes"


def check_16_bits(name):
    deep = np.repeat(np.linspace(0, 1, 30, dtype=np.float32)[None, :, None], 24, 0).repeat(3, 2)
    content = ours(name, Picture(deep, None, 16))
    elsewhere = made_elsewhere(name)
    if name == "HEIC":
        elsewhere = deep_heic(np.repeat(GREYS[None, :, None], 24, 0).repeat(3, 2))
    bits = read_bytes(content or elsewhere).bits
    return in_and_out(name, bits == 16, bits == 16 and content is not None)


def check_profile(name):
    content = ours(name, Picture(noise(), None, 8, PROFILE))
    out = content is not None and PROFILE in embedded_profiles(name, content)
    if name in ("GIF", "BMP"):
        return in_and_out(name, False, out)
    return in_and_out(name, read_bytes(made_elsewhere(name, profile=PROFILE)).profile == PROFILE, out)


def embedded_profiles(name, content):
    return [Image.open(io.BytesIO(content)).info.get("icc_profile")]


def check_exif(name):
    content = ours(name, Picture(noise(), metadata=Metadata(camera_exif())))
    out = content is not None and Image.open(io.BytesIO(content)).getexif().get(0x010F) == "Camera maker"
    if name in ("GIF", "BMP"):
        return in_and_out(name, False, out)
    exif = read_bytes(made_elsewhere(name, exif=camera_exif())).metadata.exif
    return in_and_out(name, exif is not None and parsed(exif).data(0x010F) == b"Camera maker\0", out)


def check_alpha(name):
    content = ours(name, Picture(noise(), ALPHA))
    if name == "GIF":
        stream = io.BytesIO()
        write_frames(Animation([Picture(noise(), ALPHA)], (100,)), stream, format="gif")
        content = stream.getvalue()
    out = content is not None and read_bytes(content).alpha is not None
    if name in ("JPEG", "BMP"):
        return in_and_out(name, False, out)
    alpha = read_bytes(made_elsewhere(name, "RGBA")).alpha
    return in_and_out(name, alpha is not None and bool(abs(alpha.astype(int) - ALPHA).mean() < 8), out)


def check_animation(name):
    suffix = TABLE[name][1].split()[0]
    animation = Animation([Picture(noise()), Picture(noise(seed=1))], (100, 100))
    stream = io.BytesIO()
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    if suffix not in formats.ANIMATED:
        assert "hold no animation" in refused(write_frames, animation, stream, format=suffix) or suffix not in WRITABLE
        return "no"
    write_frames(animation, stream, format=suffix)
    back = read_frames(io.BytesIO(stream.getvalue()))
    return in_and_out(name, isinstance(back, Animation), len(back.frames) == 2)


CHECKS = {
    "Read": check_read,
    "Write": check_write,
    "16 bits": check_16_bits,
    "Profile": check_profile,
    "EXIF": check_exif,
    "Alpha": check_alpha,
    "Animation": check_animation,
}


@pytest.mark.parametrize("name, head", CELLS)
def test_cell(name, head):
    assert CHECKS[head](name) == TABLE[name][HEADS.index(head)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_deep_heic_keeps_its_levels(channels):
    pixels = np.repeat(GREYS[None, :, None], 8, 0).repeat(channels, 2)
    if channels == 4:
        pixels[..., 3] = 40000
    picture = read_bytes(deep_heic(pixels))
    assert picture.bits == 16 and picture.rgb.min() == 0 and picture.rgb.max() == pytest.approx(1, abs=1e-3)
    assert abs(picture.rgb - pixels[..., :1] / 65535).max() < 4 / 4095
    assert len(np.unique(picture.rgb[0, :, 1])) > 1000
    assert (picture.alpha is None) == (channels != 4)
    assert channels != 4 or abs(picture.alpha.astype(int) - 156).max() <= 1


def test_of_several_pictures_in_a_heic_the_first_is_read_and_said():
    heif = pytest.importorskip("pillow_heif")
    file, stream = heif.from_pillow(Image.fromarray(noise())), io.BytesIO()
    file.add_from_pillow(Image.fromarray(noise(seed=1)))
    try:
        file.save(stream)
    except RuntimeError:
        pytest.skip("this pillow_heif writes no HEIC")
    picture = read_bytes(stream.getvalue())
    assert picture.several == "pictures" and abs(picture.rgb.astype(float) - noise()).mean() < 15


@pytest.mark.parametrize("name", PACKAGES)
def test_memory_is_checked_before_decoding(name):
    """Also where opening a file decodes it."""
    content = made_elsewhere(name)
    assert "is 30 x 24: to read it needs about " in refused(read, io.BytesIO(content), memory=1)
    assert "is 30 x 24 and takes about " in refused(read, io.BytesIO(content), max_pixels=30 * 24)


def test_suffixes_of_the_table():
    shown = {suffix for row in TABLE.values() for suffix in row[1].split()}
    assert READABLE - shown <= {".jpe", ".jfif", ".apng"} and set(WRITABLE) <= shown


# ------------------------------------------------------------------------------------------------------- missing packages


@pytest.mark.parametrize(
    "beginning, words",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture, and the package that reads them is not installed"),
        (b"\xff\x0a" + bytes(30), "is a JPEG XL picture, and the package"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "pip install 'styleshuffle[jxl]'"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, beginning, words):
    extras = {name: (extra, False) for name, (extra, _) in formats._EXTRAS.items()}
    monkeypatch.setattr(formats, "_EXTRAS", extras)
    assert words in refused(read_bytes, beginning)


def test_avif_is_not_taken_for_heic():
    assert not formats.is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf")
    assert formats.is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (256, 256), (30, 24), (640, 480), (400, 300), (192, 108), (9000, 3)])
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(size):
    pytest.importorskip("pillow_jxl")
    import pillow_jxl  # noqa: F401

    stream = io.BytesIO()
    for container in (False, True):
        Image.new("L", size).save(stream, "JXL", effort=1, use_container=container)
        assert formats._jxl_size(formats._jxl_codestream(io.BytesIO(stream.getvalue()))) == size
        stream = io.BytesIO()
    Image.new("RGB", (100, 100)).save(stream, "JXL", effort=1)
    assert "limit of 9,999" in refused(read_frames, io.BytesIO(stream.getvalue()), max_pixels=9_999)


def test_extras_are_loaded_only_when_needed():
    code = "import sys, styleshuffle.images; print('pillow_jxl' in sys.modules or 'pillow_heif' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.stdout.split() == ["False"], done.stderr
