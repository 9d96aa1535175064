"""Server-sent events: how far a job is, told while it is painted. https://html.spec.whatwg.org/#server-sent-events"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator

from .jobs import Job
from .workshop import Workshop

_SIGN_OF_LIFE_SECONDS = 10  # without it a vanished client would never be noticed


async def events_of(workshop: Workshop, job: Job) -> AsyncIterator[bytes]:
    """The events of a job, until it has ended. A slow client misses steps, but never the last.

    Yields:
        ``event: state`` with the JSON of `Job.told`, and ``event: frame`` with {"picture": a data URL}.
    """
    loop, changed, shown = asyncio.get_running_loop(), asyncio.Event(), 0

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(changed.set)

    job.listeners.add(wake)
    try:
        while True:
            changed.clear()
            told, frame, number = workshop.told(job)
            if frame is not None and number != shown:
                shown = number
                yield _event("frame", {"picture": f"data:{frame[1]};base64,{base64.b64encode(frame[0]).decode()}"})
            yield _event("state", told)
            if told["state"] in ("done", "failed", "stopped"):
                return
            while not changed.is_set():
                try:
                    await asyncio.wait_for(changed.wait(), _SIGN_OF_LIFE_SECONDS)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
    finally:
        job.listeners.discard(wake)
        workshop.lost(job)


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
