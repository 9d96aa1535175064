"""Server-sent events: how far a job is, told while it is painted. https://html.spec.whatwg.org/#server-sent-events"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from .jobs import Job
from .workshop import Workshop

_LOOK_SECONDS = 1  # between two looks whether the client is still there
_LOOKS_A_SIGN = 10  # after so many looks a sign of life is sent, so that nothing between closes the connection


async def events_of(workshop: Workshop, job: Job, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """The events of a job, until it has ended or the client is gone. A slow client misses steps, but never the last.

    Args:
        gone: whether the client has closed the connection.

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
            looks = 0
            while not changed.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), _LOOK_SECONDS)
                looks += 1
                if await gone():
                    return
                if looks % _LOOKS_A_SIGN == 0:
                    yield b": still here\n\n"
    finally:
        job.listeners.discard(wake)
        workshop.lost(job)


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
