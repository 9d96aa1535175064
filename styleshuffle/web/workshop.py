"""The queue, and the one thread that paints."""

from __future__ import annotations

import io
import logging
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Protocol

from ..errors import StyleShuffleError
from ..images import Picture, SaveOptions, write
from ..memory import give_back
from ..progress import Progress
from . import recipes
from .jobs import Item, Job
from .limits import Limits
from .painter import Order
from .pictures import encoded
from .refusals import Refusal
from .shelf import Shelf

FRAME_SIDE = 384
FRAME_SECONDS = 0.25
"""Least time between two unfinished pictures. Drawing them must cost little beside the work."""

_THUMBNAIL_SIDE = 160
_PREVIEWS_IN_A_ROW = 8  # after which a final picture has its turn
_ENDED_PREVIEWS = 2  # of a page that are kept: the page may still load the older one
_SWEEP_SECONDS = 60
_SAVING = SaveOptions(strip_gps=True)  # who sends a picture to a page does not think of the place that is in it

_log = logging.getLogger("styleshuffle.web")


class Paints(Protocol):
    """What the workshop needs of a painter; see `Painter`."""

    def warm(self) -> None: ...

    def paint(self, order: Order, progress: Callable[[Progress], None]) -> Picture: ...


class _Stopped(Exception):
    """The job that is painted was stopped."""


class Workshop:
    """Jobs wait here, and a thread paints them: previews first, and finals one photograph at a time between them.

    A final picture may take minutes. At each of its steps a preview that waits is painted, so that dials stay alive.

    All methods may be called from any thread.

    Args:
        painter: used by the thread only.
        shelf: where the results go.
    """

    def __init__(self, painter: Paints, shelf: Shelf, limits: Limits) -> None:
        self._painter, self._shelf, self._limits = painter, shelf, limits
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[str, Job] = {}
        self._queue: list[Job] = []
        self._painting: list[Job] = []  # a final picture, and the preview that is painted within a step of it
        self._previews_in_a_row = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="styleshuffle-painter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop all jobs and wait for the thread."""
        with self._changed:
            self._closing = True
            for job in list(self._jobs.values()):
                self._stop(job)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # ------------------------------------------------------------------------------------------------ for clients

    def submit(self, job: Job) -> None:
        """Put a job into the queue. A preview replaces the older previews of its page.

        Raises:
            Refusal: the queue is full.
        """
        with self._changed:
            if self._closing:
                raise Refusal(503, "the server is stopping")
            if job.kind == "preview" and job.page:
                for other in self._of_page(job.page):
                    if other.kind == "preview" and not other.over:
                        self._stop(other)
            open_jobs = [other for other in self._jobs.values() if not other.over]
            if len(open_jobs) >= self._limits.waiting_jobs:
                raise Refusal(429, "too many pictures are waiting; try again in a moment", wait=2)
            if job.page and sum(other.page == job.page for other in open_jobs) >= self._limits.jobs_per_page:
                raise Refusal(429, "this page has too many jobs waiting; wait for one, or stop one", wait=2)
            self._forget_old(job)
            self._jobs[job.id] = job
            self._queue.append(job)
            self._changed.notify_all()

    def get(self, id: str) -> Job:
        """A job.

        Raises:
            Refusal: there is none, or there is none any more.
        """
        with self._changed:
            if id not in self._jobs:
                raise Refusal(404, "there is no such job, or not any more")
            return self._jobs[id]

    def told(self, job: Job) -> tuple[dict[str, object], tuple[bytes, str] | None, int]:
        """What clients may know of a job, its unfinished picture, and the number of that picture."""
        with self._changed:
            ahead = self._queue.index(job) + len(self._painting) if job in self._queue else 0
            return job.told(ahead), job.frame, job.frames

    def stop(self, id: str) -> None:
        """Stop a job. If it has ended, delete its result."""
        with self._changed:
            job = self.get(id)
            if job.over:
                self._forget(job)
            else:
                self._stop(job)

    def close_job(self, job: Job) -> None:
        """Nobody needs a job any more: stop it, and delete its result."""
        with self._changed:
            self._stop(job)
            self._forget(job)

    def close_page(self, page: str) -> None:
        """A page is gone: stop its jobs, and delete its results."""
        with self._changed:
            for job in self._of_page(page):
                self.close_job(job)

    def lost(self, job: Job) -> None:
        """Nobody listens to a job any more. A preview is then stopped; a final picture may still be fetched."""
        with self._changed:
            if job.kind == "preview" and not job.over and not job.listeners:
                self._stop(job)

    # ------------------------------------------------------------------------------------------------- bookkeeping

    def _of_page(self, page: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.page == page]

    def _stop(self, job: Job) -> None:
        if job.over:
            return
        job.stop()
        if job in self._queue:
            self._queue.remove(job)
        if job not in self._painting:
            self._clear(job)
        job.tell()

    def _clear(self, job: Job) -> None:
        """Let go of what an ended job needed; unless it is done, delete what it has made so far."""
        job.ended = time.monotonic()
        self._shelf.release(job.held)
        job.held = []
        if job.archive is not None and job.state != "done":
            job.archive.close()
        job.archive, job.frame = None, None
        if job.state != "done" and job.result is not None:
            self._shelf.settle(job.result, job)
            self._shelf.drop(job.result.id)
            job.result = None
        if job.id not in self._jobs and job.result is not None:
            self._shelf.drop(job.result.id)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.result is not None and job not in self._painting:
            self._shelf.drop(job.result.id)

    def _forget_old(self, new: Job | None = None) -> None:
        """Forget jobs that ended long ago, and the older previews of a page that orders a new one."""
        ended = sorted((job for job in self._jobs.values() if job.ended is not None), key=lambda job: job.ended or 0)
        oldest = time.monotonic() - self._limits.idle_seconds
        surplus = len(ended) - self._limits.ended_jobs
        for index, job in enumerate(ended):
            if index < surplus or (job.ended or 0) < oldest:
                self._forget(job)
        if new is not None and new.page and new.kind == "preview":
            previews = [job for job in ended if job.page == new.page and job.kind == "preview" and job.result]
            for job in previews[: max(0, len(previews) - _ENDED_PREVIEWS + 1)]:
                self._forget(job)

    # -------------------------------------------------------------------------------------------------- the thread

    def _work(self) -> None:
        try:
            self._painter.warm()
        except Exception:
            _log.exception("the networks cannot be loaded")  # each job will say why
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    if not self._changed.wait(_SWEEP_SECONDS):
                        self._forget_old()
                        self._shelf.sweep()
                        give_back()  # nobody paints just now
                if self._closing:
                    return
                job = self._taken()
            self._paint_next(job)

    def _let_a_preview_pass(self) -> None:
        """Paint a preview that waits, within a step of a final picture."""
        with self._changed:
            preview = next((job for job in self._queue if job.kind == "preview"), None)
            if preview is None or self._closing:
                return
            self._take(preview)
        self._paint_next(preview)

    def _taken(self) -> Job:
        """Take the next job out of the queue."""
        previews = [job for job in self._queue if job.kind == "preview"]
        finals = [job for job in self._queue if job.kind == "final"]
        preview_next = bool(previews) and not (finals and self._previews_in_a_row >= _PREVIEWS_IN_A_ROW)
        self._previews_in_a_row = self._previews_in_a_row + 1 if preview_next else 0
        job = (previews if preview_next else finals)[0]
        self._take(job)
        return job

    def _take(self, job: Job) -> None:
        self._queue.remove(job)
        self._painting.append(job)
        job.state = "painting"

    def _paint_next(self, job: Job) -> None:
        """Paint the next photograph of a job that was taken. After the last the job ends, else it goes back."""
        try:
            self._paint_item(job)
        finally:
            with self._changed:
                self._painting.remove(job)
                if job.state == "painting" and not self._closing:
                    job.state = "waiting"
                    self._queue.append(job)
                elif not job.over:
                    job.stop()
                if job.over:
                    self._clear(job)
                job.tell()

    def _paint_item(self, job: Job) -> None:
        item = job.next_item
        if item is None:
            return
        job.started = job.started if job.started is not None else time.monotonic()
        job.tell()
        try:
            self._paint(job, item)
        except _Stopped:
            return
        except Exception as error:
            if not isinstance(error, StyleShuffleError):
                _log.exception("a picture failed")
            item.state = "failed"
            failure = Job(job.page, job.kind, [], "", "", False)
            failure.fail(error)
            item.error = failure.error
            if len(job.items) == 1 or isinstance(error, Refusal):
                with self._changed:
                    if not job.over:
                        job.fail(error)
                return
        with self._changed:
            job.move_to(0, job.stage)
            if job.next_item is None and not job.over:
                self._finish(job)

    def _finish(self, job: Job) -> None:
        if job.packed and job.archive is not None:
            job.archive.close()
        if job.result is None:
            job.fail(Refusal(422, f"no photograph could be painted; the first: {job.items[0].error}"))
            return
        job.state, job.fraction = "done", 1.0
        self._shelf.settle(job.result, job)

    def _paint(self, job: Job, item: Item) -> None:
        began, drawn = time.monotonic(), time.monotonic()

        def follow(progress: Progress) -> None:
            nonlocal drawn
            if job.over:
                raise _Stopped
            now = time.monotonic()
            if now - began > self._limits.job_seconds:
                raise Refusal(503, f"the picture took longer than {self._limits.job_seconds:g} seconds")
            frame = None
            if job.listeners and now - drawn >= FRAME_SECONDS and progress.fraction < 1:
                image = progress.preview(FRAME_SIDE)
                frame = None if image is None else encoded(image, quality=80)
                drawn = time.monotonic()
            with self._changed:
                job.move_to(progress.fraction, progress.stage)
                if frame is not None:
                    job.frame, job.frames = frame, job.frames + 1
            job.tell()
            if job.kind == "final":
                self._let_a_preview_pass()

        picture = self._painter.paint(item.order, follow)
        if job.over:
            raise _Stopped
        self._keep(job, item, picture)
        item.state, item.size = "done", picture.size

    def _keep(self, job: Job, item: Item, picture: Picture) -> None:
        """Write a painted picture into the result of its job."""
        buffer = io.BytesIO()
        buffer.name = item.name
        recipe = recipes.recipe(item.order).to_json() if job.kind == "final" else None
        job.warnings += write(picture, buffer, format=job.format, options=_SAVING, recipe=recipe)
        if job.kind == "final":
            image = picture.pil()
            image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
            item.thumbnail = encoded(image)
        size = buffer.getbuffer().nbytes
        if job.result is None:
            suffix = ".zip" if job.packed else f".{job.format}"
            job.result = self._shelf.new(job.page, size, [suffix])
        elif job.packed:
            self._shelf.grow(job.result, size)
        path = job.result.files[0]
        if not job.packed:
            path.write_bytes(buffer.getbuffer())
            return
        if job.archive is None:
            job.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)  # pictures are compressed already
        job.archive.writestr(f"painted/{item.name}", buffer.getbuffer())
