"""The style pictures of the samples are what the code beside them paints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers import SAMPLES
from PIL import Image


def paint(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SAMPLES / "styles", folder, "--only", *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture, np.float32)


def test_a_style_is_painted_again(tmp_path: Path) -> None:
    done = paint(tmp_path, "block_print_waves")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["block_print_waves.jpg"]
    painted, kept = pixels(tmp_path / "block_print_waves.jpg"), pixels(SAMPLES / "style" / "block_print_waves.jpg")
    assert np.abs(painted - kept).mean() < 1  # another version of Pillow or numpy may round otherwise


def test_every_picture_has_its_code(tmp_path: Path) -> None:
    done = paint(tmp_path, "nothing_like_it")  # the refusal lists the styles that there are
    assert done.returncode == 2
    assert not [path.stem for path in (SAMPLES / "style").glob("*.jpg") if path.stem not in done.stderr]
