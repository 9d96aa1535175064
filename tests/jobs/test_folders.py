"""A folder of pictures: what there is to do in it, and what becomes of each picture."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fake_stylizer import FakeStylizer
from helpers import colour, files, picture, raising

from styleshuffle.errors import MemoryShortage, PictureError, SettingsError, WeightsError
from styleshuffle.images import Picture
from styleshuffle.jobs.folders import Outcome, Task, plan_folder, run_tasks
from styleshuffle.settings import Settings


def test_a_folder_that_cannot_be_listed_is_a_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("photos/a.png"), picture("photos/locked/b.png")
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    plan = plan_folder(Path("photos"), Path("out"), [Path("style.png")])
    assert [job.source for job in plan.tasks] == [Path("photos/a.png")]
    assert plan.unlisted == ((Path("photos/locked"), "Permission denied"),)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_to_folders_are_not_followed(here: Path) -> None:
    picture("photos/a.png")
    os.symlink("..", "photos/loop", target_is_directory=True)
    plan = plan_folder(Path("photos"), Path("out"), [Path("style.png")])
    assert [job.target for job in plan.tasks] == [Path("out/a.png")]


# -------------------------------------------------------------------------------------------- what becomes of the tasks


@pytest.fixture
def tasks(here: Path) -> list[Task]:
    """Three pictures to stylize, red, each with its place in a new folder."""
    names = ("a.png", "b.png", "deep/c.png")
    return [Task(picture(f"photos/{name}"), Path("out") / name) for name in names]


def states(outcomes: Iterable[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def test_each_picture_is_made_in_order(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    begun: list[tuple[int, Task]] = []
    told: list[float] = []
    outcomes = run_tasks(
        tasks,
        fake(Settings(size=32)),
        begin=lambda *task: begun.append(task),
        progress=lambda step: told.append(step.fraction),
    )
    first = next(outcomes)
    assert begun == [(0, tasks[0])] and files("out") == ["a.png"]  # what comes after is not begun before it is asked for
    rest = list(outcomes)
    assert begun == list(enumerate(tasks)) and told == [0.25, 1.0] * 3
    assert [outcome.task for outcome in (first, *rest)] == tasks and states((first, *rest)) == ["made"] * 3
    assert first.result is not None and first.error is None
    assert first.result.size == (32, 16) and first.result.warnings == () and first.result.seconds >= 0
    assert [colour(task.target) for task in tasks] == [(0, 255, 255)] * 3


def test_what_a_format_cannot_hold_is_told_with_the_result(here: Path, fake: type[FakeStylizer]) -> None:
    clear = picture("photos/clear.png", (255, 0, 0, 0), mode="RGBA")
    (outcome,) = run_tasks([Task(clear, Path("out/clear.jpg"))], fake(Settings()))
    assert outcome.result is not None
    (warning,) = outcome.result.warnings
    assert "clear.jpg: JPEG has no transparency" in warning


def test_results_that_exist_are_left_alone_unless_they_may_be_replaced(
    tasks: list[Task], fake: type[FakeStylizer]
) -> None:
    picture("out/b.png", "white")
    assert states(run_tasks(tasks, fake(Settings()))) == ["made", "exists", "made"]
    assert colour("out/b.png") == (255, 255, 255)
    assert states(run_tasks(tasks, fake(Settings()), overwrite=True)) == ["made"] * 3
    assert colour("out/b.png") == (0, 255, 255)


def test_a_picture_that_fails_says_why_and_the_next_are_made(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    tasks[0].source.write_text("no picture")
    first, *rest = run_tasks(tasks, fake(Settings()))
    assert (first.state, first.result) == ("failed", None) and isinstance(first.error, PictureError)
    assert states(rest) == ["made", "made"] and files("out") == ["b.png", "deep/c.png"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)])
def test_a_full_disk_ends_the_loop_after_the_failure(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", raising(OSError(number, os.strerror(number))))
    assert states(run_tasks(tasks, fake(Settings()))) == ["failed"]
    assert files("out") == []


def test_another_error_of_the_disk_does_not_end_the_loop(
    tasks: list[Task], fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", raising(OSError(errno.EIO, os.strerror(errno.EIO))))
    assert states(run_tasks(tasks, fake(Settings()))) == ["failed"] * 3


@pytest.mark.parametrize("error", [WeightsError("w: damaged"), SettingsError("device: not available")])
def test_what_every_picture_would_fail_with_is_raised(
    tasks: list[Task], fake: type[FakeStylizer], error: Exception
) -> None:
    fake.before = staticmethod(raising(error))
    with pytest.raises(type(error), match=str(error)):
        next(run_tasks(tasks, fake(Settings())))


def test_a_picture_that_is_too_large_fails_alone(tasks: list[Task], fake: type[FakeStylizer]) -> None:
    """Although a shortage of memory is an error of settings: the next picture may be smaller."""

    def refuse_the_first(content: Picture) -> None:
        if len(fake.contents) == 1:
            raise MemoryShortage("work_size: needs more")

    fake.before = staticmethod(refuse_the_first)
    first, *rest = run_tasks(tasks, fake(Settings()))
    assert isinstance(first.error, MemoryShortage) and states(rest) == ["made", "made"]
