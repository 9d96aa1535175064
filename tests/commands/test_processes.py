"""``styleshuffle`` as a process: quick refusals, signals, terminals and closed pipes."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from helpers import colour, environment, files, picture, truncated
from PIL import Image

from styleshuffle.jobs.claims import PATTERN

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


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_module_entry_shows_help(flag: str) -> None:
    command = [sys.executable, "-m", "styleshuffle", flag]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: styleshuffle [OPTIONS] CONTENT STYLE")
    assert done.stderr == ""


# ------------------------------------------------------------------------------------ terminals, signals and closed pipes


DRIVER = """
import os, signal, sys
import fake_stylizer
from styleshuffle.commands.stylize import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit its being ignored

def ready_and_wait(*ignored):
    os.write({ready}, b"x")
    os.read({hold}, 1)  # until the signal comes

{setup}
main(sys.argv[1:])
"""

DURING_WORK = "fake_stylizer.install_fake(ready_and_wait)"

DURING_WRITE = "fake_stylizer.install_fake(); os.fsync = ready_and_wait"  # the draft lies beside the target

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
            assert len([name for name in files(".") if not fnmatch(Path(name).name, PATTERN)]) == len(before) + 1
        process.send_signal(number)
        if content == "." and setup == DURING_WRITE:
            os.write(hold, b"x")  # a thread writes the results of a folder; it finishes its file
        output = process.communicate(timeout=60)
    finally:
        process.kill()
        for end in (ready, waits, hold):
            os.close(end)
    assert (process.returncode, output) == (code, (b"", b""))
    whole = ["out/content.png"] if content == "." and setup == DURING_WRITE else []
    assert files(".") == sorted(before + whole) and colour("out.png") == (255, 255, 255)
    assert [colour(path) for path in whole] == [(0, 255, 255)] * len(whole)


def spawn(
    *args: str, setup: str = "fake_stylizer.install_fake()", locale: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    script = DRIVER.format(ready=1, hold=0, setup=setup)
    return subprocess.Popen([sys.executable, "-c", script, *args], env={**environment(), **(locale or {})}, **options)


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


@posix
def test_a_long_name_of_escapes_leaves_room_for_the_bar(here: Path) -> None:
    name = "\x1b]0;title\x07\n\u202e" + "x" * 200 + ".png"
    Path("content.png").rename(name)
    code, shown = on_a_terminal(name, "style.png", "-o", "out.png")
    assert code == 0
    bar = next(part for part in shown.split("\r") if "xx.png" in part)
    assert bar.startswith("\\x1b]0;titl") and "   0%|" in bar and " to go" in bar and len(bar) <= 80
    assert not {"\x1b]", "\x07", "\u202e"} & {shown[index : index + 2] for index in range(len(shown))}


PRINTS = """
def print_it(picture):
    os.write(2, b"LZWDecode: \\x1b]0;title\\x07 bad\\n" + b"Row\\n" * 50)
    os.write(2, b"x" * 3_000_000 if os.environ.get("MUCH") else b"")

fake_stylizer.install_fake(print_it)
"""


@posix
def test_what_libraries_print_by_themselves_goes_through_the_console(here: Path) -> None:
    process = spawn("content.png", "style.png", "-o", "out.png", setup=PRINTS, stderr=subprocess.PIPE)
    first, *others, made = process.communicate(timeout=60)[1].decode().splitlines()
    assert first == "styleshuffle: warning: a library says: LZWDecode: \\x1b]0;title\\x07 bad"
    assert len(others) == 3 and others[-1].endswith("... and 48 more such lines") and made.startswith("out.png: 16 x 8")
    process = spawn("content.png", "style.png", "-o", "quiet.png", "-q", setup=PRINTS, stderr=subprocess.PIPE)
    assert process.communicate(timeout=60)[1] == b"" and process.returncode == 0
    process = spawn(".", "style.png", "-o", "out", setup=PRINTS, stderr=subprocess.PIPE, locale={"MUCH": "1"})
    assert len(process.communicate(timeout=60)[1]) < 3_100_000 and process.returncode == 0


@posix
def test_libtiff_goes_through_the_console(here: Path) -> None:
    """And so does what Pillow says of the same file."""
    Image.effect_noise((64, 64), 90).save("damaged.tif", compression="tiff_lzw")
    content = Path("damaged.tif").read_bytes()
    Path("damaged.tif").write_bytes(content[:200] + bytes([255]) * 60 + content[260:])
    process = spawn("damaged.tif", "style.png", "-o", "out.png", stderr=subprocess.PIPE)
    *says, error = process.communicate(timeout=60)[1].decode().splitlines()
    assert process.returncode == 1 and error.startswith("styleshuffle: error: damaged.tif: ")
    assert all(line.startswith("styleshuffle: warning: a library says: ") for line in says)


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@posix
@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1:strict"}, C_LOCALE])
@pytest.mark.parametrize("suffix", [".png", ".none"])
def test_a_locale_that_lacks_the_letters_of_a_name(here: Path, locale: dict[str, str], suffix: str) -> None:
    Path("content.png").rename("日本.png")
    process = spawn("日本.png", "style.png", "-o", "出力" + suffix, locale=locale, stderr=subprocess.PIPE)
    *usage, line = process.communicate(timeout=60)[1].decode("latin-1").splitlines()
    assert process.returncode == (0 if suffix == ".png" else 2), (usage, line)
    assert f"{suffix}: " in line and "Traceback" not in " ".join(usage)
    assert Path("出力.png").exists() == (suffix == ".png")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs a limit of the address space, as on Linux")
@pytest.mark.parametrize("megabytes", [700, 1500])
def test_too_little_memory_for_torch_is_one_line(here: Path, megabytes: int) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 10**6,) * 2)

    command = [sys.executable, "-m", "styleshuffle", "content.png", "style.png", "-o", "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), preexec_fn=limit)
    if done.returncode == 0:
        pytest.skip("this build of torch is content with it")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "does not fit into the memory of this process" in done.stderr or "out of memory" in done.stderr
