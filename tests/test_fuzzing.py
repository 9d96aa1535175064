"""Damaged pictures of every format: a small share of what `benchmarks/fuzz.py` reads, and that it would see a fault."""

from __future__ import annotations

import os
import random
from pathlib import Path

import fuzz
import mutations
import pytest
from mutations import mutated
from seed_files import seed_files

from styleshuffle.errors import PictureError
from styleshuffle.images import read

SEEDS = seed_files()

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux does")


def test_damaged_pictures_are_read_or_refused() -> None:
    tally = fuzz.tried(0, 600)
    assert tally.faults == []
    assert tally.outcomes.total() == 600 and min(tally.outcomes["read"], tally.outcomes["refused"]) > 100


def test_a_number_is_always_the_same_file_and_another_number_another_file() -> None:
    first, second = ([mutated(SEEDS, number) for number in range(100)] for _ in range(2))
    assert first == second
    assert len({content for _, content in first}) > 80


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_file_that_is_taken_to_parts_goes_together_again(name: str) -> None:
    content = SEEDS[name]
    form = mutations._form_of(content)
    if form is None:
        assert name.endswith((".tif", ".bmp", ".jxl"))
    else:
        split, join = form
        assert split(content) and join(split(content)) == content


def test_large_parts_are_not_repeated_without_bound() -> None:
    """A million files once ended when the fuzzer itself ran out of memory."""
    large = b"\x89PNG\r\n\x1a\n" + (10**6).to_bytes(4, "big") + b"IDAT" + bytes(10**6 + 4)
    sizes = [len(mutations._parts(large + large[8:], SEEDS, random.Random(seed))) for seed in range(150)]
    assert 3 * 10**6 < max(sizes) < 2 * 10**7


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF", b"\0\0\0\0ftyp", b"GIF89a" + bytes(8)])
def test_a_file_without_parts_is_no_trouble(content: bytes) -> None:
    form = mutations._form_of(content)
    assert form is not None and b"".join(form[0](content)) in content


def test_what_is_not_changed_is_read() -> None:
    """So that the fuzzer starts from good files; formats of extras may be missing."""
    refused = []
    for name, content in SEEDS.items():
        try:
            assert sorted(read(fuzz._stream(content)).size) == [33, 40]
        except PictureError:
            refused.append(name)
    assert {name.rpartition(".")[2] for name in refused} <= {"avif", "heic", "jxl", "tif"}


# ------------------------------------------------------------------------------------------------- faults that it sees


CHILD = """
import os, sys, time
sys.path.insert(0, {folder!r})
from fuzz import _REPORT
first = int(sys.argv[sys.argv.index("--child") + 1])
for number in range(first, first + int(sys.argv[sys.argv.index("--files") + 1])):
    os.write(1, _REPORT.pack(number, 255, 0, 0, 0))
    if number == 2:
        os.abort()
    outcome, message = (2, b"KeyError: 1") if number == 4 else (1, b"")
    seconds, size = 9.0 if number == 5 else 0.1, 2**31 if number == 6 else 2**20
    os.write(1, _REPORT.pack(number, outcome, seconds, size, len(message)) + message)
"""


def test_faults_are_counted_with_the_number_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child.py").write_text(CHILD.format(folder=os.path.dirname(fuzz.__file__)))
    monkeypatch.setattr(fuzz, "__file__", str(tmp_path / "child.py"))
    tally = fuzz.tried(0, 8)
    assert tally.faults == [
        (2, "killed its process, exit code -6"),
        (4, "raised: KeyError: 1"),
        (5, "took 9.0 s"),
        (6, "took 2.15 GB"),
    ]
    assert tally.outcomes == {"read": 6, "raised": 1, "killed": 1}
    assert (tally.most_bytes, tally.most_seconds) == ((2**31, 6), (9.0, 5))


def test_another_exception_is_not_taken_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    from styleshuffle import images

    assert fuzz._outcome(b"") == (0, "")
    assert fuzz._outcome(SEEDS["RGB.png"]) == (1, "")
    monkeypatch.setattr(images, "read", lambda *ignored, **also: 1 // 0)
    assert fuzz._outcome(b"")[0] == 2


def test_jobs_share_all_files() -> None:
    assert fuzz.shares(5, 10, 3) == [(5, 3), (8, 3), (11, 4)]
    assert fuzz.shares(0, 1, 4) == [(0, 1)]
