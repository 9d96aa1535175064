"""What cannot be read is refused in one line: files that are missing, damaged, too large or no pictures."""

import errno
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import environment, raising
from picture_files import (
    noise,
    png,
    read_bytes,
    refused,
    saved,
    tiff,
)
from PIL import Image, ImageFile

from styleshuffle import images
from styleshuffle.errors import PictureError
from styleshuffle.images import read


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
    monkeypatch.setattr(images.reading, "open", raising(error), raising=False)
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
    content = saved(Image.fromarray(noise()), "PNG")
    monkeypatch.setattr("styleshuffle.images.opening.samples_of", raising(MemoryError()))
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
    done = subprocess.run(command, input=content, capture_output=True, env=environment())
    assert done.stdout.split() == [b"(30,", b"24)"], done.stderr
