"""The chart of measures."""

from __future__ import annotations

import pytest

from styleshuffle.commands.chart import draw_chart
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
