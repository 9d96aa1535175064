"""Animations: all frames with their times, or the first with a word."""

import io

import numpy as np
import pytest
from picture_files import noise, read_bytes, refused, rgb_profile, saved, stored
from PIL import Image

from styleshuffle.images import Animation, Picture, SaveOptions, read, read_frames, write_frames
from styleshuffle.images.metadata import Metadata

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
TIMES = (50, 120, 200)
FORMATS = ["gif", "webp", "png"]


def animation(alpha=None, profile=None, metadata=None):
    frames = [
        Picture(np.full((6, 8, 3), colour, np.uint8), alpha, 8, profile, metadata or Metadata()) for colour in COLOURS
    ]
    return Animation(frames, TIMES, 3)


def written(animation, format, **options):
    stream = io.BytesIO()
    write_frames(animation, stream, format=format, options=SaveOptions(**options))
    return stream.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_frames_there_and_back(format):
    content = written(animation(), format)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    back = read_frames(io.BytesIO(content))
    assert isinstance(back, Animation) and back.durations == TIMES and back.loop == 3 and back.size == (8, 6)
    for frame, colour in zip(back.frames, COLOURS, strict=True):
        assert abs(frame.rgb.astype(int) - colour).max() <= (12 if format == "webp" else 1)


@pytest.mark.parametrize("format", FORMATS)
def test_transparency_of_frames(format):
    alpha = np.zeros((6, 8), np.uint8)
    alpha[:, 4:] = 255
    back = read_frames(io.BytesIO(written(animation(alpha), format)))
    for frame, colour in zip(back.frames, COLOURS, strict=True):
        assert np.array_equal(frame.alpha, alpha)
        assert abs(frame.rgb[:, 4:].astype(int) - colour).max() <= 12


@pytest.mark.parametrize("loop, expected", [(0, 0), (1, 1), (5, 5)])
@pytest.mark.parametrize("format", FORMATS)
def test_loops(format, loop, expected):
    content = written(Animation(animation().frames, TIMES, loop), format)
    assert read_frames(io.BytesIO(content)).loop == expected


@pytest.mark.parametrize("format", ["webp", "png"])
def test_profile_and_metadata_of_frames(format):
    profile, xmp = rgb_profile("Display P3"), b"<x>Ann</x>"
    content = written(animation(None, profile, Metadata(xmp=xmp)), format)
    back = read_frames(io.BytesIO(content)).frames[0]
    assert back.profile == profile and back.metadata.xmp == xmp
    stripped = read_frames(io.BytesIO(written(animation(None, profile, Metadata(xmp=xmp)), format, strip=True)))
    assert stripped.frames[0].metadata.xmp is None


def test_a_gif_looks_like_its_source():
    pixels = noise(48, 64)
    back = read_frames(io.BytesIO(written(Animation([Picture(pixels), Picture(pixels[::-1].copy())], (40, 40)), "gif")))
    assert abs(back.frames[0].rgb.astype(int) - pixels).mean() < 10  # dithered


@pytest.mark.parametrize("format", FORMATS)
def test_one_picture_is_no_animation(format):
    picture = read_frames(io.BytesIO(saved(Image.fromarray(noise()), format.upper())))
    assert isinstance(picture, Picture) and picture.several == ""
    assert isinstance(read_frames(io.BytesIO(saved(Image.fromarray(noise()), "JPEG"))), Picture)
    alone = written(Animation(animation().frames[:1], (50,)), format)
    assert read_bytes(alone).size == (8, 6)


@pytest.mark.parametrize("format", FORMATS)
def test_the_first_frame_says_that_there_are_more(format):
    picture = read_bytes(written(animation(), format))
    assert picture.several == "frames" and abs(picture.rgb.astype(int) - COLOURS[0]).max() <= 12


def test_pages_say_that_there_are_more():
    pages = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    assert read_bytes(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])).several == "pages"
    assert read_bytes(saved(pages[0], "TIFF")).several == ""


def test_a_png_with_a_picture_for_those_who_cannot_animate():
    images = [Image.new("RGB", (8, 6), colour) for colour in COLOURS]
    content = saved(images[0], "PNG", save_all=True, append_images=images[1:], default_image=True, duration=70)
    back = read_frames(io.BytesIO(content))
    assert [frame.rgb[0, 0].tolist() for frame in back.frames] == [list(colour) for colour in COLOURS[1:]]


def test_all_frames_together_are_bounded():
    content = written(animation(), "gif")
    assert isinstance(read_frames(io.BytesIO(content), max_pixels=144), Animation)
    assert "limit of 143" in refused(read_frames, io.BytesIO(content), max_pixels=143)


def test_formats_without_animation_are_refused(tmp_path):
    message = refused(write_frames, animation(), tmp_path / "a.jpg")
    assert ".jpg files hold no animation; use one of .apng, .gif, .png, .webp" in message
    assert "cannot write .bmp" in refused(write_frames, animation(), tmp_path / "a.bmp")
    write_frames(animation(), tmp_path / "a.apng")
    assert "exists already" in refused(write_frames, animation(), tmp_path / "a.apng")
    assert stored(tmp_path / "a.apng").n_frames == 3 and read(tmp_path / "a.apng").several == "frames"


@pytest.mark.parametrize("format", FORMATS)
def test_cut_animations_are_refused_or_shorter(format):
    content = written(animation(), format)
    for cut in range(0, len(content), 1 + len(content) // 40):
        try:
            read_frames(io.BytesIO(content[:cut]))
        except Exception as error:
            assert type(error).__name__ == "PictureError"
