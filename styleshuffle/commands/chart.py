"""The chart of `styleshuffle-eval`: a panel for each measure."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def draw_chart(rows: Mapping[str, Mapping[str, float]]) -> Image:
    """Draw a panel for each measure, with a bar for each picture and a line for the mean. Needs matplotlib.

    Args:
        rows: by the name of the picture, its measures by name.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    height = min(1.5 + 0.25 * len(rows), 100)  # inches, of 100 pixels
    figure = Figure(figsize=(14, height), layout="constrained")
    measures = list(next(iter(rows.values())))
    panels = figure.subplots(1, len(measures), sharey=True)
    for panel, name in zip(panels, measures, strict=True):
        values = [row[name] for row in rows.values()]
        panel.barh(range(len(rows)), values)
        panel.axvline(fmean(values), color="black", linestyle="--", linewidth=1)
        panel.set_xlim(left=0)
        panel.set_title(name)
    size = min(10, 50 * height / len(rows))  # points, of which a row has 72 height / rows
    labels = [name if len(name) <= 40 else f"…{name[-40:]}" for name in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=size, parse_math=False)
    panels[0].invert_yaxis()
    figure.supxlabel("lower is better, but brushwork best near 1; dashed: mean", fontsize=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
