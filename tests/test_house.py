"""The house keeps its shape: imports go one way, and files and functions stay small enough to hold in the head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "styleshuffle"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room may import from rooms with a lower number, and from itself.
FLOORS = {
    "errors": 0,
    "memory": 1, "settings": 1,
    "files": 2, "devices": 2, "keeping": 2, "optim": 2, "progress": 2, "tiles": 2,
    "recipes": 3, "settings_files": 3,
    "images": 3,
    "networks": 3,
    "reshuffle": 4,
    "evaluation": 5, "reporting": 5, "guides": 5,
    "pipeline": 6,
    "enlarging": 7,
    "stylizer": 8,
    "jobs": 9, "training": 9, "video": 9,
    "web": 10,
    "commands": 11,
}  # fmt: skip
FORBIDDEN = {"reshuffle": {"images"}, "networks": {"images"}}
PRINTERS = {"commands"}
ENTRANCES = {"__init__", "__main__"}  # they open the house, and belong to no floor


def room_of(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, ...]]:
    """What a file imports from the package, as parts below it: ("images", "reading")."""
    here = ("styleshuffle", *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = (*base, *(node.module or "").split(".")) if node.module else base
            names = [module] if len(module) > 1 else [(*module, alias.name) for alias in node.names]
            yield from (name[1:] for name in names if name[0] == "styleshuffle")
        elif isinstance(node, ast.Import):
            split = (tuple(alias.name.split(".")) for alias in node.names)
            yield from (name[1:] for name in split if name[0] == "styleshuffle" and len(name) > 1)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path) -> None:
    room = room_of(file.relative_to(PACKAGE).parts)
    if room in ENTRANCES or file.stem == "__main__":
        return
    for imported in map(room_of, imports(file)):
        if imported not in {room, "__version__"}:
            assert FLOORS[imported] < FLOORS[room], f"{file.name} imports {imported}"
            assert imported not in FORBIDDEN.get(room, set())


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(file.relative_to(PACKAGE).parts) for file in FILES}
    assert rooms - ENTRANCES == set(FLOORS)


def test_tests_lie_in_the_rooms_of_the_package() -> None:
    """And no two files of tests have one name, so that pytest can import them without packages."""
    files = sorted(TESTS.rglob("test_*.py"))
    rooms = {room_of(file.relative_to(TESTS).parts) for file in files if file.parent != TESTS}
    assert rooms <= set(FLOORS)
    assert len({file.name for file in files}) == len(files)


def test_only_commands_know_the_command_line_and_print() -> None:
    for file in FILES:
        if room_of(file.relative_to(PACKAGE).parts) in PRINTERS:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = {node.names[0].name for node in ast.walk(tree) if isinstance(node, ast.Import)}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        assert not modules & {"click", "tqdm", "argparse"}, file
        calls = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"print", "exit", "quit"}, file


def test_files_and_functions_are_small() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                start = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.body[0].lineno
                assert (node.end_lineno or start) - start < 60, f"{file}: {node.name}"


def test_the_checks_see_what_they_are_for(tmp_path: Path) -> None:
    file = PACKAGE / "reshuffle" / "levels.py"
    assert ("settings",) in set(imports(file))
    assert ("reshuffle", "matching") in set(imports(file))
    assert ("images",) in set(imports(PACKAGE / "stylizer.py"))
