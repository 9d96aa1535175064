"""A job: what is to be painted, how far it is, and who wants to know."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import one_line
from .painter import Order
from .refusals import sentence, status_of
from .shelf import Entry

State = Literal["waiting", "painting", "done", "failed", "stopped"]
ENDED = ("done", "failed", "stopped")

LONGEST_NAME = 80
"""Characters of the name of a file."""


@dataclass
class Item:
    """A photograph of a job.

    Attributes:
        name: of the file of its result.
        thumbnail: JPEG or PNG of the result, and its media type; None until it is painted.
        size: (width, height) of the result.
    """

    order: Order
    name: str
    state: State = "waiting"
    thumbnail: tuple[bytes, str] | None = None
    size: tuple[int, int] | None = None
    error: str = ""


@dataclass
class Job:
    """What a client asked for. The workshop changes it; clients see `told`.

    Attributes:
        held: the pictures that it needs.
        packed: the result is a zip file.
        state: "waiting" also between two photographs.
        frame: the unfinished picture as a file; `frames` counts them.
        listeners: called when something has changed, from any thread.
        result: the file of the result.
        ended: when, by the clock of the workshop.
    """

    page: str
    kind: Literal["preview", "final"]
    items: list[Item]
    name: str
    format: str
    packed: bool
    held: list[Entry] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    fraction: float = 0.0
    stage: str = ""
    seconds_left: float | None = None
    frame: tuple[bytes, str] | None = None
    frames: int = 0
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    status: int = 200
    listeners: set[Callable[[], None]] = field(default_factory=set)
    result: Entry | None = None
    archive: Any = None
    started: float | None = None
    ended: float | None = None

    @property
    def over(self) -> bool:
        return self.state in ENDED

    @property
    def next_item(self) -> Item | None:
        return next((item for item in self.items if item.state == "waiting"), None)

    def fail(self, error: BaseException) -> None:
        self.state, self.error, self.status = "failed", sentence(error), status_of(error)

    def stop(self) -> None:
        self.state, self.error, self.status = "stopped", "the job was stopped", 409

    def move_to(self, fraction: float, stage: str) -> None:
        """Note how far the current photograph is."""
        finished = sum(item.state in ENDED for item in self.items)
        self.fraction, self.stage = (finished + fraction) / len(self.items), stage
        if self.started is not None and self.fraction > 0.05:
            self.seconds_left = (time.monotonic() - self.started) * (1 - self.fraction) / self.fraction

    def tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()

    def told(self, ahead: int = 0) -> dict[str, Any]:
        """What clients may know, as JSON.

        Args:
            ahead: jobs that come before it.
        """
        told: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "fraction": round(self.fraction, 3),
            "stage": self.stage,
            "seconds_left": None if self.seconds_left is None or self.over else round(self.seconds_left, 1),
            "ahead": ahead,
            "items": [
                {"name": item.name, "state": item.state, "size": item.size, "error": item.error} for item in self.items
            ],
        }
        if self.state == "done":
            told |= {"result": f"/api/jobs/{self.id}/result", "name": self.name, "warnings": self.warnings}
            told |= {"bytes": self.result.bytes if self.result else 0}
        if self.error:
            told |= {"error": self.error, "status": self.status}
        return told


def result_names(contents: list[str], styles: list[str], format: str) -> list[str]:
    """The names of the files of results, all different: photograph and style, and the suffix of the format."""
    ending = "-" + "-".join(Path(style).stem for style in styles[:2])
    names: list[str] = []
    for content in contents:
        stem = (Path(content).stem + ending)[:LONGEST_NAME]
        name, number = f"{stem}.{format}", 2
        while name in names:
            name, number = f"{stem}-{number}.{format}", number + 1
        names.append(name)
    return names


def safe_name(name: str, default: str) -> str:
    """A name that a client gave, as the name of a file: short, and without folders, control
    characters, quotes, and dots or hyphens at its start."""
    last = name.replace("\\", "/").rpartition("/")[2].strip().lstrip(".-")
    plain = one_line("".join("_" if c in '"<>|:*?\\' or not c.isprintable() else c for c in last))
    stem, dot, suffix = plain.rpartition(".")
    return (f"{stem[: LONGEST_NAME - 10]}.{suffix[:9]}" if dot else plain[:LONGEST_NAME]) or default
