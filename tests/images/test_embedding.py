"""A recipe goes into each format and comes back, and the picture stays the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture_files import noise, refused
from PIL import Image

from styleshuffle.images import read, read_recipe, write
from styleshuffle.images.embedding import xmp_with

RECIPE = '{"path":"a \\"b\\" <c> & \\u00e4.jpg"}'


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_recipe_comes_back_and_changes_no_pixel(tmp_path: Path, suffix: str) -> None:
    write(noise(), tmp_path / f"plain{suffix}")
    write(noise(), tmp_path / f"with{suffix}", recipe=RECIPE)
    assert read_recipe(tmp_path / f"with{suffix}") == RECIPE
    plain, holding = (read(tmp_path / f"{name}{suffix}").rgb for name in ("plain", "with"))
    assert np.array_equal(plain, holding)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_picture_without_a_recipe_is_refused(tmp_path: Path, suffix: str) -> None:
    write(noise(), tmp_path / f"plain{suffix}")
    assert f"plain{suffix}: holds no recipe; name a result" in refused(read_recipe, tmp_path / f"plain{suffix}")


def test_a_png_shows_it_to_other_programs(tmp_path: Path) -> None:
    write(noise(), tmp_path / "out.png", recipe=RECIPE)
    with Image.open(tmp_path / "out.png") as image:
        assert image.text == {"styleshuffle": RECIPE}


def test_xmp_of_the_picture_keeps_what_it_has() -> None:
    before = b'<rdf:RDF><rdf:Description rdf:about="" dc:title="Cat"/></rdf:RDF>'
    once = xmp_with(RECIPE, before)
    assert b'dc:title="Cat"' in once and once.count(b"styleshuffle:recipe=") == 1
    assert xmp_with("{}", once).count(b"styleshuffle:recipe=") == 1  # the old recipe goes


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory); check the path" in refused(read_recipe, tmp_path / "no.png")
