"""What makes a picture again without the page: a command, and a few lines of Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..settings import Settings


def changed(settings: Settings) -> dict[str, Any]:
    """The settings that differ from the defaults."""
    return {
        setting.name: getattr(settings, setting.name)
        for setting in fields(Settings)
        if getattr(settings, setting.name) != setting.default
    }


def command(content: str, styles: Sequence[str], weights: Sequence[float], settings: Settings, output: str) -> str:
    """The command line. File names are those that the pictures had on the client's side."""
    words = ["styleshuffle", *(_argument(name) for name in (content, *styles)), "-o", _argument(output)]
    if len(styles) > 1:
        words += ["--style-weights", ",".join(f"{weight:g}" for weight in weights)]
    for name, value in changed(settings).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag}", ",".join(map(str, values))]
    return shlex.join(words)


def python(content: str, styles: Sequence[str], weights: Sequence[float], settings: Settings, output: str) -> str:
    """The lines of Python."""
    values = ", ".join(f"{name}={value!r}" for name, value in changed(settings).items())
    if len(styles) > 1:
        style = f"[{', '.join(map(repr, styles))}], weights=[{', '.join(f'{weight:g}' for weight in weights)}]"
    else:
        style = repr(styles[0])
    return (
        "from styleshuffle import Stylizer\n\n"
        f"stylizer = Stylizer({values})\n"
        f"stylizer.set_style({style})\n"
        f"stylizer.stylize({content!r}).save({output!r})\n"
    )


def _argument(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name
