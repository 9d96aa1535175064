"""The chart of measures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers import SAMPLES, invoke

from styleshuffle.commands.chart import draw_chart
from styleshuffle.commands.evaluate import main
from styleshuffle.evaluation.measures import Measures

MEASURES = list(Measures.__dataclass_fields__)


def test_bars_are_as_long_as_the_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = pytest.importorskip("matplotlib.axes").Axes

    drawn = []
    barh = axes.barh
    monkeypatch.setattr(axes, "barh", lambda self, y, width: drawn.append(width) or barh(self, y, width))
    rows = {"a": dict.fromkeys(MEASURES, 0.25), "b": dict.fromkeys(MEASURES, 0.5)}
    assert draw_chart(rows).mode == "RGB"
    assert drawn == [[0.25, 0.5]] * len(MEASURES)


def test_without_matplotlib_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)
    sample = str(SAMPLES / "content" / "cat.jpg")
    result = invoke(main, sample, "--content", sample, "--style", sample, "--plot", "chart.png")
    said = "styleshuffle: error: --plot: matplotlib is not installed; pip install 'styleshuffle[plot]'\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)
    assert not (tmp_path / "chart.png").exists()
