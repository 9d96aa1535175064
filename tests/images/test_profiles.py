"""Colour profiles wider than sRGB: there and back without loss, beside the results of littlecms."""

import io
import zlib

import numpy as np
import pytest
from picture_files import (
    PRIMARIES,
    chunk,
    gamma_curve,
    icc,
    noise,
    parametric_curve,
    png,
    read_bytes,
    refused,
    rgb_profile,
    saved,
    srgb_profile,
    stored,
)
from PIL import Image, ImageCms

from styleshuffle.errors import SettingsError
from styleshuffle.images import Picture, SaveOptions, read, write
from styleshuffle.images.profiles import matrix_profile, profile_of_gamma

NAMES = sorted(PRIMARIES)
CUBE = np.stack(np.meshgrid(*[np.linspace(0, 255, 6).round().astype(np.uint8)] * 3), -1).reshape(12, 18, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_comes_back_with_all_its_colours(tmp_path, name):
    """What is read in a wide profile and written again is the same, whatever sRGB holds of it."""
    content = saved(Image.fromarray(CUBE), "PNG", icc_profile=rgb_profile(name))
    picture = read_bytes(content)
    assert picture.profile == rgb_profile(name)
    assert picture.rgb.min() < -0.1 and picture.rgb.max() > 1.05  # beyond sRGB
    for suffix in (".png", ".tif"):
        write(picture, tmp_path / f"a{suffix}")
        result = stored(tmp_path / f"a{suffix}")
        assert result.info["icc_profile"] == rgb_profile(name)
        assert np.array_equal(np.array(result), CUBE)
    write(picture, tmp_path / "srgb.png", options=SaveOptions(profile="srgb"))
    result = stored(tmp_path / "srgb.png")
    assert "icc_profile" not in result.info
    assert abs(np.array(result).astype(int) - (picture.rgb.clip(0, 1) * 255).round()).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_conversion_agrees_with_littlecms(name):
    profile = rgb_profile(name)
    ours = matrix_profile(profile).to_srgb(CUBE).clip(0, 1) * 255
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(
        source, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    theirs = np.array(ImageCms.applyTransform(Image.fromarray(CUBE), transform))
    assert abs(ours - theirs).max() <= 1.6  # theirs has 8 bits and tables


@pytest.mark.parametrize("name", NAMES)
def test_srgb_colours_reach_a_wide_profile_unclipped(tmp_path, name):
    """All of sRGB lies within these profiles, so a picture of it can be written in them and read again."""
    picture = Picture((CUBE / 255).astype(np.float32), None, 16, rgb_profile(name))
    write(picture, tmp_path / "a.tif")
    back = read(tmp_path / "a.tif")
    assert abs(back.rgb.clip(0, 1) - picture.rgb).max() < 2e-3
    grey = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 3, 2)
    write(Picture(grey, None, 16, rgb_profile(name)), tmp_path / "grey.tif")
    grey = read(tmp_path / "grey.tif").rgb
    assert abs(grey - grey[..., :1]).max() < 1e-4  # grey stays grey


@pytest.mark.parametrize("name", NAMES)
def test_a_deep_picture_in_a_wide_profile_keeps_its_levels(tmp_path, name):
    ramp = np.zeros((2, 4096, 3), np.uint16)
    ramp[..., 1] = np.linspace(0, 65535, 4096).round()
    content = io.BytesIO()
    write(Picture((ramp / 65535).astype(np.float32), None, 16), content, format="png")
    bare = content.getvalue()
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(rgb_profile(name)))
    picture = read_bytes(bare[:33] + profile + bare[33:])
    assert picture.bits == 16 and picture.profile == rgb_profile(name)
    write(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == rgb_profile(name)
    back = read(tmp_path / "a.png").rgb
    assert len(np.unique(back[0, :, 1])) == 4096
    assert abs(back - picture.rgb).max() < 1e-4


def test_an_srgb_profile_is_embedded_again_and_moves_nothing(tmp_path):
    pixels = noise()
    write(Image.open(io.BytesIO(saved(Image.fromarray(pixels), "PNG", icc_profile=srgb_profile()))), tmp_path / "a.png")
    assert stored(tmp_path / "a.png").info["icc_profile"] == srgb_profile()
    assert np.array_equal(np.array(stored(tmp_path / "a.png")), pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_lossy_formats_embed_the_profile(tmp_path, suffix):
    content = saved(Image.new("RGB", (16, 16), (255, 0, 0)), "PNG", icc_profile=rgb_profile("Display P3"))
    write(read_bytes(content), tmp_path / f"a{suffix}")
    result = stored(tmp_path / f"a{suffix}")
    assert result.info["icc_profile"] == rgb_profile("Display P3")
    assert abs(np.array(result).astype(int) - [255, 0, 0]).max() <= 6


def test_colours_within_srgb_stay_8_bits():
    """Only colours beyond sRGB need floats."""
    content = saved(Image.new("RGB", (4, 4), (120, 110, 100)), "PNG", icc_profile=rgb_profile("Adobe RGB"))
    assert read_bytes(content).rgb.dtype == np.uint8


def test_tensors_are_within_srgb():
    content = saved(Image.fromarray(CUBE), "PNG", icc_profile=rgb_profile("ProPhoto"))
    tensor = read_bytes(content).tensor()
    assert tensor.min() == 0 and tensor.max() == 1


def test_colours_beyond_srgb_are_passed_on():
    wide = read_bytes(saved(Image.fromarray(CUBE), "PNG", icc_profile=rgb_profile("ProPhoto")))
    result = Picture(np.full((12, 18, 3), 0.5, np.float32))
    assert wide.passed_on(result, 0).rgb.max() == 0.5 and wide.passed_on(result, 0).profile == wide.profile
    whole = Picture(wide.rgb.clip(0, 1))
    assert np.allclose(wide.passed_on(whole, 1).rgb, wide.rgb, atol=1e-6)
    assert wide.passed_on(Picture(np.zeros((6, 9, 3), np.uint8)), 1).rgb.shape == (6, 9, 3)


def profile_of_curve(curve):
    tags = {bytes([c]) + b"TRC": curve for c in b"rgb"}
    for channel, column in zip(b"rgb", PRIMARIES["Display P3"], strict=True):
        tags[bytes([channel]) + b"XYZ"] = b"XYZ " + bytes(4) + (np.array(column) * 65536).astype(">i4").tobytes()
    return icc(b"RGB ", b"XYZ ", b"mntr", tags)


@pytest.mark.parametrize(
    "curve",
    [
        parametric_curve(3, 2.0, 1.0, 0.0, 200.0, 0.05),  # up to 10 in a short piece
        parametric_curve(3, 2.0, 1.0, 0.0, -200.0, 0.05),
        parametric_curve(0, 2.0)[:8] + bytes(4),  # to the power of 0
        parametric_curve(4, 2.0, 1.0, 0.0, 1.0, 0.5, 30.0, 0.0),
    ],
)
def test_curves_to_far_more_than_white_are_damage(curve):
    assert matrix_profile(profile_of_curve(curve)) is None


@pytest.mark.parametrize(
    "curve, light",
    [
        (gamma_curve(1), lambda x: x),
        (gamma_curve(2), lambda x: x**2),
        (parametric_curve(0, 2.0), lambda x: x**2),
        (parametric_curve(1, 2.0, 1.0, 0.0), lambda x: x**2),
        (parametric_curve(2, 2.0, 0.5, 0.0, 0.5), lambda x: (x / 2) ** 2 + 0.5),
        (parametric_curve(3, 2.0, 1.0, 0.0, 0.25, 0.25), lambda x: np.where(x < 0.25, x / 4, x**2)),
        (parametric_curve(4, 2.0, 1.0, 0.0, 0.25, 0.25, 0.5, 0.5), lambda x: np.where(x < 0.25, x / 4, x**2) + 0.5),
        (b"curv" + bytes(4) + (3).to_bytes(4, "big") + bytes([0, 0, 64, 0, 255, 255]), None),
        (b"curv" + bytes(8), lambda x: x),
    ],
)
def test_every_kind_of_curve(curve, light):
    own = matrix_profile(profile_of_curve(curve)).curves[0]
    numbers = np.linspace(0, 1, 33)
    expected = light(numbers) if light else np.interp(numbers, [0, 0.5, 1], [0, 0.25, 1])
    assert abs(own.light(numbers) - expected).max() < 1e-4
    assert abs(own.numbers(own.light(numbers)) - numbers).max() < 1e-4


@pytest.mark.parametrize("cut", [0, 100, 131, 140, 300])
def test_cut_profiles_are_no_profiles(cut):
    profile = rgb_profile("Display P3")[:cut]
    assert matrix_profile(profile) is None
    pixels = noise()
    picture = read_bytes(saved(Image.fromarray(pixels), "PNG", icc_profile=profile or None))
    assert np.array_equal(picture.rgb, pixels) and picture.profile is None


# ------------------------------------------------------------------------------------------------------- the gamma of PNG


def gamma_png(value, *chunks, gamma=1.0):
    return png(1, 1, 8, 0, bytes([0, value]), chunk(b"gAMA", round(gamma * 100000).to_bytes(4, "big")) + b"".join(chunks))


def test_gamma_of_a_png():
    assert read_bytes(gamma_png(55)).rgb[0, 0].tolist() == [128] * 3  # light 55 / 255 is 128 in sRGB
    assert read_bytes(gamma_png(55, gamma=0.45455)).rgb[0, 0].tolist() == [55] * 3  # means sRGB
    assert read_bytes(gamma_png(55, chunk(b"sRGB", b"\0"))).rgb[0, 0].tolist() == [55] * 3
    assert read_bytes(gamma_png(55, gamma=0)).rgb[0, 0].tolist() == [55] * 3  # nonsense


def test_chromaticities_of_a_png():
    """The primaries of Display P3 give what its profile gives; those of sRGB change nothing."""
    p3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    by_chunk, by_profile = profile_of_gamma(1 / 2.2, p3), matrix_profile(rgb_profile("Display P3"))
    assert abs(by_chunk.matrix - by_profile.matrix).max() < 2e-3
    assert profile_of_gamma(1 / 2.2, (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)).nearly_srgb
    for nonsense in ((0.0,) * 8, (0.3, 0.3) * 4, (0.3,) * 7):
        assert profile_of_gamma(1 / 2.2, nonsense) is None


def test_unknown_words_are_refused():
    for options in ({"depth": "12"}, {"profile": "p3"}):
        with pytest.raises(SettingsError, match="use one of"):
            SaveOptions(**options)
    assert "not a picture" in refused(write, None, io.BytesIO(), format="png")
