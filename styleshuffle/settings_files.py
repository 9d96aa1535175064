"""Settings in a file, as TOML: a line for each setting, by its name."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from .errors import SettingsError, one_line
from .files import reason_of, written_whole
from .settings import Settings, rule_of, settings_from

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a TOML file by name; those it does not name are left out. ``Settings(**these)`` takes them.

    Raises:
        SettingsError: the file cannot be read, or it has an unknown name or a value out of range; names the file.
    """
    name = one_line(path)
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{name}: these settings cannot be read ({reason_of(error)}); write lines such as: strength = 0.8"
        ) from error
    values = {key.replace("-", "_"): tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    try:
        settings_from(**values)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error
    return values


def write_settings(path: str | os.PathLike[str], settings: Settings, overwrite: bool = False) -> None:
    """Write all settings as TOML, each below its meaning. A setting without a value is written as a comment.

    Raises:
        FileExistsError: there is such a file, and `overwrite` is not set.
        OSError: the file cannot be written.
    """
    lines = ["# styleshuffle --settings THIS_FILE. A line that is left out stands for the default."]
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        lines += ["", f"# {rule_of(setting).help}"]
        lines.append(f"# {setting.name} =" if value is None else f"{setting.name} = {_toml(value)}")
    with written_whole(path, overwrite) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
