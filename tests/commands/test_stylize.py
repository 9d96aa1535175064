"""What users of the command line rely on: what is written where, what is refused and how, what is never lost.

The networks are replaced by a fake that inverts colours, so that these tests cost milliseconds and need no torch.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageOps

from styleshuffle import __version__, images
from styleshuffle.commands import stylize as cli
from styleshuffle.commands.console import Console
from styleshuffle.errors import MemoryShortage, PictureError, SettingsError, WeightsError
from styleshuffle.jobs.folders import plan_folder
from styleshuffle.jobs.names import target_names
from styleshuffle.settings import Settings, rule_of

# ------------------------------------------------------------------------------------------------------- the fake


class FakeStylizer:
    """Inverts colours, and keeps book of what it was asked for."""

    made: list[FakeStylizer]
    contents: list[images.Picture]
    before: Callable[[images.Picture], None]  # called before each picture; may raise

    def __init__(self, settings: Settings, **networks: Any) -> None:
        self.settings, self.networks, self.styles = settings, networks, []
        type(self).made.append(self)

    def set_style(self, style: images.Picture) -> FakeStylizer:
        self.styles.append(style)
        return self

    def render(self, content: images.Picture, progress: Callable[[Any], None] | None = None) -> images.Picture:
        type(self).contents.append(content)
        type(self).before(content)
        for fraction in (0.25, 1.0):
            progress(types.SimpleNamespace(fraction=fraction, stage="relu4_1"))
        image = content.pil()
        result = ImageOps.invert(image.convert("RGB")).resize(images.fit_size(image.size, self.settings.size))
        if content.alpha is not None:
            result.putalpha(image.getchannel("A").resize(result.size))
        return images.read(result)


def install_fake(before: Callable[[images.Picture], None] = lambda picture: None) -> type[FakeStylizer]:
    """Put the fake where the command looks for the real one."""
    fake = type("Fake", (FakeStylizer,), {"made": [], "contents": [], "before": staticmethod(before)})
    module = types.ModuleType("styleshuffle.stylizer")
    module.Stylizer = fake  # type: ignore[attr-defined]
    sys.modules["styleshuffle.stylizer"] = module
    return fake


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeStylizer]:
    monkeypatch.setitem(sys.modules, "styleshuffle.stylizer", types.ModuleType("to be restored"))
    return install_fake()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a content and a style picture."""
    monkeypatch.chdir(tmp_path)
    picture("content.png", "red")
    picture("style.png", "blue", (20, 10))
    return tmp_path


def picture(path: str | Path, colour: Any = "red", size: tuple[int, int] = (16, 8), mode: str = "RGB") -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def truncated(path: str | Path) -> None:
    """The first half of a PNG file."""
    whole = io.BytesIO()
    Image.effect_noise((32, 32), 50).save(whole, "PNG")
    Path(path).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])


def run(*args: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, list(args), input=input)


def files(folder: str | Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def colour(path: str | Path) -> Any:
    return Image.open(path).getpixel((0, 0))


CYAN, YELLOW = (0, 255, 255), (255, 255, 0)  # red and blue inverted


# -------------------------------------------------------------------------------------------- options and imports

HEAVY = {"torch", "torchvision"}
LIBRARIES = HEAVY | {"numpy", "PIL", "tqdm", "scipy"}


@pytest.mark.parametrize(
    ("args", "code", "unwanted"),
    [
        (["--help"], 0, LIBRARIES),
        (["--version"], 0, LIBRARIES),
        (["content.png", "style.png", "-o", "out.png", "--sise", "3"], 2, LIBRARIES),
        (["content.png", "style.png", "-o", "out.png", "--size", "3"], 2, LIBRARIES),
        (["none.png", "style.png", "-o", "out.png"], 1, HEAVY),
        (["damaged.png", "style.png", "-o", "out.png"], 1, HEAVY),
        (["content.png", "damaged.png", "-o", "out.png"], 1, HEAVY),
        (["content.png", "style.png", "-o", "content.png"], 1, HEAVY),
        (["content.png", "style.png", "-o", "none/out.png"], 1, HEAVY),
        (["folder", "style.png", "-o", "results"], 0, HEAVY),  # all finished: nothing to do
    ],
)
def test_help_and_refusals_do_not_wait_for_torch(here: Path, args: list[str], code: int, unwanted: set[str]) -> None:
    truncated("damaged.png")
    picture("folder/a.png"), picture("results/a.png")
    script = (
        "import sys\nfrom styleshuffle.commands.stylize import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(code, sorted({unwanted!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, env=environment())
    assert done.stdout.splitlines()[-1] == f"{code} []"


def environment() -> dict[str, str]:
    root = str(Path(cli.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, str(Path(__file__).parent)])}


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_module_entry_shows_help(flag: str) -> None:
    command = [sys.executable, "-m", "styleshuffle", flag]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: styleshuffle [OPTIONS] CONTENT STYLE")
    assert done.stderr == ""


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
    Path("vgg19.pth").touch()
    options = "--size 32 --strength 0.8 --seed 3 --levels 3,2 --patch-sizes 3,5,3,3 --turns 2,1,1 --device cpu"
    options += " --encoder vgg19 --weights vgg19.pth --convention caffe"
    result = run("content.png", "style.png", "-o", "out.png", *options.split())
    assert result.exit_code == 0, result.stderr
    expected = Settings(size=32, strength=0.8, seed=3, levels=(3, 2), patch_sizes=(3, 5, 3, 3), turns=(2, 1, 1))
    networks = {"device": "cpu", "encoder": "vgg19", "weights": "vgg19.pth", "convention": "caffe", "decoder": None}
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


# ---------------------------------------------------------------------------------------------------- one picture


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


# ------------------------------------------------------------------------------------------------------- refusals


def bomb(path: str) -> None:
    """A PNG of a few bytes that claims to be 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


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
    ("content.png", "-", "out.png", 1, "-: no such file"),
    ("content.png", "style.png", "there.png", 1, "there.png: exists already; add --overwrite"),
    ("content.png", "style.png", "content.png", 1, "content.png: this is the content picture itself"),
    ("content.png", "style.png", "link.png", 1, "link.png: this is the content picture itself"),
    ("content.png", "style.png", "style.png", 1, "style.png: this is the style picture itself"),
    ("content.png", "style.png", ".", 1, "content.png: this is the content picture itself"),
    ("content.png", "style.png", "none/out.png", 1, "there is no folder"),
    ("content.png", "style.png", "there.png/", 1, "there.png: the folder cannot be made"),
    ("content.png", "style.png", "out.xyz", 2, "-o out.xyz: end it in one of .jpeg, .jpg, .png"),
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
    bomb("bomb.png")
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
    def fail(content: images.Picture) -> None:
        raise error

    fake.before = staticmethod(fail)
    before = files(".")
    result = run("content.png", "style.png", "-o", "out.png")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (code, says)
    assert code == 2 or result.stderr.count("\n") == 1
    assert files(".") == before


def test_verbose_shows_the_traceback(here: Path, fake: type[FakeStylizer]) -> None:
    fake.before = staticmethod(lambda content: 1 / 0)
    result = run("content.png", "style.png", "-o", "out.png", "-v")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and "1 / 0" in result.stderr


def test_memory_that_runs_out_while_loading(here: Path, fake: type[FakeStylizer], monkeypatch: Any) -> None:
    def fail(self: Any, style: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(fake, "set_style", fail)
    result = run("content.png", "style.png", "-o", "out.png")
    assert result.exit_code == 1
    assert result.stderr == "styleshuffle: error: content.png: out of memory; give a smaller --size\n"


@pytest.mark.skipif(os.name == "nt", reason="no such file names there")
def test_names_cannot_break_the_line(here: Path, fake: type[FakeStylizer]) -> None:
    result = run("a\nb\x1b[31m.png", "style.png", "-o", "out.png")
    assert result.stderr.startswith("styleshuffle: error: a\\nb\\x1b[31m.png: ") and result.stderr.count("\n") == 1


# -------------------------------------------------------------------------------------------------------- folders


def test_folder(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("b.jpg", "A.PNG", "deep/er/c.tiff", "deep/d.gif", ".hidden.png", ".cache/x.png"):
        picture(Path("photos") / name)
    Path("photos/notes.txt").write_text("no picture")
    result = run("photos", "style.png", "-o", "new/stylized")
    assert result.exit_code == 0
    assert files("new/stylized") == ["A.PNG", "b.jpg", "deep/d.png", "deep/er/c.tiff"]
    assert result.stderr == "4 stylized, 0 already there, 0 failed\n" and result.stdout == ""
    assert [len(one.styles) for one in fake.made] == [1]


def test_folder_in_order(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("c.png", "a.png", "b/z.png", "b.png"):
        picture(Path("photos") / name)
    lines = run("photos", "style.png", "-o", "out", "-v").stderr.splitlines()
    order = [Path("out") / name for name in ("a.png", "b.png", "c.png", "b/z.png")]
    assert [line.split(":")[0] for line in lines[:-1]] == [str(path) for path in order]


def test_folder_never_reads_its_own_results(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png")
    for _ in range(2):
        assert run("photos", "style.png", "-o", "photos/out", "--overwrite").exit_code == 0
    assert files("photos") == ["a.png", "out/a.png"]


def test_style_in_the_folder_is_left_out(here: Path, fake: type[FakeStylizer]) -> None:
    result = run(".", "./style.png", "-o", "out", "-v")
    assert files("out") == ["content.png"]
    assert "./style.png: left out, because it is the style" in result.stderr.splitlines()


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


def test_resume(here: Path, fake: type[FakeStylizer]) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("photos") / name)

    def stop_at_b(content: images.Picture) -> None:
        if len(fake.contents) == 2:
            raise KeyboardInterrupt

    fake.before = staticmethod(stop_at_b)
    stopped = run("photos", "style.png", "-o", "out")
    assert (stopped.exit_code, stopped.output) == (130, "")
    assert files("out") == ["a.png"]
    first = os.stat("out/a.png").st_mtime_ns

    fake.before = staticmethod(lambda content: None)
    assert run("photos", "style.png", "-o", "out").stderr == "2 stylized, 1 already there, 0 failed\n"
    assert os.stat("out/a.png").st_mtime_ns == first
    again = run("photos", "style.png", "-o", "out")
    assert (again.exit_code, again.stderr) == (0, "0 stylized, 3 already there, 0 failed\n")
    assert run("photos", "style.png", "-o", "out", "--overwrite").stderr == "3 stylized, 0 already there, 0 failed\n"


def test_what_another_run_finishes_meanwhile_is_left_to_it(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/b.png")
    fake.before = staticmethod(lambda content: picture("out/b.png", "white"))
    assert run("photos", "style.png", "-o", "out").stderr == "1 stylized, 1 already there, 0 failed\n"
    assert colour("out/b.png") == (255, 255, 255)


def test_a_failing_picture_is_passed_over(here: Path, fake: type[FakeStylizer]) -> None:
    picture("photos/a.png"), picture("photos/d.png")
    Path("photos/b.png").write_text("no picture")
    os.symlink("nowhere.png", "photos/c.png")
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    b, c, summary = result.stderr.splitlines()
    assert b.startswith(f"styleshuffle: error: {Path('photos/b.png')}: ")
    assert c.startswith(f"styleshuffle: error: {Path('photos/c.png')}: no such file")
    assert summary == "2 stylized, 0 already there, 2 failed"
    assert files("out") == ["a.png", "d.png"]


@pytest.mark.parametrize(
    "error", [MemoryError(), ZeroDivisionError("x"), PictureError("too small"), MemoryShortage("work_size: too large")]
)
def test_what_fails_for_one_picture_does_not_stop_the_rest(
    here: Path, fake: type[FakeStylizer], error: Exception
) -> None:
    picture("photos/a.png"), picture("photos/b.png")

    def fail_first(content: images.Picture) -> None:
        if len(fake.contents) == 1:
            raise error

    fake.before = staticmethod(fail_first)
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    line, summary = result.stderr.splitlines()
    assert line.startswith(f"styleshuffle: error: {Path('photos/a.png')}: ")
    assert summary == "1 stylized, 0 already there, 1 failed"


def test_a_full_disk_stops_the_folder(here: Path, fake: type[FakeStylizer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("photos") / name)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = run("photos", "style.png", "-o", "out")
    assert result.exit_code == 1
    line, summary = result.stderr.splitlines()
    assert "No space left" in line
    assert summary == "0 stylized, 0 already there, 1 failed, 2 not begun"
    assert files("out") == []


def test_damaged_weights_stop_the_folder(here: Path, fake: type[FakeStylizer]) -> None:
    def fail(content: images.Picture) -> None:
        raise WeightsError("w: damaged; reinstall")

    picture("photos/a.png"), picture("photos/b.png")
    fake.before = staticmethod(fail)
    result = run("photos", "style.png", "-o", "out")
    assert (result.exit_code, result.stderr) == (1, "styleshuffle: error: w: damaged; reinstall\n")


@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
def test_a_result_never_replaces_an_input(here: Path, fake: type[FakeStylizer], extra: list[str]) -> None:
    inner, outer = picture("p/a/x.png", "blue"), picture("p/a/a/x.png", "red")
    result = run("p/a", "style.png", "-o", "p", *extra)  # p/a/a/x.png would become p/a/x.png
    assert result.exit_code == 1
    assert f"styleshuffle: error: {outer}: {inner} is itself an input" in result.stderr
    assert (colour(inner), colour(outer)) == ((0, 0, 255), (255, 0, 0))
    assert colour("p/x.png") == YELLOW


def test_a_folder_that_cannot_be_listed_is_a_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("photos/a.png"), picture("photos/locked/b.png")
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    plan = plan_folder(Path("photos"), Path("out"), Path("style.png"))
    assert [job.source for job in plan.tasks] == [Path("photos/a.png")]
    assert plan.unlisted == ((Path("photos/locked"), "Permission denied"),)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_to_folders_are_not_followed(here: Path) -> None:
    picture("photos/a.png")
    os.symlink("..", "photos/loop", target_is_directory=True)
    plan = plan_folder(Path("photos"), Path("out"), Path("style.png"))
    assert [job.target for job in plan.tasks] == [Path("out/a.png")]


# ------------------------------------------------------------------------------- terminals, signals and closed pipes

DRIVER = """
import os, signal, sys
import test_stylize
from styleshuffle.commands.stylize import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit its being ignored

def ready_and_wait(*ignored):
    os.write({ready}, b"x")
    os.read({hold}, 1)  # until the signal comes

{setup}
main(sys.argv[1:])
"""
DURING_WORK = "test_stylize.install_fake(ready_and_wait)"
DURING_WRITE = "test_stylize.install_fake(); os.fsync = ready_and_wait"  # the draft lies beside the target

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and terminals")


@posix
@pytest.mark.parametrize("setup", [DURING_WORK, DURING_WRITE])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("content", ["content.png", "."])
def test_signals_end_quietly_with_nothing_half_written(
    here: Path, number: signal.Signals, code: int, setup: str, content: str
) -> None:
    picture("out.png", "white")
    Path("out").mkdir()
    before = files(".")
    ready, told = os.pipe()
    waits, hold = os.pipe()
    script = DRIVER.format(ready=told, hold=waits, setup=setup)
    target = "out" if content == "." else "out.png"
    process = subprocess.Popen(
        [sys.executable, "-c", script, content, "style.png", "-o", target, "--overwrite"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[told, waits], env=environment(),
    )  # fmt: skip
    os.close(told)
    try:
        assert os.read(ready, 1) == b"x"
        if setup == DURING_WRITE:
            assert len(files(".")) == len(before) + 1
        process.send_signal(number)
        output = process.communicate(timeout=60)
    finally:
        process.kill()
        for end in (ready, waits, hold):
            os.close(end)
    assert (process.returncode, output) == (code, (b"", b""))
    assert files(".") == before and colour("out.png") == (255, 255, 255)


def spawn(*args: str, setup: str = "test_stylize.install_fake()", **options: Any) -> subprocess.Popen[bytes]:
    script = DRIVER.format(ready=1, hold=0, setup=setup)
    return subprocess.Popen([sys.executable, "-c", script, *args], env=environment(), **options)


@posix
def test_a_closed_pipe_ends_quietly(here: Path) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    process = spawn("content.png", "style.png", "-o", "-", stdout=writable, stderr=subprocess.PIPE)
    os.close(writable)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_an_error(here: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = spawn("content.png", "style.png", "-o", "-", stdout=full, stderr=subprocess.PIPE)
        line = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert line.startswith("styleshuffle: error: <stdout>: ") and "No space left" in line and line.count("\n") == 1


def on_a_terminal(*args: str, **options: Any) -> tuple[int, str]:
    """Exit code and stderr of a run whose stderr (and stdin and stdout, unless given) is a terminal."""
    import fcntl
    import termios

    leader, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = spawn(*args, **{"stdin": terminal, "stdout": terminal, "stderr": terminal, **options})
    os.close(terminal)
    shown = b""
    try:
        while some := os.read(leader, 4096):
            shown += some
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(leader)
    return process.wait(timeout=60), shown.decode()


@posix
def test_a_bar_on_a_terminal_and_only_there(here: Path) -> None:
    code, shown = on_a_terminal("content.png", "style.png", "-o", "out.png")
    assert code == 0
    assert "loading" in shown and "content.png   0%|" in shown
    code, shown = on_a_terminal("content.png", "style.png", "-o", "quiet.png", "-q")
    assert (code, shown) == (0, "")
    process = spawn("content.png", "style.png", "-o", "piped.png", stderr=subprocess.PIPE)
    assert b"%" not in process.communicate(timeout=60)[1]


@posix
def test_a_terminal_is_neither_read_nor_written_as_a_picture(here: Path) -> None:
    code, shown = on_a_terminal("content.png", "style.png", "-o", "-")
    assert code == 2 and "name a file" in shown
    code, shown = on_a_terminal("-", "style.png", "-o", "out.png")
    assert code == 2 and "standard input is a terminal" in shown


def test_the_bar_advances_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remaining time is honest if the bar's position is the share of the work, whatever the pictures' sizes."""
    with Console(quiet=True, verbose=False).bar(100) as bar:
        positions = []

        def update(step: float) -> None:
            bar._bar.n += step
            positions.append(bar._bar.n)

        monkeypatch.setattr(bar._bar, "update", update)
        for before, work in ((0, 20), (20, 80)):
            bar.start("x", before, work)
            bar.move_to(0.5)
            bar.move_to(1)
    assert positions == [0, 10, 20, 20, 60, 100]


@pytest.mark.parametrize(("size", "expected"), [(None, 128.0), (32, 512.0)])
def test_work_is_the_pixels_of_the_result(here: Path, size: int | None, expected: float) -> None:
    Path("damaged.png").write_text("no picture")
    assert cli._work(Path("content.png"), Settings(size=size)) == expected
    assert cli._work(Path("damaged.png"), Settings(size=size)) == 0
