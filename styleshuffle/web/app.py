"""The application: which address does what. Starlette reads and answers HTTP; the work is in the other files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..errors import StyleShuffleError
from . import forms, openapi
from .events import events_of
from .guard import Guard, refused
from .jobs import Job
from .library import Library
from .limits import Limits
from .options import described
from .orders import job_of, recipe_of
from .painter import ABILITIES, Abilities, Painter
from .refusals import Refusal, sentence, status_of
from .requests import PaintRequest, checked_id, paint_request
from .shelf import Shelf
from .uploads import Uploads, chunks_of
from .workshop import Paints, Workshop

STATIC = Path(__file__).parent / "static"
LARGEST_SHOWN = 4096
"""Long side in pixels up to which a picture is shown."""

_TYPES = {"jpg": "image/jpeg", "tif": "image/tiff", "zip": "application/zip"}  # others are named like their suffix


def make_app(
    styles: Path | None = None,
    painter: Paints | None = None,
    abilities: Abilities = ABILITIES,
    limits: Limits | None = None,
    **guard: Any,
) -> ASGIApp:
    """The ASGI application. Its private folder and its thread exist while it runs.

    Args:
        styles: a folder with styles of the user.
        painter: default: a `Painter` on the best device.
        abilities: what the painter can do.
        guard: see `Guard`.
    """
    limits = limits or Limits()
    web = _Web(styles, painter or Painter(), abilities, limits)
    return Guard(web.app(), limits, **guard)


class _Web:
    """The handlers of requests, and what they share."""

    def __init__(self, styles: Path | None, painter: Paints, abilities: Abilities, limits: Limits) -> None:
        self._styles, self._painter, self._abilities, self._limits = styles, painter, abilities, limits

    def app(self) -> Starlette:
        get = ["GET"]
        routes = [
            Route("/api/options", self.options, methods=get),
            Route("/api/styles", self.styles, methods=get),
            Route("/api/openapi.json", self.openapi, methods=get),
            Route("/api/pictures", self.take_picture, methods=["POST"]),
            Route("/api/pictures/{id}", self.show_picture, methods=get),
            Route("/api/pictures/{id}", self.drop_picture, methods=["DELETE"]),
            Route("/api/jobs", self.start_job, methods=["POST"]),
            Route("/api/jobs/{id}", self.job, methods=get),
            Route("/api/jobs/{id}", self.stop_job, methods=["DELETE"]),
            Route("/api/jobs/{id}/events", self.events, methods=get),
            Route("/api/jobs/{id}/result", self.result, methods=get),
            Route("/api/jobs/{id}/thumbnails/{index:int}", self.thumbnail, methods=get),
            Route("/api/paint", self.paint, methods=["POST"]),
            Route("/api/recipe", self.recipe, methods=["POST"]),
            Route("/api/pages/{id}/close", self.close_page, methods=["POST"]),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ]
        handlers: dict[Any, Callable[..., Any]] = {
            HTTPException: _http_error,
            ClientDisconnect: _vanished,
            StyleShuffleError: _failed,
            Exception: _failed,
        }
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=self._running)

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        self._shelf = Shelf(self._limits)
        library = Library(self._shelf.folder, self._styles)
        self._library, self._uploads = library, Uploads(self._shelf, library, self._limits)
        self._workshop = Workshop(self._painter, self._shelf, self._limits)
        self._workshop.start()
        try:
            yield
        finally:
            await to_thread.run_sync(self._workshop.close)
            self._shelf.close()

    # -------------------------------------------------------------------------------------------------- what there is

    async def options(self, request: Request) -> Response:
        return JSONResponse(described(self._abilities, self._limits))

    async def styles(self, request: Request) -> Response:
        return JSONResponse([{"id": offer.id, "name": offer.name} for offer in self._library.offers.values()])

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi.description(self._limits))

    # ------------------------------------------------------------------------------------------------------- pictures

    async def take_picture(self, request: Request) -> Response:
        page = checked_id(request.query_params.get("page", ""), "page")
        id, picture = await self._uploads.take(request.stream(), request.query_params.get("name", ""), page)
        return JSONResponse({"id": id, "name": picture.name, "size": picture.size}, 201)

    async def show_picture(self, request: Request) -> Response:
        side = request.query_params.get("side", "1024")
        if not (side.isdecimal() and len(side) <= 5 and 16 <= int(side) <= LARGEST_SHOWN):
            raise Refusal(422, f"side: use whole numbers 16 to {LARGEST_SHOWN}")
        picture = await self._uploads.picture(request.path_params["id"])
        content, kind = await self._uploads.in_turn(picture.shown, int(side))
        # an id always means the same picture
        return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    async def drop_picture(self, request: Request) -> Response:
        self._shelf.get(request.path_params["id"])
        self._shelf.drop(request.path_params["id"])
        return Response(status_code=204)

    # ----------------------------------------------------------------------------------------------------------- jobs

    async def start_job(self, request: Request) -> Response:
        job = await self._submitted(paint_request(await _json(request), self._limits.contents))
        return JSONResponse(self._workshop.told(job)[0], 202, {"Location": f"/api/jobs/{job.id}"})

    async def job(self, request: Request) -> Response:
        return JSONResponse(self._workshop.told(self._job(request))[0])

    async def stop_job(self, request: Request) -> Response:
        self._workshop.stop(request.path_params["id"])
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        job = self._job(request)
        await request.body()  # only after the (empty) body the client's leaving can be seen
        events = events_of(self._workshop, job, request.is_disconnected)
        return StreamingResponse(events, media_type="text/event-stream")

    async def result(self, request: Request) -> Response:
        job = self._job(request)
        if not job.over:
            raise Refusal(409, "the job is not done yet; follow its events")
        return self._answered(job)

    async def thumbnail(self, request: Request) -> Response:
        job, index = self._job(request), request.path_params["index"]
        thumbnail = job.items[index].thumbnail if index < len(job.items) else None
        if thumbnail is None:
            raise Refusal(404, "there is no such thumbnail yet")
        return Response(thumbnail[0], media_type=thumbnail[1])

    async def paint(self, request: Request) -> Response:
        """A form with the pictures themselves: the result, or with ``wait=no`` a job."""
        most, sent = self._limits.contents + 2 * self._abilities.styles + 2, list[str]()

        async def take(file: UploadFile) -> str:
            sent.append((await self._uploads.take(chunks_of(file), file.filename or "", ""))[0])
            return sent[-1]

        try:
            async with request.form(max_files=most, max_fields=100, max_part_size=self._limits.text_bytes) as form:
                fields, wait = await forms.read_form(form.multi_items(), take), form.get("wait", "yes")
            job = await self._submitted(paint_request(fields, self._limits.contents))
        finally:
            for id in sent:
                self._shelf.drop(id)  # the job holds what it needs
        if wait in ("no", "false", "0"):
            return JSONResponse(self._workshop.told(job)[0], 202, {"Location": f"/api/jobs/{job.id}"})
        await self._finished(request, job)
        return self._answered(job, BackgroundTask(self._workshop.close_job, job))

    async def recipe(self, request: Request) -> Response:
        return JSONResponse(await recipe_of(paint_request(await _json(request), self._limits.contents), self._uploads))

    async def close_page(self, request: Request) -> Response:
        page = checked_id(request.path_params["id"], "page")
        self._workshop.close_page(page)
        self._shelf.drop_page(page)
        return Response(status_code=204)

    # --------------------------------------------------------------------------------------------------------- shared

    def _job(self, request: Request) -> Job:
        return self._workshop.get(request.path_params["id"])

    async def _submitted(self, request: PaintRequest) -> Job:
        job = await job_of(request, self._uploads, self._limits, self._abilities)
        try:
            self._workshop.submit(job)
        except BaseException:
            self._shelf.release(job.held)
            raise
        return job

    async def _finished(self, request: Request, job: Job) -> None:
        """Wait for the end of a job; stop it if the client vanishes."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        job.listeners.add(wake)
        try:
            while not job.over:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1)
                changed.clear()
                if not job.over and await request.is_disconnected():
                    self._workshop.stop(job.id)
        finally:
            job.listeners.discard(wake)

    def _answered(self, job: Job, afterwards: BackgroundTask | None = None) -> Response:
        """The result of an ended job as a file.

        Args:
            afterwards: what to do when it is sent.
        """
        if job.state != "done" or job.result is None:
            raise Refusal(job.status, job.error or "the job has no result")
        path = self._shelf.get(job.result.id).files[0]
        name = urllib.parse.quote(job.name)
        disposition = f"attachment; filename=\"{job.name.encode('ascii', 'replace').decode()}\"; filename*=UTF-8''{name}"
        headers = {"Content-Disposition": disposition}
        kind = path.suffix[1:]
        return FileResponse(path, media_type=_TYPES.get(kind, f"image/{kind}"), headers=headers, background=afterwards)


async def _json(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "send JSON with Content-Type: application/json")
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refusal(400, "the request is not JSON") from None


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {404: "there is nothing at this address", 405: "this address does not take this method"}
    return JSONResponse({"error": texts.get(error.status_code, str(error.detail))}, error.status_code, error.headers)


async def _vanished(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _failed(request: Request, error: Exception) -> Response:
    """Errors that nobody expects go on to uvicorn, which writes them into the log."""
    return refused(error if isinstance(error, Refusal) else Refusal(status_of(error), sentence(error)))
