"""What users of ``styleshuffle`` rely on with folders: what is written where, what is left alone, what goes on."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from fake_stylizer import FakeStylizer
from helpers import colour, files, invoke, picture, raising

from styleshuffle import images
from styleshuffle.commands import painting
from styleshuffle.commands import stylize as cli
from styleshuffle.errors import MemoryShortage, PictureError, WeightsError
from styleshuffle.settings import Settings

run = partial(invoke, cli.main)
YELLOW = (255, 255, 0)  # blue inverted


def test_folder(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("b.jpg", "A.PNG", "deep/er/c.tiff", "deep/d.gif", ".hidden.png", ".cache/x.png"):
        picture(Path("photos") / name)
    Path("photos/notes.txt").write_text("no picture")
    result = run("photos", "style.png", "-o", "new/stylized")
    assert result.exit_code == 0
    assert files("new/stylized") == ["A.PNG", "b.jpg", "deep/d.png", "deep/er/c.tiff"]
    assert result.stderr == "4 stylized, 0 already there, 0 failed\n" and result.stdout == ""
    assert [len(one.styles) for one in fake.made] == [1]


def test_folder_in_order(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("c.png", "a.png", "b/z.png", "b.png"):
        picture(Path("photos") / name)
    lines = run("photos", "style.png", "-o", "out", "-v").stderr.splitlines()
    order = [Path("out") / name for name in ("a.png", "b.png", "c.png", "b/z.png")]
    assert [line.split(":")[0] for line in lines[:-1]] == [str(path) for path in order]


def test_folder_never_reads_its_own_results(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png")
    for _ in range(2):
        assert run("photos", "style.png", "-o", "photos/out", "--overwrite").exit_code == 0
    assert files("photos") == ["a.png", "out/a.png"]


def test_style_in_the_folder_is_left_out(here: Path, fake: type[FakeStylizer]) -> None:
    result = run(".", "./style.png", "-o", "out", "-v")
    assert files("out") == ["content.png"]
    assert "./style.png: left out, because it is the style" in result.stderr.splitlines()


def test_resume(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("photos") / name)

    def stop_at_b(content: images.Picture) -> None:
        if len(fake.contents) == 2:
            raise KeyboardInterrupt

    fake.before = staticmethod(stop_at_b)
    stopped = run("photos", "style.png", "-o", "out")
    assert (stopped.exit_code, stopped.output) == (130, "")
    assert files("out") == ["a.png"]
    first = os.stat("out/a.png").st_mtime_ns

    fake.before = staticmethod(lambda content: None)
    assert run("photos", "style.png", "-o", "out").stderr == "2 stylized, 1 already there, 0 failed\n"
    assert os.stat("out/a.png").st_mtime_ns == first
    again = run("photos", "style.png", "-o", "out")
    assert (again.exit_code, again.stderr) == (0, "0 stylized, 3 already there, 0 failed\n")
    assert run("photos", "style.png", "-o", "out", "--overwrite").stderr == "3 stylized, 0 already there, 0 failed\n"


def test_what_another_run_finishes_meanwhile_is_left_to_it(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/b.png")
    fake.before = staticmethod(lambda content: picture("out/b.png", "white"))
    assert run("photos", "style.png", "-o", "out").stderr == "1 stylized, 1 already there, 0 failed\n"
    assert colour("out/b.png") == (255, 255, 255)


def test_a_failing_picture_is_passed_over(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/d.png")
    Path("photos/b.png").write_text("no picture")
    os.symlink("nowhere.png", "photos/c.png")
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    b, c, summary = result.stderr.splitlines()
    assert b.startswith(f"styleshuffle: error: {Path('photos/b.png')}: ")
    assert c.startswith(f"styleshuffle: error: {Path('photos/c.png')}: no such file")
    assert summary == "2 stylized, 0 already there, 2 failed"
    assert files("out") == ["a.png", "d.png"]


@pytest.mark.parametrize(
    "error", [MemoryError(), ZeroDivisionError("x"), PictureError("too small"), MemoryShortage("work_size: too large")]
)
def test_what_fails_for_one_picture_does_not_stop_the_rest(
    here: Path, fake: type[FakeStylizer], error: Exception
) -> None:
    picture("photos/a.png", size=(9, 9)), picture("photos/b.png")

    def fail_the_small(content: images.Picture) -> None:
        if content.size == (9, 9):
            raise error

    fake.before = staticmethod(fail_the_small)
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    line, summary = result.stderr.splitlines()
    assert line.startswith(f"styleshuffle: error: {Path('photos/a.png')}: ")
    assert summary == "1 stylized, 0 already there, 1 failed"


def test_a_full_disk_stops_the_folder(here: Path, fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("photos") / name)

    monkeypatch.setattr(os, "fsync", raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    line, summary = result.stderr.splitlines()
    assert "No space left" in line
    assert summary == "0 stylized, 0 already there, 1 failed, 2 not started"
    assert files("out") == []


def test_damaged_weights_stop_the_folder(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/b.png")
    fake.before = staticmethod(raising(WeightsError("w: damaged; reinstall")))
    result = run("photos", "style.png", "-o", "out")
    assert (result.exit_code, result.stderr) == (1, "styleshuffle: error: w: damaged; reinstall\n")


@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
def test_a_result_never_replaces_an_input(here: Path, fake: type[FakeStylizer], extra: list[str]) -> None:
    inner, outer = picture("p/a/x.png", "blue"), picture("p/a/a/x.png", "red")
    result = run("p/a", "style.png", "-o", "p", *extra)  # p/a/a/x.png would become p/a/x.png
    assert result.exit_code == 1
    assert f"styleshuffle: error: {outer}: {inner} is itself an input" in result.stderr
    assert (colour(inner), colour(outer)) == ((0, 0, 255), (255, 0, 0))
    assert colour("p/x.png") == YELLOW


@pytest.mark.parametrize(("size", "expected"), [(None, 128.0), (32, 512.0)])
def test_work_is_the_pixels_of_the_result(here: Path, size: int | None, expected: float) -> None:
    Path("damaged.png").write_text("no picture")
    assert painting._work(Path("content.png"), Settings(size=size)) == expected
    assert painting._work(Path("damaged.png"), Settings(size=size)) == 0


# -------------------------------------------------------------------------------------------------- folders tell all


def test_pictures_that_cannot_be_read_are_counted_and_named(here: Path, fake: type[FakeStylizer]) -> None:
    picture("phone/a.jpg")
    for name in ("b.CR2", "c.psd", "d.svg"):
        Path("phone", name).write_bytes(b"\0\0\0 not a picture that can be read")
    Path("phone/notes.txt").write_text("no picture")
    result = run("phone", "style.png", "-o", "out")
    assert result.exit_code == 1
    *lines, summary = result.stderr.splitlines()
    assert [line.split(": ")[2] for line in lines] == [str(Path("phone", name)) for name in ("b.CR2", "c.psd", "d.svg")]
    assert summary == "1 stylized, 0 already there, 3 failed"
    left_out = run("phone", "style.png", "-o", "out", "--exclude", "*.cr2", "--exclude", "*.psd", "--exclude", "d.*")
    assert (left_out.exit_code, left_out.stderr) == (0, "0 stylized, 1 already there, 0 failed\n")


def test_patterns_choose_among_the_pictures(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("IMG_1.JPG", "img_2.jpg", "other.jpg", "deep/IMG_3.jpg", "deep/er/IMG_4.jpg"):
        picture(Path("photos") / name)
    assert run("photos", "style.png", "-o", "one", "--include", "IMG_*.jpg").exit_code == 0
    assert files("one") == ["IMG_1.JPG", "deep/IMG_3.jpg", "deep/er/IMG_4.jpg", "img_2.jpg"]
    assert run("photos", "style.png", "-o", "two", "--include", "deep/*", "--exclude", "*_4*").exit_code == 0
    assert files("two") == ["deep/IMG_3.jpg"]
    result = run("photos", "style.png", "-o", "three", "--include", "*.png")
    assert result.exit_code == 1 and "no picture that the patterns take; check --include and --exclude" in result.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_among_the_pictures_are_passed_over(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png")
    os.mkfifo("photos/b.png")
    os.symlink("b.png", "photos/c.png")
    result = run("photos", "style.png", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "1 stylized, 0 already there, 0 failed\n")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
def test_no_result_leaves_the_output_folder_through_a_link(
    here: Path, fake: type[FakeStylizer], extra: list[str]
) -> None:
    for name in ("a.png", "deep/b.png", "c.png"):
        picture(Path("photos") / name)
    mine = picture("mine/a.png", "white")
    Path("out").mkdir()
    os.symlink("../mine/a.png" if extra else "../mine/none.png", "out/a.png")
    os.symlink("../mine", "out/deep")
    result = run("photos", "style.png", "-o", "out", *extra)
    assert result.exit_code == 1
    a, b, summary = result.stderr.splitlines()
    assert "out/a.png leads out of the output folder through a link; remove the link" in a and "out/deep/b.png" in b
    assert summary == "1 stylized, 0 already there, 2 failed"
    assert files("mine") == ["a.png"] and colour(mine) == (255, 255, 255)


def test_an_output_folder_that_vanishes_stops_the_run_with_one_line(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        picture(Path("photos") / name)

    def unplug(content: images.Picture) -> None:
        if len(fake.contents) == 2:
            os.rename("out", "unplugged")  # at once, while the first result may be written into it

    fake.before = staticmethod(unplug)
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    line, summary = result.stderr.splitlines()
    assert line == "styleshuffle: error: out: the folder has gone; bring it back, and give the same command again"
    # the first result may be written before the folder vanishes, or not
    assert summary.endswith((", 0 already there, 1 failed, 2 not started", ", 3 not started"))
    assert not Path("out").exists()


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_leftovers_of_killed_runs_go_even_where_nothing_is_left_to_do(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/deep/a.png"), picture("out/deep/a.png")
    Path("out/deep/.styleshuffle-0123.tmp").write_bytes(b"left")
    assert run("photos", "style.png", "-o", "out").stderr == "0 stylized, 1 already there, 0 failed\n"
    assert files("out") == ["deep/a.png"]
