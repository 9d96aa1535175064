"""The pages that benchmarks write are what their templates and data give, so no figure in them can differ from the data.

``python benchmarks/NAME.py --from-data`` writes a page anew, from ``benchmarks/pages/NAME.md`` and ``docs/NAME.json``.
"""

from __future__ import annotations

import importlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from common import command_options, median_seconds
from helpers import ROOT
from pages import fill, read_data, table, write_data

DOCS, TEMPLATES = ROOT / "docs", ROOT / "benchmarks" / "pages"
PAGES = sorted(path.stem for path in TEMPLATES.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_its_template_and_its_data_give(name: str, tmp_path: Path) -> None:
    shutil.copy(DOCS / f"{name}.json", tmp_path)
    benchmark: Any = importlib.import_module(name)
    done = CliRunner().invoke(benchmark.main, ["--from-data", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for file in (f"{name}.md", f"{name}.json"):
        made, kept = ((folder / file).read_text(encoding="utf-8") for folder in (tmp_path, DOCS))
        assert made == kept, f"run: python benchmarks/{name}.py --from-data"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_which_command_writes_it(name: str) -> None:
    first = (DOCS / f"{name}.md").read_text(encoding="utf-8").splitlines()[0]
    assert f"python benchmarks/{name}.py --from-data" in first


def test_there_is_a_page_for_each_template_and_data_for_each_page() -> None:
    assert {"acceleration", "authors", "counterexample", "quantisation", "theory"} <= set(PAGES)
    assert sorted(path.stem for path in DOCS.glob("*.json")) == PAGES


def test_pictures_and_links_of_the_docs_lead_to_files() -> None:
    for page in DOCS.glob("*.md"):
        links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        assert not [link for link in links if "://" not in link and not (DOCS / link).exists()], page.name


def test_marks_are_filled(tmp_path: Path) -> None:
    template = tmp_path / "page.md"
    template.write_text("{{steps}} steps, λ = {{penalty}}; {{steps}} in all: $5 \\1 {braces}", encoding="utf-8")
    assert fill(template, {"steps": "80", "penalty": r"\0"}) == "80 steps, λ = \\0; 80 in all: $5 \\1 {braces}"


@pytest.mark.parametrize(
    ("marks", "named"),
    [({"steps": "80"}, "without a value: ['rate']"), ({"steps": "", "rate": "", "more": ""}, "['more']")],
)
def test_unknown_and_unused_marks_are_refused(marks: dict[str, str], named: str, tmp_path: Path) -> None:
    template = tmp_path / "page.md"
    template.write_text("{{steps}} steps at {{rate}}", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(named)):
        fill(template, marks)


def test_data_come_back_as_they_were(tmp_path: Path) -> None:
    data = {
        "facts": {"λ": 0.1, "bits": [4, None]},
        "runs": [{"steps": 3, "psnr": 23.747089044063337}, {"steps": 5}],
        "none": [],
    }
    write_data(tmp_path / "data.json", data)
    assert read_data(tmp_path / "data.json") == data
    lines = (tmp_path / "data.json").read_text(encoding="utf-8").splitlines()
    assert '{"steps": 5}' in lines  # a line for each row


def test_missing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"data\.json: no such data; run without --from-data first"):
        read_data(tmp_path / "data.json")


def test_a_table_is_markdown() -> None:
    assert table(["", "steps"], [["Adam", 3]]) == "|  | steps |\n| --- | --- |\n| Adam | 3 |"


def test_options_are_those_that_differ_from_the_defaults() -> None:
    @dataclass
    class Some:
        usage_penalty: float = 0.01
        levels: tuple[int, ...] = (4, 3)
        recolour: bool = True
        size: int | None = None

    assert command_options(Some(), Some()) == ""
    changed = Some(usage_penalty=0.5, levels=(4,), recolour=False, size=64)
    assert command_options(changed, Some()) == "--usage-penalty 0.5 --levels 4 --no-recolour --size 64"


def test_timed_works_take_turns() -> None:
    turns: list[str] = []
    seconds = median_seconds({name: lambda name=name: turns.append(name) for name in ("a", "b")}, repeat=2, warm_up=1)
    assert turns == ["a", "b"] * 3
    assert set(seconds) == {"a", "b"} and min(seconds.values()) >= 0
