"""What a photographer brings comes back: depth, profile, metadata and frames, from the real command line."""

import io

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import SAMPLES, files, invoke, picture
from photograph_files import IPTC, XMP, camera_exif
from picture_files import rgb_profile, saved
from PIL import Image

from styleshuffle.commands.stylize import main
from styleshuffle.images import Animation, Picture, read, read_frames, write, write_frames
from styleshuffle.images.exif import orientation_of, parsed
from styleshuffle.images.metadata import Metadata
from styleshuffle.images.tiff_tags import GPS_IFD

P3 = rgb_profile("Display P3")


def photograph(path, bits=8, size=(24, 16)):
    """A photograph in Display P3 with a camera's metadata, taken upright."""
    rgb = np.linspace(0, 1, size[0] * size[1] * 3, dtype=np.float32).reshape(size[1], size[0], 3)
    metadata = Metadata(camera_exif(), XMP, IPTC, (300.0, 300.0))
    write(Picture(rgb, None, bits, P3, metadata), path)
    return path


def make(fake, here, *options, content="photo.tif", output="out.tif", code=0):
    result = invoke(main, here / content, here / "style.png", "-o", here / output, *options)
    assert result.exit_code == code, result.stderr
    return result


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_metadata_and_profile_are_kept(fake, here, suffix):
    photograph(here / "photo.tif")
    make(fake, here, output=f"out{suffix}")
    result = read(here / f"out{suffix}")
    assert result.profile == P3
    exif = parsed(result.metadata.exif)
    assert exif.data(0x010F) == b"Camera maker\0" and GPS_IFD in exif.children
    assert orientation_of(result.metadata.exif) == 1 and b"dc:creator" in result.metadata.xmp


def test_a_turned_photograph_is_upright_once(fake, here):
    exif = Image.Exif()
    exif[0x0112] = 6
    (here / "photo.jpg").write_bytes(saved(Image.new("RGB", (24, 16), "red"), "JPEG", exif=exif))
    make(fake, here, content="photo.jpg", output="out.jpg")
    with Image.open(here / "out.jpg") as image:
        assert image.size == (16, 24) and image.getexif()[0x0112] == 1


def test_strip_and_srgb(fake, here):
    photograph(here / "photo.tif")
    make(fake, here, "--strip", "--profile", "srgb", "--no-recipe")
    result = read(here / "out.tif")
    assert result.metadata == Metadata() and result.profile is None
    make(fake, here, "--strip-gps", output="other.tif")
    exif = parsed(read(here / "other.tif").metadata.exif)
    assert b"recipe" in read(here / "other.tif").metadata.xmp
    assert GPS_IFD not in exif.children and exif.data(0x010F) == b"Camera maker\0"


def test_folders_keep_them_too(fake, here):
    (here / "in").mkdir()
    for name in ("a.tif", "b.png", "c.jpg"):
        photograph(here / "in" / name, 8 if name == "c.jpg" else 16)
    make(fake, here, "--strip-gps", content="in", output="out")
    for name, bits in (("a.tif", 16), ("b.png", 16), ("c.jpg", 8)):
        result = read(here / "out" / name)
        assert result.bits == bits and result.profile == P3
        exif = parsed(result.metadata.exif)
        assert exif.data(0x010F) == b"Camera maker\0" and GPS_IFD not in exif.children


@pytest.mark.parametrize("option, bits", [("auto", 16), ("8", 8), ("16", 16)])
def test_depth(fake, here, option, bits):
    photograph(here / "photo.tif", 16)
    make(fake, here, "--depth", option)
    assert read(here / "out.tif").bits == bits
    warned = make(fake, here, "--depth", option, output="out.jpg").stderr
    assert ("JPEG holds 8 bits a channel" in warned) == (option == "16")


def test_standard_output_keeps_16_bits(fake, here):
    photograph(here / "photo.tif", 16)
    result = CliRunner().invoke(main, [str(here / "photo.tif"), str(here / "style.png"), "-o", "-"])
    assert read(io.BytesIO(result.stdout_bytes)).bits == 16


# ---------------------------------------------------------------------------------------------------------------- frames


def animation(path, count=3):
    frames = [Picture(np.full((16, 24, 3), 40 * number, np.uint8)) for number in range(count)]
    write_frames(Animation(frames, tuple(50 + 10 * number for number in range(count))), path)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_all_frames(fake, here, suffix):
    animation(here / f"in{suffix}")
    make(fake, here, "--all-frames", content=f"in{suffix}", output=f"out{suffix}")
    result = read_frames(here / f"out{suffix}")
    assert result.durations == (50, 60, 70)
    for number, frame in enumerate(result.frames):
        assert abs(frame.rgb.astype(int) - (255 - 40 * number)).max() < 12
    assert len(fake.made) == 1  # the style is prepared once


def test_only_the_first_frame_with_a_warning(fake, here):
    animation(here / "in.gif")
    told = make(fake, here, content="in.gif", output="out.png").stderr
    assert "in.gif: has several frames, of which only the first is used; set --all-frames to use them all" in told
    assert isinstance(read_frames(here / "out.png"), Picture)
    told = invoke(main, here / "content.png", here / "in.gif", "-o", here / "other.png").stderr
    assert "in.gif: has several frames, of which only the first is used" in told and "--all-frames" not in told


def test_frames_in_a_folder(fake, here):
    (here / "in").mkdir()
    animation(here / "in" / "a.gif")
    animation(here / "in" / "still.gif", 1)
    picture(here / "in" / "b.jpg")
    make(fake, here, "--all-frames", content="in", output="out")
    assert files(here / "out") == ["a.gif", "b.jpg", "still.gif"]
    assert len(read_frames(here / "out" / "a.gif").frames) == 3
    make(fake, here, content="in", output="stills")
    assert files(here / "stills") == ["a.png", "b.jpg", "still.png"]


def test_frames_that_the_format_does_not_hold(fake, here):
    animation(here / "in.gif")
    assert (
        ".jpg files hold no animation"
        in make(fake, here, "--all-frames", content="in.gif", output="out.jpg", code=1).stderr
    )
    assert "end it in one of" in make(fake, here, content="content.png", output="out.gif", code=2).stderr


# --------------------------------------------------------------------------------------------------- by the real networks


def test_a_sky_keeps_its_levels_from_end_to_end(here):
    """At strength 0 a gradient of 16 bits comes through the networks with far more levels than 8 bits have."""
    ramp = np.linspace(0.3, 0.7, 96 * 64, dtype=np.float32).reshape(64, 96, 1).repeat(3, 2)
    write(Picture(ramp, None, 16), here / "sky.tif")
    style = SAMPLES / "style" / "autumn_avenue.jpg"
    result = invoke(main, here / "sky.tif", style, "-o", here / "out.tif", "--strength", "0", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    out = read(here / "out.tif")
    assert out.bits == 16 and len(np.unique(out.rgb[..., 1])) > 4000
    invoke(main, here / "sky.tif", style, "-o", here / "8.tif", "--strength", "0", "--device", "cpu", "--depth", "8")
    assert len(np.unique(read(here / "8.tif").rgb[..., 1])) < 256


def test_colours_beyond_srgb_come_back_at_strength_0(here):
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[..., 0] = 255  # the red of Display P3
    (here / "red.png").write_bytes(saved(Image.fromarray(rgb), "PNG", icc_profile=P3))
    style = SAMPLES / "style" / "autumn_avenue.jpg"
    result = invoke(main, here / "red.png", style, "-o", here / "out.png", "--strength", "0", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    with Image.open(here / "out.png") as image:
        assert image.info["icc_profile"] == P3
        mean = np.array(image).reshape(-1, 3).mean(0)
    assert mean[0] > 245 and mean[1:].max() < 30  # sRGB's red would be 234, 51, 35
