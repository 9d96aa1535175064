"""The recipe of a result: which files and which settings made it, as text that travels inside the result.

`styleshuffle.images.write` puts the text into a file, and `styleshuffle.images.read_recipe` gets it back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import SettingsError
from .files import identity
from .settings import Settings, rule_of, settings_from

_BLOCK = 2**20


@dataclass(frozen=True)
class Ingredient:
    """A file that a result was made from.

    Attributes:
        path: as the user gave it. A path from the root of the disk is cut to the file's name, so that a result does not
            tell where its maker keeps things.
        sha256: of the file's bytes, in hexadecimal; None for standard input.
    """

    path: str
    sha256: str | None = None

    def check(self) -> str | None:
        """What is wrong with the file that now has this path; None if it is the file of the recipe."""
        if self.sha256 is None:
            return None
        if identity(self.path) is None:
            return f"{self.path}: no such file here; go to the folder where the result was made"
        if sha256_of(self.path) != self.sha256:
            return f"{self.path}: has changed since; the result will differ"
        return None


def ingredient(path: str | os.PathLike[str]) -> Ingredient:
    """The ingredient of a path; ``-`` is standard input.

    Raises:
        OSError: the file cannot be read.
    """
    name = os.fspath(path)
    if name == "-":
        return Ingredient(name)
    return Ingredient(Path(name).name if os.path.isabs(name) else Path(name).as_posix(), sha256_of(name))


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class Recipe:
    """What makes a result again.

    Attributes:
        content, styles: the pictures.
        files: other files, by the name of their option: ("mask", ...), in the order of the command line.
        settings: all of them.
        choices: what else was chosen, by the name of its option, such as the encoder; "" for a flag.
        version: of styleshuffle.
    """

    content: Ingredient
    styles: tuple[Ingredient, ...]
    settings: Settings = field(default_factory=Settings)
    files: tuple[tuple[str, Ingredient], ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def to_json(self) -> str:
        """The recipe as text, in ASCII and without line breaks."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def command(self, output: str) -> list[str]:
        """The command that makes the result again, as a list of arguments.

        Args:
            output: the file to write.
        """
        words = ["styleshuffle", *(_guarded(each.path) for each in (self.content, *self.styles)), "-o", output]
        for name, file in self.files:
            words += [_option(name), file.path]
        for name, choice in self.choices.items():
            words += [_option(name), *([choice] if choice else [])]
        return words + options_of(self.settings)

    def ingredients(self) -> list[Ingredient]:
        """All files."""
        return [self.content, *self.styles, *(file for _, file in self.files)]


def recipe_from_json(text: str) -> Recipe:
    """The recipe that `Recipe.to_json` wrote.

    Raises:
        SettingsError: the text is no recipe, or one of a version with other settings.
    """
    try:
        data = json.loads(text)
        version = str(data["version"])
        files = tuple((str(name), Ingredient(**file)) for name, file in data["files"])
        content, styles = Ingredient(**data["content"]), tuple(Ingredient(**style) for style in data["styles"])
        values = {name: _frozen(value) for name, value in data["settings"].items()}
        choices = {str(name): str(choice) for name, choice in data["choices"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError("recipe: cannot be understood; make the result again") from error
    try:
        return Recipe(content, styles, settings_from(**values), files, choices, version)
    except SettingsError as error:
        raise SettingsError(f"recipe: was written by version {version}, whose settings differ ({error})") from error


def options_of(settings: Settings) -> list[str]:
    """The options by which settings differ from the defaults, as a list of arguments."""
    words: list[str] = []
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        if value == setting.default:
            continue
        if rule_of(setting).kind is bool:
            words.append(_option(setting.name if value else f"no_{setting.name}"))
        else:
            parts = value if isinstance(value, tuple) else (value,)
            words += [_option(setting.name), ",".join(map(str, parts))]
    return words


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _guarded(path: str) -> str:
    """A path that cannot be taken for an option."""
    return f"./{path}" if path.startswith("-") and path != "-" else path
