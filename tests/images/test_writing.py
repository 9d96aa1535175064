"""Writing pictures: what comes back, what is refused, and that a failure changes nothing."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import files, raising
from picture_files import (
    GREYS,
    noise,
    read_bytes,
    refused,
    stored,
)
from PIL import Image

from styleshuffle.images import READABLE, WRITABLE, Picture, SaveOptions, check_target, read, write

# ---------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".TIFF", ".PNG"])
def test_lossless_round_trip(tmp_path, suffix):
    pixels = noise(channels=4)
    assert write(Image.fromarray(pixels), tmp_path / f"a{suffix}") == []
    picture = read(tmp_path / f"a{suffix}")
    assert np.array_equal(np.dstack([picture.rgb, picture.alpha]), pixels)
    assert files(tmp_path) == [f"a{suffix}"]


def test_every_kind_of_picture_is_written(tmp_path):
    pixels = noise()
    picture = Picture(pixels, np.full(pixels.shape[:2], 99, np.uint8))
    chw = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (pixels, pixels / 255, chw, chw[None] / 255, Image.fromarray(pixels), Picture(pixels), picture):
        write(image, tmp_path / "a.png", overwrite=True)
        assert np.array_equal(read(tmp_path / "a.png").rgb, pixels)
    assert (read(tmp_path / "a.png").alpha == 99).all()
    assert "not a picture" in refused(write, "a.png", tmp_path / "b.png")
    write(Image.fromarray(GREYS), tmp_path / "grey.png", options=SaveOptions(depth="8"))
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
    assert files(tmp_path) == []
    assert message == refused(check_target, tmp_path / name)


def test_folders(tmp_path):
    for target in (tmp_path, str(tmp_path) + os.sep):
        assert "is a folder" in refused(write, noise(), target, overwrite=True)
    message = refused(write, noise(), tmp_path / "gone" / "a.png")
    assert f"there is no folder {tmp_path / 'gone'}" in message and "a.png" in message
    (tmp_path / "file").touch()
    assert "there is no folder" in refused(write, noise(), tmp_path / "file" / "a.png")
    assert files(tmp_path) == ["file"]
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
    assert np.array_equal(read(target).rgb, noise()) and files(tmp_path) == ["a.png"]


# -------------------------------------------------------------------------------------------------------------- atomicity


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace", "fdopen"])
def test_failing_write_changes_nothing(tmp_path, monkeypatch, step):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, raising(NO_SPACE))
    message = refused(write, noise(), target, overwrite=True)
    assert f"{target}: cannot be written (No space left on device); " in message
    assert target.read_bytes() == b"old" and files(tmp_path) == ["a.png"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interrupted_write_changes_nothing(tmp_path, monkeypatch, step):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(noise(), target, overwrite=True)
    assert target.read_bytes() == b"old" and files(tmp_path) == ["a.png"]


def test_failing_encoder_changes_nothing(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", raising(OSError("encoder error -2")))
    assert "cannot be encoded as PNG" in refused(write, noise(), target, overwrite=True)
    monkeypatch.setattr(Image.Image, "save", raising(MemoryError()))
    assert "memory" in refused(write, noise(), target, overwrite=True)
    assert target.read_bytes() == b"old" and files(tmp_path) == ["a.png"]


def test_permission_lost_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", raising(PermissionError(errno.EACCES, "Permission denied")))
    assert "may not be written to" in refused(write, noise(), tmp_path / "a.png")
    assert files(tmp_path) == []


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
    assert target.read_bytes() == b"other" and files(tmp_path) == ["a.png"]


def test_suffix_tables():
    assert set(WRITABLE) <= READABLE
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in READABLE)
