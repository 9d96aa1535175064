"""Progress of a training in words, for logs: a line now and then, where no terminal shows a bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

EVERY = 60.0  # seconds between two lines


class Lines:
    """Says how far a training is.

    Args:
        what: is trained.
        steps: in all.
        done: before this run began.
        say: takes a line.
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        what: str,
        steps: int,
        done: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._steps, self._say, self._clock = what, steps, say, clock
        self._begun = self._told = clock()
        self._from = done

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """After a step; says something if the last line is a minute old."""
        now = self._clock()
        if now - self._told < EVERY:
            return
        self._told = now
        each = (now - self._begun) / max(step - self._from, 1)
        loss = sum(losses.values())
        self._say(
            f"{self._what}: step {step:,} of {self._steps:,}, loss {loss:.4f}, {spoken(each)} a step, "
            f"{spoken(each * (self._steps - step))} to go"
        )


def spoken(seconds: float) -> str:
    """A time in one or two units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
