"""What tests of several rooms use: where things lie, small pictures, processes and command lines."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.testing import CliRunner, Result
from PIL import Image

import styleshuffle
from styleshuffle.images import read

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"


def environment() -> dict[str, str]:
    """For subprocesses: they find this very styleshuffle and the modules beside this file, and compute on one core."""
    package, here = Path(styleshuffle.__file__).resolve().parents[1], Path(__file__).resolve().parent
    paths = [str(package), str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def invoke(command: click.Command, *arguments: object, input: bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=input)


def picture(path: str | Path, colour: Any = "red", size: tuple[int, int] = (16, 8), mode: str = "RGB") -> Path:
    """Write a picture of one colour; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def truncated(path: str | Path) -> None:
    """Write the first half of a PNG file."""
    whole = io.BytesIO()
    Image.effect_noise((32, 32), 50).save(whole, "PNG")
    Path(path).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])


def colour(path: str | Path) -> Any:
    """The colour of a picture's first pixel."""
    with Image.open(path) as image:
        return image.getpixel((0, 0))


def files(folder: str | Path) -> list[str]:
    """The files in a folder and its subfolders, as POSIX paths below it."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that takes anything and raises this error."""

    def fail(*ignored: object, **also_ignored: object) -> Any:
        raise error

    return fail


def sample_image(name: str, size: tuple[int, int]) -> Image.Image:
    """A sample picture at a size (width, height)."""
    with Image.open(SAMPLES / name) as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def sample_tensor(name: str, size: tuple[int, int]) -> Tensor:
    """A sample picture at a size (width, height): (1, 3, height, width), RGB in [0, 1]."""
    return read(SAMPLES / name).tensor(size)
