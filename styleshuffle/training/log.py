"""The log of a training run: tables of numbers and pictures, also for TensorBoard if wanted."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path

from torch import Tensor

from ..errors import SettingsError
from ..files import written_whole
from ..images import to_pil, write

_TABLES = ("losses", "validation")


def check_tensorboard() -> None:
    """Refuse to log for TensorBoard if it is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingsError("tensorboard: it is not installed; pip install 'styleshuffle[tensorboard]'")


class Log:
    """The tables ``losses.csv`` and ``validation.csv``, and the pictures, in the folder of a run.

    Rows of steps after ``done`` are dropped, because a resumed run repeats these steps.

    Args:
        folder: of the run; None writes nothing.
        done: the number of steps done.
        tensorboard: also log for TensorBoard, into ``tensorboard/``.
    """

    def __init__(self, folder: Path | None, done: int = 0, tensorboard: bool = False) -> None:
        self._folder, self._board = folder, None
        self._headers: dict[str, list[str]] = {}
        if folder is None:
            return
        for table in _TABLES:
            self._headers[table] = _cut(folder / f"{table}.csv", done)
        if tensorboard:
            check_tensorboard()
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)

    def row(self, table: str, step: int, values: dict[str, float]) -> None:
        """Append the values of a step to a table."""
        if self._folder is None:
            return
        header = ["step", *values]
        with (self._folder / f"{table}.csv").open("a", newline="") as file:
            writer = csv.writer(file)
            if header != self._headers[table]:
                writer.writerow(header)
                self._headers[table] = header
            writer.writerow([step, *(f"{value:.6f}" for value in values.values())])
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{table}/{name}", value, step)

    def picture(self, kind: str, step: int, picture: Tensor) -> None:
        """Write a picture, (3, H, W) in [0, 1], as ``kind/step-000500.png``."""
        if self._folder is None:
            return
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)
        write(to_pil(picture), folder / f"step-{step:06d}.png", overwrite=True)
        if self._board is not None:
            self._board.add_image(kind, picture, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def _cut(table: Path, done: int) -> list[str]:
    """Drop the rows of steps after ``done`` from a file; returns its last header row."""
    if not (done and table.exists()):
        table.unlink(missing_ok=True)
        return []
    with table.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row and (not row[0].isdigit() or int(row[0]) <= done)]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    with written_whole(table) as file:
        file.write(text.getvalue().encode())
    return next((row for row in reversed(rows) if not row[0].isdigit()), [])
