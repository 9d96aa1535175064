"""The styles that the server offers: the samples, and the folder of the user. Clients name them by id, never by path."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from ..jobs.names import pictures_in
from .pictures import PictureFile, taken_in
from .refusals import Refusal

MOST_STYLES = 500
"""How many pictures of a folder are offered."""


@dataclass(frozen=True)
class Offer:
    """A style of the library.

    Attributes:
        id: what clients call it.
        name: for people.
        path: of the file.
    """

    id: str
    name: str
    path: Path


class Library:
    """Styles by id. A style is decoded when it is first asked for.

    Args:
        views: the folder for the small copies.
        folder: pictures of the user, or None.
    """

    def __init__(self, views: Path, folder: Path | None = None) -> None:
        paths = sorted(sample_styles().glob("*.jpg"))
        offers = [Offer(f"sample-{path.stem}", _spoken(path), path) for path in paths]
        if folder is not None:
            own = list(pictures_in(folder, None, []))[:MOST_STYLES]
            offers = [Offer(f"own-{_digest(path, folder)}", _spoken(path), path.resolve()) for path in own] + offers
        self.offers = {offer.id: offer for offer in offers}
        self._views, self._known, self._lock = views, dict[str, PictureFile](), threading.Lock()

    def __contains__(self, id: str) -> bool:
        return id in self.offers

    def get(self, id: str) -> PictureFile:
        """A style, decoded at the first call.

        Raises:
            Refusal: there is no such style.
            PictureError: its file cannot be read.
        """
        if id not in self.offers:
            raise Refusal(404, "there is no such style; GET /api/styles lists them")
        with self._lock:
            if id not in self._known:
                offer = self.offers[id]
                self._known[id] = taken_in(offer.path, offer.path.name, self._views / f"{id}.png")
            return self._known[id]


def sample_styles() -> Path:
    """The folder of the sample styles: in the installed package, or in the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "bundled" / "styles"
    return installed if installed.is_dir() else package.parent / "samples" / "style"


def _spoken(path: Path) -> str:
    return path.stem.replace("_", " ").replace("-", " ").strip().capitalize() or path.name


def _digest(path: Path, folder: Path) -> str:
    return hashlib.sha256(path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")).hexdigest()[:16]
