"""What the README and the pages for readers say is so: their commands run, their links lead somewhere, their tables agree
with the code.

``python tests/test_readme.py`` writes the table of settings into the README.

Commands run in a copy of the repository with sample pictures of 96 pixels. A block of commands after a comment
``<!-- not run: why -->`` is only parsed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import typing
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click
import pytest
from helpers import ROOT, environment
from PIL import Image

from styleshuffle.commands.stylize import main
from styleshuffle.settings import Settings, rule_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        "docs/method.md",
        "docs/controls.md",
        "docs/figures.md",
        "docs/formats.md",
        "docs/evaluation.md",
        "docs/training.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    )
}
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
SIDE = 96

_BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```\n", re.DOTALL)
_TABLE = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)
BLOCKS = [match.groupdict() for page in PAGES.values() for match in _BLOCK.finditer(page)]
SHELL = [block["text"] for block in BLOCKS if block["language"] == "sh" and not block["reason"]]
NOT_RUN = [block["text"] for block in BLOCKS if block["language"] == "sh" and block["reason"]]
PYTHON = [block["text"] for block in BLOCKS if block["language"] == "python"]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="the README's commands are for a Unix shell")

# Stand-ins for the commands of an installed styleshuffle, and for those that install or test: these only write down
# what they were asked for.
_COMMANDS = {
    "styleshuffle": 'exec "$PYTHON" -m styleshuffle "$@"',
    "styleshuffle-eval": 'exec "$PYTHON" -m styleshuffle.commands.evaluate "$@"',
    "python": 'if [ "$1 $2" = "-m pytest" ]; then echo "python $*" >> "$ASKED"; else exec "$PYTHON" "$@"; fi',
    "python3": '[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && touch "$3/bin/activate" && echo "python3 $*" >> "$ASKED"',
    "pip": 'echo "pip $*" >> "$ASKED"',
}


@pytest.fixture(scope="module")
def small_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "samples"
    for kind in ("content", "style"):
        (folder / kind).mkdir(parents=True)
        for path in (ROOT / "samples" / kind).glob("*.jpg"):
            with Image.open(path) as picture:
                picture.thumbnail((SIDE, SIDE))
                picture.save(folder / kind / path.name)
    return folder


@pytest.fixture
def clone(tmp_path: Path, small_samples: Path) -> Path:
    """What a reader of the README stands in, but for the sources, with small pictures."""
    shutil.copytree(small_samples, tmp_path / "clone" / "samples")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "clone" / "benchmarks")
    return tmp_path / "clone"


def small(text: str) -> str:
    """Commands or code with small sizes."""
    text = re.sub(r"(-size |\bsize=)\d+", rf"\g<1>{SIDE}", text)
    return re.sub(r"^(python benchmarks/speed\.py).*$", r"\1 --size 64 --repeat 1", text, flags=re.MULTILINE)


def run_shell(text: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run commands in bash; what it did, and what was asked of the commands that install or test."""
    commands, asked = folder.parent / "commands", folder.parent / "asked"
    commands.mkdir()
    asked.touch()
    for name, body in _COMMANDS.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", small(text)],
        cwd=folder,
        env={
            **environment(),
            "PATH": path,
            "PYTHON": sys.executable,
            "ASKED": str(asked),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done, asked.read_text().splitlines()


def first_line(text: str) -> str:
    return text.strip().splitlines()[0]


# ----------------------------------------------------------------------------------------------------- what is run


@needs_bash
@pytest.mark.parametrize("text", SHELL, ids=first_line)
def test_commands_run(text: str, clone: Path) -> None:
    done, _ = run_shell(text, clone)
    assert done.returncode == 0, done.stderr
    for output in re.findall(r"-o (\S+)|> (\S+)$", text, re.MULTILINE):
        name = "".join(output)
        if name != "-":
            written = clone / name
            assert any(written.iterdir()) if written.is_dir() else written.stat().st_size > 0


@needs_bash
def test_quick_start_installs_and_tests(clone: Path) -> None:
    done, asked = run_shell(SHELL[0].replace("styleshuffle ", "true "), clone)
    assert done.returncode == 0, done.stderr
    assert asked == ["python3 -m venv .venv", "pip install .", "pip install .[test]", "python -m pytest"]


def test_ci_does_what_the_quick_start_says() -> None:
    commands = [part.strip() for part in re.split(r"&&|\n", SHELL[0]) if part.strip()]
    for command in commands[2:]:  # its virtual environment is elsewhere
        assert re.search(rf"^{re.escape(command.partition(' -o ')[0])}( |$)", CI, re.MULTILINE), command


@pytest.mark.parametrize("text", PYTHON, ids=first_line)
def test_python_runs(text: str, clone: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", small(text)],
        cwd=clone,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert list(clone.glob("*.png"))


@needs_bash
@pytest.mark.parametrize("text", NOT_RUN, ids=first_line)
def test_commands_that_are_not_run_can_be_parsed(text: str, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    subprocess.run(["bash", "-n", "-c", text], check=True)
    for line in text.splitlines():
        name, *arguments = shlex.split(line)
        if name == "styleshuffle-train":
            from styleshuffle.commands.train import main as train

            parse(train, arguments)
        elif name == "styleshuffle-web":
            from styleshuffle.commands.web import main as web

            parse(web, arguments)
        elif name == "python" and arguments[0] != "-m":
            parse(benchmark(clone / arguments[0]), arguments[1:])


def parse(command: click.Command, arguments: list[str]) -> None:
    """Parse a command line without running anything; wrong ones raise."""
    if isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(command.name, list(arguments))


def benchmark(path: Path) -> click.Command:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return typing.cast(click.Command, module.main)


def test_commands_in_running_text_can_be_parsed(clone: Path) -> None:
    commands = re.findall(r"`python (benchmarks/[^\s`]+\.py)([^`]*)`", "".join(PAGES.values()))
    assert commands
    for script, arguments in commands:
        if "looks" not in script:  # it has required options
            parse(benchmark(clone / script), shlex.split(arguments))


def test_every_block_is_of_a_known_kind() -> None:
    assert {block["language"] for block in BLOCKS} == {"sh", "python", "text"}
    assert "".join(PAGES.values()).count("```") == 2 * len(BLOCKS)


# ---------------------------------------------------------------------------------------------------- what is said


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if not link.startswith("https://")]
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)}
    assert not [link for link in links if link not in headings and not ((ROOT / page).parent / link).exists()]


def test_nothing_is_left_to_fill_in() -> None:
    assert "TODO" not in README


def test_settings_table_agrees_with_the_settings() -> None:
    found = _TABLE.search(README)
    assert found is not None
    assert found.group() == settings_table(), "run: python tests/test_readme.py"


def test_every_option_is_named() -> None:
    flags = {flag for option in main.params if isinstance(option, click.Option) for flag in option.opts}
    assert not {flag for flag in flags if f"`{flag}`" not in README}


def test_every_option_that_is_named_exists() -> None:
    tables = "".join(re.findall(r"^\| `-.*?\|", README, re.MULTILINE))
    flags = {flag for option in main.params if isinstance(option, click.Option) for flag in option.opts}
    assert set(re.findall(r"`(-[^`]*)`", tables)) <= flags | {"-h", "--help"}


def settings_table() -> str:
    lines = ["| Option | Default | Range | Meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(setting) for setting in fields(Settings)]
    return "\n".join(lines) + "\n"


def _row(setting: Field[Any]) -> str:
    default: Any = "auto" if setting.default is None else setting.default
    if isinstance(default, bool):
        default = "on" if default else "off"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    rule = rule_of(setting)
    each = "each " if rule.levels is not None else ""
    between = ", ".join(rule.choices) or f"{each}{rule.low} to {rule.high}"
    if rule.kind is bool:
        between = f"or `--no-{setting.name}`"
    return f"| `--{setting.name.replace('_', '-')}` | {default} | {between} | {rule.help} |"


if __name__ == "__main__":
    (ROOT / "README.md").write_text(_TABLE.sub(lambda _: settings_table(), README), encoding="utf-8")
