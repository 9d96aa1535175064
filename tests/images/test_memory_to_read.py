"""A picture that does not fit into memory is refused before it is decoded, in one line with what it needs."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from picture_files import read_bytes, refused, saved
from PIL import Image

from styleshuffle.images import read


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let this much memory be free."""
    return lambda amount: monkeypatch.setattr("styleshuffle.images.limits.available_memory", lambda bound, wanted: amount)


def test_the_line_names_the_size_what_is_needed_and_what_is_free(free: Callable[[int | None], None]) -> None:
    content = saved(Image.new("1", (8192, 8192)), "PNG")
    free(2**29)
    assert refused(read_bytes, content).endswith(
        ": is 8192 x 8192: to read it needs about 0.6 GiB of memory, but 0.5 GiB are free; scale it down first"
    )


def test_what_just_fits_is_read(free: Callable[[int | None], None]) -> None:
    image = Image.new("RGB", (20, 10))
    free(9 * 200)
    assert read(image).size == (20, 10)
    free(9 * 200 - 1)
    assert "to read it needs about 0.000 GiB" in refused(read, image)
    free(None)  # unknown
    assert read(image).size == (20, 10)


def test_a_bound_by_hand_holds_for_files_and_streams() -> None:
    content = saved(Image.new("1", (4000, 4000)), "PNG")
    assert "to read it needs about 0.1 GiB of memory" in refused(read, io.BytesIO(content), memory=2**27)
    assert read(io.BytesIO(content), memory=2**40).size == (4000, 4000)
    assert read(np.zeros((4, 4, 3), np.uint8), memory=1).size == (4, 4)  # it is in memory already
