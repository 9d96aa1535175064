"""What users of ``styleshuffle-eval`` rely on: which pictures are compared, what is printed where, what is refused."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from helpers import SAMPLES, environment, invoke, raising
from PIL import Image

from styleshuffle import __version__, images
from styleshuffle.commands import evaluate as evaluate_cli
from styleshuffle.errors import MemoryShortage, WeightsError
from styleshuffle.evaluation import judge
from styleshuffle.evaluation.measures import Measures, measure
from styleshuffle.networks.vgg import VGG, load_compact

MEASURES = list(Measures.__dataclass_fields__)
TO_STYLE = ["gram", "coherence", "completeness", "swd"]  # distances to the style

needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the sample pictures, 96 pixels."""
    folder = tmp_path_factory.mktemp("samples")
    names = ["content/cat", "content/coffee", "content/rocket", "style/autumn_avenue", "style/byzantine_mosaic"]
    for name in names:
        with Image.open(SAMPLES / f"{name}.jpg") as picture:
            picture.thumbnail((96, 96))
            (folder / name).parent.mkdir(exist_ok=True)
            picture.save(folder / f"{name}.png")
    return folder


@pytest.fixture
def here(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: two photos, "outputs" of the same names that are other photos, and two styles."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "coffee"):
        copy(samples / "content" / f"{name}.png", f"photos/{name}.png")
    copy(samples / "content" / "coffee.png", "outputs/cat.png")
    copy(samples / "content" / "rocket.png", "outputs/coffee.png")
    copy(samples / "style" / "autumn_avenue.png", "style.png")
    copy(samples / "style" / "byzantine_mosaic.png", "other.png")
    return tmp_path


@pytest.fixture(autouse=True)
def encoders(monkeypatch: pytest.MonkeyPatch, encoder: VGG) -> list[tuple[Any, ...]]:
    """Which encoders the command has asked for; it always gets the compact one."""
    asked: list[tuple[Any, ...]] = []

    def load(name: str, weights: Any, progress: bool) -> VGG:
        asked.append((name, weights))
        return deepcopy(encoder)  # the command moves and converts it

    monkeypatch.setattr(judge, "load_encoder", load)
    return asked


def copy(source: str | Path, target: str | Path) -> Path:
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source, target))


def run(*args: str) -> Result:
    return invoke(evaluate_cli.main, *args, "--device", "cpu")


def measured(*args: str) -> dict[str, Any]:
    """What the command says as JSON."""
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def error(result: Result, code: int) -> str:
    """The one line of a command that failed with that code and has printed nothing."""
    assert (result.exit_code, result.stdout) == (code, "")
    line = result.stderr.removeprefix("styleshuffle: error: ")
    assert line != result.stderr and line.count("\n") == 1
    return line


# ------------------------------------------------------------------------------------------------------ known answers


def test_the_style_itself_is_fully_in_style(here: Path) -> None:
    [row] = measured("style.png", "--content", "photos/cat.png", "--style", "style.png")["pictures"]
    assert {name: row[name] for name in TO_STYLE} == pytest.approx(dict.fromkeys(TO_STYLE, 0), abs=1e-5)
    assert row["cfsd"] > 0.1


def test_the_content_itself_has_lost_no_structure(here: Path) -> None:
    [row] = measured("photos/cat.png", "--content", "photos/cat.png", "--style", "style.png")["pictures"]
    assert row["cfsd"] == pytest.approx(0, abs=1e-5)
    assert min(row[name] for name in TO_STYLE) > 0.01


def test_figures_are_those_of_the_library(here: Path, encoder: VGG) -> None:
    pictures = [images.read(path).tensor() for path in ("outputs/cat.png", "photos/cat.png", "style.png")]
    [row] = measured("outputs/cat.png", "--content", "photos/cat.png", "--style", "style.png")["pictures"]
    assert {name: row[name] for name in MEASURES} == pytest.approx(measure(encoder, *pictures).as_dict(), rel=1e-4)


def test_size_is_the_long_side_of_all_pictures(here: Path, encoder: VGG) -> None:
    pictures = []
    for path in ("outputs/cat.png", "photos/cat.png", "style.png"):
        picture = images.read(path)
        pictures.append(picture.tensor(images.fit_size(picture.size, 64)))
    said = measured("outputs/cat.png", "--content", "photos/cat.png", "--style", "style.png", "--size", "64")
    assert said["size"] == 64
    assert said["mean"] == pytest.approx(measure(encoder, *pictures).as_dict(), rel=1e-4)


# ------------------------------------------------------------------------------------------------------------- output


def test_json(here: Path) -> None:
    said = measured("outputs", "--content", "photos", "--style", "style.png")
    rows = said.pop("pictures")
    assert [(row["output"], row["content"], row["style"]) for row in rows] == [
        (str(Path("outputs") / name), str(Path("photos") / name), "style.png") for name in ("cat.png", "coffee.png")
    ]
    mean = {name: pytest.approx((rows[0][name] + rows[1][name]) / 2) for name in MEASURES}
    assert said == {"encoder": "compact", "gram_levels": [1, 2, 3, 4], "size": None, "mean": mean}


def test_table(here: Path) -> None:
    rows = measured("outputs", "--content", "photos", "--style", "style.png")
    result = run("outputs", "--content", "photos", "--style", "style.png")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == MEASURES
    expected = [("cat.png", rows["pictures"][0]), ("coffee.png", rows["pictures"][1]), ("mean", rows["mean"])]
    assert [line.split() for line in lines] == [[name, *(f"{row[m]:.4f}" for m in MEASURES)] for name, row in expected]
    assert {len(line) for line in lines} == {len(header)}
    said = (
        "2 measured, 0 failed; compact encoder, gram over relu1_1 to relu4_1; lower is better; brushwork is best near 1"
    )
    assert result.stderr == f"{said}\n"


def test_nothing_is_below_zero(here: Path) -> None:
    assert "-" not in run("style.png", "--content", "style.png", "--style", "style.png").stdout


def test_odd_names_stay_on_their_line(here: Path) -> None:
    copy("outputs/cat.png", "outputs/a\nb.png")
    copy("photos/cat.png", "photos/a\nb.png")
    arguments = ["outputs", "--content", "photos", "--style", "style.png"]
    assert run(*arguments).stdout.splitlines()[1].startswith(r"a\nb.png  ")
    assert measured(*arguments)["pictures"][0]["output"] == str(Path("outputs/a\nb.png"))


def test_quiet_says_nothing_but_results(here: Path) -> None:
    result = run("outputs", "--content", "photos", "--style", "style.png", "-q")
    assert result.stdout.count("\n") == 4 and result.stderr == ""


def test_help_needs_no_libraries_and_says_what_gram_is(here: Path) -> None:
    script = (
        "import sys\nfrom styleshuffle.commands.evaluate import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    code = end.code\n"
        "print(code, {'torch', 'numpy', 'PIL', 'tqdm', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    assert done.stdout.splitlines()[-1] == "0 set()"
    assert all(f"\n    {name} " in done.stdout for name in MEASURES)
    assert "to relu4_1 with compact" in done.stdout


def test_version() -> None:
    assert run("--version").stdout == f"styleshuffle-eval {__version__}\n"


def test_the_installed_command(here: Path) -> None:
    """In a process of its own, with the real encoder."""
    arguments = ["outputs", "--content", "photos", "--style", "style.png", "--size", "64"]
    done = subprocess.run(
        [sys.executable, "-m", "styleshuffle.commands.evaluate", *arguments, "--device", "cpu"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(*arguments).stdout


# ----------------------------------------------------------------------------------------------------------- the pairs


def test_styles_paired_by_name_are_each_used(here: Path) -> None:
    copy("style.png", "styles/cat.png"), copy("other.png", "styles/coffee.png")
    both = measured("outputs", "--content", "photos", "--style", "styles")["pictures"]
    for name, style, row in zip(("cat.png", "coffee.png"), ("style.png", "other.png"), both, strict=True):
        [alone] = measured(f"outputs/{name}", "--content", f"photos/{name}", "--style", style)["pictures"]
        assert [row[m] for m in MEASURES] == pytest.approx([alone[m] for m in MEASURES])


def test_one_style_is_encoded_once(here: Path, encoder: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, seen = VGG.forward, []
    monkeypatch.setattr(VGG, "forward", lambda self, x, levels: seen.append(x.shape) or forward(self, x, levels))
    copy("outputs/cat.png", "outputs/x.png"), copy("photos/cat.png", "photos/x.png")
    measured("outputs", "--content", "photos", "--style", "style.png")
    assert len(seen) == 3 + 3 + 1


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("none.png --content photos/cat.png --style style.png", "none.png: no such file"),
        ("outputs/cat.png --content none.png --style style.png", "none.png: no such file"),
        ("outputs/cat.png --content photos/cat.png --style none.png", "none.png: no such file"),
        ("outputs/cat.png --content photos --style style.png", "photos: is a folder"),
        ("outputs/cat.png --content photos/cat.png --style photos", "photos: is a folder"),
        ("outputs --content photos --style none.png", "none.png: no such file"),
        ("empty --content photos --style style.png", "empty: no picture in this folder"),
        ("outputs --content empty --style style.png", "empty: no picture in this folder"),
        ("outputs --content photos --style empty", "empty: no picture in this folder"),
        ("small.png --content photos/cat.png --style style.png", "small.png: 40 x 23 is too small to measure"),
        ("outputs/cat.png --content small.png --style style.png", "small.png: 40 x 23 is too small to measure"),
        ("outputs --content photos --style small.png", "small.png: 40 x 23 is too small to measure"),
        ("outputs/cat.png --content photos/cat.png --style small.png --size 32", "small.png: 32 x 18 is too small"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(here: Path, args: str, expected: str) -> None:
    Path("empty").mkdir()
    Image.new("RGB", (40, 23)).save("small.png")
    assert error(run(*args.split()), 1).startswith(expected)


def test_the_smallest_pictures_can_be_measured(here: Path) -> None:
    Image.effect_noise((24, 24), 60).convert("RGB").save("least.png")
    assert measured("least.png", "--content", "least.png", "--style", "least.png")["mean"]["gram"] == 0


def test_the_smallest_pictures_for_vgg19_can_be_measured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = VGG(((2, 2), (2, 2), (2,) * 4, (2,) * 4, (2,))).requires_grad_(False)
    for parameter in deep.parameters():
        parameter.fill_(0.1)
    monkeypatch.setattr(judge, "load_encoder", lambda name, weights, progress: deep)
    for side in (31, 32):
        Image.effect_noise((40, side), 60).convert("RGB").save(f"{side}.png")
    arguments = ["--content", "32.png", "--style", "32.png", "--encoder", "vgg19"]
    assert measured("32.png", *arguments)["gram_levels"] == [1, 2, 3, 4, 5]
    assert "32 x 32 is the least" in error(run("31.png", *arguments), 1)


def test_folders_that_do_not_match_are_refused_in_one_line(here: Path) -> None:
    copy("other.png", "outputs/x.png")
    said = error(run("outputs", "--content", "photos", "--style", "style.png"), 2)
    assert said.startswith(f"{Path('outputs/x.png')}: no content of this name in photos (1 such output); ")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("outputs --content photos/cat.png --style style.png", "--content photos/cat.png: OUTPUT is a folder"),
        ("outputs --content none --style style.png", "--content none: OUTPUT is a folder"),
        ("outputs --content photos", "--style"),
        ("outputs --content photos --style style.png --size 8", "32"),
        ("outputs --content photos --style style.png --encoder vgg", "'compact', 'vgg19'"),
        ("outputs --content photos --style style.png --device tpu", "auto, cpu, cuda"),
        ("outputs --content photos --style style.png -q -v", "contradict"),
        ("outputs --content photos --style style.png --plot chart.svg", "--plot chart.svg: end it in one of ."),
    ],
)
def test_command_lines_that_cannot_be_meant_so(here: Path, args: str, expected: str) -> None:
    result = invoke(evaluate_cli.main, *args.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ") and expected in result.stderr


def test_a_device_that_is_not_there(here: Path) -> None:
    arguments = ["outputs", "--content", "photos", "--style", "style.png", "--device", "cuda:99"]
    result = invoke(evaluate_cli.main, *arguments)
    assert result.exit_code == 2 and "--device: 'cuda:99' is not available" in result.stderr


# ----------------------------------------------------------------------------------------------------------- failures


def test_an_unreadable_picture_is_passed_over(here: Path) -> None:
    Path("outputs/cat.png").write_text("no picture")
    result = run("outputs", "--content", "photos", "--style", "style.png")
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["coffee.png", "mean"]
    line, summary = result.stderr.splitlines()
    assert line.startswith(f"styleshuffle: error: {Path('outputs/cat.png')}: ")
    assert summary.startswith("1 measured, 1 failed")


def test_json_stays_json_if_all_fails(here: Path) -> None:
    Path("outputs/cat.png").write_text("no picture")
    result = run("outputs/cat.png", "--content", "photos/cat.png", "--style", "style.png", "--json")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert json.loads(result.stdout) == {
        "encoder": "compact", "gram_levels": [], "size": None, "pictures": [], "mean": None,
    }  # fmt: skip


def test_an_unlike_size_is_warned_of(here: Path) -> None:
    with Image.open("outputs/cat.png") as picture:
        picture.resize((64, 48)).save("outputs/cat.png")
    arguments = ["outputs", "--content", "photos", "--style", "style.png"]
    warning = run(*arguments).stderr.splitlines()[0]
    assert warning.startswith(f"styleshuffle: warning: {Path('outputs/cat.png')}: not the size of its content (1 such")
    assert "warning" not in run(*arguments, "--size", "64").stderr


def fails(monkeypatch: pytest.MonkeyPatch, with_error: BaseException) -> Result:
    """A run in which the first computation fails."""
    monkeypatch.setattr(VGG, "forward", raising(with_error))
    return run("outputs", "--content", "photos", "--style", "style.png")


def test_out_of_memory_names_the_remedy(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = fails(monkeypatch, RuntimeError("CUDA out of memory"))
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.count("out of memory; give a smaller --size\n") == 2


def test_too_large_pictures_are_refused_before_they_take_the_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def little(device: Any, pixels: int, bytes_a_pixel: int) -> None:
        if pixels > 2 * 96 * 96:  # the style alone has fewer, with output and content there are more
            raise MemoryShortage("work_size: needs more")

    monkeypatch.setattr(judge, "check_memory", little)
    arguments = ["outputs/cat.png", "--content", "photos/cat.png", "--style", "style.png"]
    said = error(run(*arguments), 1)
    assert said == f"{Path('outputs/cat.png')}: too large for this machine's memory; give a smaller --size\n"
    assert run(*arguments, "--size", "64").exit_code == 0


def test_an_unexpected_error_has_no_traceback_unless_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = fails(monkeypatch, ZeroDivisionError("x"))
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert result.stderr.startswith(f"styleshuffle: error: {Path('outputs/cat.png')}: ZeroDivisionError: x")
    assert "Traceback" in run("outputs", "--content", "photos", "--style", "style.png", "-v").stderr


def test_an_interrupt_ends_with_130(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = fails(monkeypatch, KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "")


def test_wrong_weights_stop_the_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch, encoders: list[tuple[Any, ...]]
) -> None:
    run("outputs", "--content", "photos", "--style", "style.png", "--encoder", "vgg19", "--weights", "w.pth")
    assert encoders == [("vgg19", "w.pth")]
    monkeypatch.setattr(judge, "load_encoder", raising(WeightsError("w.pth: damaged; fetch it again")))
    assert error(run("outputs", "--content", "photos", "--style", "style.png"), 1) == "w.pth: damaged; fetch it again\n"
    monkeypatch.setattr(judge, "load_encoder", lambda name, weights, progress: VGG(((4,), (4,), (4,))))
    shallow = run("outputs", "--content", "photos", "--style", "style.png", "--weights", "w.pth")
    assert error(shallow, 1).startswith("w.pth: ends before relu4_1")


def test_measures_that_are_no_numbers_are_failures(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = load_compact()
    broken.features[0].bias.fill_(math.nan)
    monkeypatch.setattr(judge, "load_encoder", lambda name, weights, progress: broken)
    said = error(run("outputs/cat.png", "--content", "photos/cat.png", "--style", "style.png"), 1)
    assert "not finite" in said


# ------------------------------------------------------------------------------------------------------------- charts


@needs_matplotlib
def test_chart(here: Path) -> None:
    copy("outputs/cat.png", "outputs/$x_$.png"), copy("photos/cat.png", "photos/$x_$.png")
    arguments = ["outputs", "--content", "photos", "--style", "style.png", "--plot", "chart.png"]
    assert run(*arguments).exit_code == 0
    with Image.open("chart.png") as chart:
        assert len(chart.convert("RGB").getcolors(maxcolors=2**20)) > 2
    first = Path("chart.png").read_bytes()
    assert error(run(*arguments), 1) == "chart.png: exists already; add --overwrite, or write to another file\n"
    assert Path("chart.png").read_bytes() == first
    copy("photos/cat.png", "outputs/cat.png")
    assert run(*arguments, "--overwrite").exit_code == 0
    assert Path("chart.png").read_bytes() != first


@needs_matplotlib
def test_a_chart_replaces_no_picture(here: Path) -> None:
    before = Path("photos/cat.png").read_bytes()
    arguments = ["outputs", "--content", "photos", "--style", "style.png", "--overwrite", "--plot"]
    assert "one of the pictures to measure" in error(run(*arguments, "photos/cat.png"), 1)
    assert Path("photos/cat.png").read_bytes() == before
    assert "there is no folder" in error(run(*arguments, "none/chart.png"), 1)
