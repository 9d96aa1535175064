"""What the results of pictures are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from styleshuffle.jobs.names import target_names


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (["a.bmp"], ["a.png"]),
        (["a.bmp", "a.png"], ["a.bmp.png", "a.png"]),
        (["a.bmp", "A.PNG"], ["a.bmp.png", "A.PNG"]),
        (["a.bmp", "a.gif", "a.jpg"], ["a.bmp.png", "a.gif.png", "a.jpg"]),
        (["a.bmp", "a.bmp.png", "a.png"], ["a.bmp.2.png", "a.bmp.png", "a.png"]),
        (["a.bmp", "b/a.png"], ["a.png", "b/a.png"]),
        (["a.b.bmp", "a.png"], ["a.b.png", "a.png"]),
    ],
)
def test_no_two_results_have_one_name(sources: list[str], targets: list[str]) -> None:
    assert target_names([Path(source) for source in sources]) == [Path(target) for target in targets]
    backwards = target_names([Path(source) for source in reversed(sources)])
    assert backwards == [Path(target) for target in reversed(targets)]
