"""Films as they are read: times, upright frames, right colours; and files that are no whole films."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_files import STEP, panning, write_film
from PIL import Image

from styleshuffle.errors import PictureError
from styleshuffle.video.reading import FilmFile, FrameFolder


def quarters() -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom left."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24, 0] = pixels[:16, 24:, 1] = pixels[16:, :24, 2] = 220
    return pixels


def test_frames_come_with_their_times_and_durations(tmp_path: Path) -> None:
    times = [0, 100, 1000, 1512, 3000]
    source = FilmFile(write_film(tmp_path / "a.mp4", panning(5), times=times))
    frames = list(source.frames())
    assert source.facts.count == 5
    assert source.facts.size == (64, 48)
    assert [frame.time for frame in frames] == times
    assert [frame.duration for frame in frames[:-1]] == [100, 900, 512, 1488]
    assert not any(frame.damaged for frame in frames)


@pytest.mark.parametrize(
    ("rotation", "corner", "channel"),
    [(0, "top left", 0), (90, "top left", 1), (90, "bottom left", 0), (180, "top right", 2), (-90, "top left", 2)],
)
def test_frames_are_upright(tmp_path: Path, rotation: int, corner: str, channel: int) -> None:
    source = FilmFile(write_film(tmp_path / "a.mp4", [quarters()] * 2, rotation=rotation))
    pixels = next(source.frames()).rgb
    height, width = pixels.shape[:2]
    assert source.facts.size == (width, height) == ((32, 48) if rotation % 180 else (48, 32))
    row = height // 4 if "top" in corner else -height // 4
    column = width // 4 if "left" in corner else -width // 4
    assert pixels[row, column].argmax() == channel


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [None, 1])
def test_colours_are_right_for_each_range_and_matrix(tmp_path: Path, full_range: bool, matrix: int | None) -> None:
    flat = np.full((32, 32, 3), (200, 40, 90), np.uint8)
    source = FilmFile(write_film(tmp_path / "a.mp4", [flat] * 2, full_range=full_range, matrix=matrix))
    assert np.abs(next(source.frames()).rgb.astype(int) - flat).max() <= 3
    assert source.facts.colours.matrix == (matrix or 2)


def test_a_cut_or_a_wrong_file_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "a.mkv", panning(60, 64, 96, step=1), sound=2.4).read_bytes()
    cases = {"cut.mkv": whole[: len(whole) // 3], "text.mp4": b"hello " * 50, "empty.mp4": b""}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureError, match=name) as refused:
            FilmFile(tmp_path / name)
        assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(PictureError, match=r"none\.mp4: no such file"):
        FilmFile(tmp_path / "none.mp4")


def test_a_damaged_frame_repeats_the_frame_before(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", panning(6))
    import av

    with av.open(str(path)) as film:
        packets = [(packet.pos, packet.size) for packet in film.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    place, size = packets[3]
    data[place + 4 : place + size] = bytes(255 for _ in range(size - 4))  # the length of the first unit stays
    path.write_bytes(data)
    frames = list(FilmFile(path).frames())
    damaged = [number for number, frame in enumerate(frames) if frame.damaged]
    assert len(frames) == 6
    assert damaged
    for number in damaged:
        assert np.array_equal(frames[number].rgb, frames[number - 1].rgb)


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"shot2_{number}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    source = FrameFolder(tmp_path, Fraction(24))
    assert [int(frame.rgb[0, 0, 0]) for frame in source.frames()] == [1, 9, 10]
    assert (source.facts.rate, source.facts.count, source.facts.size) == (24, 3, (8, 6))
    Image.new("RGB", (8, 8)).save(tmp_path / "shot2_11.png")
    with pytest.raises(PictureError, match="is 8 x 8, the first is 8 x 6"):
        list(FrameFolder(tmp_path, Fraction(24)).frames())


def test_the_usual_step_is_25_frames_a_second(tmp_path: Path) -> None:
    frames = list(FilmFile(write_film(tmp_path / "a.mp4", panning(3))).frames())
    assert [frame.duration for frame in frames] == [STEP] * 3


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """A few bytes of a film can hold enormous frames, as those of a picture can."""
    film = write_film(tmp_path / "a.mp4", panning(2))
    with pytest.raises(PictureError, match=r"a\.mp4: is 64 x 48, 3,072 pixels, more than the limit of 1,000; "):
        FilmFile(film, max_pixels=1000)
    with pytest.raises(PictureError, match=r"a\.mp4: is 64 x 48: to read it needs about .* free; "):
        FilmFile(film, memory=1)
    first = Image.new("P", (6000, 6000))
    first.save(tmp_path / "b.gif", save_all=True, append_images=[Image.new("P", (6000, 6000), 1)])
    with pytest.raises(PictureError, match=r"b\.gif: is 6000 x 6000 and takes about .*; scale it down first"):
        FilmFile(tmp_path / "b.gif")
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "frames" / "0001.png")
    with pytest.raises(PictureError, match=r"0001\.png: is 40 x 30, 1,200 pixels"):
        FrameFolder(tmp_path / "frames", Fraction(25), max_pixels=1000)
    with pytest.raises(PictureError, match=r"0001\.png: is 40 x 30 and takes about"):
        FrameFolder(tmp_path / "frames", Fraction(25), max_pixels=2000)


def test_frames_of_another_size_are_made_to_fit(tmp_path: Path) -> None:
    """Recordings of broadcasts and calls change their size midway."""
    parts = [write_film(tmp_path / f"{side}.ts", [np.full((side, side, 3), 90, np.uint8)] * 2) for side in (32, 64)]
    joined = tmp_path / "a.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = FilmFile(joined)
    assert [frame.rgb.shape for frame in source.frames()] == [(32, 32, 3)] * 4
