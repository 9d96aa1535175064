"""What ``styleshuffle-eval`` does with a film: its warp error, and the measures of some of its frames."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from .. import images
from ..video import check_packages
from .console import Console

if TYPE_CHECKING:
    from ..evaluation.judge import Judge
    from ..video.reading import FilmFile

_SAMPLED = 4  # frames that are measured as pictures


def measure_films(
    console: Console, judge: Judge, results: Sequence[str], content: str, style: str
) -> dict[str, dict[str, float]]:
    """The measures by film: of each result, and of the content itself. The warp error comes first.

    Raises:
        PictureError: a film cannot be read, or has another number of frames than its content.
    """
    check_packages(content)
    from ..video.measuring import warp_errors
    from ..video.reading import FilmFile

    films = {path: FilmFile(path) for path in (*results, content)}
    source = films[content]
    with console.bar(source.facts.count) as bar:
        bar.start(Path(results[0]).name, 0, source.facts.count)
        painted = [films[path].frames() for path in results]
        own, *errors = warp_errors(source.frames(), painted, lambda done: bar.move_to(done / source.facts.count))
    with tempfile.TemporaryDirectory() as folder:
        places = {path: _sampled(film, Path(folder) / str(number)) for number, (path, film) in enumerate(films.items())}
        rows = {}
        for path, error in zip((*results, content), (*errors, own), strict=True):
            pairs = zip(places[path], places[content], strict=True)
            measured = [judge.measure(frame, original, Path(style)) for frame, original in pairs]
            rows[path] = {"warp": error, **{name: fmean(row[name] for row in measured) for name in measured[0]}}
    return rows


def _sampled(film: FilmFile, folder: Path) -> list[Path]:
    """Some frames of a film, evenly spread, as files."""
    folder.mkdir()
    count = min(_SAMPLED, film.facts.count)
    wanted = {(2 * number + 1) * film.facts.count // (2 * count) for number in range(count)}
    paths = []
    for number, frame in enumerate(film.frames()):
        if number in wanted:
            paths.append(folder / f"{number:06d}.png")
            images.write(images.Picture(frame.rgb), paths[-1])
    return paths
