"""Download a file of weights once, and use it only if its SHA-256 sum is the published one."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.request import Request, urlopen

import torch

from ..errors import WeightsError
from ..files import reason_of, written_whole

_TIMEOUT = 30  # seconds without an answer
_BLOCK = 2**20


def downloaded(url: str, sha256: str, size: int, path: Path, progress: bool = False) -> Path:
    """The file at `path`, downloaded if it is missing, and verified in both cases.

    Args:
        sha256, size: the sum (64 hexadecimal digits) and the bytes of the published file.
        progress: show the download on stderr.

    Raises:
        WeightsError: the file cannot be downloaded or written, or is another file.
    """
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as file:
                _fetch(url, sha256, size, file, progress)
            return path
        genuine = _sum_of(path) == sha256
    except WeightsError:
        raise
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or reason_of(error)
        raise WeightsError(
            f"{url}: cannot be downloaded: {reason}; put the file at {path}, or name a file with `weights`"
        ) from None
    if not genuine:
        raise WeightsError(
            f"{path}: is not the file at {url}: its SHA-256 sum is another; delete it, or name a file with `weights`"
        )
    return path


def _sum_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _fetch(url: str, sha256: str, size: int, file: BinaryIO, progress: bool) -> None:
    """Copy what the server sends into a file."""
    digest, count = hashlib.sha256(), 0
    request = Request(url, headers={"User-Agent": "styleshuffle"})
    bar = torch.hub.tqdm(total=size, disable=not progress, unit="B", unit_scale=True, leave=False)
    with bar, urlopen(request, timeout=_TIMEOUT) as answer:
        while count <= size and (block := answer.read(_BLOCK)):
            file.write(block)
            digest.update(block)
            count += len(block)
            bar.update(len(block))
    if digest.hexdigest() != sha256:
        reason = f"the server sent another file ({count:,} bytes, SHA-256 {digest.hexdigest()[:16]}...)"
        raise WeightsError(f"{url}: {reason}; try again later, or name a file with `weights`")
