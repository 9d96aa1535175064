"""Refuse a request: one sentence for the reader, and the status code of HTTP that fits it."""

from __future__ import annotations

from ..devices import is_out_of_memory
from ..errors import MemoryShortage, PictureError, SettingsError, StyleShuffleError


class Refusal(StyleShuffleError):
    """A request that the server does not carry out.

    Attributes:
        status: the status code of HTTP.
        wait: seconds after which the client may try again; None if that would not help.
    """

    def __init__(self, status: int, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.status, self.wait = status, wait


def status_of(error: BaseException) -> int:
    """The status code that fits an error: 4xx where the client can mend it."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, MemoryShortage) or is_out_of_memory(error):
        return 413
    if isinstance(error, SettingsError | PictureError):
        return 422
    return 500


def sentence(error: BaseException) -> str:
    """What a client is told of an error. Nothing of the inside of an unexpected error is told."""
    if isinstance(error, StyleShuffleError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory; choose a smaller size"
    return f"the server failed ({type(error).__name__}); its log says where"
