"""Clients of `styleshuffle-web` for measuring: a server in its own process, changes of a dial, and a crowd.

It needs the packages of ``pip install 'styleshuffle[test]'``. `web.py` makes the page.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, SAMPLES

STYLES = ("sample-stained_glass", "sample-swirling_night", "sample-pen_engraving")
PATIENCE = 600  # seconds


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process, and the folder of its temporary files."""

    url: str
    process: int
    temp: Path

    def resident(self) -> int:
        """Bytes of memory that it occupies."""
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the system does not say how much memory a process occupies")

    def files(self) -> int:
        """Files that it keeps, without the copies of the library's styles."""
        kept = self.temp.glob("styleshuffle-web-*/*")
        return sum(not path.name.startswith("sample-") for path in kept)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """`styleshuffle-web` in a process of its own, until the block ends."""
    with tempfile.TemporaryDirectory() as temp:
        command = [sys.executable, "-m", "styleshuffle.commands.web", "--port", "0", "--no-browser", "--quiet"]
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**os.environ, "TMPDIR": temp, "PYTHONPATH": paths}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as process:
            assert process.stdout is not None
            try:
                yield Server(process.stdout.readline().strip().rstrip("/"), process.pid, Path(temp))
            finally:
                process.terminate()


@contextlib.contextmanager
def in_this_process() -> Iterator[Server]:
    """The same server in a thread of this process, until the block ends."""
    import uvicorn

    from styleshuffle.web.app import make_app
    from styleshuffle.web.limits import Limits
    from styleshuffle.web.server import Address, config, listening

    server = uvicorn.Server(config(make_app(), Limits()))
    listener = listening(Address(port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", os.getpid(), Path(tempfile.gettempdir()))
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """A process beside that keeps a core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


class Client:
    """A client with a page of its own and a photograph."""

    def __init__(self, server: Server, page: str, photograph: Path = SAMPLES / "content" / "cat.jpg") -> None:
        import httpx

        self.page, self.http = page, httpx.Client(base_url=server.url, timeout=PATIENCE)
        sent = self.http.post(
            "/api/pictures", params={"name": photograph.name, "page": page}, content=photograph.read_bytes()
        )
        self.photograph = sent.raise_for_status().json()["id"]

    def start(self, kind: str, style: str, settings: dict[str, Any], side: int) -> Any:
        """Start a job; the answer."""
        order = {"page": self.page, "kind": kind, "contents": [self.photograph], "styles": [style], "format": "jpg"}
        if kind == "preview":
            order["side"] = side
        else:
            settings = {**settings, "size": side}
        return self.http.post("/api/jobs", json={**order, "settings": settings})

    def follow(self, id: str, break_off: bool = False) -> str:
        """Follow a job to its end, or break off after its first event; its last state."""
        state = ""
        with self.http.stream("GET", f"/api/jobs/{id}/events") as answer:
            for line in answer.iter_lines():
                if line.startswith("data: ") and '"state"' in line:
                    state = json.loads(line[6:])["state"]
                    if break_off:
                        return "broken off"
        return state

    def preview(self, settings: dict[str, Any], side: int = 384) -> None:
        """A change of a dial, until the new preview is here."""
        id = self.start("preview", STYLES[0], settings, side).raise_for_status().json()["id"]
        assert self.follow(id) == "done"
        self.http.get(f"/api/jobs/{id}/result").raise_for_status()


def crowd(server: Server, jobs: int, clients: int, side: int) -> dict[str, Any]:
    """Many jobs from several clients at once, a third of them stopped or broken off, and what is left afterwards.

    The memory at the start is that after a tenth as many jobs, when all has been used once.
    """
    first = _jobs(server, max(clients, jobs // 10), clients, side)
    before = server.resident()
    began = time.perf_counter()
    ends = _jobs(server, jobs, clients, side)
    seconds = time.perf_counter() - began
    time.sleep(1)  # the last client's stop may still be on its way
    return {
        "jobs": jobs,
        "clients": clients,
        "side": side,
        "seconds": seconds,
        "ends": dict(ends),
        "warm_up": sum(first.values()),
        "memory_before": before,
        "memory_after": server.resident(),
        "files_left": server.files(),
    }


def _jobs(server: Server, jobs: int, clients: int, side: int) -> Counter[str]:
    """Run the jobs; how often each end came."""
    ends: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int, share: int) -> None:
        client, chance = Client(server, f"client-{number}"), random.Random(number)
        for _ in range(share):
            end = _job(client, chance, side)
            with lock:
                ends[end] += 1
        client.http.post(f"/api/pages/{client.page}/close")
        client.http.close()

    shares = [jobs // clients + (number < jobs % clients) for number in range(clients)]
    threads = [threading.Thread(target=work, args=item) for item in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def _job(client: Client, chance: random.Random, side: int) -> str:
    """A job of any kind, and how it ended."""
    kind, settings = chance.choice(["preview", "preview", "final"]), {"strength": chance.random()}
    answer = client.start(kind, chance.choice(STYLES), settings, side)
    if answer.status_code in (429, 503):
        time.sleep(float(answer.headers["retry-after"]))
        return "refused"
    if answer.status_code != 202:
        return f"error {answer.status_code}"
    id, way = answer.json()["id"], chance.random()
    if way < 1 / 6:
        client.http.delete(f"/api/jobs/{id}")
        return "stopped"
    if way < 1 / 3:
        return client.follow(id, break_off=True)
    state = client.follow(id)
    if state == "done":
        result = client.http.get(f"/api/jobs/{id}/result")
        return "done" if result.status_code == 200 else f"error {result.status_code}"
    return state or "error: no state"
