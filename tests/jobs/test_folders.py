"""A folder of pictures: what there is to do in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from helpers import picture

from styleshuffle.jobs.folders import plan_folder


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
