"""What users of ``styleshuffle`` rely on: what is written where, what is refused and how, what is never lost."""

from __future__ import annotations

import io
import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_stylizer import FakeStylizer
from helpers import colour, files, invoke, picture, raising, truncated
from picture_files import png
from PIL import Image

from styleshuffle import __version__
from styleshuffle.commands import stylize as cli
from styleshuffle.errors import MemoryShortage, PictureError, SettingsError, WeightsError
from styleshuffle.settings import Settings, rule_of

run = partial(invoke, cli.main)
CYAN = (0, 255, 255)  # red inverted


# --------------------------------------------------------------------------------------------------------------- options


def test_version() -> None:
    assert run("--version").stdout == f"styleshuffle {__version__}\n"


def test_every_setting_is_an_option_with_its_default_and_range() -> None:
    options = {param.name: param for param in cli.main.params}
    context = cli.main.make_context("styleshuffle", ["content", "style", "-o", "out.png"])
    for setting in fields(Settings):
        assert options[setting.name].opts == ["--" + setting.name.replace("_", "-")]
        assert context.params[setting.name] == setting.default
        assert options[setting.name].help.startswith(rule_of(setting).help)


def test_help_shows_everyday_options_before_those_of_the_method() -> None:
    everyday, method = run("--help").stdout.split("Method (")
    for option in ("--output", "--size", "--strength", "--seed", "--style-scale", "--device", "--overwrite", "--quiet"):
        assert option in everyday and option not in method
    for option in ("--levels", "--usage-penalty"):
        assert option in method and option not in everyday


def test_options_reach_the_stylizer(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("vgg19.pth", "own.safetensors"):
        Path(name).touch()
    options = "--size 32 --strength 0.8 --seed 3 --levels 3,2 --patch-sizes 3,5,3,3 --turns 2,1,1 --device cpu"
    options += " --precision float32"
    options += " --encoder vgg19 --weights vgg19.pth --convention caffe --refiner own.safetensors --memory 3GB"
    options += " --max-pixels 5000"
    result = run("content.png", "style.png", "-o", "out.png", *options.split())
    assert result.exit_code == 0, result.stderr
    expected = Settings(size=32, strength=0.8, seed=3, levels=(3, 2), patch_sizes=(3, 5, 3, 3), turns=(2, 1, 1))
    networks = {"device": "cpu", "encoder": "vgg19", "weights": "vgg19.pth", "convention": "caffe"}
    networks |= {
        "precision": "float32",
        "memory": 3 * 10**9,
        "max_pixels": 5000,
        "decoder": None,
        "refiner": "own.safetensors",
    }
    assert [(one.settings, one.networks) for one in fake.made] == [(expected, {**networks, "show_download": True})]
    assert Image.open("out.png").size == (32, 16)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--size 3", "32<=x"),
        ("--strength 2", "0<=x<=1"),
        ("--strength nan", "--strength: nan is out of range; use 0 to 1"),
        ("--seed x", "'x'"),
        ("--levels 9,3", "1<=x<=4"),
        ("--levels 4,2", "--levels: (4, 2) must fall one by one"),
        ("--patch-sizes 4,3,3,3", "--patch-sizes"),
        ("--patch-sizes ,", "--patch-sizes"),
        ("--device tpu", "auto, cpu, cuda"),
        ("--device cuda:x", "auto, cpu, cuda"),
        ("--memory lots", "Invalid value for '--memory': 'lots' is no amount of memory; use such as 4GB"),
        ("--strenght 1", "--strength"),  # did you mean
        ("-q -v", "--quiet and --verbose"),
    ],
)
def test_bad_options_are_usage_errors(here: Path, fake: type[FakeStylizer], options: str, expected: str) -> None:
    result = run("content.png", "style.png", "-o", "out.png", *options.split())
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.startswith("Usage: ") and result.stdout == ""
    assert not fake.made and not Path("out.png").exists()


# ------------------------------------------------------------------------------------------------------------ one picture


def test_one_picture(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("content.png", "style.png", "-o", "out.png")
    assert result.exit_code == 0
    assert colour("out.png") == CYAN
    assert [style.size for style in fake.made[0].styles] == [(20, 10)]
    assert result.stdout == ""
    assert result.stderr.startswith("out.png: 16 x 8, ") and result.stderr.count("\n") == 1


def test_quiet_says_nothing(here: Path, fake: type[FakeStylizer]) -> None:
    picture("clear.png", (255, 0, 0, 128), mode="RGBA")
    for content, output in ("content.png", "out.png"), ("clear.png", "out.jpg"), (".", "results"):
        result = run(content, "style.png", "-o", output, "-q")
        assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("content", "output", "expected"),
    [
        ("content.png", "results", "results/content.png"),
        ("content.png", "new/deep/", "new/deep/content.png"),
        ("content.png", "OUT.JPG", "OUT.JPG"),
        ("scan.BMP", "results", "results/scan.png"),
        ("photo.JPG", "results", "results/photo.JPG"),
        ("no_suffix", "results/", "results/no_suffix.png"),
    ],
)
def test_where_one_picture_goes(here: Path, fake: type[FakeStylizer], content: str, output: str, expected: str) -> None:
    Path("results").mkdir()
    for name in ("scan.BMP", "photo.JPG"):
        picture(name)
    Path("no_suffix").write_bytes(Path("content.png").read_bytes())
    before = files(".")
    assert run(content, "style.png", "-o", output).exit_code == 0
    assert set(files(".")) - set(before) == {expected}


def test_pipe_in_and_out(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("-", "style.png", "-o", "-", input=Path("content.png").read_bytes())
    assert result.exit_code == 0
    out = Image.open(io.BytesIO(result.stdout_bytes))
    assert (out.format, out.size, out.getpixel((0, 0))) == ("PNG", (16, 8), CYAN)
    assert result.stderr == ""


def test_pipe_to_file(here: Path, fake: type[FakeStylizer]) -> None:
    assert run("-", "style.png", "-o", "out.webp", input=Path("content.png").read_bytes()).exit_code == 0
    assert Image.open("out.webp").size == (16, 8)


def test_overwrite(here: Path, fake: type[FakeStylizer]) -> None:
    picture("out.png", "white")
    refused = run("content.png", "style.png", "-o", "out.png")
    assert refused.exit_code == 1 and "--overwrite" in refused.stderr
    assert colour("out.png") == (255, 255, 255) and not fake.made
    assert run("content.png", "style.png", "-o", "out.png", "--overwrite").exit_code == 0
    assert colour("out.png") == CYAN


def test_jpeg_of_a_transparent_picture_warns(here: Path, fake: type[FakeStylizer]) -> None:
    picture("clear.png", (255, 0, 0, 0), mode="RGBA")
    result = run("clear.png", "style.png", "-o", "out.jpg")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0].startswith("styleshuffle: warning: out.jpg: ")
    assert colour("out.jpg") == (255, 255, 255)
    assert run("clear.png", "style.png", "-o", "out.png").stderr.count("\n") == 1


# --------------------------------------------------------------------------------------------------------------- refusals


REFUSALS = [
    # content, style, output, exit code, what the message says
    ("none.png", "style.png", "out.png", 1, "none.png: no such file"),
    ("content.png", "none.png", "out.png", 1, "none.png: no such file"),
    ("empty.png", "style.png", "out.png", 1, "empty.png: is empty"),
    ("content.png", "empty.png", "out.png", 1, "empty.png: is empty"),
    ("truncated.png", "style.png", "out.png", 1, "truncated.png: "),
    ("content.png", "truncated.png", "out.png", 1, "truncated.png: "),
    ("text.png", "style.png", "out.png", 1, "text.png: "),
    ("bomb.png", "style.png", "out.png", 1, "bomb.png: is 100000 x 100000"),
    ("content.png", "bomb.png", "out.png", 1, "bomb.png: is 100000 x 100000"),
    ("content.png", "folder", "out.png", 1, "folder: is a folder"),
    ("", "style.png", "out.png", 1, "no such file"),
    ("content.png", "", "out.png", 1, "no such file"),
    ("-", "style.png", "out.png", 1, "is empty"),  # nothing on stdin
    ("content.png", "-", "out.png", 1, "is empty"),  # nothing on stdin
    ("-", "-", "out.png", 2, "-: standard input holds a single picture"),
    ("content.png", "style.png", "there.png", 1, "there.png: exists already; add --overwrite"),
    ("content.png", "style.png", "content.png", 1, "content.png: this is the content picture itself"),
    ("content.png", "style.png", "link.png", 1, "link.png: this is the content picture itself"),
    ("content.png", "style.png", "style.png", 1, "style.png: this is the style picture itself"),
    ("content.png", "style.png", ".", 1, "content.png: this is the content picture itself"),
    ("content.png", "style.png", "none/out.png", 1, "there is no folder"),
    ("content.png", "style.png", "there.png/", 1, "there.png: the folder cannot be made"),
    ("content.png", "style.png", "out.xyz", 2, "-o out.xyz: end it in one of "),
    ("content.png", "style.png", "out", 2, "-o out: end it in one of"),
    ("content.png", "style.png", "", 2, "end it in one of"),
    ("-", "style.png", "folder", 2, "-o folder: a picture from standard input has no name"),
    ("folder", "style.png", "there.png", 2, "-o there.png: CONTENT is a folder"),
    ("folder", "style.png", "out.png", 2, "-o out.png: CONTENT is a folder"),
    ("folder", "style.png", "-", 2, "-o -: CONTENT is a folder"),
    ("folder", "style.png", "", 2, "CONTENT is a folder"),
    ("folder", "style.png", "folder", 2, "-o folder: is CONTENT itself"),
    ("folder", "none.png", "out", 1, "none.png: no such file"),
    ("folder", "truncated.png", "out", 1, "truncated.png: "),
    ("folder", "style.png", "there.png/out", 1, "there.png/out: the folder cannot be made"),
    ("barren", "style.png", "out", 1, "barren: no picture in this folder"),
    ("only_style", "only_style/s.png", "out", 1, "only_style: no picture but the style in this folder"),
]


@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
@pytest.mark.parametrize(("content", "style", "output", "code", "says"), REFUSALS)
def test_refusals(
    here: Path, fake: type[FakeStylizer], content: str, style: str, output: str, code: int, says: str, extra: list[str]
) -> None:
    if output == "there.png" and content == "content.png" and extra:
        pytest.skip("what --overwrite allows")
    Path("empty.png").touch()
    truncated("truncated.png")
    Path("text.png").write_text("no picture")
    Path("bomb.png").write_bytes(png(100_000, 100_000, 8, 2, bytes(1000)))  # a few bytes that claim to be that large
    os.link("content.png", "link.png")
    picture("there.png", "white"), picture("folder/a.png"), picture("only_style/s.png")
    Path("barren").mkdir()
    Path("barren/notes.txt").write_text("no picture")
    before = {name: Path(name).read_bytes() for name in files(".")}
    result = run(content, style, "-o", output, *extra, input=b"")
    assert result.exit_code == code
    *usage, line = result.stderr.splitlines()
    assert says in line
    assert line.startswith("styleshuffle: error: " if code == 1 else "Error: ")
    assert not usage or code == 2
    assert result.stdout == ""
    assert {name: Path(name).read_bytes() for name in files(".")} == before
    assert not fake.made and not Path("out").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
@pytest.mark.parametrize(("content", "output"), [("content.png", "/proc/self/out.png"), (".", "/proc/self/out")])
def test_unwritable_output_is_refused_before_the_work(
    here: Path, fake: type[FakeStylizer], content: str, output: str
) -> None:
    result = run(content, "style.png", "-o", output)
    assert result.exit_code == 1
    assert result.stderr.startswith("styleshuffle: error: /proc/self") and result.stderr.count("\n") == 1
    assert not fake.made


def test_too_large_for_the_format_is_refused_before_the_work(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("content.png", "style.png", "-o", "out.webp", "--size", "20000")
    assert result.exit_code == 1 and "WEBP holds at most 16383" in result.stderr
    assert not fake.made


FAILURES = [
    (PictureError("too small"), 1, "styleshuffle: error: content.png: too small"),
    (WeightsError("w.safetensors: damaged; reinstall"), 1, "styleshuffle: error: w.safetensors: damaged; reinstall"),
    (SettingsError("device: 'cuda' is not available; use cpu"), 2, "Error: --device: 'cuda' is not available; use cpu"),
    (MemoryShortage("size: needs more; lower `size`"), 2, "styleshuffle: error: --size: needs more; lower --size"),
    (MemoryError(), 1, "styleshuffle: error: content.png: out of memory at 16 pixels; give a smaller --size"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), 1,
     "styleshuffle: error: content.png: out of memory at 16 pixels; give a smaller --size"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1,
     "styleshuffle: error: content.png: out of memory at 16 pixels; give a smaller --size"),
    (ZeroDivisionError("division\nby zero"), 1,
     "styleshuffle: error: content.png: ZeroDivisionError: division by zero; run with -v for the traceback"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "says"), FAILURES)
def test_failures_are_one_line(here: Path, fake: type[FakeStylizer], error: Exception, code: int, says: str) -> None:
    fake.before = staticmethod(raising(error))
    before = files(".")
    result = run("content.png", "style.png", "-o", "out.png")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (code, says)
    assert says.startswith("Error: ") or result.stderr.count("\n") == 1  # a usage error shows the usage too
    assert files(".") == before


def test_verbose_shows_the_traceback(here: Path, fake: type[FakeStylizer]) -> None:
    fake.before = staticmethod(lambda content: 1 / 0)
    result = run("content.png", "style.png", "-o", "out.png", "-v")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and "1 / 0" in result.stderr


def test_memory_that_runs_out_while_loading(here: Path, fake: type[FakeStylizer], monkeypatch: Any) -> None:
    monkeypatch.setattr(fake, "set_style", raising(MemoryError()))
    result = run("content.png", "style.png", "-o", "out.png")
    assert result.exit_code == 1
    assert result.stderr == "styleshuffle: error: content.png: out of memory; give a smaller --size\n"


@pytest.mark.skipif(os.name == "nt", reason="no such file names there")
def test_names_cannot_break_the_line(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("a\nb\x1b[31m.png", "style.png", "-o", "out.png")
    assert result.stderr.startswith("styleshuffle: error: a\\nb\\x1b[31m.png: ") and result.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="no such file names there")
@pytest.mark.parametrize(
    "arguments",
    [
        ["content.png", "style.png", "-o", "out.BAD"],
        ["content.png", "style.png", "-o", "out.png", "--sweep", "BAD"],
        ["content.png", "style.png", "-o", "out.png", "--BAD"],
        ["content.png", "style.png", "-o", "out.png", "--device", "BAD"],
        ["content.png", "style.png", "-o", "out.png", "--seed", "BAD"],
        [".", "style.png", "-o", "BAD.png"],
    ],
)
def test_usage_errors_quote_safely(here: Path, fake: type[FakeStylizer], arguments: list[str]) -> None:
    bad = "a\n\x1b]0;title\x07\u202e"
    result = run(*(argument.replace("BAD", bad) for argument in arguments))
    assert result.exit_code == 2
    assert "\\x1b]0;title\\x07\\u202e" in result.stderr.splitlines()[-1]
    assert all(character.isprintable() for line in result.stderr.splitlines() for character in line)


# ------------------------------------------------------------------------------------ several contents, and style streams


def test_several_contents(here: Path, fake: type[FakeStylizer]) -> None:
    picture("deep/a.bmp", "lime"), picture("b.png", "red")
    result = run("-s", "style.png", "deep/a.bmp", "b.png", "content.png", "b.png", "-o", "out/")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "3 stylized, 0 already there, 0 failed\n"
    assert files("out") == ["a.png", "b.png", "content.png"]
    assert len(fake.made) == 1 and len(fake.made[0].styles) == 1
    again = run("-s", "style.png", "b.png", "content.png", "none.png", "-o", "out")
    assert again.exit_code == 1
    says, summary = again.stderr.splitlines()
    assert says.startswith("styleshuffle: error: none.png: no such file")
    assert summary == "0 stylized, 2 already there, 1 failed"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-s", "style.png", "a.png", "b.png", "-o", "out.png"], 2, "there are several CONTENT files, so name a folder"),
        (["-s", "style.png", "a.png", "-", "-o", "out/"], 2, "CONTENT -: standard input has no name"),
        (["-s", "style.png", "a.png", "folder", "-o", "out/"], 2, "CONTENT folder: is a folder"),
        (["-s", "style.png", "a.png", "deep/a.png", "-o", "out/"], 1, "same name as that of a.png; rename"),
        (["-s", "style.png", "a.png", "style.png", "-o", "."], 1, "is itself an input"),
        (["-s", "style.png", "a.png", "b.png", "-o", "out/", "--grid", "g.png"], 2, "--grid takes a CONTENT file"),
        (["a.png", "-o", "out.png"], 2, "Missing argument 'STYLE...'"),
        (["a.png", "style.png", "-o", "out.png", "--include", "*"], 2, "--include and --exclude choose from a folder"),
    ],
)
def test_several_contents_that_cannot_be(
    here: Path, fake: type[FakeStylizer], arguments: list[str], code: int, says: str
) -> None:
    picture("a.png"), picture("b.png"), picture("deep/a.png"), picture("folder/c.png")
    before = files(".")
    result = run(*arguments)
    assert result.exit_code == code and says in result.stderr
    assert all("out" in name for name in set(files(".")) - set(before))


def test_a_style_from_standard_input(here: Path, fake: type[FakeStylizer]) -> None:
    style = Path("style.png").read_bytes()
    result = run("content.png", "-", "-o", "out.png", input=style)
    assert result.exit_code == 0, result.stderr
    assert [style.size for style in fake.made[0].styles] == [(20, 10)]
    assert run("-s", "-", "content.png", "-o", "other.png", input=style).exit_code == 0
    bad = run("content.png", "-", "-o", "third.png", input=b"no picture")
    assert bad.exit_code == 1 and bad.stderr.count("\n") == 1 and not Path("third.png").exists()


@pytest.mark.parametrize("where", ["mask", "strength mask", "style of a sheet", "content of a sheet"])
def test_every_picture_that_is_read_is_limited(here: Path, fake: type[FakeStylizer], where: str) -> None:
    large = picture("large/x.png", "red", (40, 30))
    arguments = {
        "mask": ["content.png", "style.png", "--mask", large, "--style-mask", "style.png"],
        "strength mask": ["content.png", "style.png", "--strength-mask", large],
        "style of a sheet": ["content.png", large, "--grid", "sheet.png"],
        "content of a sheet": [large, "style.png", "--grid", "sheet.png", "--sweep", "strength=0.2,0.5"],
    }[where]
    result = run(*arguments, "-o", "out/", "--max-pixels", "1199")
    assert result.exit_code == 1
    assert "is 40 x 30, 1,200 pixels, more than the limit of 1,199; " in result.stderr.splitlines()[0]


@pytest.mark.parametrize("where", ["content", "style", "folder"])
def test_pixels_are_limited_as_the_option_says(here: Path, fake: type[FakeStylizer], where: str) -> None:
    large = picture("large/x.png", "red", (40, 30))
    arguments = {"content": [large, "style.png"], "style": ["content.png", large], "folder": ["large", "style.png"]}[
        where
    ]
    result = run(*arguments, "-o", "out/", "--max-pixels", "1199")
    assert result.exit_code == 1
    line = result.stderr.splitlines()[0]
    assert "is 40 x 30, 1,200 pixels, more than the limit of 1,199; scale it down first, or raise --max-pixels" in line
    assert run(*arguments, "-o", "out/", "--max-pixels", "1200").exit_code == 0
