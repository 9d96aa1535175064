"""What is kept beside the result while a film is painted, so that a run that was stopped can go on.

A hidden folder beside the result holds the stretches that are finished, the last anchor, and a list of them, which is
written last and whole: a run that ends at any moment leaves a list of stretches that are there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from ..errors import PictureError, one_line
from ..files import written_whole


@dataclass
class Kept:
    """What is finished.

    Attributes:
        frames: how many.
        starts: the time at which each stretch starts, in units of the film's time base.
        damaged, cuts: numbers of frames.
        painted: how many frames were painted as pictures are.
    """

    frames: int = 0
    starts: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    painted: int = 0


class Work:
    """The folder of a film that is being painted.

    Args:
        target: the result.
        made_of: what the result is made of; a run goes on only if it is the same.
        resume: go on with what is there; otherwise begin anew.

    Raises:
        PictureError: the run cannot go on, because it would be another film.
    """

    def __init__(self, target: Path, made_of: Mapping[str, Any], resume: bool) -> None:
        self.folder = target.with_name(f".{target.name}.styleshuffle")
        self.made_of = json.loads(json.dumps(made_of))
        self.kept = Kept()
        if resume and self._list.is_file():
            said = json.loads(self._list.read_text(encoding="utf-8"))
            differing = sorted(name for name in self.made_of if said["made_of"].get(name) != self.made_of[name])
            if differing:
                reason = f"its unfinished work was made with another {', '.join(differing)}"
                raise PictureError(f"{one_line(target)}: {reason}; leave out --resume to begin anew")
            self.kept = Kept(**said["kept"])
        else:
            self.remove()
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def _list(self) -> Path:
        return self.folder / "finished.json"

    def stretch(self, number: int) -> Path:
        """The file of a stretch."""
        return self.folder / f"stretch-{number:06d}"

    def state(self) -> dict[str, Any]:
        """The arrays that `keep` was given last; none at the beginning."""
        path = self._state(len(self.kept.starts))
        return dict(load_file(path)) if self.kept.starts and path.is_file() else {}

    def _state(self, stretches: int) -> Path:
        return self.folder / f"state-{stretches:06d}.safetensors"

    def keep(self, kept: Kept, state: Mapping[str, Any]) -> None:
        """Make what is finished last: after this, a run can go on from here."""
        before, after = self._state(len(self.kept.starts)), self._state(len(kept.starts))
        if state:
            save_file(dict(state), after)
        with written_whole(self._list) as file:
            file.write(json.dumps({"made_of": self.made_of, "kept": asdict(kept)}).encode())
        if before != after:
            before.unlink(missing_ok=True)
        self.kept = kept

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> bool:
        """End before the film is finished; returns whether there is something to go on with."""
        if not self.kept.frames:
            self.remove()
        return bool(self.kept.frames)
