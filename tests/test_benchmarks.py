"""What the benchmarks of docs/performance.md make of their figures: exponents, losses, and the parts of the page."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import busy
import gpu
import many
import performance
import pytest
import scale
import seams
import torch
from common import ROOT, busy_loops, fresh_process
from pages import read_data

ROWS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "scale": (
        {"machine": "M", "command": "C"},
        [
            {
                "side": side, "threads": 2, "with style": 2.0 * (side / 512) ** 2, "prepared": 1.0, "peak": 900 * 2**20,
                "imported": 500 * 2**20, "read": 0.1, "write": 0.2, "stages": {"relu4_1": 0.5, "finish": 0.25},
            }
            for side in (256, 512, 1024)
        ],
    ),
    "seams": (
        {"machine": "M", "command": "C", "side": 2048},
        [{"tile": 1024, "psnr": 53.0, "most": 40}],
    ),
    "busy": (
        {"machine": "M", "command": "C", "size": 512, "set": "3000"},
        [{"setting": "as torch does", "idle": 2.0, "busy": 9.0}],
    ),
    "folders": (
        {"machine": "M", "command": "C", "size": 512, "pictures": 12},
        [
            {"content": "PNG", "way": "a command for each picture", "seconds": 4.0, "peak": 2**30},
            {"content": "PNG", "way": "the folder", "seconds": 1.0, "peak": 2**30},
        ],
    ),
    "many": (
        {"machine": "M", "command": "C", "pictures": 10000, "side": 64, "cores": 2},
        [
            {"workers": 1, "seconds": 100.0, "start": 4.0, "rate": 10.0, "killed": False},
            {"workers": 2, "seconds": 60.0, "start": 4.0, "rate": 18.0, "killed": False},
            {"workers": 4, "seconds": 60.0, "start": 4.0, "rate": 15.0, "killed": False},
            {"workers": 4, "seconds": 70.0, "start": 4.0, "rate": 12.0, "killed": True},
        ],
    ),
    "gpu": (
        {"device": "H100", "torch": "2", "command": "C", "seconds": 99.0},
        [{"name": "512", "result": "25 ms", "aim": "30 ms", "passed": True}],
    ),
}  # fmt: skip


def test_the_exponent_of_proportional_times_is_one() -> None:
    rows = [{"side": side, "with style": 3.0 * side**2} for side in (512, 1024, 4096)]
    assert scale.exponent(rows) == pytest.approx(1)
    assert scale.exponent([{"side": 256, "with style": 99.0}, *rows]) == pytest.approx(1)  # too small to count
    quadratic = [{"side": side, "with style": float(side) ** 4} for side in (512, 1024)]
    assert scale.exponent(quadratic) == pytest.approx(2)
    assert scale.exponent(rows[:1]) is None


def test_time_lost_is_what_is_missing_of_all_cores_at_the_rate_of_one_worker() -> None:
    lost = [line.split("|")[-2].strip() for line in many.section(*ROWS["many"]).splitlines()[-4:]]
    assert lost == ["0%", "10%", "25%", ""]


def test_results_that_differ_by_one_everywhere_are_48_dB_apart() -> None:
    result = torch.full((3, 4, 5), 100, dtype=torch.uint8)
    assert seams.psnr(result, result + 1) == pytest.approx(20 * math.log10(255))
    assert seams.psnr(result, result) == math.inf
    assert seams.stretched(result + 1, result).getpixel((0, 0)) == (148, 148, 148)


def test_a_busy_machine_is_compared_with_an_idle_one() -> None:
    assert busy.section(*ROWS["busy"]).splitlines()[-1] == "| as torch does | 2.00 s | 9.00 s | 4.5 |"
    assert busy.settings((3000,))["GOMP_SPINCOUNT=3000"] == {"GOMP_SPINCOUNT": "3000"}


def test_likeness_is_in_decibels() -> None:
    import numpy as np

    from styleshuffle.images import Picture

    grey, lighter = (Picture(np.full((4, 4, 3), value, np.float32)) for value in (0.5, 0.6))
    assert gpu.decibels(grey, lighter) == pytest.approx(20, abs=1e-3)
    assert gpu.decibels(grey, grey) == float("inf")


def test_each_part_of_the_page_can_be_recorded_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the page has a figure")
    for number, (part, (facts, rows)) in enumerate(ROWS.items(), start=1):
        performance.record(tmp_path, part, facts, rows)
        text = (tmp_path / "performance.md").read_text(encoding="utf-8")
        assert text.count("Not measured yet") == len(performance.PARTS) - number
        assert importlib.import_module(part).section(facts, rows) in text
    data = read_data(tmp_path / "performance.json")
    assert {part: (data[f"{part} facts"], data[part]) for part in ROWS} == ROWS
    assert (tmp_path / "performance.png").stat().st_size > 0


def test_a_fresh_process_says_what_it_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "said.py"
    script.write_text("import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('GOMP_SPINCOUNT')]))")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert fresh_process(str(script), "--size", 3) == [["--size", "3"], None]
    assert fresh_process(str(script), environment={"GOMP_SPINCOUNT": "30"}) == [[], "30"]


def test_busy_loops_end_with_their_block() -> None:
    with busy_loops(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]
    assert all(loop.returncode is not None for loop in loops)


def test_the_peak_of_memory_stays_when_the_memory_is_given_back(tmp_path: Path) -> None:
    script = tmp_path / "peak.py"
    script.write_text(
        "import json, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        "from common import peak_memory\n"
        "before, block = peak_memory(), b'x' * 2**28\n"
        "del block\n"
        "print(json.dumps(peak_memory() - before))\n"
    )
    assert fresh_process(str(script)) == pytest.approx(2**28, rel=0.1)
