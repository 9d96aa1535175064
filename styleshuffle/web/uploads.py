"""Take in the pictures that clients send: bounded in bytes and pixels, decoded by the library's own reader."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from .jobs import safe_name
from .library import Library
from .limits import Limits
from .pictures import PictureFile, taken_in
from .refusals import Refusal
from .shelf import Entry, Shelf

T = TypeVar("T")


class Uploads:
    """Pictures by id, of the shelf and of the library. Of large pictures one is decoded at a time, to bound memory."""

    def __init__(self, shelf: Shelf, library: Library, limits: Limits) -> None:
        self.shelf, self.library, self._limits = shelf, library, limits
        self._turn: CapacityLimiter | None = None

    async def in_turn(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run work that decodes pictures in a thread, after the work that came before it."""
        if self._turn is None:
            self._turn = CapacityLimiter(1)
        return await to_thread.run_sync(partial(work, *arguments), limiter=self._turn)

    async def take(self, chunks: AsyncIterator[bytes], name: str, page: str) -> tuple[str, PictureFile]:
        """Store a picture; its id, and what it is.

        Args:
            chunks: the bytes of the file.
            name: that the client gives it.

        Raises:
            Refusal: it is too large, or there is no room.
            PictureError: it is no picture, or damaged.
        """
        with self.shelf.writing(page, 2 * self._limits.upload_bytes, ["", ".view.png"]) as entry:
            count = 0
            with entry.files[0].open("wb") as file:
                async for chunk in chunks:
                    count += len(chunk)
                    if count > self._limits.upload_bytes:
                        size = self._limits.upload_bytes // 2**20
                        raise Refusal(413, f"a picture may have at most {size} MiB; send a smaller file")
                    file.write(chunk)
            name = safe_name(name, "picture")
            view, most = entry.files[1], self._limits.upload_pixels
            picture = await self.in_turn(taken_in, entry.files[0], name, view, most)
            self.shelf.settle(entry, picture)
        return entry.id, picture

    def hold(self, ids: list[str]) -> list[Entry]:
        """Keep the pictures that a job needs, until `Shelf.release`. Those of the library stay anyway."""
        return self.shelf.hold(id for id in dict.fromkeys(ids) if id not in self.library)

    async def picture(self, id: str) -> PictureFile:
        """A picture by its id.

        Raises:
            Refusal: there is none.
        """
        if id in self.library:
            return await self.in_turn(self.library.get, id)
        what = self.shelf.get(id).what
        if not isinstance(what, PictureFile):
            raise Refusal(404, "this picture is not here, or not any more; send it again")
        return what


async def chunks_of(file: Any) -> AsyncIterator[bytes]:
    """The bytes of an uploaded file of a form."""
    while chunk := await file.read(2**16):
        yield chunk
