"""What becomes of each picture of a folder, and in which order: one is read and one written while one is worked on."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_stylizer import FakeStylizer
from helpers import colour, files, picture, raising

from styleshuffle import images
from styleshuffle.errors import MemoryShortage, PictureError, SettingsError, WeightsError
from styleshuffle.images import Picture
from styleshuffle.jobs import running
from styleshuffle.jobs.claims import PATTERN, Claims
from styleshuffle.jobs.folders import Task
from styleshuffle.jobs.queues import Outcome, OwnQueue
from styleshuffle.jobs.running import run_tasks
from styleshuffle.settings import Settings


@pytest.fixture
def tasks(here: Path) -> list[Task]:
    """Three pictures to stylize, red, each with its place in a new folder."""
    names = ("a.png", "b.png", "deep/c.png")
    return [Task(picture(f"photos/{name}"), Path("out") / name) for name in names]


def run(tasks: list[Task], stylizer: FakeStylizer, overwrite: bool = False, **calls: Any) -> Iterator[Outcome]:
    return run_tasks(OwnQueue(tasks, Claims(Path()), overwrite), stylizer, overwrite, **calls)  # type: ignore[arg-type]


def states(outcomes: Iterable[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def test_each_picture_is_made_in_order(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    begun: list[tuple[int, Task]] = []
    told: list[float] = []
    outcomes = run(
        tasks,
        fake(Settings(size=32)),
        begin=lambda *task: begun.append(task),
        progress=lambda step: told.append(step.fraction),
    )
    first = next(outcomes)
    assert begun == list(enumerate(tasks[:2])) and files("out")[:1] == ["a.png"]  # written while the next is worked on
    rest = list(outcomes)
    assert begun == list(enumerate(tasks)) and told == [0.25, 1.0] * 3
    assert [outcome.task for outcome in (first, *rest)] == tasks and states((first, *rest)) == ["made"] * 3
    assert first.result is not None and first.error is None
    assert first.result.size == (32, 16) and first.result.warnings == () and first.result.seconds >= 0
    assert [colour(task.target) for task in tasks] == [(0, 255, 255)] * 3


def test_what_a_format_cannot_hold_is_told_with_the_result(here: Path, fake: type[FakeStylizer]) -> None:
    clear = picture("photos/clear.png", (255, 0, 0, 0), mode="RGBA")
    (outcome,) = run([Task(clear, Path("out/clear.jpg"))], fake(Settings()))
    assert outcome.result is not None
    (warning,) = outcome.result.warnings
    assert "clear.jpg: JPEG has no transparency" in warning


def test_results_that_exist_are_left_alone_unless_they_may_be_replaced(
    tasks: list[Task], fake: type[FakeStylizer]
) -> None:
    picture("out/b.png", "white")
    assert states(run(tasks, fake(Settings()))) == ["made", "exists", "made"]
    assert colour("out/b.png") == (255, 255, 255)
    assert states(run(tasks, fake(Settings()), overwrite=True)) == ["made"] * 3
    assert colour("out/b.png") == (0, 255, 255)


def test_a_picture_that_fails_says_why_and_the_next_are_made(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    tasks[0].source.write_text("no picture")
    first, *rest = run(tasks, fake(Settings()))
    assert (first.state, first.result) == ("failed", None) and isinstance(first.error, PictureError)
    assert states(rest) == ["made", "made"] and files("out") == ["b.png", "deep/c.png"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)])
def test_a_full_disk_ends_the_loop_after_the_failure(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", raising(OSError(number, os.strerror(number))))
    assert states(run(tasks, fake(Settings()))) == ["failed"]
    assert files("out") == []


def test_another_error_of_the_disk_does_not_end_the_loop(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", raising(OSError(errno.EIO, os.strerror(errno.EIO))))
    assert states(run(tasks, fake(Settings()))) == ["failed"] * 3


@pytest.mark.parametrize("error", [WeightsError("w: damaged"), SettingsError("device: not available")])
def test_what_every_picture_would_fail_with_is_raised(
    tasks: list[Task], fake: type[FakeStylizer], error: Exception
) -> None:
    fake.before = staticmethod(raising(error))
    with pytest.raises(type(error), match=str(error)):
        next(run(tasks, fake(Settings())))


def test_a_picture_that_is_too_large_fails_alone(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    """Although a shortage of memory is an error of settings: the next picture may be smaller."""
    picture(tasks[0].source, size=(99, 99))
    fake.before = staticmethod(refusing((99, 99), MemoryShortage("work_size: needs more")))
    first, *rest = run(tasks, fake(Settings()))
    assert isinstance(first.error, MemoryShortage) and states(rest) == ["made", "made"]


def refusing(size: tuple[int, int], error: Exception) -> Any:
    """What makes the fake fail for pictures of this size."""

    def before(content: Picture) -> None:
        if content.size == size:
            raise error

    return before


# ------------------------------------------------------------------------------------------------- what goes on beside


def test_the_next_is_read_and_the_last_is_written_while_a_picture_is_worked_on(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three at once: each waits here until the other two are at work."""
    together = threading.Barrier(3, timeout=60)
    main = threading.current_thread()
    read, write = running.read_content, running.write_result

    def reading(source: Path, *how: Any) -> Any:
        if source == tasks[2].source:
            together.wait()
        return read(source, *how)

    def writing(result: Picture, name: str, *how: Any) -> Any:
        if name == str(tasks[0].source):
            together.wait()
        return write(result, name, *how)

    def working(content: Picture) -> None:
        assert threading.current_thread() is main
        if len(fake.contents) == 2:
            together.wait()

    monkeypatch.setattr(running, "read_content", reading)
    monkeypatch.setattr(running, "write_result", writing)
    fake.before = staticmethod(working)
    assert states(run(tasks, fake(Settings()))) == ["made"] * 3


def test_at_most_the_next_picture_is_held_and_the_last(
    here: Path, fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [Task(picture(f"photos/{number}.png"), Path(f"out/{number}.png")) for number in range(6)]
    read_so_far: list[Path] = []
    read = running.read_content

    def reading(source: Path, *how: Any) -> Any:
        read_so_far.append(source)
        return read(source, *how)

    def working(content: Picture) -> None:
        number = len(fake.contents)
        assert len(read_so_far) <= number + 1  # this picture is the last that is read, or the one after it
        assert len(files("out")) >= number - 2 if Path("out").exists() else number == 1

    monkeypatch.setattr(running, "read_content", reading)
    fake.before = staticmethod(working)
    assert states(run(tasks, fake(Settings()))) == ["made"] * 6 and len(read_so_far) == 6


def test_what_does_not_fit_beside_the_others_is_made_alone(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    tried: list[Picture] = []

    def short_at_first(content: Picture) -> None:
        tried.append(content)
        if len(tried) == 1:
            raise MemoryError

    fake.before = staticmethod(short_at_first)
    assert states(run(tasks, fake(Settings()))) == ["made"] * 3 and len(tried) == 4


def test_what_cannot_be_read_beside_the_others_is_read_alone(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, threads = running.read_content, []

    def reading(source: Path, *how: Any) -> Any:
        if source == tasks[1].source:
            threads.append(threading.current_thread())
            if len(threads) == 1:
                raise PictureError("short of memory")
        return read(source, *how)

    monkeypatch.setattr(running, "read_content", reading)
    assert states(run(tasks, fake(Settings()))) == ["made"] * 3
    assert len(threads) == 2 and threads[1] is threading.current_thread()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_loop_finishes_the_file_that_it_writes(
    tasks: list[Task], fake: type[FakeStylizer], error: type[BaseException]
) -> None:
    def stop_at_the_second(content: Picture) -> None:
        if len(fake.contents) == 2:
            raise error

    fake.before = staticmethod(stop_at_the_second)
    with pytest.raises(error):
        list(run(tasks, fake(Settings())))
    assert files("out") == ["a.png"] and colour("out/a.png") == (0, 255, 255)
    assert not list(Path().glob(PATTERN))


def test_a_loop_that_is_not_asked_on_leaves_nothing_behind(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    outcomes = run(tasks, fake(Settings()))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert not list(Path().glob(PATTERN)) and "deep/c.png" not in files("out")
    assert states(run(tasks, fake(Settings())))[0] == "exists"


def test_results_are_those_of_single_calls(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    from styleshuffle.jobs.pictures import stylize_into

    picture("photos/b.png", "green", (40, 30))
    list(run(tasks, fake(Settings(size=48))))
    for task in tasks:
        stylize_into(fake(Settings(size=48)), images.read(task.source), "a", Path("alone.png"), overwrite=True)  # type: ignore[arg-type]
        assert Path("alone.png").read_bytes() == task.target.read_bytes()


# ------------------------------------------------------------------------------------- two runs on the same folders


def test_what_another_run_works_on_comes_last(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    other = Claims(Path()).take(tasks[0].target)
    assert other is not None and other.holds

    def other_run(content: Picture) -> None:
        if len(fake.contents) == 2:  # when this run has done all that it can
            picture(tasks[0].target, "white")
            other.release()

    fake.before = staticmethod(other_run)
    outcomes = list(run(tasks, fake(Settings())))
    assert [outcome.task for outcome in outcomes] == [tasks[1], tasks[2], tasks[0]]
    assert states(outcomes) == ["made", "made", "exists"] and colour(tasks[0].target) == (255, 255, 255)


def test_what_another_run_has_not_finished_is_taken_up(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    other = Claims(Path()).take(tasks[0].target)
    assert other is not None
    fake.before = staticmethod(lambda content: other.release() if len(fake.contents) == 2 else None)
    assert states(run(tasks, fake(Settings()))) == ["made"] * 3


def test_a_run_with_overwrite_leaves_what_another_has_made_since(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    for task in tasks:
        picture(task.target, "white")

    def other_run(content: Picture) -> None:
        if len(fake.contents) == 1:  # the second is read already, its turn is taken
            images.write(Picture(content.rgb // 2), tasks[2].target, overwrite=True)

    fake.before = staticmethod(other_run)
    assert states(run(tasks, fake(Settings()), overwrite=True)) == ["made", "made", "exists"]
    assert colour(tasks[2].target) == (127, 0, 0)


def test_where_claims_hold_nobody_off_the_first_result_stays(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("styleshuffle.jobs.claims.fcntl", None)
    fake.before = staticmethod(lambda content: [picture(task.target, "white") for task in tasks])
    assert states(run(tasks, fake(Settings()))) == ["exists"] * 3
    assert [colour(task.target) for task in tasks] == [(255, 255, 255)] * 3
