"""Claims: a picture has one holder at a time, and a claim never outlives its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import environment, files

from styleshuffle.jobs.claims import PATTERN, Claims, fcntl

pytestmark = pytest.mark.skipif(fcntl is None, reason="needs locks of files (flock)")

TARGET = Path("out/deep/a.png")

HOLDER = """
import sys
from pathlib import Path
from styleshuffle.jobs.claims import Claims
claim = Claims(Path("out")).take(Path("out/deep/a.png"))
print(claim is not None and claim.holds, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claims:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    return Claims(Path("out"))


@contextmanager
def held_by_another_process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_picture_has_one_holder_at_a_time(claims: Claims) -> None:
    first = claims.take(TARGET)
    assert first is not None and first.holds
    assert claims.take(TARGET) is None and Claims(Path("out")).take(TARGET) is None
    other = claims.take(Path("out/deep/b.png"))
    assert other is not None and other.holds
    first.release(), other.release()
    assert not first.holds and files("out") == []
    again = claims.take(TARGET)
    assert again is not None and again.holds
    first.release()  # a second time: the claim is another's now
    assert claims.take(TARGET) is None
    again.release()


def test_a_claim_that_nobody_has_is_given_back(claims: Claims) -> None:
    with pytest.raises(ZeroDivisionError), claims:
        claims.take(TARGET), claims.take(Path("out/b.png"))
        Path("out", PATTERN.replace("*", "0123")).touch()
        raise ZeroDivisionError
    assert files("out") == []


def test_a_long_name_fits(claims: Claims) -> None:
    claim = claims.take(Path("out") / ("x" * 250 + ".png"))
    assert claim is not None and claim.holds
    claim.release()


def test_a_claim_dies_with_its_process_however_it_ends(claims: Claims) -> None:
    with held_by_another_process() as process:
        assert claims.take(TARGET) is None
        process.kill()  # it cannot clean up
        process.wait(timeout=60)
        assert len(files("out")) == 1
        claim = claims.take(TARGET)
        assert claim is not None and claim.holds
        claim.release()
    assert files("out") == []


def test_who_waits_gets_the_claim_of_a_dead_process(claims: Claims) -> None:
    with held_by_another_process() as process:
        killer = subprocess.Popen([sys.executable, "-c", f"import os; os.kill({process.pid}, 9)"])
        claim = claims.take(TARGET, wait=True)
        assert claim is not None and claim.holds
        assert killer.wait(timeout=60) == 0
        claim.release()


def test_only_claims_without_a_process_are_cleared(claims: Claims) -> None:
    Path("out/picture.png").touch(), Path("out/.styleshuffle-0123.tmp").touch()
    Path("out", PATTERN.replace("*", "0123")).touch()
    with held_by_another_process():
        claims.clear()
        (left,) = Path("out").glob(PATTERN)
        assert claims.take(TARGET) is None
    claims.clear()
    assert not left.exists() and files("out") == [".styleshuffle-0123.tmp", "picture.png"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_holds_nobody_off(claims: Claims, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*asked: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        claim = claims.take(TARGET)
        assert claim is not None and not claim.holds
        claim.release()
    assert files("out") == []


def test_a_folder_that_is_not_there_is_left_to_the_writing_to_report() -> None:
    claim = Claims(Path("no/such/folder")).take(Path("no/such/folder/a.png"))
    assert claim is not None and not claim.holds
