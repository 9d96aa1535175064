"""Pages of docs/ are filled templates, so that no figure in them can differ from what was measured.

The template ``benchmarks/pages/NAME.md`` is prose with marks such as ``{{table}}``. The script ``benchmarks/NAME.py``
measures, writes its data to ``NAME.json``, and fills the marks from the data alone to make ``NAME.md`` beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

TEMPLATES = Path(__file__).resolve().parent / "pages"
_MARK = re.compile(r"\{\{(\w+)\}\}")


def write_page(folder: Path, name: str, marks: Mapping[str, str]) -> None:
    """Write ``folder/NAME.md``, which begins with a note of where it comes from."""
    note = (
        f"<!-- Written by `python benchmarks/{name}.py --from-data`: change benchmarks/pages/{name}.md instead. -->\n\n"
    )
    (folder / f"{name}.md").write_text(note + fill(TEMPLATES / f"{name}.md", marks), encoding="utf-8")


def fill(template: Path, marks: Mapping[str, str]) -> str:
    """A template's text with its marks replaced.

    Raises:
        ValueError: a mark has no value, or a value has no mark.
    """
    text = template.read_text(encoding="utf-8")
    named = set(_MARK.findall(text))
    if named != set(marks):
        unknown, unused = sorted(named - set(marks)), sorted(set(marks) - named)
        raise ValueError(f"{template}: marks without a value: {unknown}; values without a mark: {unused}")
    return _MARK.sub(lambda mark: marks[mark[1]], text)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_data(path: Path, data: Mapping[str, Mapping[str, Any] | Sequence[Any]]) -> None:
    """Write JSON with a line for each fact and each row, so that two versions are easy to compare."""
    parts = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            lines, (first, last) = [f"{_json(key)}: {_json(fact)}" for key, fact in value.items()], "{}"
        else:
            lines, (first, last) = [_json(row) for row in value], "[]"
        parts.append(f"{_json(name)}: {first}\n" + ",\n".join(lines) + f"\n{last}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_data(path: Path) -> dict[str, Any]:
    """What `write_data` wrote.

    Raises:
        click.UsageError: there is no such file.
    """
    if not path.is_file():
        raise click.UsageError(f"{path}: no such data; run without --from-data first")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
