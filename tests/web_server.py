"""A server of the page for tests: real HTTP on a free port, and a painter that inverts colours and can be held."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

starlette = pytest.importorskip("starlette", reason="the page needs starlette: pip install 'styleshuffle[web]'")
uvicorn = pytest.importorskip("uvicorn", reason="the page needs uvicorn: pip install 'styleshuffle[web]'")
pytest.importorskip("python_multipart", reason="the page needs python-multipart: pip install 'styleshuffle[web]'")
httpx = pytest.importorskip("httpx", reason="the tests of the page need httpx: pip install 'styleshuffle[test]'")

from styleshuffle.images import Picture, fit_size, read  # noqa: E402
from styleshuffle.progress import Progress  # noqa: E402
from styleshuffle.web.app import make_app  # noqa: E402
from styleshuffle.web.limits import Limits  # noqa: E402
from styleshuffle.web.painter import Order  # noqa: E402
from styleshuffle.web.server import Address, config, listening  # noqa: E402

PATIENCE = 30  # seconds until a test that waits for something gives up


class FakePainter:
    """Inverts colours in four steps, and keeps the metadata.

    Attributes:
        orders: what was asked for.
        gate: where each step waits; open at first.
        began: set when a picture is begun.
        fail: raises in place of painting.
        endless: which pictures never get done, so that only stopping ends them; `ended` is then set.
    """

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.gate, self.began, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.endless: Callable[[Order], bool] = lambda order: False
        self.fail: Callable[[Order], None] = lambda order: None
        self.gate.set()

    def warm(self) -> None:
        pass

    def paint(self, order: Order, progress: Callable[[Progress], None]) -> Picture:
        self.orders.append(order)
        self.began.set()
        self.fail(order)
        content = order.content.read()
        image = content.pil()
        result = ImageOps.invert(image.convert("RGB")).resize(fit_size(image.size, order.settings.size))
        try:
            for fraction in itertools.repeat(0.5) if self.endless(order) else (0.25, 0.5, 0.75, 1.0):
                assert self.gate.wait(PATIENCE)
                progress(Progress(fraction, "relu2_1", 2, lambda side: result))
        finally:
            self.ended.set()
        return content.passed_on(read(result), 0)


class Client:
    """A client of the server, with the calls that most tests make."""

    def __init__(self, url: str, painter: Any) -> None:
        self.url, self.painter = url, painter
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)

    def send(self, image: Image.Image | bytes, name: str = "photo.png", page: str = "") -> str:
        """Send a picture; its id."""
        data = image if isinstance(image, bytes) else png(image)
        answer = self.http.post("/api/pictures", params={"name": name, "page": page}, content=data)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def start(self, contents: list[str], styles: list[Any], **more: Any) -> Any:
        """Start a job; the answer."""
        return self.http.post("/api/jobs", json={"contents": contents, "styles": styles, **more})

    def end_of(self, id: str) -> dict[str, Any]:
        """The last state of a job."""
        last: dict[str, Any] = {}
        for name, data in self.events(id):
            last = data if name == "state" else last
        return last

    def events(self, id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        import json

        with self.http.stream("GET", f"/api/jobs/{id}/events") as answer:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    yield name, json.loads(line[6:])

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are; all that comes back until the server closes."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                connection.sendall(data)
            received = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    received += part
            return received


@contextlib.contextmanager
def serving(painter: Any = None, limits: Limits | None = None, **options: Any) -> Iterator[Client]:
    """A server in a thread, and its client."""
    painter, limits = painter or FakePainter(), limits or Limits(requests_per_second=1e6, burst=10**6)
    server = uvicorn.Server(config(make_app(painter=painter, limits=limits, **options), limits))
    listener = listening(Address(port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", painter)
    try:
        assert client.http.get("/api/options").status_code in (200, 401)  # it waits until the server listens
        yield client
    finally:
        if isinstance(painter, FakePainter):
            painter.gate.set()
        client.http.close()
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until something holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sample(colour: str = "red", size: tuple[int, int] = (48, 32)) -> Image.Image:
    return Image.new("RGB", size, colour)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def files_of(temp: Path) -> list[str]:
    """The files in the private folder of the server, without the copies of the library's styles."""
    return sorted(path.name for path in temp.glob("styleshuffle-web-*/*") if not path.name.startswith("sample-"))
