"""Which output belongs to which content and style. Only names count, so the files are empty."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from styleshuffle.errors import PictureError, SettingsError
from styleshuffle.jobs.pairs import counted, match_folders


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make("style.png")
    return tmp_path


def make(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(output: str, content: str, style: str) -> dict[str, tuple[str, str]]:
    """Output to content and style, all as POSIX paths."""
    triples = match_folders(Path(output), Path(content), Path(style))
    return {triple.output.as_posix(): (triple.content.as_posix(), triple.style.as_posix()) for triple in triples}


def test_a_single_output_is_compared_with_what_is_named() -> None:
    (triple,) = match_folders(Path("out.png"), Path("photo.jpg"), Path("style.png"))
    assert (triple.name, triple.output, triple.content) == ("out.png", Path("out.png"), Path("photo.jpg"))


def test_outputs_of_a_folder_are_named_by_their_place_in_it() -> None:
    make("in/a.png", "in/deep/a.png", "out/a.png", "out/deep/a.png")
    triples = match_folders(Path("out"), Path("in"), Path("style.png"))
    assert [triple.name for triple in triples] == ["a.png", str(Path("deep/a.png"))]


def test_contents_are_found_by_name_in_subfolders_whatever_the_suffix() -> None:
    make("in/b.jpg", "in/deep/b.bmp", "out/b.jpg", "out/deep/b.png")
    assert pairs("out", "in", "style.png") == {
        "out/b.jpg": ("in/b.jpg", "style.png"),
        "out/deep/b.png": ("in/deep/b.bmp", "style.png"),
    }


def test_contents_of_one_stem_go_to_the_results_that_styleshuffle_made_of_them() -> None:
    make("in/a.bmp", "in/a.jpg", "in/a.png", "out/a.bmp.png", "out/a.jpg", "out/a.png")
    assert {output: content for output, (content, _) in pairs("out", "in", "style.png").items()} == {
        "out/a.bmp.png": "in/a.bmp",
        "out/a.jpg": "in/a.jpg",
        "out/a.png": "in/a.png",
    }


def test_folders_in_each_other_and_the_style_among_the_contents() -> None:
    make("in/a.png", "in/style.png", "in/out/a.png")
    assert pairs("in/out", "in", "in/style.png") == {"in/out/a.png": ("in/a.png", "in/style.png")}
    make("all/a.png", "all/in/a.png", "all/style.png")
    assert pairs("all", "all/in", "all/style.png") == {"all/a.png": ("all/in/a.png", "all/style.png")}


def test_styles_are_paired_by_name_unless_there_is_one() -> None:
    make("in/a.png", "in/b.png", "out/a.png", "out/b.png", "one/x.png", "two/a.jpg", "two/b.jpg")
    assert [style for _, style in pairs("out", "in", "one").values()] == ["one/x.png", "one/x.png"]
    assert [style for _, style in pairs("out", "in", "two").values()] == ["two/a.jpg", "two/b.jpg"]


@pytest.mark.parametrize(
    ("extra", "style", "reason"),
    [
        ("out/x.png out/y/z.png", "style.png", "out/x.png: no content of this name in in (2 such outputs); "),
        ("in/x.png", "style.png", "in/x.png: no output of this name in out (1 such content); "),
        ("styles/a.png styles/x.png", "styles", "out/b.png: no style of this name in styles (1 such output); "),
        (
            "styles/a.png styles/b.jpg styles/x.png",
            "styles",
            "styles/x.png: no output of this name in out (1 such style)",
        ),
    ],
)
def test_folders_that_do_not_match_are_refused(extra: str, style: str, reason: str) -> None:
    make("in/a.png", "in/b.png", "out/a.png", "out/b.png", *extra.split())
    with pytest.raises(SettingsError) as refusal:
        pairs("out", "in", style)
    assert str(refusal.value).replace("\\", "/").startswith(reason)


def test_one_content_for_a_folder_of_outputs_is_refused() -> None:
    make("out/a.png")
    with pytest.raises(SettingsError, match=r"^content: style.png is not a folder, but OUTPUT is; name the folder"):
        pairs("out", "style.png", "style.png")


def test_a_folder_without_pictures_is_refused() -> None:
    make("out/a.png", "in/notes.txt")
    with pytest.raises(PictureError, match=re.escape("in: no picture in this folder; name a folder with .")):
        pairs("out", "in", "style.png")


def test_numbers_of_things_in_words() -> None:
    assert [counted([0] * number, "output") for number in (0, 1, 3)] == ["0 outputs", "1 output", "3 outputs"]
